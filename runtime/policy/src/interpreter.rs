//! Programs whose arguments are programs.

/// Programs that run what their arguments say, so that a free choice of those is a free choice of
/// program. Names without version numbers.
pub(crate) const INTERPRETERS: &[&str] = &[
    "ash",
    "awk",
    "bash",
    "busybox",
    "chroot",
    "csh",
    "dash",
    "doas",
    "env",
    "expect",
    "fish",
    "gawk",
    "ksh",
    "lua",
    "mawk",
    "nice",
    "node",
    "nohup",
    "nsenter",
    "perl",
    "php",
    "pkexec",
    "pwsh",
    "python",
    "ruby",
    "runuser",
    "setpriv",
    "setsid",
    "sh",
    "ssh",
    "su",
    "sudo",
    "systemd-run",
    "tclsh",
    "tcsh",
    "timeout",
    "unshare",
    "watch",
    "xargs",
    "zsh",
];

/// `python` for `python3.12`.
pub(crate) fn unversioned(name: &str) -> &str {
    name.trim_end_matches(|character: char| {
        character.is_ascii_digit() || matches!(character, '.' | '-')
    })
}
