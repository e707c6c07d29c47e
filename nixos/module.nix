# services.sloth-runner: a master or agents, whose systemd sandbox and Wasm policy come from one declaration.
{ config, lib, pkgs, utils, ... }:
let
  inherit (lib) mkOption mkEnableOption mkIf mkMerge types literalExpression optional optionals optionalAttrs;
  cfg = config.services.sloth-runner;
  hardening = import ./hardening.nix { inherit lib; };

  home = "/var/lib/";
  ports = { master = 50053; agent = 50051; };

  # Everything that one process is started with. The first is the module's own, further ones are its instances.
  processes =
    [ (cfg // { unit = "sloth-runner-${cfg.mode}"; id = cfg.mode; }) ]
    ++ lib.mapAttrsToList (
      name: own: own // { unit = "sloth-runner-agent-${name}"; id = "agent-${name}"; mode = "agent"; }
    ) cfg.instances;

  isStateful = own: lib.hasPrefix home own.dataDir;
  policyFile =
    own:
    pkgs.runCommand "${own.unit}-policy.toml" { } ''
      cp ${(pkgs.formats.toml { }).generate "policy.toml" ({ version = 1; } // own.policy)} $out
      ${lib.getExe own.package} policy check $out
    '';

  # What makes a process the one it is, as its environment, which `systemctl cat` shows.
  environment =
    own:
    {
      SLOTH_RUNNER_DATA_DIR = own.dataDir;
      SLOTH_RUNNER_BIND_ADDRESS = own.bindAddress;
      SLOTH_RUNNER_PORT = toString own.port;
      SLOTH_RUNNER_LOG_LEVEL = own.logLevel;
      SLOTH_RUNNER_LOG_FORMAT = "journald";
    }
    // optionalAttrs (own.mode == "agent") {
      SLOTH_RUNNER_MASTER_ADDR = own.master;
      SLOTH_RUNNER_NAME = own.agentName;
      SLOTH_RUNNER_POLICY = policyFile own;
    }
    // optionalAttrs (own.mode == "agent" && own.package.hasGuest or false) {
      SLOTH_RUNNER_GUEST = "${own.package}/lib/sloth-runner/guest.cwasm";
    }
    // optionalAttrs (own.mode == "agent" && own.labels != { }) {
      SLOTH_RUNNER_LABELS = lib.concatStringsSep "," (lib.mapAttrsToList (key: value: "${key}=${value}") own.labels);
    }
    // optionalAttrs (own.mode == "agent" && own.reportAddress != null) {
      SLOTH_RUNNER_REPORT_ADDRESS = own.reportAddress;
    }
    // optionalAttrs own.telemetry.enable {
      SLOTH_RUNNER_TELEMETRY = "true";
      SLOTH_RUNNER_METRICS_PORT = toString own.telemetry.port;
      SLOTH_RUNNER_METRICS_BIND = own.telemetry.bindAddress;
    };

  arguments =
    own:
    [ own.mode "start" ]
    ++ optionals (own.mode == "master") (lib.concatMap (name: [ "--tls-name" name ]) own.tls.names)
    ++ own.extraArgs;

  # Without its port, and an address of version 6 without its brackets.
  host =
    address:
    let
      parts = lib.splitString ":" address;
      name = lib.concatStringsSep ":" (if builtins.length parts > 1 then lib.init parts else parts);
    in
    lib.removePrefix "[" (lib.removeSuffix "]" name);

  service = own: {
    description = "sloth-runner ${own.mode}";
    documentation = [ "man:sloth-runner(1)" ];
    wantedBy = [ "multi-user.target" ];
    wants = [ "network-online.target" ];
    after = [ "network-online.target" ];
    environment = environment own;
    # Programs of steps are looked up on the policy's fixed path, not on this one.
    path = [ own.package ];
    startLimitIntervalSec = 300;
    startLimitBurst = 10;
    serviceConfig =
      {
        Type = "notify";
        ExecStart = utils.escapeSystemdExecArgs ([ (lib.getExe own.package) ] ++ arguments own);
        ExecReload = "${pkgs.coreutils}/bin/kill -HUP $MAINPID";
        User = own.user;
        Group = own.group;
        Restart = "on-failure";
        RestartSec = "2s";
        # Usage and refused enrolment: another start comes to the same.
        RestartPreventExitStatus = [ 2 ];
        WatchdogSec = "30s";
        TimeoutStopSec = "2min";
        WorkingDirectory = own.dataDir;
        SyslogIdentifier = own.unit;
      }
      // optionalAttrs (isStateful own) {
        StateDirectory = lib.removePrefix home own.dataDir;
        StateDirectoryMode = "0700";
      }
      // optionalAttrs (own.environmentFile != null) { EnvironmentFile = own.environmentFile; }
      // optionalAttrs (own.tokenFile != null) {
        Environment = [ "SLOTH_RUNNER_TOKEN_FILE=%d/token" ];
      }
      // optionalAttrs (own.tokenFile != null || own.credentials != { }) {
        LoadCredential =
          optional (own.tokenFile != null) "token:${own.tokenFile}"
          ++ lib.mapAttrsToList (name: path: "${name}:${path}") own.credentials;
      }
      // hardening.serviceConfig {
        inherit (own) mode policy;
        data = if isStateful own then null else own.dataDir;
        host = host own.master;
        # Its own port, or its metrics, are asked by others than the master.
        open = own.openFirewall || (own.telemetry.enable && own.telemetry.bindAddress != "127.0.0.1");
        level = own.hardening;
        systemd = config.systemd.package.version;
      };
  };

  problems =
    lib.concatMap (
      own:
      optionals (own.mode == "agent") (
        hardening.problems {
          name = own.unit;
          inherit (own) user policy;
          level = own.hardening;
        }
      )
    ) processes
    ++ map (double: { problem = "services.sloth-runner: ${double}; give each instance its own"; }) (
      lib.optional (doubles (own: own.dataDir)) "two units have one dataDir"
      ++ lib.optional (doubles (own: toString own.port)) "two units have one port"
      ++ lib.optional (doubles (own: own.agentName + own.mode)) "two agents have one name"
      ++ lib.optional (shared (own: toString own.telemetry.port) measured) "two units have one telemetry.port"
    )
    ++ lib.concatMap (
      own:
      optional (own.mode == "master" && (own.policy != { } || own.labels != { })) {
        problem = "services.sloth-runner (${own.unit}): a master runs no steps, so a policy or labels of its own mean nothing; give them to an agent, such as services.sloth-runner.instances.<name>";
      }
      ++ optional (own.mode == "agent" && own.tls.names != [ ]) {
        problem = "services.sloth-runner (${own.unit}): tls.names are for a master's certificate, and this is an agent; take them out";
      }
      ++ optional (own.telemetry.enable && own.telemetry.port == own.port) {
        problem = "services.sloth-runner (${own.unit}): telemetry.port is its own port; give it another";
      }
    ) processes;
  measured = builtins.filter (own: own.telemetry.enable) processes;
  doubles = of: shared of processes;
  shared =
    of: among:
    let
      all = map of among;
    in
    builtins.length (lib.unique all) != builtins.length all;

  common =
    { mode, instance ? null }:
    {
      package = mkOption {
        type = types.package;
        default = pkgs.sloth-runner or (pkgs.callPackage ./package.nix { });
        defaultText = literalExpression "pkgs.sloth-runner";
        description = "The program.";
      };
      master = mkOption {
        type = types.str;
        default = "localhost:50053";
        description = "HOST:PORT of the master that an agent works for.";
      };
      agentName = mkOption {
        type = types.str;
        default = if instance == null then config.networking.hostName else "${config.networking.hostName}-${instance}";
        defaultText = literalExpression "config.networking.hostName";
        description = "The name that an agent is known by.";
      };
      bindAddress = mkOption {
        type = types.str;
        default = "0.0.0.0";
        description = "Where its own port listens.";
      };
      port = mkOption {
        type = types.port;
        default = ports.${mode};
        defaultText = literalExpression "50053 of a master, 50051 of an agent";
        description = "Its own port: of a master the one that all come to, of an agent the one that tells how it is.";
      };
      reportAddress = mkOption {
        type = types.nullOr types.str;
        default = null;
        description = "HOST:PORT at which the master is to find the agent's own port.";
      };
      dataDir = mkOption {
        type = types.path;
        default = if instance == null then "/var/lib/sloth-runner" else "/var/lib/sloth-runner-${instance}";
        description = "Where the program keeps its own files.";
      };
      logLevel = mkOption {
        type = types.enum [ "debug" "info" "warn" "error" ];
        default = "info";
        description = "How much the program says of itself.";
      };
      user = mkOption {
        type = types.str;
        default = "sloth-runner";
        description = "The account that it runs as; made if it is this one.";
      };
      group = mkOption {
        type = types.str;
        default = "sloth-runner";
        description = "The group that it runs as; made if it is this one.";
      };
      openFirewall = mkOption {
        type = types.bool;
        default = false;
        description = "Open its own port to others, and that of the metrics when telemetry is on.";
      };
      environmentFile = mkOption {
        type = types.nullOr types.path;
        default = null;
        description = "A file with SLOTH_RUNNER_TOKEN, SLOTH_RUNNER_API_KEY and the like, which is read when the unit starts and never copied to the store.";
      };
      extraArgs = mkOption {
        type = types.listOf types.str;
        default = [ ];
        description = "Further arguments.";
      };
      policy = mkOption {
        type = types.attrs;
        default = { };
        example = literalExpression ''{ files.write = [ "/srv/site/**" ]; services.restart = [ "nginx" ]; }'';
        description = "What an agent grants, as docs/policy.md says. Checked when the system is built.";
      };
      labels = mkOption {
        type = types.attrsOf types.str;
        default = { };
        description = "What an agent can be selected by.";
      };
      telemetry = {
        enable = mkOption {
          type = types.bool;
          default = false;
          description = "Serve /metrics for Prometheus, /health and /ready.";
        };
        port = mkOption {
          type = types.port;
          default = 9090;
          description = "The port of that.";
        };
        bindAddress = mkOption {
          type = types.str;
          default = "127.0.0.1";
          description = "Where that listens.";
        };
      };
      tokenFile = mkOption {
        type = types.nullOr types.path;
        default = null;
        description = "The file of the token that an agent joins with, handed over by systemd.";
      };
      credentials = mkOption {
        type = types.attrsOf types.path;
        default = { };
        example = literalExpression ''{ secrets-key = "/run/secrets/sloth-runner-key"; }'';
        description = "Further files that systemd hands over, by name.";
      };
      tls.names = mkOption {
        type = types.listOf types.str;
        default = [ ];
        description = "Further names in a master's certificate.";
      };
      hardening = mkOption {
        type = types.enum [ "derived" "strict" ];
        default = "derived";
        description = "Whether the unit's sandbox follows the policy, or is that of an empty one.";
      };
    };
in
{
  options.services.sloth-runner =
    {
      enable = mkEnableOption "sloth-runner";
      mode = mkOption {
        type = types.enum [ "master" "agent" ];
        default = "agent";
        description = "What this machine is. It names the unit: sloth-runner-master or sloth-runner-agent.";
      };
      instances = mkOption {
        type = types.attrsOf (types.submodule ({ name, ... }: { options = common { mode = "agent"; instance = name; }; }));
        default = { };
        description = "Further agents on this machine, each as unit sloth-runner-agent-NAME, with ports and names of their own.";
      };
    }
    // common { mode = cfg.mode; };

  config = mkIf cfg.enable {
    assertions = map ({ problem }: { assertion = false; message = problem; }) problems;

    environment.systemPackages = [ cfg.package ];

    systemd.services = builtins.listToAttrs (
      map (own: { name = own.unit; value = service own; }) processes
    );

    systemd.tmpfiles.rules = lib.unique (
      lib.concatMap (
        own:
        optional (!isStateful own) "d ${own.dataDir} 0700 ${own.user} ${own.group} -"
        ++ optionals (own.mode == "agent") (
          map (path: "d ${path} :0755 :${own.user} :${own.group} -") (hardening.folders own.policy own.hardening)
        )
      ) processes
    );

    users.users = mkIf (builtins.any (own: own.user == "sloth-runner") processes) {
      sloth-runner = {
        isSystemUser = true;
        group = "sloth-runner";
        description = "sloth-runner";
      };
    };
    users.groups = mkIf (builtins.any (own: own.group == "sloth-runner") processes) { sloth-runner = { }; };

    networking.firewall.allowedTCPPorts = lib.concatMap (
      own: optionals own.openFirewall ([ own.port ] ++ optional own.telemetry.enable own.telemetry.port)
    ) processes;

    security.polkit = 
      let
        rules = lib.concatMapStrings (own: lib.optionalString (own.mode == "agent") (hardening.polkit own.user own.policy)) processes;
      in
      mkIf (rules != "") { enable = true; extraConfig = rules; };
  };
}
