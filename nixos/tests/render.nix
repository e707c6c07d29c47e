# The text of a unit, as NixOS writes it.
{ lib }:
name: unit:
let
  show = value: if builtins.isBool value then (if value then "true" else "false") else toString value;
  line = key: value: "${key}=${show value}";
  lines = set: lib.concatMap (key: map (line key) (if builtins.isList set.${key} then set.${key} else [ set.${key} ])) (builtins.attrNames set);
  section = title: set: [ "[${title}]" ] ++ set ++ [ "" ];
in
lib.concatStringsSep "\n" (
  section "Unit" (lines {
    Description = unit.description;
    Documentation = unit.documentation;
    Wants = unit.wants;
    After = unit.after;
    StartLimitIntervalSec = unit.startLimitIntervalSec;
  })
  ++ section "Service" (
    map (key: "Environment=${builtins.toJSON "${key}=${toString unit.environment.${key}}"}") (builtins.attrNames unit.environment)
    ++ lines unit.serviceConfig
  )
  ++ section "Install" (lines { WantedBy = unit.wantedBy; })
)
