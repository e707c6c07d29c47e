# An agent in a container of the machine, which it cannot leave.
{
  containers.deploy = {
    autoStart = true;
    privateNetwork = true;
    hostAddress = "10.233.1.1";
    localAddress = "10.233.1.2";
    bindMounts."/run/secrets/token".hostPath = "/run/secrets/deploy-token";
    config = {
      imports = [ ../../nixos/module.nix ];
      services.sloth-runner = {
        enable = true;
        master = "10.233.1.1:50053";
        tokenFile = "/run/secrets/token";
        policy.files.write = [ "/srv/site/**" ];
      };
      system.stateVersion = "25.11";
    };
  };
}
