//! Real programs under real confinements. Needs Linux with Landlock ABI 3, `/bin/sh` and a C compiler.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::fs;
use std::future::Future;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::time::Duration;

use sloth_sandbox::confine::{
    self, Cause, Confinement, Ended, Error, Flow, How, SYSTEM_DEVICES, SYSTEM_READ,
    SYSTEM_READ_EXECUTE, SYSTEM_WRITE, Stream,
};
use tempfile::TempDir;
use tokio::time::Instant;

const EPERM: i32 = 1;
const EACCES: i32 = 13;
const ENOSYS: i32 = 38;
const HELPER: &str = env!("CARGO_BIN_EXE_confine");

/// A folder that the program may use, one that it may not, and what it may do.
struct Stage {
    inside: PathBuf,
    outside: PathBuf,
    confinement: Confinement,
    _folders: [TempDir; 2],
}

struct Done {
    ended: Ended,
    stdout: String,
    stderr: String,
}

/// The C program of attempts, compiled once.
static PROBE: LazyLock<(TempDir, PathBuf)> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let probe = folder.path().canonicalize().unwrap().join("probe");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/confine_probe.c");
    assert!(
        Command::new("cc")
            .arg("-o")
            .arg(&probe)
            .arg(source)
            .status()
            .unwrap()
            .success()
    );
    (folder, probe)
});

fn stage(argv: &[&str]) -> Stage {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [inside, outside] = [&folders[0], &folders[1]].map(|f| f.path().canonicalize().unwrap());
    let system = |lists: &[&[&str]]| lists.concat().iter().map(PathBuf::from).collect::<Vec<_>>();
    let mut read = system(&[SYSTEM_READ, SYSTEM_DEVICES]);
    read.push(inside.clone());
    let mut execute = system(&[SYSTEM_READ_EXECUTE]);
    execute.push(PROBE.1.clone());
    let mut write = system(&[SYSTEM_WRITE]);
    write.push(inside.clone());
    let confinement = Confinement {
        program: PathBuf::from(argv[0]),
        argv: argv.iter().map(ToString::to_string).collect(),
        env: vec![("PATH".to_owned(), std::env::var("PATH").unwrap())],
        workdir: inside.clone(),
        read,
        execute,
        write,
        delete: vec![inside.clone()],
        network: false,
        unix_sockets: false,
        unconfined: false,
        processes: 32,
        open_files: 256,
        cpu_seconds: 60,
        user: None,
        grace: Duration::from_millis(500),
    };
    Stage {
        inside,
        outside,
        confinement,
        _folders: folders,
    }
}

fn shell(script: &str) -> Stage {
    stage(&["/bin/sh", "-c", script])
}

fn probe(words: &[&str]) -> Stage {
    stage(&[&[PROBE.1.to_str().unwrap()], words].concat())
}

impl Stage {
    async fn run(&self) -> Done {
        self.run_until(None, Duration::from_secs(30), std::future::pending())
            .await
            .unwrap()
    }

    async fn run_until(
        &self,
        stdin: Option<Vec<u8>>,
        deadline: Duration,
        cancel: impl Future<Output = ()>,
    ) -> Result<Done, Error> {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let output = |stream, bytes: &[u8]| {
            match stream {
                Stream::Stdout => stdout.extend_from_slice(bytes),
                Stream::Stderr => stderr.extend_from_slice(bytes),
            }
            Flow::Continue
        };
        let deadline = Instant::now() + deadline;
        let helper = Path::new(HELPER);
        let ended =
            confine::run(helper, &self.confinement, stdin, deadline, cancel, output).await?;
        let [stdout, stderr] = [stdout, stderr].map(|text| String::from_utf8_lossy(&text).into());
        Ok(Done {
            ended,
            stdout,
            stderr,
        })
    }

    async fn code(&self) -> i32 {
        let done = self.run().await;
        match done.ended.how {
            How::Exited(code) => code,
            How::Signalled(signal) => panic!("signal {signal}: {}", done.stderr),
        }
    }

    /// A word that no other test's processes carry.
    fn mark(&self) -> String {
        self.inside.display().to_string()
    }
}

/// How many processes of this machine carry a word among their arguments.
fn count_living(mark: &str) -> usize {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter_map(|entry| fs::read(entry.path().join("cmdline")).ok())
        .filter(|line| String::from_utf8_lossy(line).contains(mark))
        .count()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[tokio::test]
async fn a_granted_file_is_read_and_the_exit_code_comes_back() {
    let stage = shell("cat granted; exit 3");
    fs::write(stage.inside.join("granted"), "content").unwrap();
    let done = stage.run().await;
    assert_eq!(done.stdout, "content");
    assert_eq!(
        done.ended,
        Ended {
            how: How::Exited(3),
            cause: Cause::Itself
        }
    );
}

#[tokio::test]
async fn etc_shadow_and_the_environment_of_other_processes_are_unreadable() {
    for path in [
        "/etc/shadow",
        "/proc/1/environ",
        &format!("/proc/{}/environ", std::process::id()),
    ] {
        let done = shell(&format!("cat {path}")).run().await;
        assert_ne!(done.ended.how, How::Exited(0), "{path}");
        assert_eq!(done.stdout, "");
    }
}

#[tokio::test]
async fn files_are_made_changed_and_removed_inside() {
    let script = "echo a > a && mkdir b && mv a b/a && echo c >> b/a && ln -s x y && chmod 600 b/a \
                  && cp b/a d && rm d && cat b/a";
    let done = shell(script).run().await;
    assert_eq!((done.stdout.as_str(), done.stderr.as_str()), ("a\nc\n", ""));
}

#[tokio::test]
async fn nothing_is_made_changed_or_removed_outside() {
    let mut stage = shell("");
    let victim = stage.outside.join("victim");
    fs::write(&victim, "as it was").unwrap();
    let outside = stage.outside.display();
    stage.confinement.argv[2] = format!(
        "cat {outside}/victim; echo x > {outside}/victim; echo x > {outside}/new; rm {outside}/victim; \
         mv {outside}/victim .; ln {outside}/victim here; true"
    );
    let done = stage.run().await;
    assert_eq!(done.stdout, "");
    assert_eq!(fs::read_to_string(&victim).unwrap(), "as it was");
    assert_eq!(fs::read_dir(&stage.outside).unwrap().count(), 1);
    assert!(!stage.inside.join("here").exists());
}

#[tokio::test]
async fn a_tree_for_writing_alone_is_neither_read_nor_emptied() {
    let mut stage = shell("echo x > new; cat old; rm old; true");
    fs::write(stage.inside.join("old"), "old").unwrap();
    stage.confinement.read.pop();
    stage.confinement.delete.clear();
    assert_eq!(stage.run().await.stdout, "");
    assert!(stage.inside.join("old").exists() && stage.inside.join("new").exists());
}

#[tokio::test]
async fn a_link_that_an_earlier_program_left_in_the_lists_grants_nothing() {
    let mut stage = shell("cat link/secret");
    fs::write(stage.outside.join("secret"), "secret").unwrap();
    std::os::unix::fs::symlink(&stage.outside, stage.inside.join("link")).unwrap();
    stage.confinement.read.push(stage.inside.join("link"));
    assert_eq!(stage.run().await.stdout, "");
}

#[tokio::test]
async fn metadata_outside_does_not_change() {
    for verb in ["chmod", "chown", "touch", "attribute"] {
        let mut stage = probe(&[verb]);
        let victim = stage.outside.join("victim");
        fs::write(&victim, "").unwrap();
        fs::set_permissions(&victim, fs::Permissions::from_mode(0o600)).unwrap();
        stage.confinement.argv.push(victim.display().to_string());
        assert_ne!(stage.code().await, 0, "{verb}");
        assert_eq!(mode(&victim), 0o600);
    }
}

#[tokio::test]
async fn metadata_does_not_change_through_what_may_be_read() {
    let mut stage = probe(&["chmod-open"]);
    let victim = stage.outside.join("victim");
    fs::write(&victim, "").unwrap();
    fs::set_permissions(&victim, fs::Permissions::from_mode(0o600)).unwrap();
    stage.confinement.read.push(victim.clone());
    stage.confinement.argv.push(victim.display().to_string());
    assert!(![0, 99].contains(&stage.code().await));
    assert_eq!(mode(&victim), 0o600);
    assert_ne!(probe(&["chmod-stdin"]).code().await, 0);
}

#[tokio::test]
async fn no_family_of_sockets_is_there_unless_granted() {
    let (unix, inet, inet6, netlink, packet, vsock) = (1, 2, 10, 16, 17, 40);
    for family in [unix, inet, inet6, netlink, packet, vsock] {
        assert_eq!(
            probe(&["raw-socket", &family.to_string()]).code().await,
            EPERM,
            "{family}"
        );
    }
    let mut stage = probe(&["socket", "2"]);
    stage.confinement.network = true;
    assert_eq!(stage.code().await, 0);
    let mut stage = probe(&["socket", "1"]);
    stage.confinement.network = true;
    assert_eq!(stage.code().await, EPERM);
    stage.confinement.unix_sockets = true;
    assert_eq!(stage.code().await, 0);
    let mut stage = probe(&["raw-socket", "17"]);
    (stage.confinement.network, stage.confinement.unix_sockets) = (true, true);
    assert_eq!(stage.code().await, EPERM);
}

#[tokio::test]
async fn pairs_of_sockets_are_there_unless_they_could_be_pointed_elsewhere() {
    let (stream, datagram, sequenced) = ("1", "2", "5");
    assert_eq!(probe(&["pair", stream]).code().await, 0);
    assert_eq!(probe(&["pair", sequenced]).code().await, 0);
    assert_eq!(probe(&["pair", datagram]).code().await, EPERM);
}

#[tokio::test]
async fn ways_around_the_layers_are_refused() {
    for attempt in [
        "io_uring", "unshare", "clone", "device", "clock", "limit", "type",
    ] {
        assert!(
            [EPERM, EACCES].contains(&probe(&[attempt, "node"]).code().await),
            "{attempt}"
        );
    }
    assert_eq!(probe(&["mount", "."]).code().await, EPERM);
    assert_eq!(probe(&["clone3"]).code().await, ENOSYS);
    assert_eq!(probe(&["x32"]).code().await, ENOSYS);
}

#[tokio::test]
async fn neither_the_agent_nor_the_supervisor_can_be_signalled() {
    assert_ne!(
        probe(&["kill", &std::process::id().to_string()])
            .code()
            .await,
        0
    );
    assert_ne!(probe(&["kill-parent"]).code().await, 0);
}

#[tokio::test]
async fn a_program_that_ignores_the_request_is_gone_after_the_grace() {
    let mut stage = shell("trap '' TERM; echo ready; while :; do sleep 1; done");
    stage.confinement.argv.push(stage.mark());
    let start = Instant::now();
    let done = stage
        .run_until(None, Duration::from_millis(300), std::future::pending())
        .await
        .unwrap();
    assert_eq!(
        done.ended,
        Ended {
            how: How::Signalled(9),
            cause: Cause::TimedOut
        }
    );
    assert!(
        (800..3000).contains(&start.elapsed().as_millis()),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(count_living(&stage.mark()), 0);
}

#[tokio::test]
async fn a_program_that_obeys_ends_at_once_and_may_say_so() {
    let mut stage = shell("trap 'echo bye; exit 5' TERM; echo ready; while :; do sleep 0.05; done");
    stage.confinement.grace = Duration::from_secs(20);
    let soon = tokio::time::sleep(Duration::from_millis(300));
    let start = Instant::now();
    let done = stage
        .run_until(None, Duration::from_secs(30), soon)
        .await
        .unwrap();
    assert_eq!(
        done.ended,
        Ended {
            how: How::Exited(5),
            cause: Cause::Cancelled
        }
    );
    assert!(done.stdout.ends_with("bye\n"));
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_stopped_program_is_ended() {
    let stage = shell("kill -STOP $$");
    let done = stage
        .run_until(None, Duration::from_millis(300), std::future::pending())
        .await
        .unwrap();
    assert_eq!(
        done.ended,
        Ended {
            how: How::Signalled(15),
            cause: Cause::TimedOut
        }
    );
}

#[tokio::test]
async fn a_session_of_its_own_outlives_neither_the_program_nor_a_cancel() {
    for unconfined in [false, true] {
        let mut stage = probe(&["escape"]);
        stage.confinement.unconfined = unconfined;
        stage.confinement.argv.push(stage.mark());
        let done = stage.run().await;
        assert_eq!(
            done.ended,
            Ended {
                how: How::Exited(0),
                cause: Cause::Itself
            }
        );
        assert_eq!(count_living(&stage.mark()), 0);

        stage.confinement.argv.push("stay".to_owned());
        let soon = tokio::time::sleep(Duration::from_millis(400));
        let done = stage
            .run_until(None, Duration::from_secs(30), soon)
            .await
            .unwrap();
        assert_eq!(
            done.ended,
            Ended {
                how: How::Signalled(15),
                cause: Cause::Cancelled
            }
        );
        assert_eq!(count_living(&stage.mark()), 0);
    }
}

#[tokio::test]
async fn a_fork_bomb_is_limited() {
    let mut stage = probe(&["bomb"]);
    stage.confinement.argv.push(stage.mark());
    let start = Instant::now();
    let done = stage.run().await;
    assert_eq!(done.ended.cause, Cause::ProcessLimit);
    assert!(
        start.elapsed() < Duration::from_secs(10),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(count_living(&stage.mark()), 0);
}

#[tokio::test]
async fn a_flood_of_output_is_stopped() {
    let stage = shell("exec head -c 1000000000 /dev/zero");
    let mut total = 0;
    let output = |_, bytes: &[u8]| {
        total += bytes.len();
        if total > 1 << 20 {
            Flow::Stop
        } else {
            Flow::Continue
        }
    };
    let start = Instant::now();
    let far = start + Duration::from_secs(30);
    let never = std::future::pending();
    let ended = confine::run(
        Path::new(HELPER),
        &stage.confinement,
        None,
        far,
        never,
        output,
    )
    .await
    .unwrap();
    assert_eq!(ended.cause, Cause::OutputLimit);
    assert!(
        start.elapsed() < Duration::from_secs(2),
        "{:?}",
        start.elapsed()
    );
    assert!(total < 2 << 20);
}

#[tokio::test]
async fn a_program_that_closes_its_output_is_still_waited_for() {
    let done = shell("exec >&- 2>&-; sleep 0.3; exit 4").run().await;
    assert_eq!(done.ended.how, How::Exited(4));
}

#[tokio::test]
async fn dropping_the_future_leaves_nothing() {
    for unconfined in [false, true] {
        let mut stage = probe(&["escape"]);
        stage.confinement.unconfined = unconfined;
        stage
            .confinement
            .argv
            .extend([stage.mark(), "stay".to_owned()]);
        let run = stage.run_until(None, Duration::from_secs(30), std::future::pending());
        assert!(
            tokio::time::timeout(Duration::from_millis(400), run)
                .await
                .is_err()
        );
        expect_none_living(&stage.mark()).await;
    }
}

#[tokio::test]
async fn the_death_of_the_agent_leaves_nothing() {
    for unconfined in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let mark = folder.path().display().to_string();
        let mut agent = Command::new(HELPER);
        if unconfined {
            agent.env("UNCONFINED", "yes");
        }
        agent.args([
            "agent",
            "/bin/sh",
            "-c",
            "trap '' TERM; (sleep 600; sleep 600) & sleep 600; :",
            &mark,
        ]);
        let mut agent = agent.spawn().unwrap();
        // The agent, the shell and its copy of itself.
        let patience = Instant::now() + Duration::from_secs(5);
        while count_living(&mark) < 3 && Instant::now() < patience {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let count = count_living(&mark);
        agent.kill().unwrap();
        agent.wait().unwrap();
        assert!(count >= 3, "{count}");
        expect_none_living(&mark).await;
    }
}

async fn expect_none_living(mark: &str) {
    let patience = Instant::now() + Duration::from_secs(2);
    while count_living(mark) > 0 && Instant::now() < patience {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(count_living(mark), 0);
}

#[tokio::test]
async fn a_program_that_is_not_there_is_told_apart_from_one_that_fails() {
    let stage = stage(&["/usr/bin/there-is-no-such-program"]);
    let error = stage
        .run_until(None, Duration::from_secs(9), std::future::pending())
        .await;
    assert!(matches!(error, Err(Error::NotFound(path)) if path == stage.confinement.program));
}

#[tokio::test]
async fn a_file_that_is_not_executable_or_not_granted_is_refused() {
    let mut stage = stage(&["/etc/passwd"]);
    let error = stage
        .run_until(None, Duration::from_secs(9), std::future::pending())
        .await;
    assert!(matches!(error, Err(Error::NotExecutable { .. })));
    let written = stage.inside.join("written");
    fs::copy("/bin/sh", &written).unwrap();
    stage.confinement.program = written;
    let error = stage
        .run_until(None, Duration::from_secs(9), std::future::pending())
        .await;
    assert!(matches!(error, Err(Error::NotExecutable { .. })));
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_named() {
    let mut stage = shell("true");
    stage.confinement.workdir = stage.inside.join("missing");
    let error = stage
        .run_until(None, Duration::from_secs(9), std::future::pending())
        .await;
    assert!(matches!(error, Err(Error::Helper(text)) if text.contains("missing")));
}

#[tokio::test]
async fn a_nul_character_in_an_argument_is_an_error() {
    let stage = stage(&["/bin/echo", "a\0b"]);
    let error = stage
        .run_until(None, Duration::from_secs(9), std::future::pending())
        .await;
    assert!(matches!(error, Err(Error::Invalid(_))));
}

#[tokio::test]
async fn standard_input_arrives_whole() {
    let input: Vec<u8> = (0..3_000_000_u32)
        .map(|number| (number % 10) as u8 + b'0')
        .collect();
    let wanted = String::from_utf8(input.clone()).unwrap();
    let stage = shell("cat");
    let done = stage
        .run_until(Some(input), Duration::from_secs(9), std::future::pending())
        .await
        .unwrap();
    assert!(done.stdout == wanted);
}

#[tokio::test]
async fn standard_input_that_nobody_reads_blocks_nothing() {
    let stage = shell("exit 6");
    let input = vec![b'x'; 64 << 20];
    let done = stage
        .run_until(Some(input), Duration::from_secs(9), std::future::pending())
        .await
        .unwrap();
    assert_eq!(
        done.ended,
        Ended {
            how: How::Exited(6),
            cause: Cause::Itself
        }
    );
}

#[tokio::test]
async fn without_standard_input_there_is_its_end() {
    assert_eq!(shell("cat; echo end").run().await.stdout, "end\n");
}

#[tokio::test]
async fn the_environment_is_exactly_what_was_given() {
    let mut stage = stage(&["/usr/bin/env"]);
    if !stage.confinement.program.exists() {
        return;
    }
    stage.confinement.env = vec![("ONE".into(), "1".into()), ("TWO".into(), "a b=c\n".into())];
    assert_eq!(stage.run().await.stdout, "ONE=1\nTWO=a b=c\n\n");
}

#[tokio::test]
async fn the_program_holds_three_descriptors_and_no_ignored_signal() {
    assert_eq!(probe(&["descriptors"]).run().await.stdout, "0 1 2 ");
    // The C library keeps two signals above 31 for itself, and lets nobody change them.
    let ignored = probe(&["status", "SigIgn"]).run().await.stdout;
    assert!(
        ["00000000\n", "80000000\n"]
            .iter()
            .any(|end| ignored.ends_with(end)),
        "{ignored}"
    );
    assert_eq!(
        probe(&["status", "SigBlk"]).run().await.stdout,
        "SigBlk:\t0000000000000000\n"
    );
    assert_eq!(
        probe(&["status", "NoNewPrivs"]).run().await.stdout,
        "NoNewPrivs:\t1\n"
    );
}

#[tokio::test]
async fn the_status_cannot_be_forged() {
    let done = probe(&["forge"]).run().await;
    assert_eq!(
        done.ended,
        Ended {
            how: How::Exited(7),
            cause: Cause::Itself
        }
    );
    assert!(done.stdout.contains("Ended"));
}

#[tokio::test]
async fn another_account_is_taken_on_whole() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let mut stage = shell("id -u; id -g; id -G; echo x > new");
    stage.confinement.workdir = PathBuf::from("/");
    stage.confinement.user = Some(confine::Account {
        uid: 65534,
        gid: 65534,
        groups: vec![65533],
    });
    let done = stage.run().await;
    assert_eq!(done.stdout, "65534\n65534\n65534 65533\n");
    let mut stage = probe(&["status", "Cap"]);
    fs::set_permissions(stage.inside.join("."), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(PROBE.1.parent().unwrap(), fs::Permissions::from_mode(0o755)).unwrap();
    stage.confinement.user = Some(confine::Account {
        uid: 65534,
        gid: 65534,
        groups: vec![],
    });
    assert!(
        stage
            .run()
            .await
            .stdout
            .contains("CapEff:\t0000000000000000")
    );
}

#[tokio::test]
async fn processor_time_is_limited() {
    let mut stage = shell("while :; do :; done");
    stage.confinement.cpu_seconds = 1;
    let done = stage.run().await;
    assert_eq!(
        done.ended,
        Ended {
            how: How::Signalled(9),
            cause: Cause::Itself
        }
    );
}
