# The cases of which something is not so, with what came; and what must not evaluate.
let
  machine = import ./machine.nix { };
  lib = import ./lib.nix;
  cases = import ./cases.nix;
  failed =
    name:
    let
      so = cases.${name}.so (machine cases.${name}.module);
      wrong = builtins.filter (one: one.actual != one.expected) so;
    in
    map (one: { case = name; inherit (one) actual expected; }) wrong;
  refused = {
    "a wrong type" = { services.sloth-runner = { enable = true; port = "50051"; }; };
    "a port that is none" = { services.sloth-runner = { enable = true; port = 70000; }; };
    "an unknown mode" = { services.sloth-runner = { enable = true; mode = "server"; }; };
    "an unknown level" = { services.sloth-runner = { enable = true; logLevel = "loud"; }; };
    "an unknown option" = { services.sloth-runner = { enable = true; agentname = "x"; }; };
    "a relative folder" = { services.sloth-runner = { enable = true; dataDir = "data"; }; };
    "an option of an instance that is none" = { services.sloth-runner = { enable = true; instances.a.mode = "master"; }; };
  };
  passed =
    name:
    let
      config = machine refused.${name};
      tried = builtins.tryEval (builtins.deepSeq (config.systemd.services) true);
    in
    lib.optional tried.success { case = name; actual = "it is taken"; expected = "a refusal"; };
in
{
  cases = builtins.length (builtins.attrNames cases) + builtins.length (builtins.attrNames refused);
  failures = lib.concatMap failed (builtins.attrNames cases) ++ lib.concatMap passed (builtins.attrNames refused);
}
