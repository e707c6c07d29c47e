//! A throw-away machine: the root with a layer over it, in namespaces of its own, and the program under test in it.

use std::path::PathBuf;
use std::process::Command;

use crate::program::Ended;

/// A layer over the root that is gone with it.
pub(super) struct Root {
    base: PathBuf,
    folder: tempfile::TempDir,
}

/// Mounts the layer in the folder `$1` over the root `$2`, and runs the shell lines `$3` in it.
const ENTER: &str = r#"
set -e
cd "$1"
# A layer cannot lie on another one, and a temporary folder may.
mount -t tmpfs tmpfs layer
mkdir layer/upper layer/work
cp -a made/. layer/upper/
mount -t overlay overlay -o "lowerdir=$2,upperdir=layer/upper,workdir=layer/work" machine
mount -t proc proc machine/proc
mount --rbind /dev machine/dev
cp "$4" machine/usr/bin/sloth-runner
mkdir -p machine/var/lib/sloth-runner
mount --bind "$5" machine/var/lib/sloth-runner
exec chroot machine /usr/bin/env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 \
    SLOTH_RUNNER_DATA_DIR=/var/lib/sloth-runner /bin/sh -eu -c "$3"
"#;

impl Root {
    pub(super) fn new() -> Self {
        let base =
            std::env::var_os("SLOTH_TEST_ROOT").expect("SLOTH_TEST_ROOT names a Debian root");
        let folder = tempfile::tempdir().unwrap();
        for name in ["layer", "machine", "made"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        Self {
            base: base.into(),
            folder,
        }
    }

    /// Puts a file into the machine.
    pub(super) fn write(&self, path: &str, content: &str) {
        let path = self
            .folder
            .path()
            .join("made")
            .join(path.trim_start_matches('/'));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    /// Carries a folder of Debian packages into the machine, at /srv/packages.
    pub(super) fn carry(&self, folder: &std::ffi::OsStr) {
        let into = self.folder.path().join("made/srv/packages");
        std::fs::create_dir_all(&into).unwrap();
        for entry in std::fs::read_dir(folder).unwrap() {
            let package = entry.unwrap().path();
            if package.extension().is_some_and(|ending| ending == "deb") {
                std::fs::copy(&package, into.join(package.file_name().unwrap())).unwrap();
            }
        }
    }

    /// A workflow of one task, at /root/NAME.sloth.
    pub(super) fn task(&self, name: &str, body: &str) {
        let script = format!(
            "workflow.define('w'):tasks({{ task('t'):timeout('60s'):command(function()\n{body}\nend):build() }})"
        );
        self.write(&format!("root/{name}.sloth"), &script);
    }

    pub(super) fn policy(&self, lines: &str) {
        self.write("root/policy.toml", &format!("version = 1\n{lines}"));
    }

    /// Runs lines of shell in the machine, as root.
    pub(super) fn run(&self, lines: &str) -> Ended {
        let data = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("hosts");
        std::fs::create_dir_all(&data).unwrap();
        let output = Command::new("unshare")
            .args([
                "--mount",
                "--pid",
                "--fork",
                "--kill-child",
                "--uts",
                "--ipc",
            ])
            .args(["/bin/sh", "-c", ENTER, "enter"])
            .arg(self.folder.path())
            .arg(&self.base)
            .arg(format!("{FUNCTIONS}\n{lines}"))
            .arg(env!("CARGO_BIN_EXE_sloth-runner"))
            .arg(data)
            .output()
            .unwrap();
        output.into()
    }
}

/// `sloth NAME [OPTION…]` runs a workflow and shows its events but for times.
const FUNCTIONS: &str = r"
sloth() {
    name=$1
    shift
    chmod -R go-w /root
    sloth-runner run s -f /root/$name.sloth --policy /root/policy.toml --yes --output json $* || echo exit $?
}
";
