//! What a file says of its tasks: where they stand, in which order, and what their functions give.

use std::os::unix::fs::PermissionsExt;

use crate::parts::run;
use crate::world::World;

fn refused(script: &str) -> String {
    let failure = World::plan(script).unwrap_err();
    let place = failure.location.map(|at| at.raw().to_owned());
    format!("{}: {}", place.unwrap_or_default(), failure.message.raw())
}

#[test]
fn a_workflow_called_like_a_function_says_what_to_write() {
    assert_eq!(
        refused("\nworkflow('site')"),
        "test.sloth:2: workflow(\"site\"): a workflow is defined by name, as in workflow.define(\"site\")"
    );
    assert!(refused("workflow({ name = 'x' })").contains("workflow.define(…)"));
}

#[test]
fn tasks_of_the_oldest_form_stand_where_their_functions_do() {
    let plan = World::plan(
        "TaskDefinitions = {
            zoo = { tasks = {
              zebra = {
                command = function() end },
              ape = { depends_on = 'zebra',
                command = function() end },
              text = { command = 'true' },
            } },
            alone = { tasks = { { name = 'one', command = function() end } } },
         }",
    )
    .unwrap();
    let shown: Vec<String> = plan
        .workflows
        .iter()
        .flat_map(|workflow| &workflow.tasks)
        .map(|task| format!("{}:{}", task.name.raw(), task.line))
        .collect();
    // Without a function there is no line of its own: then it is that of the table, and the place the last.
    assert_eq!(shown[..2], ["zebra:4", "ape:6"], "{shown:?}");
    assert!(
        shown[2].starts_with("text:") && !shown[2].ends_with(":0"),
        "{shown:?}"
    );
    assert_eq!(shown[3], "one:9");
    let twice = refused(
        "TaskDefinitions = { g = { tasks = {
            { name = 'a', command = function() end },
            { name = 'a', command = function() end } } } }",
    );
    assert!(
        twice.starts_with("test.sloth:3: ") && twice.contains("first on line 2"),
        "{twice}"
    );
}

#[test]
fn a_table_in_the_messages_place_is_the_outputs() {
    let ran = World::new().run("return true, { n = 1 }");
    assert_eq!(
        (ran.ended().as_str(), ran.outputs().as_str()),
        ("ok: ", r#"{"n":1}"#)
    );
    let ran = World::new().run("return false, { n = 1 }");
    assert_eq!(ran.ended(), "failed: the task returned false");
    let ran = World::new().run("return true, { n = 1 }, { m = 2 }");
    assert!(
        ran.ended().contains("a table where its message stands"),
        "{}",
        ran.ended()
    );
    // What reads as text is a message.
    let ran = World::granting("process.run = ['echo *']").run("return true, exec.run('echo hi')");
    assert_eq!(ran.ended(), "changed: hi\\n");
}

#[test]
fn bytecode_has_no_way_in() {
    for body in [
        "return load(string.dump(function() end))",
        "return assert(load('\\27Lua', 'x', 'b'))",
        "return assert(load(function() return '\\27Lua' end))",
        "return debug.getinfo(1, 'f').func.x",
        "return debug.getinfo(print, 'f').func.x",
        "return debug.sethook or debug.getupvalue or debug.setmetatable or debug.getregistry or error('none')",
    ] {
        let ended = World::new().run(body).ended();
        assert!(ended.starts_with("failed: "), "{body}: {ended}");
    }
}

#[test]
fn texts_without_end_are_cut() {
    let ran =
        World::new().run("log.info(string.rep('x', 1 << 20)) error(string.rep('y', 1 << 20))");
    let logged = ran.logged(sloth_workflow::event::Level::Info);
    assert!(
        logged[0].len() < 70_000 && logged[0].ends_with("bytes cut)"),
        "{}",
        logged[0].len()
    );
    assert!(ran.finished.message.raw().len() < 70_000);
    let ran = World::new().run("return true, string.rep('z', 1 << 20)");
    assert!(ran.finished.message.raw().len() < 70_000);
}

#[test]
fn a_circuit_breaker_keeps_its_time_over_steps() {
    let told = run(
        &World::new(),
        "(function() breaker = function() return reliability.circuit_breaker('c', { max_failures = 1, timeout = '1s' }) end
            return task('a') end)():command(function() goroutine.sleep(1200) breaker():call(function() error('x') end) log.info(breaker():state()) end),
         task('b'):command(function() log.info(breaker():state()) goroutine.sleep(1100) log.info(breaker():state()) end)",
    );
    assert_eq!(
        told.logged(),
        ["open", "open", "half-open"],
        "{:?}",
        told.messages()
    );
}

#[test]
fn a_program_of_another_user_works_in_the_steps_own_folder() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let world = World::granting(
        "process.run = ['id -un', 'touch *', 'mkdir *']\nprocess.user = ['nobody']",
    );
    let ran = world.run(
        "fs.write('mine', 'x')
         local r = exec.run('touch made', { user = 'nobody' }) assert(r.success, r.message)
         assert(exec.run('mkdir folder', { user = 'nobody' }).success)
         assert(not exec.run('touch mine', { user = 'nobody' }).success)
         return { who = exec.run('id -un', { user = 'nobody' }).stdout, owner = fs.stat('made').owner, made = fs.exists('folder') }",
    );
    assert_eq!(
        ran.outputs(),
        r#"{"made":true,"owner":"nobody","who":"nobody\n"}"#
    );
    // A folder that the account may not enter stays closed to it.
    let world = World::granting(
        "process.run = ['id -un']\nprocess.user = ['nobody']\nfiles.read = ['{}/**']",
    );
    world.write("closed/x", "");
    let closed = std::fs::Permissions::from_mode(0o700);
    std::fs::set_permissions(world.path("closed"), closed).unwrap();
    let ended = world.run("local r = exec.run('id -un', { user = 'nobody', workdir = '{}/closed' }) return r.success, r.message").ended();
    assert!(ended.starts_with("failed: "), "{ended}");
}
