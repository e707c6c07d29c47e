//! What a step costs, beside its peers: `cargo bench -p sloth-sandbox`. Budgets are medians.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a benchmark may fail"
)]

use std::process::{Command, Stdio};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime};

use divan::Bencher;
use sloth_policy::Policy;
use sloth_sandbox::measure::{Host, Redaction};
use sloth_sandbox::{Node, Sandbox, Session, Setup, never};
use sloth_workflow::plan::Part;
use sloth_workflow::{Bundle, Executor, Outcome, Plan, Step, Subject, Value};
use tokio::runtime::Runtime;

fn main() {
    if std::env::args()
        .nth(1)
        .is_some_and(|argument| argument == "__confine")
    {
        sloth_sandbox::confine::helper_main();
        return;
    }
    divan::main();
}

const POLICY: &str = "version = 1\nfiles.read = ['/tmp/sloth-bench/**']";

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
});

static SANDBOX: LazyLock<Arc<Sandbox>> = LazyLock::new(|| {
    let data = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("data");
    let node = Node::in_data_folder(&data, "/proc/self/exe".into());
    let policy = Policy::parse(POLICY, "policy.toml").unwrap();
    std::fs::create_dir_all("/tmp/sloth-bench").unwrap();
    std::fs::write("/tmp/sloth-bench/file", vec![b'x'; 1024]).unwrap();
    Arc::new(Sandbox::start(node, policy.limits(), 8).unwrap())
});

struct Loaded {
    bundle: Arc<Bundle>,
    plan: Plan,
}

fn load(body: &str) -> Loaded {
    load_file(format!(
        "workflow.define('w'):tasks({{ task('t'):command(function() {body} end):build() }})"
    ))
}

/// So many no-op tasks, each after two earlier ones.
fn graph(tasks: u32) -> Loaded {
    load_file(format!(
        "local tasks = {{}}
         for i = 1, {tasks} do
           local one = task('t' .. i):command(function() return true end)
           if i > 10 then one:depends_on('t' .. (i - 10), 't' .. (i - 7)) end
           tasks[i] = one
         end
         workflow.define('w'):tasks(tasks)"
    ))
}

fn load_file(script: String) -> Loaded {
    let bundle = Arc::new(Bundle {
        name: "bench.sloth".into(),
        script: script.into(),
        carried: [].into(),
        values: Value::empty(),
        started: SystemTime::UNIX_EPOCH,
        seed: [0; 32],
    });
    let plan = RUNTIME
        .block_on(SANDBOX.plan(&bundle, never()))
        .map_err(|f| f.message)
        .unwrap();
    Loaded { bundle, plan }
}

fn setup(loaded: &Loaded) -> Setup {
    Setup {
        bundle: Arc::clone(&loaded.bundle),
        stack: "bench".into(),
        workflow: loaded.plan.workflows[0].clone(),
        policy: Policy::parse(POLICY, "policy.toml").unwrap(),
        own_files: Vec::new(),
        check: false,
        diff: false,
        workdir: None,
        sink: Arc::new(|_| {}),
        signature: None,
        witness: sloth_sandbox::Witness::default(),
    }
}

fn session(loaded: &Loaded) -> Session {
    Session::new(Arc::clone(&SANDBOX), setup(loaded)).unwrap()
}

fn step(session: &Session) -> Outcome {
    step_of(session, 0)
}

fn step_of(session: &Session, task: usize) -> Outcome {
    let step = Step {
        subject: Subject::Task(task),
        part: Part::Command,
        attempt: 1,
        deps: Value::empty(),
        stack: Value::empty(),
        about: Value::empty(),
    };
    let mut seat = session.seat(Subject::Task(task), Vec::new());
    RUNTIME
        .block_on(session.execute(&mut seat, step, never()))
        .outcome
}

/// Instance from the pool, file loaded, no-op step done: budget 100 µs.
#[divan::bench]
fn fresh_sandbox_and_no_op_step(bencher: Bencher<'_, '_>) {
    let loaded = load("return true");
    // A session is made once for a run, and keeps an instance for its next step.
    bencher
        .with_inputs(|| session(&loaded))
        .bench_values(|session| assert_eq!(step(&session), Outcome::Ok));
}

/// The same without the step's own folder on disk: what an instance and its load cost.
#[divan::bench]
fn fresh_sandbox_and_plan(bencher: Bencher<'_, '_>) {
    let loaded = load("return true");
    bencher.bench(|| {
        RUNTIME
            .block_on(SANDBOX.plan(&loaded.bundle, never()))
            .is_ok()
    });
}

#[divan::bench]
fn next_step_in_a_loaded_instance(bencher: Bencher<'_, '_>) {
    let session = session(&load("return true"));
    bencher.bench(|| assert_eq!(step(&session), Outcome::Ok));
}

/// Budget 1 s.
#[divan::bench(max_time = Duration::from_secs(3))]
fn plan_of_5000_tasks(bencher: Bencher<'_, '_>) {
    let loaded = graph(5000);
    bencher.bench(|| {
        let plan = RUNTIME.block_on(SANDBOX.plan(&loaded.bundle, never()));
        assert!(plan.is_ok());
    });
}

/// One step of a file of 10,000 tasks, in a loaded instance: budget 300 µs.
#[divan::bench]
fn next_step_in_a_file_of_10000_tasks(bencher: Bencher<'_, '_>) {
    let session = session(&graph(10_000));
    let mut task = 0;
    bencher.bench_local(|| {
        task = (task + 1) % 10_000;
        assert_eq!(step_of(&session, task), Outcome::Ok);
    });
}

/// 1,000 times; budget 3 µs each.
#[divan::bench]
fn pcall_error_1000(bencher: Bencher<'_, '_>) {
    let session = session(&load("for _ = 1, 1000 do pcall(error, 'x') end"));
    bencher.bench(|| assert_eq!(step(&session), Outcome::Ok));
}

/// 1,000 times; from Lua and back.
#[divan::bench]
fn denied_read_1000(bencher: Bencher<'_, '_>) {
    let session = session(&load(
        "for _ = 1, 1000 do pcall(fs.read, '/etc/shadow') end",
    ));
    bencher.bench(|| assert_eq!(step(&session), Outcome::Ok));
}

/// The host's side alone, permit to return: budget 2 µs.
#[divan::bench]
fn denied_read_host_side(bencher: Bencher<'_, '_>) {
    let mut host = Host::new(&SANDBOX, &setup(&load("return true"))).unwrap();
    bencher.bench_local(|| assert!(!host.read("/etc/shadow")));
}

/// The host's side alone, 1 KiB: budget twice `std::fs::read` and 10 µs.
#[divan::bench]
fn allowed_read_host_side(bencher: Bencher<'_, '_>) {
    let mut host = Host::new(&SANDBOX, &setup(&load("return true"))).unwrap();
    bencher.bench_local(|| assert!(host.read("/tmp/sloth-bench/file")));
}

/// 1,000 times 1 KiB; from Lua and back.
#[divan::bench]
fn allowed_read_1000(bencher: Bencher<'_, '_>) {
    let session = session(&load(
        "for _ = 1, 1000 do fs.read('/tmp/sloth-bench/file') end",
    ));
    bencher.bench(|| assert_eq!(step(&session), Outcome::Ok));
}

#[divan::bench]
fn peer_std_read_1000(bencher: Bencher<'_, '_>) {
    LazyLock::force(&SANDBOX);
    bencher.bench(|| {
        for _ in 0..1000 {
            divan::black_box(std::fs::read("/tmp/sloth-bench/file").unwrap());
        }
    });
}

/// 16 MiB of a program's output past three secrets, one of them a key: budget 250 ms.
#[divan::bench(max_time = Duration::from_secs(3))]
fn redact_16_mib(bencher: Bencher<'_, '_>) {
    let key = format!(
        "-----BEGIN KEY-----\n{}\n",
        "MC4CAQAwBQYDK2Vw\n".repeat(100)
    );
    let redaction = Redaction::of(&["correct-horse battery", "hunter2-hunter2", &key]).unwrap();
    let line = "2026-01-01T00:00:00Z INFO compiled one of many files in the usual time\n";
    let output = line.repeat((16 << 20) / line.len()).into_bytes();
    bencher.bench(|| assert_eq!(redaction.pass(&output, 64 << 10), output.len()));
}

fn peer(bencher: Bencher<'_, '_>, words: &[&str]) {
    let start = || {
        let mut command = Command::new(words[0]);
        command
            .args(&words[1..])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status()
    };
    // A peer that is not installed has nothing to be measured.
    if start().is_ok_and(|status| status.success()) {
        bencher.bench(|| start().is_ok());
    }
}

#[divan::bench(max_time = Duration::from_secs(2))]
fn peer_lua_as_a_process(bencher: Bencher<'_, '_>) {
    peer(bencher, &["lua5.4", "-e", "return true"]);
}

#[divan::bench(max_time = Duration::from_secs(2))]
fn peer_lua_in_bubblewrap(bencher: Bencher<'_, '_>) {
    let words = "bwrap --ro-bind / / --unshare-all --die-with-parent lua5.4 -e true_=1";
    peer(bencher, &words.split(' ').collect::<Vec<_>>());
}

/// The whole `run hello`, process start to exit: budget 12 ms. Needs `cargo build --release` first.
#[divan::bench(max_time = Duration::from_secs(3))]
fn run_hello_as_a_process(bencher: Bencher<'_, '_>) {
    let program = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("../release/sloth-runner");
    let hello = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../examples/hello/workflow.sloth"
    );
    let program = program.to_str().unwrap();
    let data = concat!(env!("CARGO_TARGET_TMPDIR"), "/hello");
    peer(
        bencher,
        &[
            program,
            "--data-dir",
            data,
            "run",
            "hello",
            "-f",
            hello,
            "--yes",
        ],
    );
}

/// A hundred tasks that each want a file as it is already.
const HUNDRED: &str = "local tasks = { }
    for i = 1, 100 do
      tasks[i] = task('file' .. i):command(function() return fs.write('/tmp/sloth-bench/files/' .. i, 'as it is') end)
    end
    workflow.define('files'):tasks(tasks)";

/// The whole `run` of a hundred file tasks that change nothing, process start to exit: budget 60 ms. Needs
/// `cargo build --release` first.
#[divan::bench(max_time = Duration::from_secs(3))]
fn run_100_idempotent_file_tasks_as_a_process(bencher: Bencher<'_, '_>) {
    let folder = std::path::Path::new("/tmp/sloth-bench/files");
    std::fs::create_dir_all(folder).unwrap();
    let [script, policy] =
        ["files.sloth", "files.toml"].map(|name| format!("/tmp/sloth-bench/{name}"));
    std::fs::write(&script, HUNDRED).unwrap();
    std::fs::write(
        &policy,
        "version = 1\nfiles.write = ['/tmp/sloth-bench/files/**']\n",
    )
    .unwrap();
    let program = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("../release/sloth-runner");
    let data = concat!(env!("CARGO_TARGET_TMPDIR"), "/hundred");
    let words = [
        program.to_str().unwrap(),
        "--data-dir",
        data,
        "run",
        "files",
        "-f",
        &script,
        "--policy",
        &policy,
        "--yes",
    ];
    // It is run once before it measures, which makes the files.
    peer(bencher, &words);
}

/// The same as a play of one task over a list, which is the quickest way to say it there.
const PLAY: &str = "- hosts: localhost
  connection: local
  gather_facts: false
  tasks:
  - copy: { dest: '/tmp/sloth-bench/ansible/{{ item }}', content: as it is }
    with_sequence: start=1 end=100
";

/// The same with Ansible, where it is installed.
#[divan::bench(max_time = Duration::from_secs(10), sample_count = 3)]
fn peer_ansible_100_idempotent_file_tasks(bencher: Bencher<'_, '_>) {
    let play = "/tmp/sloth-bench/files.yml";
    std::fs::create_dir_all("/tmp/sloth-bench/ansible").unwrap();
    std::fs::write(play, PLAY).unwrap();
    peer(bencher, &["ansible-playbook", "-i", "localhost,", play]);
}
