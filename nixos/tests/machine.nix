# A machine with the module and what it needs of NixOS, as far as the module touches it.
{
  # Where the program is: a folder with bin/sloth-runner.
  program ? "/opt/sloth-runner",
  systemd ? "252",
}:
let
  lib = import ./lib.nix;
  inherit (lib) mkOption types;
  option = type: default: mkOption { inherit type default; };

  stubs = {
    options = {
      assertions = option (types.listOf types.attrs) [ ];
      environment.systemPackages = option (types.listOf types.package) [ ];
      # Of sops-nix and agenix what the guide uses.
      sops.secrets = option (types.attrsOf (types.submodule ({ name, ... }: {
        options.path = option types.path "/run/secrets/${name}";
      }))) { };
      age.secrets = option (types.attrsOf (types.submodule ({ name, ... }: {
        options.file = mkOption { type = types.path; };
        options.path = option types.path "/run/agenix/${name}";
      }))) { };
      networking.hostName = option types.str "host";
      networking.firewall.allowedTCPPorts = option (types.listOf types.port) [ ];
      security.polkit.enable = option types.bool false;
      security.polkit.extraConfig = option types.lines "";
      systemd.package = option types.attrs { version = systemd; };
      systemd.services = option (types.attrsOf types.attrs) { };
      systemd.tmpfiles.rules = option (types.listOf types.str) [ ];
      users.users = option (types.attrsOf types.attrs) { };
      users.groups = option (types.attrsOf types.attrs) { };
    };
  };

  package = name: path: { inherit name; outPath = path; type = "derivation"; meta.mainProgram = name; };
  pkgs = {
    sloth-runner = package "sloth-runner" program;
    coreutils = package "coreutils" "/usr";
    formats.toml = _: { type = types.attrsOf types.data // { name = "TOML value"; }; generate = name: value: package name "/${name}#${builtins.toJSON value}"; };
    # What is built by a script is named by it: the text of the unit says what would be built.
    runCommand = name: _: script: package name "/etc/sloth-runner/${name}";
    callPackage = file: more: throw "the package of the overlay is there";
  };

  utils.escapeSystemdExecArgs =
    arguments:
    let
      escape =
        argument:
        builtins.replaceStrings [ "%" "$" ] [ "%%" "$$" ] (builtins.toJSON (toString argument));
    in
    lib.concatStringsSep " " (map escape arguments);
in
module:
(lib.evalModules {
  modules = [ stubs ../module.nix module ];
  specialArgs = { inherit pkgs utils; };
}).config
