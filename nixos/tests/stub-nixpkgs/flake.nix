# Stands in for nixpkgs, so that the flake's outputs can be evaluated without it.
{
  outputs =
    _:
    let
      own = import ./lib.nix;
      package = name: { type = "derivation"; inherit name; outPath = "/${name}"; drvPath = "/${name}.drv"; system = "x86_64-linux"; };
      pkgsOf = system: {
        stdenv.hostPlatform = { inherit system; };
        # What a package is made of another by is evaluated.
        callPackage = _: _:
          let
            made = name: derivation { inherit name system; builder = "/bin/sh"; };
          in
          made "sloth-runner"
          // {
            overrideAttrs = change:
              let
                changed = change { nativeBuildInputs = [ ]; };
              in
              builtins.deepSeq (map (input: input.name) changed.nativeBuildInputs) (
                builtins.seq (changed.buildPhase + changed.installPhase) (made changed.pname)
              );
          };
        writeText = name: text: builtins.seq text (derivation { inherit name system; builder = "/bin/sh"; });
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
        nixosSystem = { modules, ... }: { inherit modules;
          config = {
            system.build.toplevel = derivation { name = "system"; system = "x86_64-linux"; builder = "/bin/sh"; };
            systemd.units = own.genAttrs [ "sloth-runner-master.service" "sloth-runner-agent.service" ] (text: { inherit text; });
          };
        };
      };
      legacyPackages = own.genAttrs [ "x86_64-linux" "aarch64-linux" ] pkgsOf;
    };
}
