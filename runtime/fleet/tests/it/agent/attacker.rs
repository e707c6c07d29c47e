//! A master that was taken over: whoever has its database and its keys can say whatever the contract has words for, and
//! nothing is done that the agent's own policy does not grant.

use std::time::Duration;

use sloth_fleet::wire::content;
use sloth_fleet::wire::generated::{Artifact, Assign, CloseSeat, ForgetRun, downward};
use sloth_workflow::Outcome;
use tokio::net::TcpListener;

use super::master::until;
use super::world::{RUN, World, bundle};

const POLICY: &str = "[files]\nwrite = [\"{}/granted/*\"]\nread = [\"{}/granted/*\"]\n";

/// What an attacker would have an agent do.
const WISHES: [(&str, &str); 10] = [
    ("write", "fs.write('{}/outside', 'x')"),
    ("climb", "fs.write('{}/granted/../outside', 'x')"),
    ("read", "fs.read('/etc/shadow')"),
    ("run", "exec.run('touch {}/outside')"),
    ("shell", "exec.run('sh -c \"touch {}/outside\"')"),
    ("dial", "http.get('http://127.0.0.1:{port}/')"),
    ("environment", "os.getenv('HOME')"),
    ("secret", "secret.reveal('the-fleets')"),
    (
        "link",
        "(function() fs.symlink('{}', '{}/granted/up') return fs.write('{}/granted/up/outside', 'x') end)()",
    ),
    ("journal", "fs.write('{}/data/journal.db', 'x')"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_was_taken_over_gets_nothing_done_that_is_not_granted() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let tasks: Vec<String> = WISHES
        .iter()
        .map(|(name, wish)| {
            let wish = wish.replace("{port}", &port);
            format!("task('{name}'):command(function() local got, why = {wish} return got ~= nil and got ~= false, why end):build()")
        })
        .collect();
    let tasks = tasks.join(",");
    let world = World::of(
        &format!("workflow.define('w'):tasks({{ {tasks} }})"),
        POLICY,
    )
    .await;
    std::fs::create_dir(world.path("granted")).unwrap();
    let _agent = world.start().await;
    for (call, (name, _)) in (1..).zip(WISHES) {
        let index = u32::try_from(call - 1).unwrap();
        let mut assign = world.assign(call, index, name);
        // Whatever it says of the run, of who wants it and of what it is handed.
        assign.stack_name = "production".into();
        assign.attempt = 1_000;
        assign.secrets = [("the-fleets".to_owned(), b"a secret of the fleet".to_vec())].into();
        world.master.assign(assign).await;
        let (_, finished) = world.master.ended(call).await;
        assert!(
            matches!(finished.outcome, Outcome::Denied | Outcome::Failed),
            "{name}: {finished:?}"
        );
        // Others have their turn.
        let seat = CloseSeat {
            run: RUN.into(),
            seat: call,
        };
        world.master.send(downward::Kind::CloseSeat(seat)).await;
    }
    assert!(!world.path("outside").exists());
    let dialled = tokio::time::timeout(Duration::from_millis(100), listener.accept()).await;
    assert!(dialled.is_err(), "somebody was dialled");
    let told = format!("{:?}", world.master.told());
    assert!(
        !told.contains("a secret of the fleet") && !told.contains("root:"),
        "{told}"
    );
    // What is granted is done, so that the rest was not refused for another reason.
    let script = "workflow.define('w'):tasks({ task('a'):command(function() return fs.write('{}/granted/made', 'x') end):build() })";
    let script = script.replace("{}", world.folder.path().to_str().unwrap());
    let digest = world
        .master
        .content(content::encode(&bundle(&script), None).bytes);
    let mut assign = world.assign(99, 0, "a");
    assign.bundle = digest;
    assign.call.as_mut().unwrap().run = "another".into();
    world.master.assign(assign).await;
    assert_eq!(world.master.ended(99).await.1.outcome, Outcome::Changed);
}

const SCRIPT: &str = "workflow.define('w'):tasks({ task('a'):command(function()
    fs.append('{}/granted/effects', 'x') return true end):build() })";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbers_and_fences_that_were_heard_before_do_nothing_again() {
    let world = World::of(SCRIPT, POLICY).await;
    std::fs::create_dir(world.path("granted")).unwrap();
    let _agent = world.start().await;
    world.master.assign(world.assign(1, 0, "a")).await;
    world.master.ended(1).await;
    for fence in [0, 1, 1, 2, u64::MAX, 1, u64::MAX - 1, i64::MAX as u64] {
        let mut assign = world.assign(1, 0, "a");
        assign.call.as_mut().unwrap().fence = fence;
        world.master.assign(assign).await;
    }
    // One that is heard last tells that the others were.
    world.master.assign(world.assign(2, 0, "a")).await;
    world.master.ended(2).await;
    assert_eq!(world.read("granted/effects"), "xx", "one for each call");
}

/// Spoils an assignment.
type Spoil = fn(&mut Assign);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn huge_deep_and_endless_values_end_no_agent() {
    let world = World::of(SCRIPT, POLICY).await;
    std::fs::create_dir(world.path("granted")).unwrap();
    let working = world.start().await;
    let spoiled: [Spoil; 12] = [
        // A million arrays, one in the other.
        |a| a.deps = vec![0x81; 1 << 20],
        |a| a.stack = vec![0xa1; 1 << 20],
        // A map that says that it has 2^64 entries.
        |a| a.about = [vec![0xbb], vec![0xff; 8]].concat(),
        |a| {
            a.deps = [
                vec![0xa1, 0x61, b'k', 0x7a, 0xff, 0xff, 0xff, 0xff],
                vec![b'x'; 1024],
            ]
            .concat();
        },
        |a| a.task_name = "\u{1b}[2J".repeat(100_000),
        |a| a.part = "x".repeat(1 << 20),
        |a| a.call.as_mut().unwrap().run = "../../etc/passwd".into(),
        |a| a.call.as_mut().unwrap().run = "r".repeat(1 << 20),
        |a| a.call.as_mut().unwrap().call = u64::MAX,
        |a| {
            a.artifacts = vec![
                Artifact {
                    name: "a".into(),
                    digest: format!("sha256:{}", "0".repeat(64)),
                    size: u64::MAX,
                    executable: true,
                };
                10_000
            ];
        },
        |a| {
            a.secrets = (0..20_000)
                .map(|n| (format!("s{n}"), vec![b'x'; 64]))
                .collect();
        },
        |a| a.bundle = format!("sha256:{}", "../".repeat(22)),
    ];
    for (call, spoil) in (1..).zip(spoiled) {
        let mut assign = world.assign(call, 0, "a");
        assign.call.as_mut().unwrap().run = format!("run-{call}");
        spoil(&mut assign);
        world.master.assign(assign).await;
    }
    for run in ["", "../x", "\0", &"r".repeat(1 << 20)] {
        let forget = ForgetRun {
            run: run.to_owned(),
        };
        world.master.send(downward::Kind::ForgetRun(forget)).await;
    }
    world.master.assign(world.assign(77, 0, "a")).await;
    assert_eq!(world.master.ended(77).await.1.outcome, Outcome::Changed);
    until("nothing to run", || working.agent.status().running == 0).await;
    let effects = world.read("granted/effects");
    // Secrets that nobody asks for are no reason to do nothing, nor is a call of the highest number.
    assert!(effects.len() <= 3, "{effects}");
    assert!(working.agent.status().connected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_of_a_bundle_lie_nowhere_but_in_it_whatever_they_are_called() {
    let world = World::of(SCRIPT, POLICY).await;
    std::fs::create_dir(world.path("granted")).unwrap();
    let _agent = world.start().await;
    let absolute = world.path("outside").to_str().unwrap().to_owned();
    let names = [
        "../outside",
        "files/../../outside",
        absolute.as_str(),
        "files//x",
        "a/./b",
        "",
        "nul\0",
    ];
    let script = SCRIPT.replace("{}", world.folder.path().to_str().unwrap());
    for (call, name) in (1..).zip(names) {
        let mut hostile = bundle(&script);
        hostile.carried = [(name.to_owned(), b"x".to_vec())].into();
        let mut assign = world.assign(call, 0, "a");
        assign.bundle = world.master.content(content::encode(&hostile, None).bytes);
        assign.call.as_mut().unwrap().run = format!("run-{call}");
        world.master.assign(assign).await;
        let (reason, _) = world.master.declined(call).await;
        assert!(
            reason.contains("leads out of its folder"),
            "{name}: {reason}"
        );
    }
    assert!(!world.path("outside").exists());
    assert_eq!(world.read("granted/effects"), "");
}
