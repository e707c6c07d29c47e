//! Which step runs where, and tasks that fan out.

use proptest::prelude::*;
use sloth_workflow::placement::{Agent, Allowed, Placement};
use sloth_workflow::plan::{Delegate, Target};
use sloth_workflow::{Artifact, Outcome, Part, Selector, Subject, Task, Value, Workflow};

use crate::world::{
    Ran, Reply, World, after, depending, ends, json, rescuing, seconds, task, texts,
};

fn agents(names: &[&str]) -> Vec<Agent> {
    let agent = |name: &&str| Agent {
        name: (*name).to_owned(),
        labels: name
            .split_once('-')
            .map(|(role, _)| ("role".to_owned(), role.to_owned()))
            .into_iter()
            .collect(),
        facts: Value::empty(),
    };
    names.iter().map(agent).collect()
}

fn on(targets: &[&str], fans_out: bool) -> Delegate {
    let target = |text: &&str| {
        if text.contains(['=', '*']) {
            Target::Selector(Selector::parse(text).unwrap())
        } else {
            Target::Name((*text).into())
        }
    };
    Delegate {
        targets: targets.iter().map(target).collect(),
        fans_out,
    }
}

fn one(mut task: Task, target: &str) -> Task {
    task.delegate_to = Some(on(&[target], false));
    task
}

fn each(mut task: Task, targets: &[&str]) -> Task {
    task.delegate_to = Some(on(targets, true));
    task
}

fn allowed(names: &[&str], selector: &str) -> Allowed {
    Allowed {
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        selector: (!selector.is_empty()).then(|| Selector::parse(selector).unwrap()),
        ..Allowed::default()
    }
}

fn workflow(tasks: Vec<Task>) -> Workflow {
    Workflow::named("w", 1, tasks).unwrap()
}

const FLEET: [&str; 4] = ["db-1", "web-1", "web-2", "web-3"];

fn place(workflow: &Workflow, allowed: &Allowed) -> Result<Vec<(String, Vec<String>)>, String> {
    let placement = Placement::choose(workflow, allowed, &agents(&FLEET));
    let placement = placement.map_err(|refusal| refusal.to_string())?;
    assert_eq!(
        Placement::from_value(&placement.to_value()),
        Some(placement.clone())
    );
    let pipelines = placement.pipelines(workflow).unwrap();
    let steps = |workflow: &Workflow| {
        let step = |task: &Task| format!("{}@{}", task.name.raw(), task.target.as_ref().unwrap());
        workflow.tasks.iter().map(step).collect()
    };
    Ok(pipelines
        .iter()
        .map(|pipeline| (pipeline.target.clone(), steps(&pipeline.workflow)))
        .collect())
}

fn refusal(workflow: &Workflow, allowed: &Allowed) -> (String, bool) {
    let refusal = Placement::choose(workflow, allowed, &agents(&FLEET)).unwrap_err();
    (refusal.to_string(), refusal.is_unknown())
}

#[test]
fn tasks_without_a_target_run_here_or_on_each_agent_that_is_named() {
    let workflow = workflow(vec![task("a"), depending("b", &["a"])]);
    assert_eq!(
        place(&workflow, &Allowed::here()).unwrap(),
        [("local".into(), vec!["a@local".into(), "b@local".into()])]
    );
    assert_eq!(
        place(&workflow, &allowed(&["web-1", "web-2", "web-1"], "")).unwrap(),
        [
            ("web-1".into(), vec!["a@web-1".into(), "b@web-1".into()]),
            ("web-2".into(), vec!["a@web-2".into(), "b@web-2".into()]),
        ]
    );
}

#[test]
fn a_name_is_one_step_and_a_selector_one_for_each_agent() {
    let tasks = vec![
        one(task("a"), "db-1"),
        each(task("b"), &["role=web", "web-1", "db-1"]),
        task("c"),
    ];
    assert_eq!(
        place(&workflow(tasks), &allowed(&["db-1"], "*")).unwrap(),
        [(
            "db-1".into(),
            [
                "a@db-1", "b@web-1", "b@web-2", "b@web-3", "b@db-1", "c@db-1"
            ]
            .map(String::from)
            .to_vec()
        )]
    );
}

#[test]
fn a_workflow_whose_tasks_all_have_targets_is_one_pipeline() {
    let workflow = workflow(vec![one(task("a"), "db-1"), one(task("b"), "web-1")]);
    let pipelines = place(&workflow, &allowed(&["web-1", "db-1"], "")).unwrap();
    assert_eq!(
        pipelines,
        [("web-1".into(), vec!["a@db-1".into(), "b@web-1".into()])]
    );
}

#[test]
fn a_workflows_own_targets_are_its_pipelines() {
    let mut workflow = workflow(vec![task("a"), one(task("b"), "db-1")]);
    workflow.delegate_to = Some(on(&["role=web"], true));
    let pipelines = place(&workflow, &allowed(&["db-1"], "role=web")).unwrap();
    let targets: Vec<_> = pipelines
        .iter()
        .map(|(target, _)| target.as_str())
        .collect();
    assert_eq!(targets, ["web-1", "web-2", "web-3"]);
    assert_eq!(pipelines[1].1, ["a@web-2", "b@db-1"]);
}

#[test]
fn every_target_outside_of_what_is_allowed_is_named_at_once() {
    let tasks = vec![
        one(task("a"), "db-1"),
        each(task("b"), &["web-*"]),
        one(task("c"), "local"),
        one(task("d"), "cache-9"),
    ];
    let (said, unknown) = refusal(&workflow(tasks), &allowed(&["web-2", "gone"], ""));
    assert!(!unknown);
    assert_eq!(
        said,
        "the workflow asks for targets that are not allowed:\n  \
         `db-1`, for task `a` on line 1\n  \
         `web-1` of `web-*`, for task `b` on line 1\n  \
         `web-3` of `web-*`, for task `b` on line 1\n  \
         `local`, for task `c` on line 1\n  \
         `cache-9`, for task `d` on line 1\n\
         to allow it: name them with --delegate-to, or allow them with --targets SELECTOR; \
         this machine takes part with --allow-local\n\
         there are no such agents:\n  `gone`, from --delegate-to\nsee sloth-runner agent list"
    );
}

#[test]
fn agents_that_are_not_there_are_unknown_and_not_outside() {
    let tasks = vec![one(task("a"), "web-9"), each(task("b"), &["role=cache"])];
    let (said, unknown) = refusal(&workflow(tasks), &allowed(&[], "role=web"));
    assert!(unknown);
    assert_eq!(
        said,
        "there are no such agents:\n  `web-9`, for task `a` on line 1\n  \
         `role=cache`, for task `b` on line 1\nsee sloth-runner agent list"
    );
}

#[test]
fn a_run_without_a_master_takes_no_target_but_this_machine() {
    let here = workflow(vec![one(task("a"), "local"), task("b")]);
    assert!(place(&here, &Allowed::here()).is_ok());
    for delegate in [
        on(&["web-1"], false),
        on(&["role=web"], true),
        on(&["local", "*"], true),
    ] {
        let mut there = workflow(vec![task("a")]);
        there.delegate_to = Some(delegate);
        let refused = Placement::choose(&there, &Allowed::here(), &[]).unwrap_err();
        assert!(!refused.is_unknown());
        assert!(refused.to_string().contains("for the workflow on line 1"));
    }
}

#[test]
fn this_machine_takes_part_in_a_delegated_run_only_if_that_is_allowed() {
    let workflow = workflow(vec![one(task("a"), "local"), task("b")]);
    let mut delegated = allowed(&["web-1"], "*");
    assert!(refusal(&workflow, &delegated).0.contains("--allow-local"));
    delegated.local = true;
    assert!(place(&workflow, &delegated).is_ok());
    assert!(place(&workflow, &allowed(&["web-1", "local"], "")).is_ok());
}

#[test]
fn a_placement_is_only_for_its_own_workflow_and_has_its_limits() {
    let two = workflow(vec![task("a"), task("b")]);
    let placement = Placement::choose(&two, &Allowed::here(), &[]).unwrap();
    assert!(placement.pipelines(&workflow(vec![task("a")])).is_err());
    assert_eq!(
        Placement::from_value(&json(r#"{"pipelines":[1],"tasks":[],"limit":0}"#)),
        None
    );
    assert_eq!(Placement::from_value(&Value::Null), None);
    let names: Vec<String> = (0..3000).map(|number| format!("a{number}")).collect();
    let many = Placement {
        pipelines: vec!["local".into()],
        tasks: vec![Some(names.clone()), Some(names)],
        limit: 0,
    };
    let chain = workflow(vec![task("a"), depending("b", &["a"])]);
    let refused = many.pipelines(&chain).unwrap_err().to_string();
    assert!(
        refused.starts_with("9000000 pairs of steps wait for each other"),
        "{refused}"
    );
}

/// Runs tasks on the fleet, with what each step gives.
fn run(tasks: Vec<Task>, limit: usize, reply: impl Fn(&str, &str) -> Reply + Sync) -> Ran {
    let mut allowed = allowed(&["db-1"], "*");
    allowed.limit = limit;
    let declared = workflow(tasks);
    let placement = Placement::choose(&declared, &allowed, &agents(&FLEET)).unwrap();
    let placed = placement.pipelines(&declared).unwrap().remove(0).workflow;
    let tasks = placed.tasks.clone();
    let mut world = World::of(vec![task("a")], |step| match step.subject {
        Subject::Workflow => after(0, Outcome::Ok),
        Subject::Task(index) => {
            let target = tasks[index].target.as_deref().unwrap_or_default();
            reply(tasks[index].name.raw(), target)
        }
    });
    world.workflow = placed;
    world.hooks(&[Part::OnComplete]).run()
}

fn gives(target: &str) -> Reply {
    let mut reply = ends(Outcome::Ok);
    reply.finished.outputs = json(&format!(r#"{{"at":"{target}"}}"#));
    reply
}

#[test]
fn what_depends_on_a_task_that_fans_out_waits_for_all_and_sees_each() {
    let tasks = vec![
        each(task("build"), &["web-*"]),
        each(depending("check", &["build"]), &["db-1"]),
        depending("ship", &["build", "check"]),
    ];
    let ran = run(tasks, 0, |_, target| gives(target));
    assert_eq!(ran.took, seconds(3));
    let ship = ran
        .calls
        .iter()
        .find(|call| call.task() == Some(4))
        .unwrap();
    let deps = r#"{"build":{"web-1":{"at":"web-1"},"web-2":{"at":"web-2"},"web-3":{"at":"web-3"}},
                   "check":{"db-1":{"at":"db-1"}}}"#;
    assert_eq!(ship.step.deps, json(deps));
    let tasks = ran.summary.outputs.get("tasks").unwrap();
    assert_eq!(tasks.get("check"), Some(&json(r#"{"db-1":{"at":"db-1"}}"#)));
    assert_eq!(tasks.get("ship"), Some(&json(r#"{"at":"db-1"}"#)));
}

#[test]
fn a_limit_holds_for_the_copies_of_a_task() {
    let tasks = vec![each(task("build"), &["*"])];
    assert_eq!(
        run(tasks.clone(), 0, |_, target| gives(target)).took,
        seconds(1)
    );
    assert_eq!(
        run(tasks.clone(), 3, |_, target| gives(target)).took,
        seconds(2)
    );
    assert_eq!(run(tasks, 1, |_, target| gives(target)).took, seconds(4));
}

#[test]
fn one_failed_copy_fails_the_task_for_what_depends_on_it() {
    let tasks = vec![
        each(task("build"), &["web-*"]),
        depending("ship", &["build"]),
        rescuing("undo", &["build"]),
    ];
    let ran = run(tasks, 0, |name, target| match (name, target) {
        ("build", "web-2") => ends(Outcome::Failed),
        _ => gives(target),
    });
    assert_eq!(
        ran.finished(),
        [
            "build=ok",
            "build=failed",
            "ship=skipped it depends on `build`, which did not succeed on web-2",
            "build=ok",
            "undo=ok",
        ]
    );
    assert_eq!(ran.summary.counts.ok, 3);
    let complete = ran.calls.last().unwrap();
    let build = complete
        .step
        .about
        .get("results")
        .unwrap()
        .get("build")
        .unwrap();
    assert_eq!(build.get("outcome"), Some(&Value::Text("failed".into())));
    assert_eq!(build.get("success"), Some(&Value::Bool(false)));
    let agents = build.get("agents").unwrap();
    assert_eq!(
        agents.get("web-2").unwrap().get("success"),
        Some(&Value::Bool(false))
    );
    assert_eq!(
        agents.get("web-1").unwrap().get("outputs"),
        Some(&json(r#"{"at":"web-1"}"#))
    );
}

#[test]
fn the_files_of_each_copy_lie_in_a_folder_of_its_own() {
    let mut build = each(task("build"), &["web-1", "web-2"]);
    build.artifacts = texts(&["site.tar"]);
    let mut ship = task("ship");
    ship.consumes = texts(&["site.tar"]);
    let ran = run(vec![build, ship], 0, |name, target| {
        let mut reply = gives(target);
        if name == "build" {
            reply.finished.artifacts = vec![Artifact {
                name: "site.tar".into(),
                digest: "0".into(),
                size: 1,
                executable: false,
            }];
        }
        reply
    });
    let left = ran.seats.iter().flat_map(|(_, artifacts)| artifacts);
    let names: Vec<_> = left.map(|artifact| artifact.name.as_str()).collect();
    assert_eq!(names, ["web-1/site.tar", "web-2/site.tar"]);
}

/// For each task those it depends on, on how many agents it fans out (0 is not), and the copy that fails.
fn cases() -> impl Strategy<Value = Vec<(Vec<usize>, usize, Option<usize>)>> {
    prop::collection::vec(
        (
            prop::collection::vec(0_usize..8, 0..3),
            0_usize..5,
            prop::option::weighted(0.2, 0_usize..4),
        ),
        1..8,
    )
}

proptest! {
    #[test]
    fn a_task_that_fans_out_is_to_others_as_one_that_does_not(case in cases(), limit in 0_usize..4) {
        let name = |task: usize| format!("t{task}");
        let tasks: Vec<Task> = case.iter().enumerate().map(|(index, (on, agents, _))| {
            let on: Vec<String> = on.iter().filter(|on| **on < index).map(|on| name(*on)).collect();
            let on: Vec<&str> = on.iter().map(String::as_str).collect();
            let task = depending(&name(index), &on);
            if *agents == 0 { task } else { each(task, &FLEET[..*agents]) }
        }).collect();
        let fails = |index: usize, target: &str| {
            let (_, agents, failing) = &case[index];
            failing.is_some_and(|copy| *agents == 0 || FLEET[..*agents].get(copy) == Some(&target))
        };
        let mut declared = workflow(tasks.clone());
        declared.continue_on_failure = true;
        let mut world = World::of(tasks, |step| match step.subject {
            Subject::Task(index) => {
                let targets = if case[index].1 == 0 { &["db-1"][..] } else { &FLEET[..case[index].1] };
                let failed = targets.iter().any(|target| fails(index, target));
                ends(if failed { Outcome::Failed } else { Outcome::Ok })
            }
            Subject::Workflow => ends(Outcome::Ok),
        });
        world.workflow.continue_on_failure = true;
        let plain = world.run();

        let mut may = allowed(&["db-1"], "*");
        may.limit = limit;
        let placement = Placement::choose(&declared, &may, &agents(&FLEET)).unwrap();
        let placed = placement.pipelines(&declared).unwrap().remove(0).workflow;
        let copies = placed.tasks.clone();
        let mut world = World::of(vec![task("a")], |step| match step.subject {
            Subject::Task(index) => {
                let (number, target) = (copies[index].number, copies[index].target.as_deref());
                ends(if fails(number, target.unwrap()) { Outcome::Failed } else { Outcome::Ok })
            }
            Subject::Workflow => ends(Outcome::Ok),
        });
        world.workflow = placed;
        let ran = world.run();
        prop_assert_eq!(ran.finished().len(), copies.len());
        for (number, outcome) in plain.summary.outcomes.iter().enumerate() {
            let outcomes: Vec<_> = (0..copies.len())
                .filter(|copy| copies[*copy].number == number)
                .map(|copy| ran.summary.outcomes[copy].unwrap())
                .collect();
            prop_assert_eq!(outcomes.len(), case[number].1.max(1));
            // All copies are skipped together, or one fails where the task does.
            let failed = outcomes.contains(&Outcome::Failed);
            let whole = if failed { Outcome::Failed } else { outcomes[0] };
            prop_assert_eq!(Some(whole), *outcome);
            prop_assert!(outcomes.iter().all(|one| (*one == Outcome::Skipped) == (whole == Outcome::Skipped)));
        }
        for call in &ran.calls {
            let began = |call: &&crate::world::Call| call.task().map(|task| copies[task].number);
            for before in case[began(&call).unwrap()].0.iter().filter(|on| **on < began(&call).unwrap()) {
                prop_assert!(ran.calls.iter().filter(|call| began(call) == Some(*before)).all(|earlier| earlier.to <= call.from));
            }
            let beside = ran.calls.iter().filter(|other| other.from <= call.from && call.from < other.to);
            let beside: Vec<_> = beside.collect();
            // One task after the other, and of each no more copies than the limit.
            prop_assert!(beside.iter().all(|other| began(other) == began(&call)));
            prop_assert!(limit == 0 || beside.len() <= limit);
        }
    }

    #[test]
    fn no_text_makes_a_selector_panic_and_what_is_read_reads_again(text in "[a-z=!()*\" .\\\\]{0,40}|.{0,40}") {
        if let Ok(selector) = Selector::parse(&text) {
            let again = Selector::parse(selector.text()).unwrap();
            prop_assert_eq!(&again, &selector);
            let negated = Selector::parse(&format!("not ({text})")).unwrap();
            let look_up = |key: &str| (key == "a" || key == "name").then_some("web");
            prop_assert_eq!(negated.matches(&look_up), !selector.matches(&look_up));
        }
    }
}
