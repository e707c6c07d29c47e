# Two agents on one machine, each with a policy, an account, a folder and a port of its own, beside the machine's own. A
# token is spent once: each joins with one of its own.
{
  services.sloth-runner = {
    enable = true;
    master = "10.0.0.1:50053";
    tokenFile = "/run/secrets/sloth-runner-token";
    policy.facts.read = [ "hostname" "load" "memory" ];
    instances = {
      deploy = {
        master = "10.0.0.1:50053";
        tokenFile = "/run/secrets/sloth-runner-deploy-token";
        port = 50061;
        policy.files.write = [ "/srv/site/**" ];
      };
      backup = {
        master = "10.0.0.1:50053";
        tokenFile = "/run/secrets/sloth-runner-backup-token";
        port = 50062;
        policy.process.run = [ "restic backup **" ];
        policy.process.network = [ "tcp:443" ];
      };
    };
  };
}
