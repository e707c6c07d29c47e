//! Learn mode: what is not granted is as if it were not there, and what is learned is exactly what was
//! tried.

use std::sync::Arc;

use sloth_policy::{Effective, Policy};
use sloth_sandbox::Learner;

use crate::world::World;

/// A world that learns under its grants, and its learner.
fn learning(grants: &str, observe: bool, check: bool) -> (World, Arc<Learner>) {
    let mut world = World::granting(grants);
    let learner = Arc::new(Learner::new(observe));
    world.witness.learner = Some(Arc::clone(&learner));
    world.check = check;
    (world, learner)
}

fn effective(policy: &str) -> Effective {
    let policy = Policy::parse(policy, "learned.toml").unwrap_or_else(|e| panic!("{e}\n{policy}"));
    Effective::new(&policy, "", &[], Vec::new())
}

/// All that was tried is allowed, and with any one line less something is not.
fn assert_exact(learner: &Learner) {
    let policy = learner.policy();
    let tried = learner.tried();
    let all = effective(&policy);
    for call in tried.iter() {
        assert!(call.is_allowed(&all), "{call:?} under\n{policy}");
    }
    let lines: Vec<&str> = policy.lines().collect();
    let mut entries = 0;
    for (index, line) in lines.iter().enumerate() {
        if !(line.starts_with("  ") || line.ends_with("= true")) {
            continue;
        }
        entries += 1;
        let mut fewer = lines.clone();
        fewer.remove(index);
        let fewer = effective(&fewer.join("\n"));
        assert!(
            tried.iter().any(|call| !call.is_allowed(&fewer)),
            "`{line}` is needless in\n{policy}"
        );
    }
    assert!(entries > 0, "{policy}");
    assert!(!policy.contains("**"), "{policy}");
}

const WORK: &str = "fs.mkdir('{}/new/deep', { parents = true })
    fs.write('{}/new/deep/x', 'a')
    fs.write('{}/odd [name]*?', 'b')
    fs.append('{}/new/deep/x', 'c')
    log.info(fs.read('{}/new/deep/x'))
    fs.glob('{}/new/*')
    exec.run({ 'echo', 'a b', '*', '-n' })
    exec.run('echo $HOME | cat')
    fs.write('in-scratch', 'd')
    fs.rm('{}/new/deep/x')";

#[test]
fn in_check_mode_a_run_goes_on_and_nothing_happens() {
    let (world, learner) = learning("", false, true);
    let ran = world.run(WORK);
    assert!(ran.finished.outcome.succeeded(), "{}", ran.ended());
    assert_eq!(ran.logged(sloth_workflow::event::Level::Info), ["ac"]);
    assert_eq!(std::fs::read_dir(world.path("")).unwrap().count(), 0);
    assert!(ran.denials().is_empty());
    assert_exact(&learner);
    let policy = learner.policy();
    assert!(
        !policy.contains("in-scratch") && !policy.contains("/step-"),
        "{policy}"
    );
    assert!(policy.contains("was not seen"), "{policy}");
}

#[test]
fn a_run_under_exactly_what_was_learned_passes_and_learns_the_same() {
    let (world, learner) = learning("", false, true);
    assert!(world.run(WORK).finished.outcome.succeeded());
    let mut again = world;
    again.witness.learner = None;
    again.check = false;
    again.policy = learner.policy();
    let ran = again.run(WORK);
    assert!(
        ran.denials().is_empty(),
        "{:?}\n{}",
        ran.denials(),
        again.policy
    );
    assert!(ran.finished.outcome.succeeded(), "{}", ran.ended());
    let relearned = Arc::new(Learner::new(false));
    again.witness.learner = Some(Arc::clone(&relearned));
    assert!(again.run(WORK).finished.outcome.succeeded());
    for call in relearned.tried().iter() {
        assert!(call.is_allowed(&effective(&again.policy)), "{call:?}");
    }
}

#[test]
fn what_is_not_granted_has_no_eyes() {
    for check in [false, true] {
        let (world, learner) = learning("", false, check);
        world.write("secret", "hidden");
        let ran = world.run(
            "local found, err = fs.read('{}/secret')
             return true, nil, { found = found, err = err, there = fs.exists('{}/secret'), hostname = (facts.get_hostname()) }",
        );
        let outputs = format!("{}{:?}", ran.ended(), ran.finished.outputs);
        assert!(!outputs.contains("hidden"), "{outputs}");
        assert!(!outputs.contains("\"there\": Boolean(true)"), "{outputs}");
        assert!(learner.policy().contains("/secret"), "{}", learner.policy());
    }
}

#[test]
fn to_observe_is_to_answer_reads_truly_and_still_to_change_nothing() {
    let (world, learner) = learning("", true, true);
    world.write("config", "old");
    let ran = world.run(
        "local text = fs.read('{}/config') fs.write('{}/config', text .. 'new') log.info(fs.read('{}/config'))",
    );
    assert_eq!(
        ran.logged(sloth_workflow::event::Level::Info),
        ["oldnew"],
        "{}",
        ran.ended()
    );
    assert_eq!(world.read("config"), "old");
    assert_exact(&learner);
}

#[test]
fn without_check_what_is_granted_happens_and_what_is_not_does_not() {
    let (world, learner) = learning("files.write = ['{}/granted']", false, false);
    let ran = world.run(
        "fs.write('{}/granted', 'x')
         local ok, err = fs.write('{}/other', 'x')
         local ran = exec.run('touch {}/third')
         return true, nil, { other = ok ~= nil, ran = ran.success }",
    );
    assert_eq!(ran.outputs(), r#"{"other":false,"ran":false}"#);
    assert_eq!(world.read("granted"), "x");
    assert_eq!(std::fs::read_dir(world.path("")).unwrap().count(), 1);
    assert_exact(&learner);
}

#[test]
fn a_deny_line_and_the_nodes_own_files_are_refused_while_learning_too() {
    let (world, learner) = learning("[deny]\nfiles.read = ['**/*.key']", true, true);
    world.write("a.key", "hidden");
    let ran = world.run("fs.read('{}/a.key')");
    assert!(ran.ended().starts_with("denied: "), "{}", ran.ended());
    assert!(!learner.policy().contains("a.key"));
}
