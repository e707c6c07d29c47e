//! The parts of a task, driven by the scheduler through the real component.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sloth_policy::Policy;
use sloth_sandbox::{Session, Setup, never};
use sloth_workflow::scheduler::{Selection, Summary};
use sloth_workflow::{Clock, Event, Run};

use crate::world::{World, bundle, runtime, sandbox};

struct SystemClock(Instant);

impl Clock for SystemClock {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }

    async fn sleep_until(&self, moment: Duration) {
        tokio::time::sleep_until((self.0 + moment).into()).await;
    }
}

pub(crate) struct Told {
    summary: Summary,
    events: Vec<Event>,
}

impl Told {
    pub(crate) fn logged(&self) -> Vec<String> {
        let said = |event: &Event| match event {
            Event::Log { message, .. } => Some(message.raw().to_owned()),
            _ => None,
        };
        self.events.iter().filter_map(said).collect()
    }

    pub(crate) fn outcomes(&self) -> Vec<&'static str> {
        let outcomes = self.summary.outcomes.iter().flatten();
        outcomes.map(|outcome| outcome.word()).collect()
    }

    pub(crate) fn messages(&self) -> Vec<String> {
        let message = |event: &Event| match event {
            Event::StepFinished { message, .. } => Some(message.raw().to_owned()),
            _ => None,
        };
        self.events.iter().filter_map(message).collect()
    }
}

impl Told {
    /// The name of the task that ended before all others.
    pub(crate) fn finished_first(&self) -> String {
        let finished = |event: &Event| match event {
            Event::StepFinished { task, .. } => Some(task.raw().to_owned()),
            _ => None,
        };
        self.events.iter().find_map(finished).unwrap_or_default()
    }
}

/// Runs a whole file of one workflow, with files beside it.
pub(crate) fn run_with(world: &World, script: &str, carried: &[(&str, &str)]) -> Told {
    run_in(world, script, carried, None)
}

/// As [`run_with`], in a folder that the operator names.
pub(crate) fn run_in(
    world: &World,
    script: &str,
    carried: &[(&str, &str)],
    workdir: Option<String>,
) -> Told {
    let mut bundle = bundle(&script.replace("{}", &world.path("")));
    bundle.carried = carried
        .iter()
        .map(|(name, content)| ((*name).to_owned(), content.as_bytes().to_vec()))
        .collect::<BTreeMap<_, _>>();
    let bundle = Arc::new(bundle);
    runtime().block_on(async {
        let sandbox = sandbox(&world.policy);
        let plan = sandbox.plan(&bundle, never()).await;
        let plan = plan.map_err(|failure| failure.message).unwrap();
        let events = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&events);
        let workflow = plan.workflows[0].clone();
        let setup = Setup {
            bundle,
            stack: "test".into(),
            workflow: workflow.clone(),
            policy: Policy::parse(&world.policy, "policy.toml").unwrap(),
            own_files: Vec::new(),
            check: world.check,
            diff: false,
            workdir,
            sink: Arc::new(move |event| sink.lock().unwrap().push(event)),
            signature: None,
            witness: world.witness.clone(),
        };
        let session = Session::new(sandbox, setup).unwrap();
        let run = Run {
            workflow: &workflow,
            selection: &Selection::default(),
            executor: &session,
            clock: &SystemClock(Instant::now()),
            cancel: never(),
            emit: &|event, _| events.lock().unwrap().push(event),
            jitter: &|| 0.0,
        };
        let summary = run.finish().await;
        let events = std::mem::take(&mut *events.lock().unwrap());
        Told { summary, events }
    })
}

pub(crate) fn run(world: &World, tasks: &str) -> Told {
    run_with(
        world,
        &format!("workflow.define('w'):tasks({{ {tasks} }})"),
        &[],
    )
}

#[test]
fn both_orders_of_a_functions_parameters_work() {
    let told = run(
        &World::new(),
        "task('a'):command(function() return true, nil, { n = 1 } end),
         task('b'):depends_on('a'):params({ p = 'x' })
            :run_if(function(params, deps) return params.p == 'x' and deps.a.n == 1 end)
            :abort_if(function(this, params, deps) return this.name() ~= 'b' or deps.a.n ~= 1 end)
            :pre_hook(function(params, deps) log.info('pre', params.p, deps.a.n) end)
            :command(function(params, deps) return true, 'said', { n = deps.a.n + 1 } end)
            :post_hook(function(this, params, output) log.info('post', this.name(), output.n) end)
            :on_success(function(params, output) log.info('success', output.n, output.message) end)",
    );
    assert_eq!(told.outcomes(), ["ok", "ok"], "{:?}", told.messages());
    assert_eq!(told.logged(), ["pre x 1", "post b 2", "success 2 said"]);
}

#[test]
fn a_hook_after_a_lua_failure_has_the_same_instance_and_after_a_timeout_a_fresh_one() {
    let told = run_with(
        &World::new(),
        "local seen = 'nothing'
         workflow.define('w'):config({ on_failure = 'continue' }):tasks({
            task('a'):command(function() seen = 'a' error('broken') end)
                :on_failure(function(params, why) log.info(seen, why, 'it ' .. why, why.error, why:upper()) end),
            task('b'):timeout('300ms'):command(function() seen = 'b' while true do end end)
                :on_timeout(function() log.info(seen) end) })",
        &[],
    );
    assert_eq!(told.outcomes(), ["failed", "timed-out"]);
    assert_eq!(
        told.logged(),
        ["a broken it broken broken BROKEN", "nothing"]
    );
}

#[test]
fn a_retry_gets_a_fresh_instance_and_a_fresh_folder() {
    let told = run_with(
        &World::new(),
        "local tries = 0
         workflow.define('w'):tasks({ task('a'):retries({ n = 2, delay = '1ms' }):command(function(this)
            tries = tries + 1
            log.info(this.attempt(), tries, fs.exists('left'))
            fs.write('left', 'x')
            return this.attempt() == 3
         end) })",
        &[],
    );
    assert_eq!(told.outcomes(), ["changed"], "{:?}", told.messages());
    assert_eq!(told.logged(), ["1 1 false", "2 1 false", "3 1 false"]);
}

#[test]
fn parts_of_one_task_share_its_folder() {
    let told = run(
        &World::new(),
        "task('a'):pre_hook(function() fs.write('x', '1') end)
            :command(function() fs.append('x', '2') end)
            :post_hook(function() log.info(fs.read('x')) end)",
    );
    assert_eq!(told.logged(), ["12"]);
}

#[test]
fn a_condition_of_text_is_a_program_that_check_mode_asks_too() {
    let mut world =
        World::granting("process.run = ['test **', '/usr/bin/test **']\nfiles.read = ['{}/**']");
    world.check = true;
    world.write("there", "");
    let told = run(
        &world,
        "task('a'):run_if('test -e {}/there'):command(function() log.info('a') end),
         task('b'):run_if('test -e {}/not-there'):command(function() log.info('b') end)",
    );
    assert_eq!(told.outcomes(), ["ok", "skipped"], "{:?}", told.messages());
    assert_eq!(told.logged(), ["a"]);
}

#[test]
fn artifacts_travel_by_task_and_by_name_with_what_makes_them_programs() {
    let told = run(
        &World::new(),
        "task('build'):artifacts({ 'out/*', 'tool' }):command(function()
            fs.mkdir('out') fs.write('out/a', 'A') fs.write('out/b', 'B') fs.write('tool', '#!', { mode = '0755' })
            fs.write('left', 'behind') end),
         task('all'):consumes('build'):command(function()
            log.info(fs.read('out/a'), fs.read('out/b'), file_ops.stat('tool').mode, fs.exists('left')) end),
         task('one'):consumes('tool'):command(function() log.info(fs.exists('tool'), fs.exists('out')) end)",
    );
    assert_eq!(told.outcomes()[0], "changed", "{:?}", told.messages());
    let logged = told.logged();
    assert!(
        logged[0].starts_with("A B ") && logged[0].contains("755") && logged[0].ends_with("false"),
        "{logged:?}"
    );
    assert_eq!(logged[1], "true false");
}

#[test]
fn artifacts_in_a_granted_folder_need_its_grants_and_change_nothing_twice() {
    let world = World::granting("files.write = ['{}/in/**']\nfiles.read = ['{}/in/**']");
    let tasks = "task('build'):artifacts('a'):command(function() fs.write('a', 'A') end),
         task('put'):consumes('a'):workdir('{}/in'):command(function() end)";
    let told = run(&world, tasks);
    assert_eq!(
        told.outcomes(),
        ["changed", "changed"],
        "{:?}",
        told.messages()
    );
    assert_eq!(world.read("in/a"), "A");
    assert_eq!(run(&world, tasks).outcomes()[1], "ok");
    let told = run(&World::new(), tasks);
    assert_eq!(told.outcomes()[1], "denied");
}

#[test]
fn outputs_keep_what_they_are() {
    let told = run(
        &World::new(),
        "task('a'):command(function() return { i = 3, f = 3.0, l = { 1, 'two', { x = true } }, e = json.array(), b = '\\xff\\0' } end),
         task('b'):depends_on('a'):command(function(this, params, deps)
            local a = deps.a
            log.info(math.type(a.i), math.type(a.f), #a.l, a.l[3].x, #a.e, #a.b, json.encode(a.e)) end)",
    );
    assert_eq!(
        told.logged(),
        ["integer float 3 true 0 2 []"],
        "{:?}",
        told.messages()
    );
}

#[test]
fn the_stack_is_seen_by_later_tasks_and_ends_in_the_runs_outputs() {
    let told = run(
        &World::new(),
        "task('a'):command(function() stack.set_output('url', 'x') return true, nil, { n = 1 } end),
         task('b'):command(function() log.info(stack.get_name(), stack.get_output('url')) stack.set_output('list', { 1 }) end)",
    );
    assert_eq!(told.logged(), ["test x"]);
    assert_eq!(
        serde_json::to_string(&told.summary.outputs).unwrap(),
        r#"{"stack":{"list":[1],"url":"x"},"tasks":{"a":{"n":1}}}"#
    );
}

#[test]
fn a_workflows_own_hooks_make_and_clean_its_folder() {
    let world = World::granting(
        "files.write = ['{}/w', '{}/w/**']\nfiles.read = ['{}/w', '{}/w/**']\nfiles.delete = ['{}/w', '{}/w/**']",
    );
    let told = run_with(
        &world,
        "workflow.define('w', { workdir = '{}/w', create_workdir_before_run = true,
            clean_workdir_after_run = function(result) return result.success end,
            on_start = function() log.info('start') end,
            on_complete = function(success, results) log.info(success, results.a.outcome, results.a.outputs.n) end,
            tasks = { { name = 'a', command = function(this) return true, nil, { n = this.workdir.exists() and 1 or 0 } end } } })",
        &[],
    );
    assert_eq!(
        told.outcomes(),
        ["ok"],
        "{:?} {:?}",
        told.messages(),
        told.logged()
    );
    assert_eq!(told.logged(), ["start", "true ok 1"]);
    assert!(!std::path::Path::new(&world.path("w")).exists());
}

#[test]
fn files_import_others_of_their_folder_once() {
    let told = run_with(
        &World::new(),
        "local one, two = import('lib/one.sloth'), require('lib.one')
         local groups = import('old.sloth')
         workflow.define('w'):tasks({ task('a'):uses(groups.g.tasks[1]):params({ b = 2 })
            :post_hook(function(params) log.info(one == two, one.name, params.a, params.b, require('goroutine') == goroutine) end) })",
        &[
            ("lib/one.sloth", "log.info('never twice') return { name = import('lib/inner.lua') }"),
            ("lib/inner.lua", "return 'inner'"),
            ("old.sloth", "TaskDefinitions = { g = { tasks = { { name = 't', params = { a = 1, b = 1 }, command = function() log.info('ran') end } } } }"),
        ],
    );
    assert_eq!(
        told.logged(),
        ["ran", "true inner 1 2 true"],
        "{:?}",
        told.messages()
    );
}

#[test]
fn what_cannot_be_imported_says_why() {
    let refused = |script: &str| {
        let failure = World::plan(script).unwrap_err();
        format!(
            "{}: {}",
            failure
                .location
                .map(|at| at.raw().to_owned())
                .unwrap_or_default(),
            failure.message.raw()
        )
    };
    assert_eq!(
        refused("\nimport('none.sloth')"),
        "test.sloth:2: import: there is no file `none.sloth` beneath the workflow's folder"
    );
    assert!(refused("import('../x')").contains("leads out of the workflow's folder"));
    assert!(refused("import('/etc/passwd')").contains("not a path beneath"));
    assert!(refused("require('nothing')").contains("there is no module `nothing`"));
    let told = run(
        &World::new(),
        "task('a'):command(function() import('x.sloth') end)",
    );
    assert!(
        told.messages()[0].contains("only while the file is loaded"),
        "{:?}",
        told.messages()
    );
}

#[test]
fn in_check_mode_artifacts_are_carried_and_read_as_they_would_be() {
    let mut world = World::granting("files.write = ['{}/**']\nfiles.read = ['{}/**']");
    world.check = true;
    let told = run(
        &world,
        "task('build'):artifacts({ 'out/*', 'made-by-a-program' }):command(function() fs.mkdir('out') fs.write('out/a', 'A') end),
         task('use'):consumes('build'):workdir('{}/in'):command(function() log.info(fs.read('out/a')) end)",
    );
    assert_eq!(told.logged(), ["A"], "{:?}", told.messages());
    assert_eq!(std::fs::read_dir(world.path("")).unwrap().count(), 0);
}
