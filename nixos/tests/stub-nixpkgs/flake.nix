# Stands in for nixpkgs, so that the flake's outputs can be evaluated without it.
{
  outputs =
    _:
    let
      own = import ./lib.nix;
      package = name: { type = "derivation"; inherit name; outPath = "/${name}"; drvPath = "/${name}.drv"; system = "x86_64-linux"; };
      pkgsOf = system: {
        inherit system;
        callPackage = _: _: derivation { name = "sloth-runner"; inherit system; builder = "/bin/sh"; };
        mkShell = _: derivation { name = "shell"; inherit system; builder = "/bin/sh"; };
        testers.runNixOSTest = test: builtins.seq test.testScript (derivation { name = test.name; inherit system; builder = "/bin/sh"; });
        nixfmt-rfc-style = derivation { name = "nixfmt"; inherit system; builder = "/bin/sh"; };
        lib = own;
      }
      // own.genAttrs
        [ "cargo" "rustc" "clippy" "rustfmt" "cargo-nextest" "cargo-deny" "clang" "lld" "binaryen" "wasm-tools" "just" ]
        package;
    in
    {
      lib = own // {
        nixosSystem = { modules, ... }: { config.system.build.toplevel = derivation { name = "system"; system = "x86_64-linux"; builder = "/bin/sh"; }; inherit modules; };
      };
      legacyPackages = own.genAttrs [ "x86_64-linux" "aarch64-linux" ] pkgsOf;
    };
}
