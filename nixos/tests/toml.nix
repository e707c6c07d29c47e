# A policy as TOML, as far as the policies of the tests go.
policy:
let
  noun =
    name:
    [ "[${name}]" ]
    ++ map (verb: "${verb} = ${builtins.toJSON policy.${name}.${verb}}") (builtins.attrNames policy.${name});
in
builtins.concatStringsSep "\n" ([ "version = 1" ] ++ builtins.concatMap noun (builtins.attrNames policy) ++ [ "" ])
