//! The written list of system paths that ordinary programs need.
//!
//! `/etc` as a whole is not among them: `/etc/shadow` and host keys must stay unreadable to a program that runs as
//! root. Neither is `/proc`: entries of other processes hold their environments.

/// Trees of programs and libraries, for `execute`.
pub const SYSTEM_READ_EXECUTE: &[&str] = &[
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/nix/store",
    "/run/current-system/sw",
];

/// Files that libraries read, for `read`. `/proc/self` here means the entry of the program itself; that of a process
/// which it starts is not readable.
pub const SYSTEM_READ: &[&str] = &[
    "/etc/alternatives",
    "/etc/ca-certificates",
    "/etc/group",
    "/etc/ld.so.cache",
    "/etc/ld.so.preload",
    "/etc/localtime",
    "/etc/nsswitch.conf",
    "/etc/os-release",
    "/etc/passwd",
    "/etc/pki/tls/certs",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/etc/static/ssl/certs",
    "/etc/timezone",
    "/proc/self",
    "/proc/sys/kernel/ngroups_max",
    "/sys/devices/system/cpu/online",
];

/// What finding other machines needs, for `read`, with `network` only. The resolver's file is often a link into `/run`.
pub const SYSTEM_NETWORK_READ: &[&str] = &[
    "/etc/gai.conf",
    "/etc/host.conf",
    "/etc/hosts",
    "/etc/protocols",
    "/etc/resolv.conf",
    "/etc/services",
    "/run/NetworkManager/resolv.conf",
    "/run/resolvconf/resolv.conf",
    "/run/systemd/resolve/resolv.conf",
    "/run/systemd/resolve/stub-resolv.conf",
];

/// Devices without memory, for `read`.
pub const SYSTEM_DEVICES: &[&str] = &[
    "/dev/full",
    "/dev/null",
    "/dev/random",
    "/dev/urandom",
    "/dev/zero",
];

/// Those of them that swallow what is written, for `write`.
pub const SYSTEM_WRITE: &[&str] = &["/dev/full", "/dev/null", "/dev/zero"];
