# What a policy grants, in the words that systemd has for it.
{ lib }:
let
  inherit (lib) all any attrByPath concatMap elem hasPrefix hasSuffix head isBool splitString unique;

  signs = [ "*" "?" "[" "\\" ];
  isPattern = text: any (sign: lib.hasInfix sign text) signs;

  # The folder in which everything stands that a path glob can mean: that of its part without wildcards.
  folder =
    glob:
    let
      parts = splitString "/" glob;
      isPlain = part: !(isPattern part);
      plain = lib.foldl' (
        taken: part:
        if taken.over || !isPlain part then taken // { over = true; } else { over = false; parts = taken.parts ++ [ part ]; }
      ) { over = false; parts = [ ]; } parts;
      # Of a path without wildcards that is the folder it stands in: what is replaced is its name there.
      kept = if plain.over then plain.parts else lib.init plain.parts;
      path = lib.concatStringsSep "/" kept;
    in
    if path == "" then "/" else path;

  types = [ ".service" ".socket" ".timer" ".target" ".mount" ".path" ".slice" ".scope" ".device" ".swap" ".automount" ];
in
rec {
  inherit folder;

  # The scopes of one key; those of a key that is not there are none. What a rule grants to some bundles counts as well:
  # the unit is one for all of them.
  scopes =
    policy: noun: verb:
    let
      of =
        grants:
        let
          value = attrByPath [ noun verb ] [ ] grants;
        in
        if isBool value then (if value then [ "true" ] else [ ]) else value;
    in
    concatMap of ([ policy ] ++ policy.rule or [ ]);

  # Whether anything of a noun is granted.
  grantsAny = policy: noun: verbs: any (verb: scopes policy noun verb != [ ]) verbs;

  # What of the machine is granted to be seen or changed within a place, or all around it.
  within =
    place: globs:
    any (
      glob:
      let
        start = if isPattern glob then folder glob else glob;
        beneath = outer: inner: outer == "/" || inner == outer || hasPrefix "${outer}/" inner;
      in
      beneath place start || (isPattern glob && beneath start place)
    ) globs;
  changed = policy: concatMap (scopes policy "files") [ "write" "create" "delete" ];
  seen = policy: scopes policy "files" "read" ++ changed policy;

  written = policy: unique (map folder (changed policy));

  process = policy: grantsAny policy "process" [ "run" "shell" "unconfined" ];
  network =
    policy:
    grantsAny policy "http" [ "send" ] || grantsAny policy "process" [ "network" "unconfined" ] || packages policy;
  packages = policy: grantsAny policy "packages" [ "install" "remove" "upgrade" "refresh" ];
  users = policy: grantsAny policy "users" [ "create" "modify" "remove" ];
  # The processes of the machine are facts as well.
  processes = policy: any (name: name == "processes" || isPattern name) (scopes policy "facts" "read");
  # Programs as other accounts.
  accounts = policy: grantsAny policy "process" [ "user" ];
  # Calls for which systemd asks polkit without saying about which unit.
  unitFiles = policy: grantsAny policy "services" [ "enable" "disable" "define" "daemon-reload" ];

  # Whether the unit of an empty policy is too narrow.
  needsRoom =
    policy:
    process policy || accounts policy || network policy || users policy || unitFiles policy || written policy != [ ]
    || any (verb: (units policy).${verb} != [ ]) [ "start" "stop" "restart" "reload" ];

  # A unit's name as systemd has it; a pattern stays as it is.
  unit = name: if any (type: hasSuffix type name) types || any (sign: lib.hasInfix sign name) [ "*" "?" "[" ] then name else "${name}.service";

  # Which units may be started, stopped, restarted and reloaded.
  units = policy: lib.genAttrs [ "start" "stop" "restart" "reload" ] (verb: map unit (scopes policy "services" verb));
}
