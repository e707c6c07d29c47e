//! What the runs of a stack leave for those after them.

use sloth_workflow::Value;

use crate::world::World;

fn kept(world: &World) -> String {
    serde_json::to_string(&Value::Map(world.stacks.outputs("test").unwrap())).unwrap()
}

#[test]
fn a_later_run_reads_what_an_earlier_one_set() {
    let world = World::new();
    world.run(
        "stack.set_output('url', 'x') stack.set_output('ports', { 80 }) stack.set_output('old', 1)",
    );
    let ran = world.run(
        "assert(stack.get_id() == 'test' and stack.get_status() == 'running')
         stack.delete_output('old')
         return true, nil, { url = stack.get_output('url'), all = stack.get_outputs() }",
    );
    assert_eq!(
        ran.outputs(),
        r#"{"all":{"ports":[80],"url":"x"},"url":"x"}"#
    );
    assert_eq!(kept(&world), r#"{"ports":[80],"url":"x"}"#);
}

#[test]
fn what_a_failing_task_set_is_not_lost() {
    let world = World::new();
    for body in [
        "stack.set_output('made', 'i-123') error('then it broke')",
        "stack.set_output('also', 1) return false, 'no'",
        "stack.set_output('denied', true) fs.read('/etc/hostname')",
    ] {
        let ran = world.run(body);
        assert!(!ran.finished.outcome.succeeded(), "{body}");
    }
    assert_eq!(kept(&world), r#"{"also":1,"denied":true,"made":"i-123"}"#);
}

#[test]
fn check_mode_leaves_nothing() {
    let mut world = World::new();
    world.check = true;
    world.run("stack.set_output('url', 'x') stack.register_resource({ type = 'a', name = 'b', module = 'c' })");
    assert_eq!(kept(&world), "{}");
}

#[test]
fn resources_are_known_from_run_to_run() {
    let world = World::new();
    let register = "local how, r = stack.register_resource({ type = 'file', name = '/etc/motd', module = 'fs',
        properties = { mode = '0644', owner = values.color }, dependencies = { 'dir/etc' } })
        return true, nil, { how = how, id = r.id, stack = r.stack_id, state = r.state, sum = #r.checksum }";
    let told = |how: &str, state: &str| {
        format!(
            r#"{{"how":"{how}","id":"file//etc/motd","stack":"test","state":"{state}","sum":64}}"#
        )
    };
    assert_eq!(world.run(register).outputs(), told("created", "created"));
    assert_eq!(world.run(register).outputs(), told("unchanged", "created"));
    let other = register.replace("0644", "0600");
    assert_eq!(world.run(&other).outputs(), told("changed", "changed"));
    let ran = world.run(
        "assert(stack.resource_exists('file', '/etc/motd') and not stack.resource_exists('file', 'x'))
         assert(stack.update_resource('file', '/etc/motd', { state = 'failed', error = 'why' }))
         local r = stack.get_resource('file', '/etc/motd')
         assert(r.state == 'failed' and r.error == 'why' and r.properties.mode == '0600')
         assert(stack.get_resources()['file//etc/motd'].module == 'fs' and next(stack.get_outputs()) == nil)
         assert(stack.delete_resource('file', '/etc/motd') and stack.get_resource('file', '/etc/motd') == nil)",
    );
    assert_eq!(ran.ended(), "ok: ");
    assert_eq!(kept(&world), "{}");
}

#[test]
fn what_is_no_output_or_resource_is_refused() {
    let world = World::new();
    for (call, said) in [
        (
            "stack.set_output('resource:x', 1)",
            "are those of resources",
        ),
        ("stack.set_output('x')", "the value is missing"),
        (
            "stack.register_resource({ type = 'a', name = 'b' })",
            "the option `module` is missing",
        ),
        (
            "stack.register_resource({ type = 'a/b', name = 'b', module = 'c' })",
            "a type has no `/`",
        ),
        (
            "stack.update_resource('a', 'b', { state = 'x' })",
            "has no resource `a/b`",
        ),
        (
            "stack.register_resourc()",
            "did you mean `register_resource`?",
        ),
    ] {
        let ended = world.run(call).ended();
        assert!(ended.contains(said), "{call}: {ended}");
    }
}
