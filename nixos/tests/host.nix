# Two machines: one declaration each, and all that the module makes of it.
let
  lib = import ./lib.nix;
  render = import ./render.nix { inherit lib; };
  machine = import ./machine.nix { };
  made = module: name: {
    unit = render name (machine module).systemd.services.${name};
    tmpfiles = lib.concatStringsSep "\n" ((machine module).systemd.tmpfiles.rules ++ [ "" ]);
    polkit = (machine module).security.polkit.extraConfig;
    policy = import ./toml.nix (machine module).services.sloth-runner.policy;
  };
in
{
  master = made {
    services.sloth-runner = {
      enable = true;
      mode = "master";
    };
  } "sloth-runner-master";
  agent = made {
    services.sloth-runner = {
      enable = true;
      master = "10.9.0.1:50053";
      agentName = "web";
      environmentFile = "/run/sloth-runner.env";
      policy = {
        files.read = [ "/srv/site/**" ];
        files.write = [ "/srv/site/**" ];
        process.run = [ "cat /proc/self/status" ];
        services.status = [ "*" ];
        services.restart = [ "greeter" ];
      };
    };
  } "sloth-runner-agent";
}
