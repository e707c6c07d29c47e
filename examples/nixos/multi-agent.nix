# Two agents on one machine, each with a policy, a folder and a port of its own, beside the machine's own.
{
  services.sloth-runner = {
    enable = true;
    master = "10.0.0.1:50053";
    tokenFile = "/run/secrets/sloth-runner-token";
    policy.facts.read = [ "hostname" "load" "memory" ];
    instances = {
      deploy = {
        master = "10.0.0.1:50053";
        tokenFile = "/run/secrets/sloth-runner-token";
        port = 50061;
        policy.files.write = [ "/srv/site/**" ];
      };
      backup = {
        master = "10.0.0.1:50053";
        tokenFile = "/run/secrets/sloth-runner-token";
        port = 50062;
        policy.process.run = [ "restic backup **" ];
        policy.process.network = [ "tcp:443" ];
      };
    };
  };
}
