# A stand-in for the part of nixpkgs' lib that the module uses, with its semantics: CI has no nixpkgs. Every function
# here gives what the real one gives for what the module asks of it.
let
  b = builtins;
  tagged = kind: value: b.isAttrs value && value ? _type && value._type == kind;

  self = rec {
    inherit (b) all any concatMap concatStringsSep elem filter foldl' genList head;
    inherit (b) isBool isList isString length map mapAttrs replaceStrings toJSON;
    inherit types evalModules;

    id = value: value;
    init = list: genList (b.elemAt list) (length list - 1);
    last = list: b.elemAt list (length list - 1);
    optional = condition: value: if condition then [ value ] else [ ];
    optionals = condition: list: if condition then list else [ ];
    optionalAttrs = condition: set: if condition then set else { };
    optionalString = condition: text: if condition then text else "";
    unique = foldl' (kept: value: if elem value kept then kept else kept ++ [ value ]) [ ];
    genAttrs = names: make: b.listToAttrs (map (name: { inherit name; value = make name; }) names);
    mapAttrsToList = make: set: map (name: make name set.${name}) (b.attrNames set);
    nameValuePair = name: value: { inherit name value; };
    concatMapStrings = make: list: b.concatStringsSep "" (map make list);
    attrByPath =
      path: default: set:
      if path == [ ] then
        set
      else if b.isAttrs set && set ? ${head path} then
        attrByPath (b.tail path) default set.${head path}
      else
        default;
    recursiveUpdate =
      left: right:
      left
      // mapAttrs (
        name: value:
        if left ? ${name} && b.isAttrs left.${name} && b.isAttrs value && !(tagged "option" value) then
          recursiveUpdate left.${name} value
        else
          value
      ) right;

    hasPrefix = prefix: text: b.substring 0 (b.stringLength prefix) text == prefix;
    hasSuffix =
      suffix: text:
      let
        skip = b.stringLength text - b.stringLength suffix;
      in
      skip >= 0 && b.substring skip (b.stringLength text) text == suffix;
    hasInfix = infix: text: length (splitString infix text) > 1;
    removePrefix =
      prefix: text:
      if hasPrefix prefix text then b.substring (b.stringLength prefix) (b.stringLength text) text else text;
    removeSuffix =
      suffix: text:
      if hasSuffix suffix text then b.substring 0 (b.stringLength text - b.stringLength suffix) text else text;
    escapeRegex = replaceStrings (map (c: c) (letters "\\[{()^$?*+|.")) (map (c: "\\${c}") (letters "\\[{()^$?*+|."));
    letters = text: genList (at: b.substring at 1 text) (b.stringLength text);
    splitString = sign: text: filter isString (b.split (escapeRegex sign) text);
    versionAtLeast = version: least: b.compareVersions version least >= 0;
    importTOML = file: b.fromTOML (b.readFile file);
    cleanSource = path: path;
    getExe = package: "${package}/bin/${package.meta.mainProgram}";
    licenses.mit.spdxId = "MIT";

    mkIf = condition: content: { _type = "if"; inherit condition content; };
    mkMerge = contents: { _type = "merge"; inherit contents; };
    mkOverride = priority: content: { _type = "override"; inherit priority content; };
    mkDefault = mkOverride 1000;
    mkForce = mkOverride 50;
    mkOption = option: { _type = "option"; } // option;
    mkEnableOption =
      name:
      mkOption {
        type = types.bool;
        default = false;
        example = true;
        description = "Whether to enable ${name}.";
      };
    literalExpression = text: { _type = "literalExpression"; inherit text; };
  };

  inherit (self) concatMap filter foldl' mapAttrs;

  # Conditions go down to what they are about, so that asking for one option does not ask for all.
  pushDown =
    config:
    if tagged "merge" config then
      concatMap pushDown config.contents
    else if tagged "if" config then
      map (mapAttrs (_: self.mkIf config.condition)) (pushDown config.content)
    else if tagged "override" config then
      map (mapAttrs (_: self.mkOverride config.priority)) (pushDown config.content)
    else
      [ config ];

  discharge =
    value:
    if tagged "merge" value then
      concatMap discharge value.contents
    else if tagged "if" value then
      if value.condition then discharge value.content else [ ]
    else if tagged "override" value then
      map (one: one // { inherit (value) priority; }) (discharge value.content)
    else
      [ { inherit value; priority = 100; } ];

  strongest =
    values:
    let
      priority = foldl' (least: one: if one.priority < least then one.priority else least) 9999 values;
    in
    map (one: one.value) (filter (one: one.priority == priority) values);

  merged =
    path: type: definitions:
    let
      values = strongest (concatMap discharge definitions);
      wrong = filter (value: !(type.check value)) values;
    in
    if wrong != [ ] then
      throw "A definition for option `${path}' is not of type `${type.name}'"
    else
      type.merge path values;

  simple = name: check: {
    inherit name check;
    merge =
      path: values:
      if builtins.all (value: value == builtins.head values) values then
        builtins.head values
      else
        throw "The option `${path}' has conflicting definition values";
  };

  types = rec {
    str = simple "string" builtins.isString;
    bool = simple "boolean" builtins.isBool;
    int = simple "signed integer" builtins.isInt;
    port = simple "16 bit unsigned integer; between 0 and 65535 (both inclusive)" (
      value: builtins.isInt value && value >= 0 && value <= 65535
    );
    path = simple "absolute path" (
      value:
      builtins.isPath value
      || (builtins.isString value || builtins.isAttrs value) && builtins.substring 0 1 (toString value) == "/"
    );
    package = simple "package" (value: builtins.isAttrs value && value ? outPath);
    enum = allowed: simple "one of ${builtins.toJSON allowed}" (value: builtins.elem value allowed);
    nullOr =
      type:
      simple "null or ${type.name}" (value: value == null || type.check value);
    # What a file of TOML, JSON and the like may hold, joined from several definitions as deep as they go.
    data = {
      name = "data";
      check = value: builtins.isAttrs value || builtins.isList value || builtins.isString value || builtins.isBool value || builtins.isInt value;
      merge =
        path: values:
        if builtins.all builtins.isAttrs values then
          (attrsOf data).merge path values
        else if builtins.all builtins.isList values then
          (listOf data).merge path values
        else
          (simple "data" (_: true)).merge path values;
    };
    lines = {
      name = "strings concatenated with \"\\n\"";
      check = builtins.isString;
      merge = _: builtins.concatStringsSep "\n";
    };
    attrs = {
      name = "attribute set";
      check = builtins.isAttrs;
      merge = _: foldl' (all: one: all // one) { };
    };
    listOf = type: {
      name = "list of ${type.name}";
      check = builtins.isList;
      merge = path: values: map (value: merged "${path}.*" type [ value ]) (concatMap (value: value) values);
    };
    attrsOf = type: {
      name = "attribute set of ${type.name}";
      check = builtins.isAttrs;
      merge =
        path: values:
        let
          pushed = concatMap pushDown values;
          names = self.unique (concatMap builtins.attrNames pushed);
        in
        self.genAttrs names (
          name: merged "${path}.${name}" type (map (value: value.${name}) (filter (value: value ? ${name}) pushed))
        );
    };
    submodule = module: {
      name = "submodule";
      check = builtins.isAttrs;
      merge =
        path: values:
        (evalModules {
          modules = [ module ] ++ values;
          specialArgs.name = self.last (self.splitString "." path);
          prefix = path;
        }).config;
    };
  };

  evalModules =
    { modules, specialArgs ? { }, prefix ? "" }:
    let
      arguments = { inherit config; lib = self; } // specialArgs;
      load =
        module:
        let
          opened = if builtins.isPath module then import module else module;
          given = if builtins.isFunction opened then opened arguments else opened;
          whole = if given ? options || given ? config then given else { config = given; };
        in
        [ ({ options = { }; config = { }; } // whole) ] ++ concatMap load (given.imports or [ ]);
      loaded = concatMap load modules;
      options = foldl' self.recursiveUpdate { } (map (module: module.options) loaded);
      definitions = concatMap (module: pushDown (removeAttrs module.config [ "imports" ])) loaded;
      at =
        path: options: definitions:
        if tagged "option" options then
          merged path options.type (
            definitions ++ (if options ? default then [ (self.mkOverride 1500 options.default) ] else [ ])
          )
        else
          let
            pushed = concatMap pushDown definitions;
            unknown = filter (name: !(options ? ${name})) (concatMap builtins.attrNames pushed);
            below = name: if path == "" then name else "${path}.${name}";
          in
          if unknown != [ ] then
            throw "The option `${below (builtins.head unknown)}' does not exist"
          else
            mapAttrs (
              name: option: at (below name) option (map (one: one.${name}) (filter (one: one ? ${name}) pushed))
            ) options;
      config = at prefix options definitions;
    in
    { inherit config options; };
in
self
