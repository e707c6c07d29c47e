# services.sloth-runner: a master or agents, whose systemd sandbox and Wasm policy come from one declaration.
{ config, lib, pkgs, utils, ... }:
let
  inherit (lib) mkOption mkEnableOption mkIf mkMerge types literalExpression optional optionals optionalAttrs;
  cfg = config.services.sloth-runner;
  hardening = import ./hardening.nix { inherit lib; };
  toml = pkgs.formats.toml { };

  home = "/var/lib/";
  ports = { master = 50053; agent = 50051; };

  # Everything that one process is started with. The first is the module's own, further ones are its instances.
  processes =
    [ (cfg // { unit = "sloth-runner-${cfg.mode}"; id = cfg.mode; }) ]
    ++ lib.mapAttrsToList (
      name: own: own // { unit = "sloth-runner-agent-${name}"; id = "agent-${name}"; mode = "agent"; }
    ) cfg.instances;

  # A file that is read when the unit starts. Written as a path of Nix it would be copied to where everybody can read it.
  outside = file: toString file;
  inStore = file: file != null && lib.hasPrefix builtins.storeDir (outside file);

  # What systemd would take for its own in the value of a variable.
  plain = lib.mapAttrs (_: value: builtins.replaceStrings [ "%" ] [ "%%" ] (toString value));

  isStateful = own: lib.hasPrefix home own.dataDir;
  policyFile =
    own:
    pkgs.runCommand "${own.unit}-policy.toml" { } ''
      cp ${toml.generate "policy.toml" ({ version = 1; } // own.policy)} $out
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
      # The programs of the system, which stand in none of the places that other systems have.
      SLOTH_RUNNER_PROGRAM_PATH = lib.concatStringsSep ":" (
        map (package: "${package}/bin") own.programs ++ [ "/run/current-system/sw/bin" ]
      );
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
      bracketed = builtins.match "\\[([^]]*)].*" address;
    in
    if bracketed != null then
      lib.head bracketed
    else if builtins.length parts == 2 then
      lib.head parts
    else
      address;

  service = own: {
    description = "sloth-runner ${own.mode}";
    documentation = [ "man:sloth-runner(1)" ];
    wantedBy = [ "multi-user.target" ];
    wants = [ "network-online.target" ];
    after = [ "network-online.target" ];
    environment = plain (environment own);
    # A master that is not there yet is waited for, however long that is.
    startLimitIntervalSec = 0;
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
        RestartPreventExitStatus = [ 2 3 ];
        WatchdogSec = "30s";
        # As the first process of its own numbers it would not hear another.
        WatchdogSignal = "SIGKILL";
        TimeoutStopSec = "2min";
        WorkingDirectory = own.dataDir;
        SyslogIdentifier = own.unit;
      }
      // optionalAttrs (lib.versionAtLeast config.systemd.package.version "254") {
        RestartSteps = 6;
        RestartMaxDelaySec = "1min";
      }
      // optionalAttrs (isStateful own) {
        StateDirectory = lib.removePrefix home own.dataDir;
        StateDirectoryMode = "0700";
      }
      // optionalAttrs (own.environmentFile != null) { EnvironmentFile = outside own.environmentFile; }
      // optionalAttrs (own.tokenFile != null) {
        Environment = [ "SLOTH_RUNNER_TOKEN_FILE=%d/token" ];
      }
      // optionalAttrs (own.tokenFile != null || own.credentials != { }) {
        LoadCredential =
          optional (own.tokenFile != null) "token:${outside own.tokenFile}"
          ++ lib.mapAttrsToList (name: path: "${name}:${outside path}") own.credentials;
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
      ++ lib.optional (shared (own: own.user) (
        builtins.filter (own: own.user != "root") processes
      )) "two units have one user, and each could read the keys of the other"
      ++ lib.optional (doubles (own: toString own.port)) "two units have one port"
      ++ lib.optional (doubles (own: own.agentName + own.mode)) "two agents have one name"
      ++ lib.optional (shared (own: toString own.telemetry.port) measured) "two units have one telemetry.port"
    )
    ++ lib.concatMap (
      own:
      optional (own.mode == "master" && (own.policy != { } || own.labels != { })) {
        problem = "services.sloth-runner (${own.unit}): a master runs no steps, so a policy or labels of its own mean nothing; give them to an agent, such as services.sloth-runner.instances.<name>";
      }
      ++ optional (own.mode == "master" && (own.tokenFile != null || own.reportAddress != null)) {
        problem = "services.sloth-runner (${own.unit}): a master joins nobody, so a tokenFile or reportAddress of its own means nothing; give it to an agent, such as services.sloth-runner.instances.<name>";
      }
      ++ optional (builtins.any (text: lib.hasInfix "," text) (builtins.attrNames own.labels ++ builtins.attrValues own.labels)) {
        problem = "services.sloth-runner (${own.unit}): a label has a comma, which separates labels; leave it out";
      }
      ++ optional (builtins.any inStore ([ own.environmentFile own.tokenFile ] ++ builtins.attrValues own.credentials)) {
        problem = "services.sloth-runner (${own.unit}): environmentFile, tokenFile or one of credentials lies in the Nix store, which everybody can read; name a file outside of it as a text, such as \"/run/secrets/token\"";
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

  account = instance: if instance == null then "sloth-runner" else "sloth-runner-${instance}";
  # Those that are made here: the program's own, under whatever group each runs.
  accounts = [ "sloth-runner" ] ++ map account (builtins.attrNames cfg.instances);
  ownUsers = builtins.filter (own: builtins.elem own.user accounts) processes;
  groups = lib.unique (
    builtins.filter (name: builtins.elem name accounts) (map (own: own.group) processes ++ map (own: own.user) ownUsers)
  );

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
        default = account instance;
        defaultText = literalExpression "\"sloth-runner\", of an instance \"sloth-runner-NAME\"";
        description = "The account that it runs as; made if it is this one. Each has its own: whoever has taken one has the keys of all that run as it.";
      };
      group = mkOption {
        type = types.str;
        default = account instance;
        defaultText = literalExpression "\"sloth-runner\", of an instance \"sloth-runner-NAME\"";
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
        type = toml.type;
        default = { };
        example = literalExpression ''{ files.write = [ "/srv/site/**" ]; services.restart = [ "nginx" ]; }'';
        description = "What an agent grants, as docs/policy.md says. Checked when the system is built.";
      };
      programs = mkOption {
        type = types.listOf types.package;
        default = [ ];
        example = literalExpression "[ pkgs.git pkgs.restic ]";
        description = "Packages whose programs steps find by name, as far as the policy grants them, before those of the system.";
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
        optional (!isStateful own) "d ${hardening.quoted own.dataDir} 0700 ${own.user} ${own.group} -"
        ++ optionals (own.mode == "agent") (
          map (path: "d ${path} :0755 :${own.user} :${own.group} -") (hardening.folders own.policy own.hardening)
        )
      ) processes
    );

    users.users = builtins.listToAttrs (
      map (own: {
        name = own.user;
        value = {
          isSystemUser = true;
          group = own.user;
          description = "sloth-runner";
        };
      }) ownUsers
    );
    users.groups = lib.genAttrs groups (_: { });

    networking.firewall.allowedTCPPorts = lib.concatMap (
      own: optionals own.openFirewall ([ own.port ] ++ optional own.telemetry.enable own.telemetry.port)
    ) processes;

    security.polkit = 
      let
        rules = lib.concatMapStrings (own: lib.optionalString (own.mode == "agent") (hardening.polkit own.user own.hardening own.policy)) processes;
      in
      mkIf (rules != "") { enable = true; extraConfig = rules; };
  };
}
