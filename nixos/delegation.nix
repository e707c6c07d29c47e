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
        policy.process.run = [ "id -un" ];
        policy.services.restart = [ "greeter" ];
      };
      systemd.services.greeter.serviceConfig.ExecStart = "${pkgs.coreutils}/bin/sleep infinity";
      systemd.services.other.serviceConfig.ExecStart = "${pkgs.coreutils}/bin/sleep infinity";
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

    def run(lua):
        """One step on the agent: its exit code and what was said."""
        master.succeed(f"""cat > /tmp/w.sloth <<'EOF'
    workflow.define("w"):tasks({{ task("t"):command(function() {lua} end) }})
    EOF""")
        return master.execute("sudo -u sloth-runner sloth-runner run s -f /tmp/w.sloth --yes --delegate-to web --data-dir /var/lib/sloth-runner 2>&1")

    def expect(lua, code, words):
        came, said = run(lua)
        assert came == code and words in said, f"{lua}: {came} {said}"

    # Within the policy, and outside it.
    expect('assert(fs.write("/srv/site/index.html", "hello"))', 0, "changed")
    agent.succeed("grep -q hello /srv/site/index.html")
    expect('assert(fs.write("/etc/outside", "x"))', 3, "files.write is not granted")
    # Programs are those of the system, confined within the unit's own sandbox.
    expect('local ran = exec.run("id -un"); assert(ran.success, ran.stderr); log.info(ran.stdout)', 0, "sloth-runner")
    # A granted unit is restarted by the unprivileged account, and another is not.
    agent.succeed("systemctl start greeter other")
    expect('assert(systemd.restart("greeter"))', 0, "changed")
    expect('assert(systemd.restart("other"))', 3, "services.restart is not granted")
    agent.fail("runuser -u sloth-runner -- systemctl restart other")
    # Whoever is killed comes back, and so do agents whose master went.
    agent.succeed("systemctl kill -s KILL sloth-runner-agent")
    agent.wait_until_succeeds("systemctl is-active sloth-runner-agent")
    master.succeed("systemctl restart sloth-runner-master")
    master.wait_until_succeeds("sudo -u sloth-runner sloth-runner agent list --data-dir /var/lib/sloth-runner | grep -q online")
    expect('assert(fs.write("/srv/site/index.html", "again"))', 0, "changed")
  '';
}
