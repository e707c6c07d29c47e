//! `plugins`: components of others, called from Lua: what crosses, what they may do, and how they end.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sloth_sandbox::plugin::shelf::{self, Shelf};
use sloth_workflow::Outcome;
use sloth_workflow::event::Level;

use crate::trail::Kept;
use crate::verbs::{Again, Verb, stand};
use crate::world::{Ran, World};

const PROBE: &[u8] = include_bytes!("../plugins/probe.wasm");
const CALL: &str = "plugins.call = ['probe']\n";

/// A node with the probe, under a policy.
fn world(policy: &str) -> World {
    let mut world = World::granting(policy);
    world.node.plugins = world.path("plugins").into();
    add(&world.node.plugins, "probe", PROBE);
    world
}

fn add(folder: &Path, name: &str, content: &[u8]) {
    let mut shelf = Shelf::open(folder).unwrap();
    shelf.put(name, content).unwrap();
}

fn holds(body: &str) {
    let body = format!("local probe = plugin('probe')\n{body}");
    let ran = world(CALL).run(&body);
    assert!(ran.finished.outcome.succeeded(), "{}", ran.ended());
}

fn fails(policy: &str, body: &str, with: &str) -> Ran {
    let body = format!("local probe = plugin('probe')\n{body}");
    let ran = world(&format!("{CALL}{policy}")).run(&body);
    assert!(!ran.finished.outcome.succeeded(), "{body}");
    assert!(ran.ended().contains(with), "{with}: {}", ran.ended());
    ran
}

#[test]
fn every_function_stands() {
    let verb = |function, body| Verb {
        function,
        body,
        grants: "plugins.call = ['probe']",
        again: Again::Settled,
    };
    let verbs = [
        verb("describe", "return #plugin.signatures('probe') > 10"),
        verb("call", "return plugin('probe').text('x') == 'x'"),
    ];
    stand("plugins", &verbs, || world(""), |_| String::new());
}

#[test]
fn a_plugin_is_called_where_that_is_granted_and_nowhere_else() {
    let body = "return plugin('probe').text('hi') == 'hi'";
    assert!(world(CALL).run(body).finished.outcome.succeeded());
    for policy in [
        "",
        "plugins.call = ['other']",
        "plugins.call = ['*']\n[deny]\nplugins.call = ['pro*']",
    ] {
        let ran = world(policy).run(body);
        assert_eq!(ran.finished.outcome, Outcome::Denied, "{policy}");
        let denials = ran.denials();
        assert_eq!(denials[0].capability, "plugins.call");
        assert_eq!(denials[0].subject, "probe");
        if policy.is_empty() {
            let remedy = denials[0].remedy.as_deref();
            assert_eq!(remedy, Some("[plugins] call = [\"probe\"]"));
        }
    }
}

#[test]
fn every_type_goes_there_and_comes_back() {
    holds(
        r#"local given = {
            truth = true, small = -128, byte = 255, number = 1 << 62, float_one = 1.5, letter = "ä",
            text = "größe", content = "\0\xff", points = { { x = 1, y = -2 } }, pair = { "a", 7 },
            shape = { tag = "circle", value = 2.5 }, size = "very-large", maybe = "m",
            nested = { tag = "some", value = 3 }, outcome = { tag = "ok", value = 9 },
            rights = { read = true, ["run-all"] = true },
        }
        local back = probe.everything(given)
        assert(back.truth == true and back.small == -128 and back.byte == 255 and back.number == 1 << 62)
        assert(back.float_one == 1.5 and back.letter == "ä" and back.text == "größe" and back.content == "\0\xff")
        assert(#back.points == 1 and back.points[1].x == 1 and back.points[1].y == -2)
        assert(back.pair[1] == "a" and back.pair[2] == 7)
        assert(back.shape.tag == "circle" and back.shape.value == 2.5 and back.size == "very-large")
        assert(back.maybe == "m" and back.nested.tag == "some" and back.nested.value == 3)
        assert(back.outcome.tag == "ok" and back.outcome.value == 9)
        assert(back.rights.read and back.rights["run-all"] and not back.rights.write)"#,
    );
    holds(
        r#"local back = probe.echo.everything({
            truth = false, small = 0, byte = 0, number = 7.0, ["float-one"] = 0, letter = "x", text = "",
            content = { 1, 2 }, points = { }, pair = { "a" }, shape = "empty", size = "very_large",
            outcome = { tag = "err", value = "no" }, rights = { "write" },
        })
        assert(back.content == "\1\2" and #back.points == 0 and back.pair[2] == json.null)
        assert(back.shape == "empty" and back.maybe == nil and back.nested == nil)
        assert(back.outcome.tag == "err" and back.outcome.value == "no" and back.rights.write)
        assert(probe.nothing() == nil and probe.add_up({ 1, 2, 3 }) == 6 and probe["add-up"]({ }) == 0)"#,
    );
}

#[test]
fn what_does_not_fit_is_refused_with_its_place() {
    for (call, with) in [
        (
            "text(1)",
            "probe.text: value: expected string, got an integer",
        ),
        ("text()", "value: expected string, got nothing"),
        ("text('a', 'b')", "it takes 1 arguments, got 2"),
        ("number(-1)", "value: -1 does not fit u64"),
        ("number(1.5)", "value: expected u64, got a number"),
        (
            "number(math.maxinteger + 1.0 + math.maxinteger)",
            "does not fit u64",
        ),
        ("add_up({ 1, 'x' })", "numbers[2]: expected s64, got text"),
        (
            "fails('circl')",
            "how: unknown name `circl`; known: empty, circle, named, maybe",
        ),
        (
            "fails({ tag = 'circle', value = 'x' })",
            "how.circle: expected f64, got text",
        ),
        (
            "fails({ tag = 'empty', value = 1 })",
            "how: `empty` has no value",
        ),
        (
            "everything({ truth = true })",
            "value.small: expected s8, got nothing",
        ),
        (
            "text(function() end)",
            "argument 1: a function cannot be carried",
        ),
        ("frobnicate()", "unknown function `probe.frobnicate`"),
    ] {
        fails("", &format!("probe.{call}"), with);
    }
    // What Lua has no integer for comes back as an error, not as another number.
    fails(
        "",
        "probe.number(2^63)",
        "9223372036854775808 is larger than Lua's integers",
    );
}

#[test]
fn an_error_of_the_plugin_is_raised_with_its_value() {
    holds(
        r#"assert(probe.fails("empty") == "fine")
        local done, problem = pcall(probe.fails, { tag = "named", value = "why" })
        assert(not done and tostring(problem):find("probe.fails: named: why", 1, true), tostring(problem))
        assert(problem.value.tag == "named" and problem.value.value == "why")
        local done, problem = pcall(probe.fails, { tag = "maybe" })
        assert(not done and problem.value.tag == "maybe" and problem.value.value == nil)"#,
    );
    let ran = fails(
        "",
        "probe.fails({ tag = 'named', value = 'why' })",
        "probe.fails: named: why",
    );
    assert_eq!(ran.finished.outcome, Outcome::Failed);
}

#[test]
fn resources_are_handles_that_live_as_long_as_lua_holds_them() {
    holds(
        r#"local one, other = probe.counter.new(1), probe.store.counter.new(10)
        assert(one:next() == 2 and other:next() == 11 and probe.alive() == 2)
        assert(probe.counter.sum({ one, other }) == 13 and one:next() == 3)
        local both = probe.merge(one, other)
        assert(both:next() == 15 and probe.alive() == 1, probe.alive())
        local done, problem = pcall(one.next, one)
        assert(not done and tostring(problem):find("the resource is gone"), tostring(problem))
        local done, problem = pcall(probe.merge, both, both)
        assert(not done and tostring(problem):find("given away twice"), tostring(problem))
        assert(both:next() == 16)
        both = nil
        collectgarbage() collectgarbage()
        assert(probe.alive() == 0, probe.alive())
        local done, problem = pcall(probe.merge, 1, 2)
        assert(not done and tostring(problem):find("one: expected a resource, got an integer"), tostring(problem))"#,
    );
}

#[test]
fn more_handles_than_a_step_has_are_refused() {
    fails("", "probe.store.all(1000000)", "raise handles in [limits]");
    fails(
        "[limits]\nhandles = 16\n",
        "probe.store.all(17)",
        "raise handles in [limits]",
    );
}

#[test]
fn a_plugin_does_what_its_section_and_its_caller_both_grant() {
    let read = "local probe = plugin('probe')\nreturn probe.read('{}/secret.txt') == 'inside'";
    let both =
        format!("{CALL}files.read = ['{{}}/*']\n[plugin.probe]\nfiles.read = ['{{}}/*.txt']");
    for (policy, outcome, layer, remedy) in [
        (both.clone(), Outcome::Ok, "", ""),
        (
            format!("{CALL}files.read = ['{{}}/*']"),
            Outcome::Denied,
            "plugin",
            "[plugin.probe] files.read = [",
        ),
        (
            format!("{CALL}[plugin.probe]\nfiles.read = ['{{}}/*']"),
            Outcome::Denied,
            "policy",
            "[files] read = [",
        ),
        (
            format!("{both}\n[deny]\nfiles.read = ['{{}}/secret*']"),
            Outcome::Denied,
            "deny",
            "",
        ),
    ] {
        let world = world(&policy);
        world.write("secret.txt", "inside");
        let ran = world.run(read);
        assert_eq!(ran.finished.outcome, outcome, "{policy}: {}", ran.ended());
        if let Some(denial) = ran.denials().first() {
            assert_eq!(denial.layer.name(), layer, "{policy}");
            assert_eq!(denial.capability, "files.read");
            let said = denial.remedy.clone().unwrap_or_default();
            assert!(said.starts_with(remedy), "{said}");
            assert_eq!(said.is_empty(), remedy.is_empty());
        }
    }
}

#[test]
fn what_a_plugin_changes_is_told_with_its_name() {
    let policy = format!(
        "{CALL}files.write = ['{{}}/*']\nstate.write = ['*']\n[plugin.probe]\nfiles.write = ['{{}}/*']\nstate.write = ['*']"
    );
    let mut world = world(&policy);
    let body = "local probe = plugin('probe')\nprobe.say('a word')\nassert(probe.remember('k', 7))\nreturn \
                probe.write('{}/made', 'by a plugin')";
    world.check = true;
    let ran = world.run(body);
    assert_eq!(ran.finished.outcome, Outcome::Changed, "{}", ran.ended());
    assert!(!Path::new(&world.path("made")).exists());
    world.check = false;
    let kept = Arc::new(Kept::default());
    world.witness.audit = Some(kept.clone());
    let ran = world.run(body);
    assert_eq!(ran.finished.outcome, Outcome::Changed, "{}", ran.ended());
    assert_eq!(world.read("made"), "by a plugin");
    // On record it is the plugin's, and that it was called is the step's.
    let whose = |capability: &str| -> Vec<String> {
        let records = kept.records.lock().unwrap();
        let of = records
            .iter()
            .filter(|record| record.capability == capability);
        of.map(|record| record.origin.plugin.clone()).collect()
    };
    assert_eq!(whose("files.write"), ["probe", "probe"]);
    assert!(whose("plugins.call").iter().all(String::is_empty));
    assert!(!whose("plugins.call").is_empty());
    assert!(
        ran.changes()
            .iter()
            .all(|change| change.starts_with("probe: "))
    );
    assert_eq!(ran.changes().len(), 2);
    assert_eq!(ran.logged(Level::Info), ["probe: a word"]);
}

#[test]
fn a_trap_fails_the_call_and_neither_the_step_nor_what_is_called_next() {
    holds(
        r#"local one = probe.counter.new(1)
        for _, deed in ipairs({ "panic", "recurse", "grow" }) do
            local done, problem = pcall(probe[deed])
            assert(not done and tostring(problem):find("the plugin probe ended", 1, true), tostring(problem))
        end
        -- It begins anew, without what it held.
        assert(probe.alive() == 0)
        assert(probe.text("still here") == "still here")
        local done, problem = pcall(one.next, one)
        assert(not done and tostring(problem):find("the resource is gone"))"#,
    );
    fails("", "probe.panic()", "it panicked or aborted");
    fails("", "probe.recurse()", "the plugin probe ended");
    fails("", "probe.grow()", "raise memory in [plugin.probe]");
}

#[test]
fn a_plugin_that_never_ends_ends_with_its_step() {
    for body in ["probe.spin()", "probe.wait(60000)"] {
        let mut world = world(CALL);
        world.timeout = Duration::from_millis(400);
        let began = Instant::now();
        let ran = world.run(&format!(
            "local probe = plugin('probe')\npcall(function() {body} end)"
        ));
        assert_eq!(
            ran.finished.outcome,
            Outcome::TimedOut,
            "{body}: {}",
            ran.ended()
        );
        assert!(began.elapsed() < Duration::from_secs(10));
    }
}

#[test]
fn a_cancel_ends_a_plugin_in_the_midst_of_a_call() {
    let (canceller, cancel) = sloth_workflow::scheduler::cancel::pair();
    let mut world = world(CALL);
    world.cancel = cancel;
    let waiting = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        canceller.give();
    });
    let began = Instant::now();
    let ran = world.run("local probe = plugin('probe')\npcall(probe.wait, 60000)\nprobe.spin()");
    assert_eq!(ran.finished.outcome, Outcome::Cancelled, "{}", ran.ended());
    assert!(began.elapsed() < Duration::from_secs(10));
    waiting.join().unwrap();
}

#[test]
fn more_than_fits_comes_back_as_an_error() {
    fails("", "probe.flood(1 << 30)", "probe");
    holds("assert(#probe.text(('x'):rep(1 << 20)) == 1 << 20)");
    holds("assert(#probe.content(('x'):rep(1 << 20)) == 1 << 20)");
    fails(
        "",
        "probe.content(('x'):rep(5 << 20))",
        "value: more than 4 MiB of list<u8> in one call",
    );
}

#[test]
fn its_memory_is_what_its_section_says() {
    let body = "return #plugin('probe').flood(20 << 20) > 0";
    let small = world(&format!("{CALL}[plugin.probe]\nmemory = '8MiB'")).run(body);
    assert_eq!(small.finished.outcome, Outcome::Failed);
    assert!(
        small.ended().contains("it may use 8 MiB"),
        "{}",
        small.ended()
    );
}

#[test]
fn a_plugin_that_was_changed_or_is_pinned_to_another_is_refused() {
    let body = "return plugin('probe').text('x') == 'x'";
    let digest = shelf::digest(PROBE);
    let pinned = |digest: &str| world(&format!("{CALL}[plugin.probe]\nsha256 = '{digest}'"));
    assert!(pinned(&digest).run(body).finished.outcome.succeeded());
    let ran = pinned(&"0".repeat(64)).run(body);
    assert!(
        ran.ended()
            .contains("[plugin.probe] of the policy wants 0000"),
        "{}",
        ran.ended()
    );

    let changed = world(CALL);
    let mut content = PROBE.to_vec();
    content.push(0);
    std::fs::write(shelf::file(&changed.node.plugins, "probe"), content).unwrap();
    let ran = changed.run(body);
    assert!(ran.ended().contains("it was changed"), "{}", ran.ended());

    let dropped = world("plugins.call = ['*']");
    std::fs::write(shelf::file(&dropped.node.plugins, "other"), PROBE).unwrap();
    let ran = dropped.run("return plugin('other').text('x') == 'x'");
    assert!(
        ran.ended().contains("is not in plugins.lock"),
        "{}",
        ran.ended()
    );
}

#[test]
fn nothing_is_called_while_a_file_is_loaded() {
    let failure = World::plan("plugin('probe').text('x')").unwrap_err();
    assert!(
        failure.message.raw().contains("move this call into a task"),
        "{}",
        failure.message.raw()
    );
    let plan = World::plan(
        "local md, _ = plugin('markdown'), plugin('a-b')\nworkflow.define('w'):tasks({ task('t'):command(function() \
         return true end) })",
    );
    assert_eq!(plan.unwrap().plugins, ["a-b", "markdown"]);
    let failure = World::plan("plugin('../x')").unwrap_err();
    assert!(
        failure
            .message
            .raw()
            .contains("`../x` is no name of a plugin")
    );
}

#[test]
fn a_plugin_that_is_missing_is_said_to_be() {
    let body = "return plugin('probe').text('x') == 'x'";
    let mut world = World::granting(CALL);
    world.node.plugins = world.path("plugins").into();
    let ran = world.run(body);
    assert!(
        ran.ended().contains("sloth-runner plugin add"),
        "{}",
        ran.ended()
    );
}
