# A master. Agents join it with a token: `sudo -u sloth-runner sloth-runner token create --role agent
# --data-dir /var/lib/sloth-runner` makes one.
{
  services.sloth-runner = {
    enable = true;
    mode = "master";
    openFirewall = true;
    tls.names = [ "fleet.example.org" ];
    telemetry.enable = true;
  };
}
