# What each option comes to. Each case has a configuration, and pairs of what is so and what should be.
let
  lib = import ./lib.nix;
  agent = config: config.systemd.services.sloth-runner-agent;
  master = config: config.systemd.services.sloth-runner-master;
  on = more: { services.sloth-runner = { enable = true; } // more; };
  start = unit: unit.serviceConfig.ExecStart;
  messages = config: map (one: one.message) (builtins.filter (one: !one.assertion) config.assertions);
  says = part: config: builtins.any (lib.hasInfix part) (messages config);
  is = actual: expected: { inherit actual expected; };
  service = unit: unit.serviceConfig;
  policy = given: on { policy = given; };
in
{
  "nothing is there unless it is enabled" = {
    module = { };
    so = config: [ (is config.systemd.services { }) (is config.environment.systemPackages [ ]) ];
  };
  "an agent by default" = {
    module = on { };
    so = config: [
      (is (builtins.attrNames config.systemd.services) [ "sloth-runner-agent" ])
      (is (agent config).environment.SLOTH_RUNNER_MASTER_ADDR "localhost:50053")
      (is (agent config).environment.SLOTH_RUNNER_NAME "host")
      (is (agent config).environment.SLOTH_RUNNER_PORT "50051")
      (is (agent config).environment.SLOTH_RUNNER_BIND_ADDRESS "0.0.0.0")
      (is (agent config).environment.SLOTH_RUNNER_LOG_LEVEL "info")
      (is (agent config).environment.SLOTH_RUNNER_LOG_FORMAT "journald")
      (is ((agent config).environment ? SLOTH_RUNNER_REPORT_ADDRESS) false)
      (is (start (agent config)) ''"/opt/sloth-runner/bin/sloth-runner" "agent" "start"'')
      (is config.users.users.sloth-runner.isSystemUser true)
      (is config.networking.firewall.allowedTCPPorts [ ])
      (is config.security.polkit.enable false)
      (is (messages config) [ ])
      (is (map (one: one.name) config.environment.systemPackages) [ "sloth-runner" ])
    ];
  };
  "mode names the unit, the command and the port" = {
    module = on { mode = "master"; };
    so = config: [
      (is (builtins.attrNames config.systemd.services) [ "sloth-runner-master" ])
      (is (master config).environment.SLOTH_RUNNER_PORT "50053")
      (is ((master config).environment ? SLOTH_RUNNER_MASTER_ADDR) false)
      (is (start (master config)) ''"/opt/sloth-runner/bin/sloth-runner" "master" "start"'')
      (is ((service (master config)) ? IPAddressDeny) false)
    ];
  };
  "package" = {
    module = on { package = { outPath = "/other"; type = "derivation"; name = "p"; meta.mainProgram = "sloth-runner"; }; };
    so = config: [ (is (lib.hasPrefix ''"/other/bin/'' (start (agent config))) true) ];
  };
  "what a package has compiled ahead is what agents start" = {
    module = on { package = { outPath = "/other"; type = "derivation"; name = "p"; meta.mainProgram = "sloth-runner"; hasGuest = true; }; };
    so = config: [ (is (agent config).environment.SLOTH_RUNNER_GUEST "/other/lib/sloth-runner/guest.cwasm") ];
  };
  "master, agentName, bindAddress, port, reportAddress, logLevel, labels" = {
    module = on {
      master = "10.0.0.1:50053";
      agentName = "web-1";
      bindAddress = "127.0.0.1";
      port = 6000;
      reportAddress = "web-1.lan:6000";
      logLevel = "debug";
      labels = { role = "web"; region = "eu"; };
    };
    so = config: [
      (is (agent config).environment.SLOTH_RUNNER_MASTER_ADDR "10.0.0.1:50053")
      (is (agent config).environment.SLOTH_RUNNER_NAME "web-1")
      (is (agent config).environment.SLOTH_RUNNER_BIND_ADDRESS "127.0.0.1")
      (is (agent config).environment.SLOTH_RUNNER_PORT "6000")
      (is (agent config).environment.SLOTH_RUNNER_REPORT_ADDRESS "web-1.lan:6000")
      (is (agent config).environment.SLOTH_RUNNER_LOG_LEVEL "debug")
      (is (agent config).environment.SLOTH_RUNNER_LABELS "region=eu,role=web")
      (is (service (agent config)).IPAddressAllow [ "localhost" "10.0.0.1" ])
    ];
  };
  "an address of version 6 is one, and a name is none that systemd could hold anything against" = {
    module = on { master = "[fd00::1]:50053"; };
    so = config: [ (is (service (agent config)).IPAddressAllow [ "localhost" "fd00::1" ]) ];
  };
  "the network is not closed to a master that has a name only" = {
    module = on { master = "master.lan:50053"; };
    so = config: [ (is ((service (agent config)) ? IPAddressDeny) false) ];
  };
  "dataDir beneath /var/lib is systemd's to make" = {
    module = on { dataDir = "/var/lib/elsewhere"; };
    so = config: [
      (is (service (agent config)).StateDirectory "elsewhere")
      (is (agent config).environment.SLOTH_RUNNER_DATA_DIR "/var/lib/elsewhere")
      (is config.systemd.tmpfiles.rules [ ])
    ];
  };
  "dataDir anywhere else is made and may be written to" = {
    module = on { dataDir = "/srv/runner"; };
    so = config: [
      (is ((service (agent config)) ? StateDirectory) false)
      (is (service (agent config)).ReadWritePaths [ "/srv/runner" ])
      (is config.systemd.tmpfiles.rules [ "d /srv/runner 0700 sloth-runner sloth-runner -" ])
    ];
  };
  "user and group" = {
    module = on { user = "runner"; group = "runners"; };
    so = config: [
      (is (service (agent config)).User "runner")
      (is (service (agent config)).Group "runners")
      (is config.users.users { })
      (is config.users.groups { })
    ];
  };
  "openFirewall opens the port, and that of the metrics when they are served" = {
    module = on { openFirewall = true; telemetry.enable = true; };
    so = config: [
      (is config.networking.firewall.allowedTCPPorts [ 50051 9090 ])
      (is ((service (agent config)) ? IPAddressDeny) false)
    ];
  };
  "telemetry" = {
    module = on { telemetry = { enable = true; port = 9999; bindAddress = "10.0.0.2"; }; };
    so = config: [
      (is (agent config).environment.SLOTH_RUNNER_TELEMETRY "true")
      (is (agent config).environment.SLOTH_RUNNER_METRICS_PORT "9999")
      (is (agent config).environment.SLOTH_RUNNER_METRICS_BIND "10.0.0.2")
      (is config.networking.firewall.allowedTCPPorts [ ])
    ];
  };
  "environmentFile, tokenFile and credentials are read when the unit starts" = {
    module = on {
      environmentFile = "/run/secrets/env";
      tokenFile = "/run/secrets/token";
      credentials.secrets-key = "/run/secrets/key";
    };
    so = config: [
      (is (service (agent config)).EnvironmentFile "/run/secrets/env")
      (is (service (agent config)).LoadCredential [ "token:/run/secrets/token" "secrets-key:/run/secrets/key" ])
      (is (service (agent config)).Environment [ "SLOTH_RUNNER_TOKEN_FILE=%d/token" ])
    ];
  };
  "extraArgs are escaped, also of a master" = {
    module = on { mode = "master"; extraArgs = [ "--retention" "30d" "--tls-name" "100%$HOME \"x\"" ]; };
    so = config: [
      (is (start (master config)) ''"/opt/sloth-runner/bin/sloth-runner" "master" "start" "--retention" "30d" "--tls-name" "100%%$$HOME \"x\""'')
    ];
  };
  "extraArgs of an agent" = {
    module = on { extraArgs = [ "--contents" "1GiB" ]; };
    so = config: [ (is (lib.hasSuffix ''"agent" "start" "--contents" "1GiB"'' (start (agent config))) true) ];
  };
  "tls.names are in a master's certificate" = {
    module = on { mode = "master"; tls.names = [ "fleet.lan" ]; };
    so = config: [ (is (lib.hasSuffix ''"--tls-name" "fleet.lan"'' (start (master config))) true) ];
  };
  "instances are agents of their own" = {
    module = on {
      mode = "master";
      instances.blue = { port = 50061; policy.process.run = [ "true" ]; };
      instances.green = { port = 50062; agentName = "g"; };
    };
    so = config: [
      (is (builtins.attrNames config.systemd.services) [ "sloth-runner-agent-blue" "sloth-runner-agent-green" "sloth-runner-master" ])
      (is config.systemd.services.sloth-runner-agent-blue.environment.SLOTH_RUNNER_NAME "host-blue")
      (is config.systemd.services.sloth-runner-agent-green.environment.SLOTH_RUNNER_NAME "g")
      (is config.systemd.services.sloth-runner-agent-blue.serviceConfig.StateDirectory "sloth-runner-blue")
      (is (messages config) [ ])
    ];
  };
  "two units with one folder or one port are refused" = {
    module = on {
      instances.blue = { dataDir = "/var/lib/sloth-runner"; };
    };
    so = config: [ (is (says "two units have one dataDir" config) true) (is (says "two units have one port" config) true) ];
  };
  "what cannot mean anything, or cannot work, is refused" = {
    module = {
      services.sloth-runner = {
        enable = true;
        mode = "master";
        labels.role = "web";
        telemetry.enable = true;
        instances.blue = { telemetry.enable = true; tls.names = [ "x" ]; };
        instances.green = { port = 9191; telemetry = { enable = true; port = 9191; }; };
      };
    };
    so = config: [
      (is (says "a master runs no steps" config) true)
      (is (says "two units have one telemetry.port" config) true)
      (is (says "(sloth-runner-agent-blue): tls.names are for a master's certificate" config) true)
      (is (says "(sloth-runner-agent-green): telemetry.port is its own port" config) true)
    ];
  };
  "what rules grant to some bundles has room in the unit, and is held against the same sentences" = {
    module = policy {
      keys.ops = "ed25519:3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29";
      files.write = [ "/srv/site/**" ];
      rule = [
        { match.signed-by = "ops"; files.write = [ "/srv/more/**" ]; process.run = [ "ls" ]; services.restart = [ "app" ]; }
        { match.signed-by = "ops"; services.enable = [ "app" ]; http.send = [ "https://example.org/**" ]; }
      ];
    };
    so = config: [
      (is (service (agent config)).ReadWritePaths [ "/srv/site" "/srv/more" ])
      (is (builtins.elem "seccomp" (service (agent config)).SystemCallFilter) true)
      (is ((service (agent config)) ? IPAddressDeny) false)
      (is (lib.hasInfix ''"restart":["app.service"]'' config.security.polkit.extraConfig) true)
      (is (says "asks about no unit in particular" config) true)
    ];
  };
  "a written path is granted with the folder it stands in, which is made" = {
    module = policy { files.write = [ "/srv/site/**" "/etc/motd" "/opt/app/*.conf" ]; files.create = [ "/srv/site/a/b" ]; };
    so = config: [
      (is (service (agent config)).ReadWritePaths [ "/srv/site" "/etc" "/opt/app" "/srv/site/a" ])
      (is (builtins.head config.systemd.tmpfiles.rules) "d /srv/site :0755 :sloth-runner :sloth-runner -")
      (is (service (agent config)).ProtectSystem "strict")
      (is (service (agent config)).ProtectHome true)
    ];
  };
  "homes are there for a policy that grants them" = {
    module = policy { files.delete = [ "/home/ana/tmp/*" ]; };
    so = config: [ (is (service (agent config)).ProtectHome false) ];
  };
  "writing everywhere is refused" = {
    module = policy { files.write = [ "/**" ]; };
    so = config: [ (is (says "writing files all over the machine" config) true) ];
  };
  "programs may confine themselves" = {
    module = policy { process.run = [ "ls **" ]; };
    so = config: [
      (is (builtins.elem "landlock_restrict_self" (service (agent config)).SystemCallFilter) true)
      (is (service (agent config)).RestrictNamespaces [ "user" "mnt" "pid" "ipc" ])
      (is (service (agent config)).RestrictSUIDSGID true)
      (is (service (agent config)).IPAddressDeny "any")
    ];
  };
  "http and the network of programs open the network" = {
    module = policy { http.send = [ "https://example.org/**" ]; };
    so = config: [ (is ((service (agent config)) ? IPAddressDeny) false) ];
  };
  "granted units may be restarted by name, and no others" = {
    module = policy { services.restart = [ "nginx" "app-*" ]; services.start = [ "backup.timer" ]; };
    so = config: [
      (is config.security.polkit.enable true)
      (is (lib.hasInfix ''"restart":["nginx.service","app-*"]'' config.security.polkit.extraConfig) true)
      (is (lib.hasInfix ''"start":["backup.timer"]'' config.security.polkit.extraConfig) true)
    ];
  };
  "units are declared in the configuration, not defined by steps" = {
    module = policy { services.enable = [ "nginx" ]; };
    so = config: [ (is (says "asks about no unit in particular" config) true) ];
  };
  "packages and users need root" = {
    module = policy { packages.install = [ "curl" ]; };
    so = config: [ (is (says "need user = \"root\"" config) true) ];
  };
  "programs as other accounts need root, and of root no more than that" = {
    module = on { user = "root"; group = "root"; policy.process = { run = [ "id" ]; user = [ "nobody" ]; }; };
    so = config: [
      (is (messages config) [ ])
      (is (service (agent config)).ProtectSystem "strict")
      (is (service (agent config)).CapabilityBoundingSet [ "CAP_CHOWN" "CAP_DAC_OVERRIDE" "CAP_FOWNER" "CAP_KILL" "CAP_SETGID" "CAP_SETUID" ])
      (is (builtins.elem "@setuid" (service (agent config)).SystemCallFilter) true)
    ];
  };
  "programs as other accounts are refused to an agent that is not root" = {
    module = policy { process.user = [ "nobody" ]; };
    so = config: [ (is (says "which only root can begin" config) true) ];
  };
  "packages as root loosen what they need" = {
    module = on { user = "root"; group = "root"; policy.packages.install = [ "curl" ]; };
    so = config: [
      (is (messages config) [ ])
      (is (service (agent config)).ProtectSystem false)
      (is (service (agent config)).RestrictSUIDSGID false)
      (is (builtins.elem "CAP_CHOWN" (service (agent config)).CapabilityBoundingSet) true)
    ];
  };
  "strict hardening leaves no room for what the policy grants" = {
    module = on { hardening = "strict"; policy.process.run = [ "ls" ]; };
    so = config: [ (is (says "leaves no room" config) true) ];
  };
  "strict hardening of an agent that reads" = {
    module = on { hardening = "strict"; policy.files.read = [ "/etc/os-release" ]; };
    so = config: [ (is (messages config) [ ]) ];
  };
  "a name of letters that numbers have too is a name, and an address without brackets one" = {
    module = on { master = "cafe:50053"; instances.b = { port = 50061; master = "fd00::1"; }; };
    so = config: [
      (is ((service (agent config)) ? IPAddressDeny) false)
      (is config.systemd.services.sloth-runner-agent-b.serviceConfig.IPAddressAllow [ "localhost" "fd00::1" ])
    ];
  };
  "policies of several modules are one, as deep as they go" = {
    module = {
      imports = [
        { services.sloth-runner.policy.files.read = [ "/etc/os-release" ]; }
        { services.sloth-runner.policy.files.write = lib.mkIf true [ "/srv/a/**" ]; }
        { services.sloth-runner.policy.files.write = [ "/srv/b/**" ]; }
      ];
      services.sloth-runner.enable = true;
    };
    so = config: [
      (is (builtins.sort builtins.lessThan (service (agent config)).ReadWritePaths) [ "/srv/a" "/srv/b" ])
      (is config.services.sloth-runner.policy.files.read [ "/etc/os-release" ])
    ];
  };
  "secrets in the store are refused" = {
    module = on { tokenFile = "${builtins.storeDir}/abc-token"; credentials.a = "/run/a"; };
    so = config: [ (is (says "lies in the Nix store" config) true) ];
  };
  "each unit has an account of its own, and two with one are refused" = {
    module = on { mode = "master"; instances.blue.port = 50061; instances.green = { port = 50062; user = "sloth-runner"; }; };
    so = config: [
      (is config.systemd.services.sloth-runner-agent-blue.serviceConfig.User "sloth-runner-blue")
      (is config.systemd.services.sloth-runner-agent-blue.serviceConfig.Group "sloth-runner-blue")
      (is config.users.users.sloth-runner-blue.group "sloth-runner-blue")
      (is (config.users.groups ? sloth-runner-blue) true)
      (is (says "two units have one user" config) true)
    ];
  };
  "a group of another's making leaves the account its own" = {
    module = on { group = "web"; };
    so = config: [
      (is config.users.users.sloth-runner.group "sloth-runner")
      (is (builtins.attrNames config.users.groups) [ "sloth-runner" ])
      (is (service (agent config)).Group "web")
    ];
  };
  "labels with a comma are refused, and nothing of systemd's is in a variable" = {
    module = on { labels = { a = "x,role=admin"; b = "100%n"; }; };
    so = config: [
      (is (says "a label has a comma" config) true)
      (is (lib.hasInfix "100%%n" (agent config).environment.SLOTH_RUNNER_LABELS) true)
    ];
  };
  "a master joins nobody" = {
    module = on { mode = "master"; tokenFile = "/run/token"; };
    so = config: [ (is (says "a master joins nobody" config) true) ];
  };
  "homes, /tmp and devices that are granted are those of the machine" = {
    module = on {
      policy.files.read = [ "/home/ana/**" "/var/tmp/x" ];
      instances.b = { port = 1; policy.files.write = [ "/root/.profile" ]; };
      instances.c = { port = 2; policy.files.read = [ "/**" ]; };
      instances.d = { port = 3; policy.files.read = [ "/homestead/**" "/motd" "/dev/ttyS0" ]; };
    };
    so =
      config:
      let
        of = name: config.systemd.services."sloth-runner-agent${name}".serviceConfig;
        shown = name: [ (of name).ProtectHome (of name).PrivateTmp (of name).PrivateDevices ];
      in
      [
        (is (shown "") [ "read-only" false true ])
        (is (shown "-b") [ false true true ])
        (is (shown "-c") [ "read-only" false true ])
        (is (shown "-d") [ true true false ])
      ];
  };
  "accounts are made with their homes" = {
    module = on { user = "root"; group = "root"; policy.users.create = [ "*" ]; };
    so = config: [ (is (service (agent config)).ProtectHome false) ];
  };
  "paths with spaces and signs of systemd's are one path each" = {
    module = policy { files.write = [ "/srv/my site/**" "/srv/100%/**" ]; };
    so = config: [
      (is (service (agent config)).ReadWritePaths [ "\"/srv/my site\"" "/srv/100%%" ])
      (is (builtins.head config.systemd.tmpfiles.rules) "d \"/srv/my site\" :0755 :sloth-runner :sloth-runner -")
    ];
  };
  "strict hardening leaves no room for units and accounts either, and asks polkit for none" = {
    module = on { hardening = "strict"; policy.services.restart = [ "nginx" ]; };
    so = config: [
      (is (says "leaves no room" config) true)
      (is config.security.polkit.enable false)
    ];
  };
  "patterns of units stay patterns" = {
    module = policy { services.restart = [ "job-[12]" "app?" "a*b" ]; };
    so = config: [ (is (lib.hasInfix ''"restart":["job-[12]","app?","a*b"]'' config.security.polkit.extraConfig) true) ];
  };
  "programs of steps are those of the system, and of packages that are named" = {
    module = on { programs = [ { outPath = "/git"; type = "derivation"; name = "git"; } ]; };
    so = config: [
      (is (agent config).environment.SLOTH_RUNNER_PROGRAM_PATH "/git/bin:/run/current-system/sw/bin")
    ];
  };
  "facts about processes are about those of the machine" = {
    module = policy { facts.read = [ "processes" ]; };
    so = config: [ (is (service (agent config)).ProtectProc "default") ];
  };
  "what cannot start is tried again, later and later, but not what was refused" = {
    module = on { };
    so = config: [
      (is (agent config).startLimitIntervalSec 0)
      (is (service (agent config)).RestartPreventExitStatus [ 2 3 ])
    ];
  };
  "the example of a container is a configuration" = {
    module = removeAttrs (import ../../examples/nixos/container.nix).containers.deploy.config [ "imports" "system" ];
    so = config: [
      (is (messages config) [ ])
      (is (service (agent config)).ReadWritePaths [ "/srv/site" ])
    ];
  };
}
