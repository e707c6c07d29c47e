//! System calls that reach around Landlock, mounts and the supervisor. What is not named here is allowed.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, apply_filter,
};

use super::spec::{Confinement, Network};

/// What is refused of calls that change modes, owners, times and attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Metadata {
    /// Nothing: read-only mounts refuse what must be.
    LeftToMounts,
    /// Those by path. A descriptor was opened under Landlock's rules.
    OfOpenFiles,
    /// All: a descriptor that was opened for reading is enough for root to change the mode.
    Refused,
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;
type Outcome<T> = Result<T, seccompiler::BackendError>;

/// Calls that nobody here needs, whatever their arguments.
const NEVER: &[i64] = &[
    // Work that a kernel thread does, past these filters.
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    // Mounts.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    OPEN_TREE_ATTR,
    // Other processes.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_kcmp,
    libc::SYS_pidfd_getfd,
    libc::SYS_unshare,
    libc::SYS_setns,
    // The kernel's own machinery.
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_syslog,
    libc::SYS_lookup_dcookie,
    libc::SYS_fanotify_init,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_nfsservctl,
    // Files without a path.
    libc::SYS_open_by_handle_at,
    // The machine's clock, name and terminals.
    libc::SYS_clock_settime,
    libc::SYS_settimeofday,
    libc::SYS_adjtimex,
    libc::SYS_clock_adjtime,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_vhangup,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
];

/// Metadata by path.
const METADATA_BY_PATH: &[i64] = &[
    libc::SYS_fchmodat,
    FCHMODAT2,
    libc::SYS_fchownat,
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_removexattr,
    libc::SYS_lremovexattr,
    SETXATTRAT,
    REMOVEXATTRAT,
    FILE_SETATTR,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_chmod,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_chown,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_lchown,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_utime,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_utimes,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_futimesat,
];

/// Metadata by descriptor.
const METADATA_BY_DESCRIPTOR: &[i64] = &[
    libc::SYS_fchmod,
    libc::SYS_fchown,
    libc::SYS_fsetxattr,
    libc::SYS_fremovexattr,
];

// Newer calls have the same number on every architecture, and no name in the C library everywhere.
const FCHMODAT2: i64 = 452;
const SETXATTRAT: i64 = 463;
const REMOVEXATTRAT: i64 = 466;
const OPEN_TREE_ATTR: i64 = 467;
const FILE_SETATTR: i64 = 469;

/// The kind of a socket is in these bits of its argument; the rest are flags.
const SOCKET_KIND: u64 = 0xf;

/// `FS_IOC_SETFLAGS` and `FS_IOC_FSSETXATTR` of `linux/fs.h`.
const ATTRIBUTE_CONTROLS: [u64; 2] = [0x4008_6602, 0x401c_5820];

/// Puts the filters in place, for good. Nothing else needs to be called after this but `execve`.
pub(super) fn restrict(confinement: &Confinement, metadata: Metadata) -> Result<(), String> {
    let filters = make_filters(confinement, metadata)
        .map_err(|error| format!("make seccomp filters: {error}"))?;
    for filter in filters {
        apply_filter(&filter).map_err(|error| format!("restrict it with seccomp: {error}"))?;
    }
    Ok(())
}

fn make_filters(confinement: &Confinement, metadata: Metadata) -> Outcome<Vec<BpfProgram>> {
    let architecture = TargetArch::try_from(std::env::consts::ARCH)?;
    let refuse = |rules: Rules, errno: i32| -> Outcome<BpfProgram> {
        let errno = SeccompAction::Errno(errno.unsigned_abs());
        // A call through another architecture's table kills the process.
        SeccompFilter::new(rules, SeccompAction::Allow, errno, architecture)?.try_into()
    };
    // Its flags lie in memory that a filter cannot read. C libraries go back to clone when it is not there.
    let absent = Rules::from([(libc::SYS_clone3, vec![])]);
    let mut filters = vec![
        refuse(absent, libc::ENOSYS)?,
        refuse(make_rules(confinement, metadata)?, libc::EPERM)?,
    ];
    if cfg!(target_arch = "x86_64") {
        filters.insert(0, refuse_x32());
    }
    Ok(filters)
}

fn make_rules(confinement: &Confinement, metadata: Metadata) -> Outcome<Rules> {
    let mut rules: Rules = NEVER.iter().map(|call| (*call, vec![])).collect();
    rules.extend(refuse_sockets(confinement)?);
    // Bits of clone's flags; that of time namespaces is only known to clone3.
    let namespaces = [
        libc::CLONE_NEWNS,
        libc::CLONE_NEWUTS,
        libc::CLONE_NEWIPC,
        libc::CLONE_NEWUSER,
        libc::CLONE_NEWPID,
        libc::CLONE_NEWNET,
        libc::CLONE_NEWCGROUP,
    ];
    let namespaces = namespaces.map(|flag| u64::from(flag.unsigned_abs()));
    rules.insert(
        libc::SYS_clone,
        namespaces
            .into_iter()
            .map(|flag| when([masked(0, flag, flag)]))
            .collect::<Outcome<_>>()?,
    );
    let devices = |argument| -> Outcome<Vec<SeccompRule>> {
        let kinds = [libc::S_IFCHR, libc::S_IFBLK].map(u64::from);
        kinds
            .into_iter()
            .map(|kind| when([masked(argument, u64::from(libc::S_IFMT), kind)]))
            .collect()
    };
    #[cfg(target_arch = "x86_64")]
    rules.insert(libc::SYS_mknod, devices(1)?);
    rules.insert(libc::SYS_mknodat, devices(2)?);
    // Limits of another process.
    rules.insert(
        libc::SYS_prlimit64,
        vec![when([differs(0, 0), pointer(2)])?],
    );

    let mut controls = vec![libc::TIOCSTI, libc::TIOCLINUX];
    if metadata != Metadata::LeftToMounts {
        rules.extend(METADATA_BY_PATH.iter().map(|call| (*call, vec![])));
        // Without a path, the times are those of the descriptor.
        rules.insert(libc::SYS_utimensat, vec![when([pointer(1)])?]);
    }
    if metadata == Metadata::Refused {
        rules.extend(METADATA_BY_DESCRIPTOR.iter().map(|call| (*call, vec![])));
        rules.insert(libc::SYS_utimensat, vec![]);
        controls.extend(ATTRIBUTE_CONTROLS);
    }
    rules.insert(
        libc::SYS_ioctl,
        controls
            .into_iter()
            .map(|control| when([equals(1, control)]))
            .collect::<Outcome<_>>()?,
    );
    Ok(rules)
}

/// Sockets of the granted families and kinds, and pairs that lead nowhere else: one of datagrams could be pointed at
/// another socket when sending.
fn refuse_sockets(confinement: &Confinement) -> Outcome<Rules> {
    let mut rules = Rules::new();
    rules.insert(libc::SYS_socket, refuse_families(confinement)?);
    let safe = [libc::SOCK_STREAM, libc::SOCK_SEQPACKET].map(|kind| u64::from(kind.unsigned_abs()));
    let mut pair = vec![when([differs(0, u64::from(libc::AF_UNIX.unsigned_abs()))])?];
    if !confinement.unix_sockets {
        for kind in (0..=SOCKET_KIND).filter(|kind| !safe.contains(kind)) {
            pair.push(when([masked(1, SOCKET_KIND, kind)])?);
        }
    }
    rules.insert(libc::SYS_socketpair, pair);
    if let Network::Ports { listen, .. } = &confinement.network {
        // Data that travels with the opening of a connection opens it past Landlock.
        let early = u64::from(libc::MSG_FASTOPEN.unsigned_abs());
        for (call, flags) in [
            (libc::SYS_sendto, 3),
            (libc::SYS_sendmsg, 2),
            (libc::SYS_sendmmsg, 3),
        ] {
            rules.insert(call, vec![when([masked(flags, early, early)])?]);
        }
        // A socket that was bound to no port listens on one that the kernel chooses, which Landlock is not asked about.
        // A filter cannot tell it from a Unix socket.
        if listen.is_empty() && !confinement.unix_sockets {
            rules.insert(libc::SYS_listen, vec![]);
        }
    }
    Ok(rules)
}

/// When a socket is refused: for its family, and where that is held to ports, for its kind and protocol too. Landlock
/// knows TCP and nothing else of what streams (MPTCP, SCTP, SMC).
fn refuse_families(confinement: &Confinement) -> Outcome<Vec<SeccompRule>> {
    let number = |value: libc::c_int| u64::from(value.unsigned_abs());
    let internet = [libc::AF_INET, libc::AF_INET6];
    let mut families = Vec::new();
    if confinement.unix_sockets {
        families.push(libc::AF_UNIX);
    }
    // Kinds with the protocols of each.
    let mut kinds: Vec<(libc::c_int, [libc::c_int; 2])> = Vec::new();
    match &confinement.network {
        Network::None => {}
        Network::All => families.extend(internet.into_iter().chain([libc::AF_NETLINK])),
        Network::Ports { datagrams, .. } => {
            if confinement.network.is_held_to_ports() {
                kinds.push((libc::SOCK_STREAM, [0, libc::IPPROTO_TCP]));
            }
            if *datagrams {
                kinds.push((libc::SOCK_DGRAM, [0, libc::IPPROTO_UDP]));
            }
            if !kinds.is_empty() {
                families.extend(internet);
            }
        }
    }
    if families.is_empty() {
        return Ok(vec![]);
    }
    let mut refused = vec![when(
        families.iter().map(|family| differs(0, number(*family))),
    )?];
    if kinds.is_empty() {
        return Ok(refused);
    }
    for family in internet.map(number) {
        for kind in 0..=SOCKET_KIND {
            let this = || [equals(0, family), masked(1, SOCKET_KIND, kind)];
            match kinds.iter().find(|(allowed, _)| number(*allowed) == kind) {
                None => refused.push(when(this())?),
                Some((_, protocols)) => {
                    let others = protocols.map(|protocol| differs(2, number(protocol)));
                    refused.push(when(this().into_iter().chain(others))?);
                }
            }
        }
    }
    Ok(refused)
}

/// Refuses the numbers of the x32 table, which the kernel takes as the same architecture.
fn refuse_x32() -> BpfProgram {
    use seccompiler::sock_filter;
    const X32: u32 = 0x4000_0000;
    let code = |parts: u32| u16::try_from(parts).unwrap_or_default();
    let load_number = code(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS);
    let jump_if_at_least = code(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K);
    let answer = code(libc::BPF_RET | libc::BPF_K);
    vec![
        sock_filter {
            code: load_number,
            jt: 0,
            jf: 0,
            k: 0,
        },
        sock_filter {
            code: jump_if_at_least,
            jt: 0,
            jf: 1,
            k: X32,
        },
        sock_filter {
            code: answer,
            jt: 0,
            jf: 0,
            k: libc::SECCOMP_RET_ERRNO | libc::ENOSYS.unsigned_abs(),
        },
        sock_filter {
            code: answer,
            jt: 0,
            jf: 0,
            k: libc::SECCOMP_RET_ALLOW,
        },
    ]
}

/// A rule that holds when all its conditions do.
fn when(conditions: impl IntoIterator<Item = Outcome<SeccompCondition>>) -> Outcome<SeccompRule> {
    SeccompRule::new(conditions.into_iter().collect::<Outcome<_>>()?)
}

fn equals(argument: u8, value: u64) -> Outcome<SeccompCondition> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value)
}

fn differs(argument: u8, value: u64) -> Outcome<SeccompCondition> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, value)
}

fn masked(argument: u8, mask: u64, value: u64) -> Outcome<SeccompCondition> {
    SeccompCondition::new(
        argument,
        SeccompCmpArgLen::Dword,
        SeccompCmpOp::MaskedEq(mask),
        value,
    )
}

/// The argument points somewhere.
fn pointer(argument: u8) -> Outcome<SeccompCondition> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Qword, SeccompCmpOp::Ne, 0)
}
