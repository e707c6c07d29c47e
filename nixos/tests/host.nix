# Two machines: one declaration each, and all that the module makes of it. That of the agent has a second one.
let
  lib = import ./lib.nix;
  render = import ./render.nix { inherit lib; };
  machine = import ./machine.nix { };
  made =
    module:
    let
      config = machine module;
      own = config.services.sloth-runner;
      policyOf = name: if own.instances ? ${lib.removePrefix "sloth-runner-agent-" name} then own.instances.${lib.removePrefix "sloth-runner-agent-" name}.policy else own.policy;
    in
    {
      units = lib.genAttrs (builtins.attrNames config.systemd.services) (name: {
        unit = render name config.systemd.services.${name};
        policy = import ./toml.nix (policyOf name);
      });
      tmpfiles = lib.concatStringsSep "\n" (config.systemd.tmpfiles.rules ++ [ "" ]);
      polkit = config.security.polkit.extraConfig;
    };
in
{
  master = made {
    services.sloth-runner = {
      enable = true;
      mode = "master";
    };
  };
  agent = made {
    services.sloth-runner = {
      enable = true;
      master = "10.9.0.1:50053";
      agentName = "web";
      environmentFile = "/run/sloth-runner.env";
      policy = {
        files.read = [ "/srv/site/**" ];
        files.write = [ "/srv/site/**" ];
        process.run = [ "cat /proc/self/status" "cat /srv/site/index.html" "cat /etc/apart" ];
        services.status = [ "*" ];
        services.restart = [ "greeter" ];
      };
      # As root, for programs as another account; it joins with a token that systemd hands over.
      instances.jobs = {
        master = "10.9.0.1:50053";
        agentName = "jobs";
        port = 50061;
        user = "root";
        group = "root";
        tokenFile = "/run/sloth-runner-token";
        policy.process = {
          run = [ "id -un" ];
          user = [ "nobody" ];
        };
      };
    };
  };
}
