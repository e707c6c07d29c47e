# The files of a Debian package, made of the module that NixOS has: units, and for each grant what it loosens.
let
  lib = import ../nixos/tests/lib.nix;
  render = import ../nixos/tests/render.nix { inherit lib; };
  machine = import ../nixos/tests/machine.nix { program = "/usr"; };

  declared =
    mode: more:
    (machine {
      services.sloth-runner = {
        enable = true;
        inherit mode;
      } // more;
    }).systemd.services."sloth-runner-${mode}";

  # Debian's places: settings in /etc/default, the policy in /etc, and a data folder for each of the two.
  placed =
    mode: unit:
    unit
    // {
      environment =
        removeAttrs unit.environment [ "SLOTH_RUNNER_PROGRAM_PATH" ]
        // {
          SLOTH_RUNNER_DATA_DIR = "/var/lib/sloth-runner/${mode}";
        }
        // lib.optionalAttrs (mode == "agent") {
          # The name of the machine, as systemd has it.
          SLOTH_RUNNER_NAME = "%H";
          SLOTH_RUNNER_POLICY = "/etc/sloth-runner/policy.toml";
          SLOTH_RUNNER_GUEST = "/usr/lib/sloth-runner/guest.cwasm";
        };
      serviceConfig = unit.serviceConfig // {
        EnvironmentFile = "-/etc/default/sloth-runner-${mode}";
        # A small Debian has no program for it.
        ExecReload = "/bin/sh -c 'kill -HUP $MAINPID'";
        ExecStart = "/usr/bin/sloth-runner ${mode} start";
        StateDirectory = "sloth-runner/${mode}";
        WorkingDirectory = "/var/lib/sloth-runner/${mode}";
      };
    };

  # A name, against which systemd can hold no connection: where the master is is said in /etc/default.
  agent = policy: declared "agent" { master = "master.invalid:50053"; inherit policy; };
  withoutMaster = unit: unit // { environment = removeAttrs unit.environment [ "SLOTH_RUNNER_MASTER_ADDR" ]; };
  unit = mode: made: render "sloth-runner-${mode}" (withoutMaster (placed mode made));

  root = policy: declared "agent" { master = "master.invalid:50053"; user = "root"; group = "root"; inherit policy; };

  # What one grant changes, as a drop-in: lists begin anew, since systemd adds to them otherwise.
  dropIn =
    purpose: made:
    let
      none = (agent { }).serviceConfig;
      granted = made.serviceConfig;
      changed = lib.filter (key: !(none ? ${key}) || none.${key} != granted.${key}) (builtins.attrNames granted);
      show = value: if lib.isBool value then (if value then "true" else "false") else toString value;
      line =
        key:
        if lib.isList granted.${key} then
          [ "${key}=" ] ++ map (value: "${key}=${show value}") granted.${key}
        else
          [ "${key}=${show granted.${key}}" ];
    in
    lib.concatStringsSep "\n" ([ "# ${purpose}" "[Service]" ] ++ lib.concatMap line changed ++ [ "" ]);
in
{
  # Whoever has taken an agent does not have the keys of the fleet.
  "debian/sloth-runner-master.service" = unit "master" (
    declared "master" { user = "sloth-runner-master"; group = "sloth-runner-master"; }
  );
  "debian/sloth-runner-agent.service" = unit "agent" (agent { });
  "debian/grants/files.conf" = dropIn ''For files.write = ["/srv/site/**"]: name the granted folders, which must be there and be writable for sloth-runner.'' (
    agent { files.write = [ "/srv/site/**" ]; }
  );
  "debian/grants/homes.conf" = dropIn ''For files.read = ["/home/**"]; with ProtectHome=false for files that are written there, whose folders ReadWritePaths names.'' (
    agent { files.read = [ "/home/**" ]; }
  );
  "debian/grants/temporary.conf" = dropIn ''For files.read = ["/tmp/**"], or /var/tmp.'' (agent { files.read = [ "/tmp/**" ]; });
  "debian/grants/process.conf" = dropIn "For process.run and process.shell." (agent { process.run = [ "git **" ]; });
  "debian/grants/process-network.conf" = dropIn "For process.run with process.network." (
    agent { process = { run = [ "git **" ]; network = true; }; }
  );
  "debian/grants/process-user.conf" = dropIn "For process.run with process.user." (
    root { process = { run = [ "id" ]; user = [ "nobody" ]; }; }
  );
  "debian/grants/packages.conf" = dropIn "For packages." (root { packages.install = [ "*" ]; });
  "debian/grants/users.conf" = dropIn "For users." (root { users.create = [ "*" ]; });
  "debian/grants/services.rules" =
    (machine {
      services.sloth-runner = {
        enable = true;
        policy.services.restart = [ "nginx" ];
      };
    }).security.polkit.extraConfig;
}
