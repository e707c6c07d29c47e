//! What calling a plugin costs: `cargo bench --bench plugins`. Budgets are medians.

#![expect(clippy::unwrap_used, reason = "a benchmark may fail")]

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use std::time::SystemTime;

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use sloth_policy::Policy;
use sloth_sandbox::measure::Loader;
use sloth_sandbox::plugin::shelf::Shelf;
use sloth_sandbox::{Node, Sandbox, Session, Setup, Witness, never};
use sloth_workflow::plan::Part;
use sloth_workflow::{Bundle, Executor, Outcome, Step, Subject, Value};
use tokio::runtime::Runtime;

fn main() {
    divan::main();
}

const PROBE: &[u8] = include_bytes!("../tests/plugins/probe.wasm");
const POLICY: &str = "version = 1\nplugins.call = ['probe']";
const CALLS: usize = 1000;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
});

static SANDBOX: LazyLock<Arc<Sandbox>> = LazyLock::new(|| {
    let node = Node::in_data_folder(&data(), "/proc/self/exe".into());
    let mut shelf = Shelf::open(&node.plugins).unwrap();
    shelf.put("probe", PROBE).unwrap();
    let policy = Policy::parse(POLICY, "policy.toml").unwrap();
    Arc::new(Sandbox::start(node, policy.limits(), 8).unwrap())
});

fn data() -> PathBuf {
    std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("plugin-data")
}

/// A run whose one task has this body.
fn session(body: &str) -> Session {
    let script = format!(
        "local probe = plugin('probe')\nlocal text = ('x'):rep(1 << 20)\nworkflow.define('w'):tasks({{ \
         task('t'):command(function() {body} return true end):build() }})"
    );
    let bundle = Arc::new(Bundle {
        name: "bench.sloth".into(),
        script: script.into(),
        carried: [].into(),
        values: Value::empty(),
        started: SystemTime::UNIX_EPOCH,
        seed: [0; 32],
    });
    let plan = RUNTIME.block_on(SANDBOX.plan(&bundle, never()));
    let plan = plan.map_err(|failure| failure.message).unwrap();
    let setup = Setup {
        bundle,
        stack: "bench".into(),
        workflow: plan.workflows[0].clone(),
        policy: Policy::parse(POLICY, "policy.toml").unwrap(),
        own_files: Vec::new(),
        check: false,
        diff: false,
        workdir: None,
        sink: Arc::new(|_| {}),
        signature: None,
        witness: Witness::default(),
    };
    Session::new(Arc::clone(&SANDBOX), setup).unwrap()
}

fn step(session: &Session) {
    let step = Step {
        subject: Subject::Task(0),
        part: Part::Command,
        attempt: 1,
        deps: Value::empty(),
        stack: Value::empty(),
        about: Value::empty(),
    };
    let finished = RUNTIME.block_on(async {
        let mut seat = session.seat(Subject::Task(0), Vec::new());
        session.execute(&mut seat, step, never()).await
    });
    assert_eq!(finished.outcome, Outcome::Ok, "{:?}", finished.message);
}

/// The floor of the others: a step that calls nothing.
#[divan::bench]
fn step_without_a_call(bencher: Bencher<'_, '_>) {
    let session = session("");
    step(&session);
    bencher.bench_local(|| step(&session));
}

/// Budget: 300 µs more than the step without a call.
#[divan::bench]
fn step_with_a_first_call(bencher: Bencher<'_, '_>) {
    let session = session("probe.nothing()");
    step(&session);
    bencher.bench_local(|| step(&session));
}

/// Budget: 20 µs a call. Items are calls.
#[divan::bench]
fn calls_that_are_warm(bencher: Bencher<'_, '_>) {
    let session = session(&format!("for _ = 1, {CALLS} do probe.nothing() end"));
    step(&session);
    bencher
        .counter(ItemsCount::new(CALLS))
        .bench_local(|| step(&session));
}

/// A MiB of text there and back.
#[divan::bench]
fn text_of_a_mebibyte(bencher: Bencher<'_, '_>) {
    let session = session("probe.text(text)");
    step(&session);
    bencher
        .counter(BytesCount::new(2_usize << 20))
        .bench_local(|| step(&session));
}

/// A MiB of bytes there and back, which cross one by one.
#[divan::bench]
fn bytes_of_a_mebibyte(bencher: Bencher<'_, '_>) {
    let session = session("probe.content(text)");
    step(&session);
    bencher
        .counter(BytesCount::new(2_usize << 20))
        .bench_local(|| step(&session));
}

/// Budget: 15 ms for a component of 10 MB that was compiled before.
#[divan::bench]
fn load_of_ten_megabytes_from_the_cache(bencher: Bencher<'_, '_>) {
    let mut text = String::from("(component (core module $m (func (export \"f\"))\n");
    for function in 0..13_000 {
        write!(text, "(func (param i32) (result i32) local.get 0").unwrap();
        for constant in 0..90 {
            write!(
                text,
                " i32.const {} i32.xor i32.const 3 i32.rotl",
                function * 7919 + constant
            )
            .unwrap();
        }
        text.push_str(")\n");
    }
    text.push_str(
        ") (core instance $i (instantiate $m)) (func (export \"f\") (canon lift (core func $i \"f\"))))",
    );
    let content = wat::parse_str(&text).unwrap();
    assert!(content.len() > 10_000_000, "{}", content.len());
    let loader = Loader::start(&data().join("cache"));
    loader.load(&content);
    bencher.bench_local(|| loader.load(&content));
}
