//! Limits: each is attacked by a guest, and the next step runs.

use std::time::{Duration, Instant};

use sloth_workflow::scheduler::cancel;

use crate::world::World;

fn attack(world: &World, body: &str) -> String {
    let ended = world.run(body).ended();
    assert_eq!(world.run("return true").ended(), "ok: ", "after {body}");
    ended
}

#[test]
fn an_endless_loop_ends_with_its_time() {
    let mut world = World::new();
    world.timeout = Duration::from_millis(500);
    let began = Instant::now();
    assert_eq!(
        world.run("while true do end").ended(),
        "timed-out: the task's time ran out after 500ms"
    );
    assert!(began.elapsed() < Duration::from_secs(5));
    assert_eq!(
        attack(&world, "while true do pcall(error, 'x') end"),
        "timed-out: the task's time ran out after 500ms"
    );
    // The pattern matcher runs in C and is interrupted all the same.
    assert_eq!(
        attack(&world, "string.rep('a', 40):match(('a-'):rep(20) .. 'b')"),
        "timed-out: the task's time ran out after 500ms"
    );
}

#[test]
fn memory_ends_at_its_limit() {
    let world = World::granting("limits.memory = '16MiB'");
    for body in [
        "local text = 'x' while true do text = text .. text end",
        "local all = table.pack() for i = 1, 1e9 do all[i] = { i } end",
        "string.rep('x', 1 << 30)",
    ] {
        let ended = attack(&world, body);
        assert!(
            ended.starts_with("failed: the task is out of memory: it may use 16 MiB"),
            "{body}: {ended}"
        );
    }
}

#[test]
fn recursion_ends_as_an_error_of_the_task() {
    let world = World::new();
    let ended = attack(
        &world,
        "local function f(n) return 1 + f(n + 1) end return f(1)",
    );
    assert!(ended.starts_with("failed: "), "{ended}");
    let ended = attack(
        &world,
        "local t = setmetatable(table.pack(), table.pack()) getmetatable(t).__index = function(t, k) return t[k] end return t.x",
    );
    assert!(ended.starts_with("failed: "), "{ended}");
    let ended = attack(
        &world,
        "string.rep('(', 5000) load('return ' .. string.rep('(', 100000))()",
    );
    assert!(ended.starts_with("failed: "), "{ended}");
}

#[test]
fn outputs_over_one_mebibyte_are_refused() {
    let ended = attack(
        &World::new(),
        "return true, nil, { big = string.rep('x', 2 << 20) }",
    );
    assert!(
        ended.starts_with("failed: ") && ended.contains("1048576"),
        "{ended}"
    );
}

#[test]
fn a_file_larger_than_the_memory_is_refused_by_the_limit() {
    let world = World::granting("limits.memory = '16MiB'\nfiles.read = ['{}/**']");
    let file = std::fs::File::create(world.path("big")).unwrap();
    file.set_len(1 << 30).unwrap();
    let ended = attack(&world, "fs.read('{}/big')");
    assert!(
        ended.starts_with("denied: files.read") && ended.contains("limit"),
        "{ended}"
    );
}

#[test]
fn a_cancel_ends_pure_lua_within_a_second() {
    let mut world = World::new();
    let (canceller, cancel) = cancel::pair();
    world.cancel = cancel;
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        canceller.give();
    });
    let began = Instant::now();
    assert_eq!(
        world.run("while true do end").ended(),
        "cancelled: the run was cancelled"
    );
    assert!(
        began.elapsed() < Duration::from_secs(4),
        "{:?}",
        began.elapsed()
    );
}

#[test]
fn a_million_caught_errors_leave_the_memory_flat() {
    let ran = World::granting("limits.memory = '16MiB'").run(
        "collectgarbage() collectgarbage('generational') collectgarbage('incremental')
         local before = collectgarbage('count')
         local sum = 0
         for i = 1, 1000000 do
           local ok, err = pcall(error, { code = 7 })
           sum = sum + err.code
         end
         collectgarbage()
         return true, nil, { sum = sum, grown = collectgarbage('count') - before > 64 }",
    );
    assert_eq!(ran.outputs(), r#"{"grown":false,"sum":7000000}"#);
}

#[test]
fn coroutines_yield_and_resume_through_the_component() {
    let ran = World::new().run(
        "local counter = coroutine.wrap(function() for i = 1, 100000 do coroutine.yield(i) end end)
         local sum = 0
         for _ = 1, 100000 do sum = sum + counter() end
         return true, nil, { sum = sum }",
    );
    assert_eq!(ran.outputs(), r#"{"sum":5000050000}"#);
}

#[test]
fn a_scratch_folder_holds_no_more_than_its_quota() {
    let world = World::granting("process.shell = true\nlimits.scratch = '2MiB'");
    let said = "failed: the task's scratch folder holds more than its 2097152 bytes";
    for body in [
        "for i = 1, 1e6 do fs.write('file' .. i, string.rep('x', 65536)) end",
        "exec.run('i=0; while true; do head -c 100000 /dev/zero > file$i; i=$((i+1)); done')",
        "exec.run('while true; do mkdir -p a/b; cd a/b; done')",
    ] {
        let ended = attack(&world, body);
        assert!(ended.starts_with(said), "{body}: {ended}");
    }
}
