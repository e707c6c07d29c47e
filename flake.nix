{
  description = "Runs automation without trusting it";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs =
    { self, nixpkgs }:
    let
      inherit (nixpkgs) lib;
      systems = [ "x86_64-linux" "aarch64-linux" ];
      each = make: lib.genAttrs systems (system: make nixpkgs.legacyPackages.${system});
      example =
        file:
        lib.nixosSystem {
          system = "x86_64-linux";
          modules = [
            self.nixosModules.default
            file
            # Enough of a machine for its whole configuration to be evaluated.
            { nixpkgs.overlays = [ self.overlays.default ]; boot.isContainer = true; system.stateVersion = "25.11"; }
          ];
        };
    in
    {
      packages = each (pkgs: rec {
        sloth-runner = pkgs.callPackage ./nixos/package.nix { };
        default = sloth-runner;
      });

      overlays.default = final: _: { sloth-runner = final.callPackage ./nixos/package.nix { }; };

      nixosModules = rec {
        # By its place, so that it is one module however often it is imported.
        sloth-runner = { imports = [ ./nixos/module.nix ]; };
        default = sloth-runner;
      };

      apps = each (pkgs: rec {
        sloth-runner = {
          type = "app";
          program = "${self.packages.${pkgs.stdenv.hostPlatform.system}.default}/bin/sloth-runner";
        };
        default = sloth-runner;
      });

      devShells = each (pkgs: {
        default = pkgs.mkShell {
          packages = with pkgs; [ cargo rustc clippy rustfmt cargo-nextest cargo-deny clang lld binaryen wasm-tools just ];
        };
      });

      formatter = each (pkgs: pkgs.nixfmt-rfc-style);

      nixosConfigurations = {
        master-example = example ./examples/nixos/master.nix;
        agent-example = example ./examples/nixos/agent.nix;
      };

      checks = each (pkgs: {
        package = self.packages.${pkgs.stdenv.hostPlatform.system}.default;
        # The package's build with lints in the place of the program.
        clippy = self.packages.${pkgs.stdenv.hostPlatform.system}.default.overrideAttrs (package: {
          pname = "sloth-runner-clippy";
          nativeBuildInputs = package.nativeBuildInputs ++ [ pkgs.clippy ];
          buildPhase = "cargo clippy --workspace --all-targets --locked --offline -- -D warnings";
          installPhase = "touch $out";
          postInstall = "";
        });
        # The cases of the module, and the units of the examples as nixpkgs makes them.
        module =
          let
            found = import ./nixos/tests/evaluate.nix;
            text = machine: unit: self.nixosConfigurations.${machine}.config.systemd.units."${unit}.service".text;
          in
          assert found.failures == [ ];
          pkgs.writeText "sloth-runner-module" (
            builtins.unsafeDiscardStringContext (text "master-example" "sloth-runner-master" + text "agent-example" "sloth-runner-agent")
          );
        delegation = import ./nixos/delegation.nix { inherit pkgs; module = self.nixosModules.default; };
      });
    };
}
