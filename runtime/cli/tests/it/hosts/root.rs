//! A booted host: a container over a root that is never written to.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// How long a host may take to boot, and to power off.
const BOOT: Duration = Duration::from_mins(1);

/// A host with a systemd, a bus and the program under test. It ends with this value.
pub(crate) struct Host {
    /// The container's supervisor, which the test started.
    container: Child,
    /// The number of the host's first process, as this machine counts.
    first: u32,
    /// Where its files are, as this machine sees them.
    root: PathBuf,
    folder: Option<tempfile::TempDir>,
}

/// What came of a command on a host.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Host {
    /// Boots a host over the root at `SLOTH_TEST_ROOT`.
    pub(crate) fn boot() -> Self {
        let base = std::env::var("SLOTH_TEST_ROOT")
            .expect("SLOTH_TEST_ROOT names a Debian root; .ci/root makes one");
        let folder = tempfile::Builder::new()
            .prefix("sloth-host-")
            .tempdir()
            .unwrap();
        let root = folder.path().join("root");
        for name in ["disk", "root"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        // What changes lies in memory: an overlay over an overlay is not for every kernel.
        let disk = folder.path().join("disk");
        must(
            "mount",
            &["-t", "tmpfs", "-o", "size=1g", "sloth-host", text(&disk)],
        );
        for name in ["upper", "work"] {
            std::fs::create_dir(disk.join(name)).unwrap();
        }
        let options = format!(
            "lowerdir={base},upperdir={0}/upper,workdir={0}/work",
            disk.display()
        );
        must(
            "mount",
            &["-t", "overlay", "-o", &options, "overlay", text(&root)],
        );
        let program = root.join("usr/local/bin/sloth-runner");
        std::fs::copy(env!("CARGO_BIN_EXE_sloth-runner"), program).unwrap();
        let (container, first) = start(&root);
        let host = Self {
            container,
            first,
            root,
            folder: Some(folder),
        };
        host.wait_until_booted();
        host
    }

    /// Runs a program on the host.
    pub(crate) fn run(&self, command: &[&str]) -> Ended {
        let output = Command::new("nsenter")
            .args(["-a", "-t", &self.first.to_string(), "--"])
            .args(command)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin")
            .env("HOME", "/root")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        Ended::of(&output)
    }

    /// Runs a program that must succeed, and gives what it printed.
    #[track_caller]
    pub(crate) fn must(&self, command: &[&str]) -> String {
        let ended = self.run(command);
        assert_eq!(ended.code, Some(0), "{command:?}: {ended:?}");
        ended.stdout
    }

    /// Writes a file on the host.
    pub(crate) fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    pub(crate) fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.path(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    pub(crate) fn has(&self, path: &str) -> bool {
        self.path(path).symlink_metadata().is_ok()
    }

    /// Copies the packages of `SLOTH_TEST_PACKAGES` into a folder on the host.
    pub(crate) fn carry_packages(&self, into: &str) {
        let from = std::env::var("SLOTH_TEST_PACKAGES")
            .expect("SLOTH_TEST_PACKAGES names a folder of packages; .ci/root makes one");
        let into = self.path(into);
        std::fs::create_dir_all(&into).unwrap();
        for entry in std::fs::read_dir(from).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|ending| ending == "deb") {
                std::fs::copy(&path, into.join(path.file_name().unwrap())).unwrap();
            }
        }
    }

    /// Runs the body of a task on the host under a policy, with further arguments.
    pub(crate) fn task(&self, policy: &str, body: &str, arguments: &[&str]) -> Ended {
        let script = format!(
            "workflow.define('w'):tasks({{ task('t'):command(function(this, params, deps)\n{body}\nend)\
             :build() }})"
        );
        self.write("root/w.sloth", script);
        self.write("root/policy.toml", format!("version = 1\n{policy}"));
        let mut command = vec!["sloth-runner", "run", "test", "-f", "/root/w.sloth"];
        command.extend(["--policy", "/root/policy.toml", "--yes"]);
        command.extend(arguments);
        self.run(&command)
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    fn wait_until_booted(&self) {
        let deadline = Instant::now() + BOOT;
        loop {
            let state = self.run(&["systemctl", "is-system-running"]).stdout;
            if matches!(state.trim(), "running" | "degraded") {
                return;
            }
            assert!(Instant::now() < deadline, "the host is still {state}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Ended {
    fn of(output: &Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// All it printed.
    pub(crate) fn text(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // Its first process takes all others with it.
        drop(quiet("kill", &["-KILL", &self.first.to_string()]));
        let deadline = Instant::now() + Duration::from_secs(5);
        while matches!(self.container.try_wait(), Ok(None)) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(50));
        }
        drop(self.container.kill());
        drop(self.container.wait());
        drop(quiet("umount", &["-R", "-l", text(&self.root)]));
        let folder = self.folder.take().unwrap();
        drop(quiet("umount", &["-l", text(&folder.path().join("disk"))]));
    }
}

/// Starts the container and finds its first process.
fn start(root: &Path) -> (Child, u32) {
    let log = root.parent().unwrap().join("console");
    let console = std::fs::File::create(&log).unwrap();
    let mut container = Command::new("systemd-nspawn")
        .env("SYSTEMD_NSPAWN_UNIFIED_HIERARCHY", "1")
        .args([
            "-q",
            "-D",
            text(root),
            "--register=no",
            "--keep-unit",
            "--private-network",
        ])
        .args([
            "--capability=CAP_BPF,CAP_PERFMON",
            "--system-call-filter=bpf",
            "--console=read-only",
        ])
        .args([&format!("--machine=host{}", std::process::id()), "-b"])
        .stdin(Stdio::null())
        .stdout(console.try_clone().unwrap())
        .stderr(console)
        .spawn()
        .unwrap();
    let children = format!("/proc/{0}/task/{0}/children", container.id());
    let deadline = Instant::now() + BOOT;
    loop {
        let ended = container.try_wait().unwrap();
        let said = || std::fs::read_to_string(&log).unwrap_or_default();
        assert!(ended.is_none(), "the container ended: {}", said());
        let found = std::fs::read_to_string(&children).unwrap_or_default();
        let first = found.split_whitespace().find(|child| is_systemd(child));
        if let Some(first) = first {
            return (container, first.parse().unwrap());
        }
        assert!(
            Instant::now() < deadline,
            "the container does not boot: {}",
            said()
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn is_systemd(process: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{process}/comm"))
        .is_ok_and(|name| name.trim() == "systemd")
}

#[track_caller]
fn must(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {output:?}"
    );
}

fn quiet(program: &str, arguments: &[&str]) -> std::io::Result<Output> {
    Command::new(program).args(arguments).output()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
