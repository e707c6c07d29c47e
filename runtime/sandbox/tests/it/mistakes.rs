//! What is wrong with a file: each mistake is told with its line and, where there is one, the nearest name.

use crate::parts::run;
use crate::world::World;

fn refused(script: &str) -> String {
    let failure = World::plan(script).expect_err(script);
    let place = failure.location.map(|at| at.raw().to_owned());
    format!("{}: {}", place.unwrap_or_default(), failure.message.raw())
}

#[test]
fn an_unknown_key_is_told_with_the_line_it_stands_on() {
    for (script, said) in [
        (
            "workflow.define('w', {\n tasks = {\n  { name = 'a', command = function() end },\n  { name = 'b',\n    retry = 3,\n    command = function()\n    end },\n } })",
            "test.sloth:5: unknown key `retry` of task `b`; did you mean `retries`?",
        ),
        (
            "workflow.define('w'):tasks({\n  {\n    name = 'b', command = 'true',\n    cwd = '/x' },\n})",
            "test.sloth:4: unknown key `cwd` of task `b`; did you mean `workdir`?",
        ),
        (
            "local t = task('b', {\n  ['tiemout'] = '5m',\n})",
            "test.sloth:2: unknown key `tiemout` of task `b`; did you mean `timeout`?",
        ),
        (
            "workflow.define('w', {\n  config = {\n    time = '5m',\n  },\n})",
            "test.sloth:3: config of workflow `w`: unknown key `time`; did you mean `timeout`?",
        ),
        (
            "workflow.define('w', {\n  descr = 'x',\n})",
            "test.sloth:2: unknown key `descr` of workflow `w`; did you mean `description`?",
        ),
        (
            "TaskDefinitions = {\n  one = { tasks = { a = { command = 'true' } } },\n  two = { tasks = {\n    b = { command = 'true',\n      needs = 'a' } } },\n}",
            "test.sloth:5: unknown key `needs` of task `b`; did you mean `depends_on`?",
        ),
        (
            "task('a')\n  :comand('true')",
            "test.sloth:2: unknown method `comand` of task; did you mean `command`?",
        ),
    ] {
        assert_eq!(refused(script), said);
    }
}

#[test]
fn a_wrong_value_of_the_oldest_form_has_a_line() {
    let said = refused(
        "TaskDefinitions = {\n  g = { tasks = {\n    a = { timeout = 'soon',\n      command = function() end } } } }",
    );
    assert!(
        said.starts_with("test.sloth:4: timeout of task `a`"),
        "{said}"
    );
    let said = refused("\nTaskDefinitions = {\n  g = { tasks = 'x' } }");
    assert!(
        said.starts_with("test.sloth:3: tasks of workflow `g`"),
        "{said}"
    );
}

#[test]
fn what_a_function_of_values_gives_or_raises_has_a_line() {
    let said = refused(
        "workflow.define('w'):tasks({\n  task('a'):command('true'):delegate_to(function() return true end) })\nlocal x",
    );
    assert!(said.starts_with("test.sloth:2: "), "{said}");
    let said = refused(
        "workflow.define('w'):tasks({\n  task('a'):command('true'):delegate_to(function()\n    return values.x.y end) })",
    );
    assert!(said.starts_with("test.sloth:3: "), "{said}");
}

#[test]
fn mistakes_in_the_graph_have_their_line_apart_from_their_message() {
    for (tasks, said) in [
        (
            "task('a'):command('true'),\ntask('b'):depends_on('aa'):command('true')",
            "test.sloth:3: task `b` depends on `aa`, which is not in this workflow; did you mean `a`?",
        ),
        (
            "task('a'):command('true'),\ntask('a'):command('true')",
            "test.sloth:3: task `a` is defined twice, first on line 2; give each its own name",
        ),
        (
            "task('a'):depends_on('a'):command('true')",
            "test.sloth:2: tasks depend on each other in a circle: a → a; remove one depends_on",
        ),
    ] {
        let script = format!("workflow.define('w'):tasks({{\n{tasks} }})");
        assert_eq!(refused(&script), said);
    }
    let said = refused(
        "\nworkflow.define('w'):capabilities({ file = { read = '/x' } }):tasks({ task('a'):command('true') })",
    );
    assert!(
        said.starts_with("test.sloth:2: in capabilities: unknown noun `file`"),
        "{said}"
    );
}

#[test]
fn a_task_declares_no_tasks() {
    for call in [
        "task('b')",
        "workflow.define('x')",
        "dofile('x.lua')",
        "require('x')",
    ] {
        let told = run(
            &World::new(),
            &format!("task('a'):command(function() {call} end)"),
        );
        assert!(
            told.messages()[0].contains("only while the file is loaded"),
            "{:?}",
            told.messages()
        );
    }
}

#[test]
fn requiring_what_comes_later_is_as_harmless_as_naming_it() {
    let loads = World::plan(
        "local docker, same = require('docker'), _G.docker
         workflow.define('w'):tasks({ task('a'):command(function() docker.ps() end) })",
    );
    assert!(loads.is_ok(), "{loads:?}");
    let ended = World::new()
        .run("local docker = require('docker') docker.ps()")
        .ended();
    assert!(ended.contains("`docker` is not available"), "{ended}");
}

#[test]
fn what_a_functions_parameters_are_called_tells_their_order() {
    let told = run(
        &World::new(),
        "task('a'):command(function() return true, nil, { n = 1 } end),
         task('b'):depends_on('a'):params({ p = 'x' })
            :run_if(function(t, settings) return t.name() == 'b' and settings.p == 'x' end)
            :abort_if(function(_, deps) return deps.a.n ~= 1 end)
            :pre_hook(function(self, d) log.info('pre', self.name(), d.a.n) end)
            :command(function(step, given) return true, step.name(), { p = given.p } end)
            :post_hook(function(p, x) log.info('post', p.p, x.p) end)
            :on_success(function(anything, output) log.info('success', anything.p, output.message) end),
         task('c'):command(function() return false, 'no' end):on_failure(function(t, why) log.info(t.task_name, why) end)",
    );
    assert_eq!(
        told.logged(),
        ["pre b 1", "post x x", "success x b", "c no"],
        "{:?}",
        told.messages()
    );
}

#[test]
fn a_local_of_the_clock_is_the_same_in_every_step() {
    let told = run_file(
        "local release = os.date('%Y%m%d%H%M%S') .. '-' .. math.random(1000000)
         local function say() log.info(release) end
         workflow.define('w'):tasks({
           task('a'):command(say), task('b'):capabilities({ }):command(say),
           task('c'):retries({ n = 1, delay = '1ms' }):command(function(this) say() return this.attempt() == 2 end) })",
    );
    assert_eq!(told.len(), 4);
    assert!(told.iter().all(|line| *line == told[0]), "{told:?}");
}

fn run_file(script: &str) -> Vec<String> {
    crate::parts::run_with(&World::new(), script, &[]).logged()
}

#[test]
fn a_long_output_of_a_program_is_cut_and_says_so() {
    let world = World::granting("process.run = ['head **']");
    let told = run(
        &world,
        "task('a'):command('head -c 70000 /dev/zero'),
         task('b'):depends_on('a'):command(function(this, params, deps)
           log.info(#deps.a.stdout, deps.a.truncated, deps.a.exit_code) end),
         task('c'):command('head -c 3 /dev/zero'),
         task('d'):depends_on('c'):command(function(this, params, deps)
           log.info(#deps.c.stdout, deps.c.truncated) end)",
    );
    assert_eq!(
        told.logged(),
        ["65536 true 0", "3 nil"],
        "{:?}",
        told.messages()
    );
}

#[test]
fn a_result_stands_for_what_it_printed() {
    let world = World::granting(
        "process.run = ['echo *', 'cat']\nfiles.write = ['{}/x']\nfiles.read = ['{}/x']",
    );
    let ended = world
        .run(
            r#"local out = exec.run("echo 42", { check = true })
            assert(#out == 3 and out .. "" == "42\n" and tostring(out) == "42\n")
            assert(strings.trim(out) == "42" and json.decode(out) == 42)
            assert(exec.run("cat", { stdin = out, check = true }).stdout == "42\n")
            fs.write("{}/x", out)
            assert(fs.read("{}/x") == "42\n")
            local ok, why = pcall(fs.write, "{}/x", { stdout = "no result" })
            assert(not ok and tostring(why):find("must be a string, not a table", 1, true))"#,
        )
        .ended();
    assert_eq!(ended, "changed: ");
}

#[test]
fn what_travels_is_looked_for_in_its_own_folder_first() {
    let world = World::granting("[files]\nread = ['{}/**']\nwrite = ['{}/**']");
    let told = crate::parts::run_with(
        &world,
        "workflow.define('w'):tasks({ task('a'):command(function()
           file_ops.copy({ src = 'motd', dest = '{}/a' })
           file_ops.copy({ src = './lib/motd', dest = '{}/b' })
           file_ops.template({ src = 'motd', dest = '{}/c' })
           file_ops.copy({ src = 'files/motd', dest = '{}/d' })
           log.info(fs.read('{}/a'), fs.read('{}/b'), fs.read('{}/c'), fs.read('{}/d'), template.render_file('motd'))
         end) })",
        &[
            ("motd", "beside"),
            ("files/motd", "in files"),
            ("templates/motd", "in templates"),
            ("lib/motd", "beneath"),
        ],
    );
    assert_eq!(
        told.logged(),
        ["in files beneath in templates in files in templates"],
        "{:?}",
        told.messages()
    );
    let ran = world.run("return file_ops.unarchive({ src = 'site.tar', dest = '{}/site' })");
    assert_eq!(world.read("site/x"), "y", "{}", ran.ended());
}

#[test]
fn the_folder_that_the_operator_names_is_made() {
    let world = World::granting("files.write = ['{}/w']");
    let told = crate::parts::run_in(
        &world,
        "workflow.define('w'):tasks({ task('a'):command(function(this) fs.ls('.') log.info(this.workdir.exists()) end) })",
        &[],
        Some(world.path("w")),
    );
    assert!(
        std::path::Path::new(&world.path("w")).is_dir(),
        "{:?}",
        told.messages()
    );
    let world = World::new();
    let script = "workflow.define('w'):tasks({ task('a'):command(function() end) })";
    let told = crate::parts::run_in(&world, script, &[], Some(world.path("w")));
    assert_eq!(told.outcomes(), ["denied"], "{:?}", told.messages());
    // One that stands needs nothing.
    let told = crate::parts::run_in(&world, script, &[], Some(world.path("")));
    assert_eq!(told.outcomes(), ["ok"], "{:?}", told.messages());
}
