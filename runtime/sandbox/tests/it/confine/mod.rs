//! Real programs under real confinements. Needs Linux with Landlock ABI 3, `/bin/sh` and a C compiler.

mod ending;
mod hidden;
mod network;
mod reach;
mod starting;

use std::fs;
use std::future::Future;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::time::Duration;

use sloth_sandbox::confine::{
    self, Cause, Confinement, Ended, Error, Flow, How, Network, SYSTEM_DEVICES, SYSTEM_READ,
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
    /// What starts it.
    helper: PathBuf,
    _folders: [TempDir; 2],
}

struct Done {
    ended: Ended,
    stdout: String,
    stderr: String,
}

/// The C program of attempts, compiled once.
static PROBE: LazyLock<(TempDir, PathBuf)> = LazyLock::new(|| compile("confine_probe.c", &[]));

/// Compiles a C program of the tests. It lasts as long as its folder.
fn compile(source: &str, options: &[&str]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().canonicalize().unwrap().join("program");
    let source = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/it")
        .join(source);
    let compiled = Command::new("cc")
        .arg(format!("-DHELPER=\"{HELPER}\""))
        .args(options)
        .arg("-o")
        .arg(&program)
        .arg(source)
        .status();
    assert!(compiled.unwrap().success());
    (folder, program)
}

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
        scratch: None,
        read,
        execute,
        write,
        delete: vec![inside.clone()],
        network: Network::None,
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
        helper: PathBuf::from(HELPER),
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
        let ended = confine::run(
            &self.helper,
            &self.confinement,
            stdin,
            deadline,
            cancel,
            output,
        )
        .await?;
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
