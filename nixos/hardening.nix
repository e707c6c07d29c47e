# The sandbox of a unit, derived from the policy of the same declaration: what the policy does not grant, systemd
# refuses too. Where systemd has no word for a rule it allows more than the policy does, never less.
{ lib }:
let
  grants = import ./grants.nix { inherit lib; };
  inherit (lib) concatStringsSep filter hasPrefix mkMerge optional optionals optionalAttrs;

  # Addresses that systemd can hold connections against; a name is none, whatever letters it has.
  isAddress = host: builtins.match "([0-9]{1,3}[.]){3}[0-9]{1,3}|[0-9a-fA-F]*:[0-9a-fA-F:.]*" host != null;

  homes = [ "/home" "/root" "/run/user" ];
  temporary = [ "/tmp" "/var/tmp" ];

  # A path as it stands in a unit or in tmpfiles.d.
  quoted =
    path:
    let
      plain = builtins.replaceStrings [ "%" ] [ "%%" ] path;
    in
    if builtins.match "[A-Za-z0-9_./:@+%-]*" plain != null then plain else builtins.toJSON plain;

  loosest = level: policy: if level == "strict" then { } else policy;
in
{
  # mode: "master" or "agent". policy: as declared. data: the data folder, unless systemd makes it. host: where the
  # master is. open: whether others than the master may connect. level: "derived" or "strict". systemd: its version.
  serviceConfig =
    {
      mode,
      policy,
      data ? null,
      host,
      open ? false,
      level ? "derived",
      systemd,
    }:
    let
      granted = if mode == "master" then { } else loosest level policy;
      process = grants.process granted;
      root = grants.packages granted || grants.users granted;
      accounts = grants.accounts granted;
      touches = places: globs: builtins.any (place: grants.within place (globs granted)) places;
      network = mode == "master" || open || grants.network granted;
      local = host == "localhost" || host == "::1" || (hasPrefix "127." host && isAddress host);
      known = local || isAddress host;
    in
    {
      NoNewPrivileges = true;
      ProtectSystem = if root then false else "strict";
      # Accounts are made with their homes.
      ProtectHome =
        if root || touches homes grants.changed then
          false
        else if touches homes grants.seen then
          "read-only"
        else
          true;
      PrivateDevices = !(builtins.any (glob: hasPrefix "/dev/" glob) (grants.seen granted));
      PrivateMounts = true;
      # A master deals with nobody's files but its own, and with no process but itself.
      PrivateUsers = mode == "master";
      ProcSubset = if mode == "master" then "pid" else "all";
      PrivateTmp = !(grants.packages granted || touches temporary grants.seen);
      ProtectKernelTunables = true;
      ProtectKernelModules = true;
      ProtectKernelLogs = true;
      # Steps have no control groups of their own, so nothing of the tree is handed over.
      ProtectControlGroups = true;
      ProtectClock = true;
      ProtectHostname = true;
      # What a granted program may see of others is for the policy; what nobody may run sees nothing.
      ProtectProc = if process || grants.processes granted then "default" else "invisible";
      LockPersonality = true;
      RestrictRealtime = true;
      # What package managers unpack sets accounts.
      RestrictSUIDSGID = !root;
      # A granted program is shut into namespaces of its own before it begins.
      RestrictNamespaces = if process then [ "user" "mnt" "pid" "ipc" ] else true;
      RemoveIPC = !root;
      SystemCallArchitectures = "native";
      # An agent compiles what its steps run in, and even what was compiled before is made executable when it is loaded.
      MemoryDenyWriteExecute = mode == "master";
      UMask = "0077";
      CapabilityBoundingSet =
        if root then
          [ "CAP_CHOWN" "CAP_DAC_OVERRIDE" "CAP_FOWNER" "CAP_FSETID" "CAP_SETGID" "CAP_SETUID" ]
          ++ optional (grants.packages granted) "CAP_SETFCAP"
          ++ optional (grants.users granted) "CAP_AUDIT_WRITE"
        else if accounts then
          # To become another account, to give it its folder and take that away, and to end what runs as it.
          [ "CAP_CHOWN" "CAP_DAC_OVERRIDE" "CAP_FOWNER" "CAP_KILL" "CAP_SETGID" "CAP_SETUID" ]
        else
          [ "" ];
      AmbientCapabilities = [ "" ];
      RestrictAddressFamilies = [ "AF_UNIX" "AF_INET" "AF_INET6" ] ++ optional (process && grants.network granted) "AF_NETLINK";
      SystemCallFilter =
        [ "@system-service" ]
        # A program is confined before it begins, and the filter of old versions has no word for that.
        ++ (if root then [ "@chown" "@setuid" ] else [ "~@privileged" "~@resources" ])
        ++ optionals (accounts && !root) [ "@chown" "@setuid" ]
        ++ optionals process [ "@mount" "capset" "landlock_create_ruleset" "landlock_add_rule" "landlock_restrict_self" "seccomp" ];
      SystemCallErrorNumber = "EPERM";
      LimitNOFILE = if mode == "master" then 65536 else 16384;
      TasksMax = if mode == "master" then 512 else 4096;
      ReadWritePaths = if root then [ ] else map quoted (optional (data != null) data ++ grants.written granted);
    }
    // optionalAttrs (!network && known) {
      IPAddressDeny = "any";
      IPAddressAllow = [ "localhost" ] ++ optional (!local) host;
    }
    // optionalAttrs (lib.versionAtLeast systemd "257" && !process && !grants.processes granted) {
      # Granted programs are told of others by their numbers.
      PrivatePIDs = true;
    };

  # Folders that must be there before the unit starts: a path that is missing is an error of systemd's.
  folders = policy: level: map quoted (filter (path: path != "/") (grants.written (loosest level policy)));
  inherit quoted;

  # Lets `user` start, stop, restart and reload the granted units, and no others.
  polkit =
    user: level: policy:
    let
      units = grants.units (loosest level policy);
      some = builtins.any (verb: units.${verb} != [ ]) (builtins.attrNames units);
    in
    lib.optionalString some ''
      polkit.addRule(function(action, subject) {
        if (action.id != "org.freedesktop.systemd1.manage-units" || subject.user != ${builtins.toJSON user}) {
          return polkit.Result.NOT_HANDLED;
        }
        var granted = ${builtins.toJSON units};
        var unit = action.lookup("unit");
        var patterns = granted[action.lookup("verb")] || [];
        for (var i = 0; i < patterns.length; i++) {
          // Classes of characters are the same in both, but for how they begin that name what is not meant.
          var escaped = patterns[i].replace(/[.+^$()|\\{}]/g, "\\$&").replace(/\[!/g, "[^").replace(/\*/g, ".*").replace(/\?/g, ".");
          if (new RegExp("^" + escaped + "$").test(unit)) {
            return polkit.Result.YES;
          }
        }
        return polkit.Result.NOT_HANDLED;
      });
    '';

  # What is wrong with the policy as a declaration on NixOS, in sentences.
  problems =
    {
      name,
      user,
      policy,
      level,
    }:
    optional (grants.unitFiles policy) {
      problem = "services.sloth-runner (${name}): the policy grants services.enable, disable, define or daemon-reload, for which systemd asks about no unit in particular; declare units in the NixOS configuration instead and grant start, stop, restart and reload";
    }
    ++ optional ((grants.packages policy || grants.users policy) && user != "root") {
      problem = "services.sloth-runner (${name}): the policy grants changes of packages or users, which need user = \"root\"; declare packages and users in the NixOS configuration instead, or set the user";
    }
    ++ optional (grants.accounts policy && user != "root") {
      problem = "services.sloth-runner (${name}): the policy grants programs as other accounts (process.user), which only root can begin; set user = \"root\", or run an instance as that account";
    }
    ++ optional (level == "strict" && grants.needsRoom policy) {
      problem = "services.sloth-runner (${name}): hardening = \"strict\" leaves no room for files that are written, and for process, http, services, packages or users that the policy grants; take them out of the policy, or set hardening = \"derived\"";
    }
    ++ optional (builtins.elem "/" (grants.written policy)) {
      problem = "services.sloth-runner (${name}): the policy grants writing files all over the machine, which no sandbox can follow; name the folders";
    };
}
