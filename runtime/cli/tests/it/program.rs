//! The program under test, in a home of its own.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Once;

/// A command line and the folder it is given for files.
pub(crate) struct Program {
    folder: tempfile::TempDir,
    /// A data folder of its own.
    data: Option<tempfile::TempDir>,
}

/// What came of it.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Program {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            data: None,
        }
    }

    /// The same with a data folder of its own, in which nothing is kept yet but the compiled guest.
    pub(crate) fn keeping() -> Self {
        static COMPILED: Once = Once::new();
        COMPILED.call_once(|| {
            let ended = Self::new().run(&["check", "examples/hello/workflow.sloth"]);
            assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        });
        let own = tempfile::tempdir().unwrap();
        let cache = own.path().join("cache");
        std::fs::create_dir(&cache).unwrap();
        for entry in std::fs::read_dir(data().join("cache")).unwrap().flatten() {
            // One that is thrown away meanwhile is not missed.
            let _ = std::fs::hard_link(entry.path(), cache.join(entry.file_name()));
        }
        Self {
            folder: tempfile::tempdir().unwrap(),
            data: Some(own),
        }
    }

    /// The data folder.
    pub(crate) fn data(&self) -> PathBuf {
        let own = self.data.as_ref();
        own.map_or_else(data, |own| own.path().canonicalize().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> String {
        let folder = self.folder.path().canonicalize().unwrap();
        let path = if name.is_empty() {
            folder
        } else {
            folder.join(name)
        };
        path.to_str().unwrap().to_owned()
    }

    /// Writes a file that only its owner can change; `{}` in it stands for the folder.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        use std::os::unix::fs::PermissionsExt;
        let path = self.path(name);
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        path
    }

    /// Writes a workflow with one task of this body.
    pub(crate) fn task(&self, body: &str) -> String {
        let script = format!(
            "workflow.define('w'):tasks({{ task('t'):command(function(this, params, deps)\n{}\nend)\
             :build() }})",
            body.replace("{}", &self.path(""))
        );
        self.write("w.sloth", script)
    }

    pub(crate) fn policy(&self, text: &str) -> String {
        self.write(
            "policy.toml",
            format!("version = 1\n{}", text.replace("{}", &self.path(""))),
        )
    }

    /// The command, with an empty home and a shared cache of the compiled guest.
    pub(crate) fn command<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sloth-runner"));
        command
            .args(arguments)
            .env_clear()
            .env("HOME", self.path(""))
            .env("SLOTH_RUNNER_DATA_DIR", self.data())
            .env("PATH", "/usr/bin:/bin")
            .current_dir(root())
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Ended {
        self.command(arguments).output().unwrap().into()
    }

    /// `run s -f w.sloth --yes` and more.
    pub(crate) fn run_file(&self, file: &str, more: &[&str]) -> Ended {
        let mut arguments = vec!["run", "s", "-f", file, "--yes"];
        arguments.extend(more);
        self.run(&arguments)
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Ended {
    /// Events of `--output json`.
    pub(crate) fn events(&self) -> Vec<serde_json::Value> {
        self.stdout
            .lines()
            .map(|line| serde_json::from_str(line).expect("a line of JSON"))
            .collect()
    }
}

/// The repository's folder.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

fn data() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("data")
}
