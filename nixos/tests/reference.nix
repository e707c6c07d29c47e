# The options of the module as rows of a table: name, type, default and what it is.
let
  lib = import ./lib.nix;
  config = import ./machine.nix { } { services.sloth-runner.enable = true; };
  module = import ../module.nix {
    inherit config lib;
    pkgs.formats.toml = _: { type = lib.types.data // { name = "TOML value"; }; };
    utils = { };
  };
  isOption = value: value ? _type && value._type == "option";
  # In a table of Markdown a bar would be the next cell.
  cell = builtins.replaceStrings [ "|" "\n" ] [ "\\|" " " ];
  default =
    option:
    if option ? defaultText then
      option.defaultText.text
    else if option ? default then
      builtins.toJSON option.default
    else
      "none";
  row =
    path: option:
    "| `${path}` | ${cell option.type.name} | `${cell (default option)}` | ${cell option.description} |";
  rows =
    path: set:
    lib.concatMap (
      name:
      let
        here = if path == "" then name else "${path}.${name}";
      in
      if isOption set.${name} then [ (row here set.${name}) ] else rows here set.${name}
    ) (builtins.attrNames set);
in
[ "| option | type | default | what it is |" "| --- | --- | --- | --- |" ]
++ rows "" module.options.services.sloth-runner
