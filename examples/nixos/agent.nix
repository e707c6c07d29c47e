# An agent that may bring out a site and restart its server, and nothing else: its policy says so to steps, and the
# sandbox of its unit, made from the same lines, to the whole process.
{
  services.sloth-runner = {
    enable = true;
    master = "fleet.example.org:50053";
    # SLOTH_RUNNER_TOKEN=… stands in it, for the first start.
    environmentFile = "/run/secrets/sloth-runner.env";
    labels.role = "web";
    policy = {
      files.read = [ "/srv/site/**" ];
      files.write = [ "/srv/site/**" ];
      services.status = [ "nginx" ];
      services.restart = [ "nginx" ];
    };
  };
}
