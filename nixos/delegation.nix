# Two machines of which one delegates a workflow to the other. It needs virtual machines, so it is for `nix flake check`
# where those are to be had.
{ pkgs, module }:
pkgs.testers.runNixOSTest {
  name = "sloth-runner-delegation";
  nodes = {
    master = {
      imports = [ module ];
      services.sloth-runner = {
        enable = true;
        mode = "master";
        openFirewall = true;
        package = pkgs.callPackage ./package.nix { };
      };
    };
    agent = {
      imports = [ module ];
      services.sloth-runner = {
        enable = true;
        master = "master:50053";
        agentName = "web";
        environmentFile = "/run/sloth-runner.env";
        package = pkgs.callPackage ./package.nix { };
        policy.files.write = [ "/srv/site/**" ];
      };
      # It joins once it has a token.
      systemd.services.sloth-runner-agent.wantedBy = pkgs.lib.mkForce [ ];
    };
  };
  testScript = ''
    start_all()
    master.wait_for_unit("sloth-runner-master.service")
    token = master.succeed("sudo -u sloth-runner sloth-runner token create --role agent --data-dir /var/lib/sloth-runner").strip()
    agent.succeed(f"install -m 600 /dev/null /run/sloth-runner.env; echo SLOTH_RUNNER_TOKEN={token} > /run/sloth-runner.env")
    agent.succeed("systemctl start sloth-runner-agent.service")
    master.wait_until_succeeds("sudo -u sloth-runner sloth-runner agent list --data-dir /var/lib/sloth-runner | grep -q online")
    master.succeed("""cat > /tmp/w.sloth <<'EOF'
    workflow.define("w"):tasks({ task("t"):command(function() return fs.write("/srv/site/index.html", "hello") end) })
    EOF""")
    master.succeed("sudo -u sloth-runner sloth-runner run s -f /tmp/w.sloth --yes --delegate-to web --data-dir /var/lib/sloth-runner")
    agent.succeed("grep -q hello /srv/site/index.html")
  '';
}
