# The units of the examples and of each grant alone, as text; how exposed each may be at most, of 10; and what goes with
# them. `program` is the folder of the program.
{ program ? "/opt/sloth-runner", systemd ? "252" }:
let
  lib = import ./lib.nix;
  render = import ./render.nix { inherit lib; };
  machine = import ./machine.nix { inherit program systemd; };
  unit = name: module: unit: most: {
    inherit name most;
    text = render unit (machine module).systemd.services.${unit};
  };
  agent = policy: { services.sloth-runner = { enable = true; master = "10.0.0.1:50053"; inherit policy; }; };
  root = policy: { services.sloth-runner = { enable = true; user = "root"; group = "root"; inherit policy; }; };
  grant = name: policy: unit name (agent policy) "sloth-runner-agent";
in
[
  (unit "master" ../../examples/nixos/master.nix "sloth-runner-master" 12)
  (unit "agent" ../../examples/nixos/agent.nix "sloth-runner-agent" 20)
  (unit "multi-agent-deploy" ../../examples/nixos/multi-agent.nix "sloth-runner-agent-deploy" 20)
  (unit "multi-agent-backup" ../../examples/nixos/multi-agent.nix "sloth-runner-agent-backup" 25)
  (grant "empty" { } 15)
  (grant "files-write" { files.write = [ "/srv/site/**" ]; } 15)
  (grant "services-restart" { services.restart = [ "nginx" ]; } 15)
  (grant "http-send" { http.send = [ "https://example.org/**" ]; } 20)
  (grant "process-run" { process.run = [ "ls **" ]; } 25)
  (unit "process-user" (root { process = { run = [ "id" ]; user = [ "nobody" ]; }; }) "sloth-runner-agent" 35)
  (grant "process-network" { process = { run = [ "git **" ]; network = [ "tcp:443" ]; }; } 25)
  (grant "homes" { files.read = [ "/home/**" ]; } 20)
  (unit "users" (root { users.create = [ "*" ]; }) "sloth-runner-agent" 90)
  (unit "packages" (root { packages.install = [ "*" ]; }) "sloth-runner-agent" 90)
]
