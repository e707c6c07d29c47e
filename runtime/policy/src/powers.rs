//! Names that give more than they say: groups with root's rights, variables that load code, units that end
//! the system. The sandbox holds calls against them, and `policy check` tells of grants that reach them.

/// Variables that choose what a program loads or runs.
pub(crate) const LOADING: &[&str] = &[
    "LD_PRELOAD",
    "LD_LIBRARY_PATH",
    "LD_AUDIT",
    "LD_DEBUG_OUTPUT",
    "PATH",
    "BASH_ENV",
    "ENV",
    "PYTHONPATH",
    "PYTHONHOME",
    "PYTHONSTARTUP",
    "PERL5LIB",
    "PERL5OPT",
    "RUBYLIB",
    "RUBYOPT",
    "NODE_OPTIONS",
    "NODE_PATH",
    "JAVA_TOOL_OPTIONS",
    "GIT_SSH",
    "GIT_SSH_COMMAND",
    "GIT_EXEC_PATH",
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_COUNT",
    "GIT_EXTERNAL_DIFF",
    "PAGER",
    "GIT_PAGER",
    "EDITOR",
    "VISUAL",
    "GCONV_PATH",
];

/// Groups whose members have root's rights, or a way to them.
pub(crate) const ROOT_GROUPS: &[&str] = &[
    "root",
    "sudo",
    "wheel",
    "admin",
    "adm",
    "docker",
    "lxd",
    "incus-admin",
    "libvirt",
    "kvm",
    "disk",
    "shadow",
    "kmem",
    "staff",
    "systemd-journal",
    "nixbld",
];

/// Units whose start ends all that runs, by their names without their kinds.
const ENDING: &[&str] = &[
    "poweroff",
    "reboot",
    "soft-reboot",
    "halt",
    "kexec",
    "shutdown",
    "final",
    "exit",
    "umount",
    "rescue",
    "emergency",
    "ctrl-alt-del",
    "factory-reset",
    "suspend",
    "hibernate",
    "hybrid-sleep",
    "suspend-then-hibernate",
    "sleep",
    "initrd-switch-root",
    "runlevel0",
    "runlevel1",
    "runlevel6",
];

/// Whether members of a group have root's rights, or a way to them: `sudo`, `docker`, `disk`.
pub fn is_root_group(name: &str) -> bool {
    ROOT_GROUPS.contains(&name)
}

/// Whether to start a unit, by its full name, is to end the system or all that runs on it:
/// `poweroff.target`, `systemd-reboot.service`.
pub fn ends_the_system(unit: &str) -> bool {
    let Some((name, kind)) = unit.rsplit_once('.') else {
        return false;
    };
    let name = match kind {
        "target" => name,
        "service" => name.strip_prefix("systemd-").unwrap_or(name),
        _ => return false,
    };
    ENDING.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_and_their_services_end_the_system_and_nothing_else_of_the_name_does() {
        for unit in [
            "poweroff.target",
            "systemd-reboot.service",
            "rescue.service",
            "runlevel6.target",
        ] {
            assert!(ends_the_system(unit), "{unit}");
        }
        for unit in [
            "multi-user.target",
            "final.timer",
            "nginx.service",
            "poweroff",
        ] {
            assert!(!ends_the_system(unit), "{unit}");
        }
    }
}
