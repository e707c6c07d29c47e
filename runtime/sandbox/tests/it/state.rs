//! `state`: values that the node keeps under keys.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use sloth_sandbox::ports::Problem;
use sloth_sandbox::ports::state::{Entry, Plan, State, Write};
use sloth_workflow::{Value, cbor};

use crate::verbs::{Again, Verb, stand};
use crate::world::World;

const ALL: &str = "state.read = ['*']\nstate.write = ['*']";

fn put(world: &World, key: &str, value: &Value) {
    let value = cbor::encode(value);
    let entry = Entry {
        value,
        expires: None,
    };
    let mut plan = |_: Option<&Entry>| Some(Write::Put(entry.clone()));
    world.state.change(key, &mut plan).unwrap();
}

/// Everything that is kept.
fn kept(world: &World) -> String {
    let mut text = String::new();
    for key in world.state.keys().unwrap() {
        let entry = world.state.get(&key).unwrap().unwrap();
        let value = cbor::decode(&entry.value, cbor::Bounds::DATA).unwrap();
        let value = serde_json::to_string(&value).unwrap();
        writeln!(text, "{key}={value} {}", entry.expires.is_some()).unwrap();
    }
    text
}

fn world() -> World {
    let world = World::new();
    put(&world, "app/count", &Value::Integer(1));
    put(&world, "app/name", &Value::Text("x".into()));
    world
}

fn holds(world: &World, body: &str) {
    let ran = world.run(body);
    assert!(ran.finished.outcome.succeeded(), "{}", ran.ended());
}

#[test]
fn every_function_stands() {
    let write = "state.write = ['app/*']";
    let both = "state.read = ['app/*']\nstate.write = ['app/*']";
    let verb = |function, body, grants, again| Verb {
        function,
        body,
        grants,
        again,
    };
    let verbs = [
        verb(
            "get",
            "return state.get('app/name') == 'x'",
            "state.read = ['app/*']",
            Again::Settled,
        ),
        verb(
            "keys",
            "return #state.keys('app/*') == 2",
            "state.read = ['app/*']",
            Again::Settled,
        ),
        verb(
            "set",
            "return state.set('app/new', { 1, 2 })",
            write,
            Again::Settled,
        ),
        verb(
            "delete",
            "return state.delete('app/name')",
            write,
            Again::Settled,
        ),
        verb(
            "clear",
            "return state.clear('app/*')",
            write,
            Again::Settled,
        ),
        verb(
            "increment",
            "return state.increment('app/count', 2) ~= nil",
            both,
            Again::Acts,
        ),
        verb(
            "compare-and-swap",
            "state.compare_and_swap('app/name', 'x', 'y')",
            both,
            Again::Settled,
        ),
    ];
    stand("state", &verbs, world, kept);
}

#[test]
fn values_keep_their_types() {
    let world = World::granting(ALL);
    holds(
        &world,
        "for key, value in pairs({ whole = 3, part = 2.5, yes = true, no = false, text = 'é', bytes = '\\xff\\0',
           list = { 1, { 'x' } }, map = { a = { b = 1 } } }) do assert(state.set(key, value)) end",
    );
    holds(
        &world,
        "assert(math.type(state.get('whole')) == 'integer' and state.get('part') == 2.5)
         assert(state.get('yes') == true and state.get('no') == false and state.exists('no'))
         assert(state.get('no', true) == false and state.get('none', 7) == 7 and state.get('none') == nil)
         assert(state.get('text') == 'é' and state.get('bytes') == '\\xff\\0')
         assert(state.get('list')[2][1] == 'x' and state.get('map').a.b == 1)
         assert(table.concat(state.keys(), ' ') == 'bytes list map no part text whole yes')
         assert(#state.keys('?o') == 1 and not state.exists('none'))
         local again = state.set('map', { a = { b = 1 } })
         assert(again.changed == false and again.success)",
    );
}

#[test]
fn what_has_expired_is_not_there() {
    let world = World::granting(ALL);
    holds(
        &world,
        "assert(state.set_with_ttl('lease', 1, 2) and state.set('lock', 1, '2000ms') and state.set('n', 5, 2.0))
         assert(state.get('lease') == 1 and #state.keys() == 3)
         assert(state.increment('n') == 6)
         time.sleep(2.1)
         assert(state.get('lease') == nil and not state.exists('lock') and #state.keys() == 0)
         assert(state.increment('n') == 1)
         assert(state.compare_and_swap('lock', nil, 'mine'))
         assert(state.clear('lease').changed == false)",
    );
    assert_eq!(kept(&world), "lock=\"mine\" false\nn=1 false\n");
}

#[test]
fn numbers_are_counted_and_what_is_none_is_left() {
    let world = World::granting(ALL);
    holds(
        &world,
        "assert(state.increment('n') == 1 and state.increment('n', 41) == 42 and state.decrement('n', 2) == 40)
         assert(state.increment('n', 0.5) == 40.5)
         state.set('text', 'x')
         local none, why = state.increment('text')
         assert(none == nil and why:find('holds no number'))
         state.set('most', math.maxinteger)
         assert(state.increment('most') == nil)",
    );
    assert_eq!(
        kept(&world),
        "most=9223372036854775807 false\nn=40.5 false\ntext=\"x\" false\n"
    );
}

#[test]
fn a_swap_compares_whole_values() {
    let world = World::granting(ALL);
    holds(
        &world,
        "assert(state.compare_and_swap('k', nil, { a = 1 }) == true)
         assert(state.compare_and_swap('k', nil, 2) == false)
         assert(state.compare_and_swap('k', { a = 2 }, 2) == false)
         assert(state.compare_and_swap('k', { a = 1 }, { b = 2 }) == true)
         assert(state.get('k').b == 2)
         assert(state.compare_swap('k', { b = 2 }, nil) == true and not state.exists('k'))",
    );
}

#[test]
fn only_granted_keys_are_listed_and_cleared() {
    let mut world = world();
    put(&world, "other", &Value::Bool(true));
    world.policy += "state.read = ['app/*', 'none']\nstate.write = ['app/*', 'other']\ndeny.state.write = ['app/name']";
    holds(
        &world,
        "assert(table.concat(state.keys(), ' ') == 'app/count app/name')
         local cleared = state.clear()
         assert(cleared.changed and cleared.message == 'clear state * (2 keys)', cleared.message)",
    );
    assert_eq!(kept(&world), "app/name=\"x\" false\n");
    let ended = world.run("state.get('other')").ended();
    assert!(
        ended.starts_with("denied: state.read is not granted for other (policy)"),
        "{ended}"
    );
    let ended = world.run("state.delete('app/name')").ended();
    assert!(ended.contains("is denied by policy.toml:"), "{ended}");
}

#[test]
fn a_task_that_declares_less_has_less() {
    let mut world = World::granting(ALL);
    put(&world, "mine", &Value::Integer(1));
    put(&world, "yours", &Value::Integer(1));
    world.top = "local define = workflow.define
        workflow.define = function(name) return define(name):capabilities({ state = { read = { 'm*' } } }) end"
        .into();
    let ran = world.run("return true, nil, { keys = state.keys(), own = state.get('mine') }");
    assert_eq!(ran.outputs(), r#"{"keys":["mine"],"own":1}"#);
    let ended = world.run("state.get('yours')").ended();
    assert!(
        ended.contains(":capabilities({ state = { read = { \"yours\" } } })"),
        "{ended}"
    );
}

#[test]
fn check_mode_reads_back_what_would_be_and_keeps_nothing() {
    let mut world = world();
    world.policy += ALL;
    world.check = true;
    world.diff = true;
    let before = kept(&world);
    let ran = world.run(
        "assert(state.set('new', { 1 }) and state.get('new')[1] == 1)
         assert(state.increment('app/count') == 2 and state.increment('app/count') == 3)
         assert(state.delete('app/name') and not state.exists('app/name'))
         assert(table.concat(state.keys(), ' ') == 'app/count new')
         assert(state.compare_and_swap('new', { 1 }, 'x') and state.get('new') == 'x')
         assert(state.clear('new').changed and #state.keys() == 1)",
    );
    assert_eq!(
        ran.changes(),
        [
            "set state new",
            "increment state app/count to 2",
            "increment state app/count to 3",
            "delete state app/name",
            "swap state new",
            "clear state new (1 key)",
        ]
    );
    assert_eq!(kept(&world), before);
}

#[test]
fn a_diff_is_shown_to_those_who_may_read() {
    let diff_of = |policy: &str| {
        let mut world = world();
        world.policy += policy;
        world.diff = true;
        let ran =
            world.run("return true, nil, { diff = state.set('app/name', 'y').diff or 'none' }");
        ran.outputs()
    };
    let shown = diff_of(ALL);
    assert!(shown.contains(r#"-\"x\"\n+\"y\""#), "{shown}");
    assert_eq!(diff_of("state.write = ['*']"), r#"{"diff":"none"}"#);
}

#[test]
fn what_cannot_be_kept_is_refused() {
    let world = World::granting(&format!("{ALL}\nlimits.memory = '1GiB'"));
    for (call, said) in [
        ("state.set('', 1)", "the key `` is empty"),
        ("state.set('a\\nb', 1)", "holds a control character"),
        ("state.set(('k'):rep(300), 1)", "is over 256 bytes"),
        ("state.set('k', nil)", "the value is missing"),
        ("state.set('k', json.null)", "a value is missing"),
        (
            "state.set('k', print)",
            "the value: a function cannot be carried",
        ),
        ("state.set('k', 1, 0)", "is not a time"),
        ("state.set('k', 1, 'soon')", "is not a time"),
        (
            "state.set('k', ('x'):rep(2 * 1024 * 1024))",
            "over the limit of 1048576",
        ),
        (
            "state.set('k', ('x'):rep(100 * 1000 * 1000))",
            "over the limit of 1048576",
        ),
        ("local t = { } t.t = t state.set('k', t)", "contains itself"),
        (
            "local t = { } for _ = 1, 90 do t = { t } end state.set('k', t)",
            "deeper than 64",
        ),
        ("state.keys('[a]')", "holds a bracket"),
        (
            "state.increment('k', 'x')",
            "what is added must be a number",
        ),
    ] {
        let ended = world.run(call).ended();
        assert!(ended.contains(said), "{call}: {ended}");
    }
    assert_eq!(kept(&world), "");
}

#[test]
fn a_full_store_says_so_and_what_was_there_stays() {
    let ran = World::granting(ALL).run(
        "local value = ('x'):rep(1000 * 1000)
         for n = 1, 100 do
           local done, why = state.set('k' .. n, value)
           if not done then return true, nil, { why = why:match('^[^:]+'), kept = #state.keys() } end
         end",
    );
    assert_eq!(
        ran.outputs(),
        r#"{"kept":67,"why":"the node's state is full"}"#
    );
}

#[test]
fn nothing_is_reached_while_a_file_is_loaded() {
    for call in [
        "get('k')",
        "keys()",
        "set('k', 1)",
        "clear()",
        "increment('k')",
    ] {
        let problem = World::plan(&format!("state.{call}")).unwrap_err();
        assert!(
            problem.message.raw().contains("while the file is loaded"),
            "{call}: {:?}",
            problem.message
        );
    }
}

/// A store that takes its time, as a disk may, or fails.
#[derive(Debug)]
struct Slow(Option<&'static str>);

impl State for Slow {
    fn get(&self, _: &str) -> Result<Option<Entry>, Problem> {
        std::thread::sleep(Duration::from_millis(300));
        self.0.map_or(Ok(None), |why| Err(Problem(why.to_owned())))
    }

    fn keys(&self) -> Result<Vec<String>, Problem> {
        Ok(Vec::new())
    }

    fn change(&self, key: &str, _: &mut Plan<'_>) -> Result<(), Problem> {
        self.get(key).map(drop)
    }

    fn clear(&self, _: &mut dyn FnMut(&str) -> bool) -> Result<u64, Problem> {
        Ok(0)
    }
}

#[test]
fn a_slow_disk_holds_up_nobody_else_and_a_broken_one_is_a_message() {
    let mut slow = World::granting(ALL);
    slow.state = Arc::new(Slow(None));
    let began = std::time::Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| slow.run("for _ = 1, 3 do state.get('k') end"));
        }
        let ran = World::new().run("local n = 0 for i = 1, 1000 do n = n + i end");
        assert_eq!(ran.ended(), "ok: ");
        assert!(began.elapsed() < Duration::from_secs(20));
    });
    slow.state = Arc::new(Slow(Some("/x/node.db is damaged: move it away")));
    let ran = slow.run("local none, why = state.get('k') return true, nil, { why = why }");
    assert_eq!(
        ran.outputs(),
        r#"{"why":"/x/node.db is damaged: move it away"}"#
    );
}
