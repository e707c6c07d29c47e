//! `goroutine` and `parallel`: work beside other work, in turns that overlap where something waits.

use std::time::{Duration, Instant};

use crate::world::World;

const SLEEP: &str = "process.run = ['sleep *']";

/// What the body returned, as JSON.
fn gives(body: &str) -> String {
    let ran = World::new().run(&format!(
        "local function body() {body} end return true, nil, {{ r = table.pack(body()) }}"
    ));
    let outputs = ran.outputs();
    assert!(ran.ended().starts_with("ok"), "{body}: {}", ran.ended());
    outputs
}

fn list(values: &str, count: usize) -> String {
    format!(r#"{{"r":{{{values},"n":{count}}}}}"#)
}

#[test]
fn sleeps_overlap() {
    let began = Instant::now();
    gives(
        "local all = goroutine.spawn_many(20, function() goroutine.sleep(300) end) await_all(all)",
    );
    let took = began.elapsed();
    assert!(
        took >= Duration::from_millis(300) && took < Duration::from_secs(3),
        "{took:?}"
    );
}

#[test]
fn programs_overlap() {
    let began = Instant::now();
    let ran = World::granting(SLEEP).run(
        "local results = parallel.map({ 1, 2, 3, 4, 5 }, function() return exec.run('sleep 0.5').success end)
         for i = 1, 5 do assert(results[i] == true) end",
    );
    assert_eq!(ran.ended(), "changed: ");
    assert_eq!(ran.changes().len(), 5);
    let took = began.elapsed();
    assert!(took < Duration::from_secs(2), "{took:?}");
}

#[test]
fn a_program_beside_the_task_needs_the_same_grant() {
    let ran = World::new().run("parallel.run{ function() exec.run('touch {}/made') end }");
    assert_eq!(ran.denials().len(), 1);
    // Nobody looked at what it gave, and the refusal is not lost.
    let ran = World::new().run("goroutine.spawn(function() exec.run('touch {}/made') end)");
    assert!(
        ran.ended().starts_with("denied: process.run"),
        "{}",
        ran.ended()
    );
}

#[test]
fn values_come_back_from_await() {
    assert_eq!(
        gives("return await(async(function(a, b) return a + b, 'x' end, 1, 2))"),
        list(r#""1":true,"2":3,"3":"x""#, 3)
    );
    let failed = gives("return await(async(function() error('broken', 0) end))");
    assert!(
        failed.contains(r#""2":"broken""#) && failed.contains(r#""1":false"#),
        "{failed}"
    );
    let all = gives(
        "local r = await_all({ async(function() return 1, 2 end), async(function() error('no', 0) end) })
         return r[1].success, r[1].values[2], r[2].success, r[2].error",
    );
    for part in [r#""1":true"#, r#""2":2"#, r#""3":false"#, r#""4":"no""#] {
        assert!(all.contains(part), "{all}");
    }
}

#[test]
fn an_error_that_nobody_awaits_fails_the_task_at_its_line() {
    let ran =
        World::new().run("\ngoroutine.spawn(function() goroutine.sleep(1) error('lost') end)");
    assert_eq!(ran.ended(), "failed: lost");
    assert_eq!(ran.finished.location.unwrap().raw(), "test.sloth:4");
}

#[test]
fn channels_carry_values_in_order_and_end() {
    let seen = gives(
        "local channel, seen = goroutine.channel(), table.pack()
         goroutine.spawn(function() for i = 1, 5 do channel:send(i) end channel:close() end)
         channel:range(function(value) seen[#seen + 1] = value end)
         return table.concat(seen, ','), channel:is_closed(), select(2, channel:receive()), (channel:send(1))",
    );
    assert!(
        seen.contains("1,2,3,4,5") && seen.contains(r#""2":true,"3":false,"4":false"#),
        "{seen}"
    );
    let buffered = gives(
        "local channel = goroutine.channel(2)
         return channel:try_send(1), channel:try_send(2), channel:try_send(3), channel:len(), channel:cap(),
             (channel:try_receive())",
    );
    assert!(
        buffered.contains(r#""1":true,"2":true,"3":false,"4":2,"5":2,"6":1"#),
        "{buffered}"
    );
}

#[test]
fn select_takes_what_is_first_and_knows_a_default_and_a_time() {
    let chosen = gives(
        "local a, b = goroutine.channel(), goroutine.channel()
         goroutine.spawn(function() goroutine.sleep(30) a:send('a') end)
         goroutine.spawn(function() goroutine.sleep(5) b:send('b') end)
         local got = table.pack()
         local case = { { channel = a, receive = true, handler = function(v) return v end },
                        { channel = b, receive = true, handler = function(v) return v end } }
         got[1] = goroutine.select(case)
         got[2] = goroutine.select(case)
         case[3] = { default = true, handler = function() return 'none' end }
         got[3] = goroutine.select(case)
         case[3] = nil
         return got[1], got[2], got[3], (goroutine.select_timeout(10, case))",
    );
    assert!(
        chosen.contains(r#""1":"b","2":"a","3":"none","4":true"#),
        "{chosen}"
    );
}

#[test]
fn locks_keep_apart_and_groups_together() {
    let counted = gives(
        "local mutex, group, count, most = goroutine.mutex(), goroutine.wait_group(), 0, 0
         local permits, inside = goroutine.semaphore(2), 0
         group:add(10)
         for i = 1, 10 do goroutine.spawn(function()
             mutex:lock() local seen = count goroutine.sleep(1) count = seen + 1 mutex:unlock()
             permits:acquire() inside = inside + 1 most = math.max(most, inside) goroutine.sleep(20)
             inside = inside - 1 permits:release()
             group:done()
         end) end
         group:wait()
         return count, most, mutex:try_lock(), mutex:try_lock()",
    );
    assert!(
        counted.contains(r#""1":10,"2":2,"3":true,"4":false"#),
        "{counted}"
    );
}

#[test]
fn a_pool_runs_so_many_at_a_time() {
    let stats = gives(
        "local active, most = 0, 0
         assert(goroutine.pool_create('p', { workers = 3 }))
         for i = 1, 9 do goroutine.pool_submit('p', function(n)
             active = active + 1 most = math.max(most, active) goroutine.sleep(2) active = active - 1
             if n == 4 then error('four') end
         end, i) end
         goroutine.pool_wait('p')
         local stats = goroutine.pool_stats('p')
         goroutine.pool_close('p')
         return most, stats.completed, stats.failed, stats.pending, (goroutine.pool_submit('p', print))",
    );
    assert!(stats.contains(r#""1":3,"2":8,"3":1,"4":0"#), "{stats}");
}

#[test]
fn a_time_limit_gives_up_what_it_limits_and_its_program() {
    let began = Instant::now();
    let ran = World::granting(SLEEP).run(
        "local done, why = goroutine.timeout(50, function() exec.run('sleep 30') end)
         return true, nil, { done = done, why = why }",
    );
    assert_eq!(ran.outputs(), r#"{"done":false,"why":"timeout exceeded"}"#);
    assert!(
        began.elapsed() < Duration::from_secs(8),
        "{:?}",
        began.elapsed()
    );
}

#[test]
fn a_deadlock_is_named() {
    let ran = World::new().run("goroutine.channel():receive()");
    assert!(
        ran.ended()
            .starts_with("failed: deadlock: everything waits")
            && ran.ended().contains("receiving from a channel"),
        "{}",
        ran.ended()
    );
    let ran = World::new().run(
        "local a, b = goroutine.mutex(), goroutine.mutex()
         local one = goroutine.spawn(function() a:lock() goroutine.sleep(1) b:lock() end)
         local two = goroutine.spawn(function() b:lock() goroutine.sleep(1) a:lock() end)
         await(one)",
    );
    assert!(
        ran.ended().contains("deadlock") && ran.ended().contains("started at test.sloth:"),
        "{}",
        ran.ended()
    );
}

#[test]
fn where_lua_cannot_yield_calls_block_instead() {
    // In a sort's comparator, a gsub's callback and a coroutine of the script's own.
    let sorted = gives(
        "local t = { 3, 1, 2 }
         assert(await(async(function() table.sort(t, function(a, b) goroutine.sleep(1) return a < b end) end)))
         local text = ('ab'):gsub('.', function(c) goroutine.sleep(1) return c:upper() end)
         local own = coroutine.wrap(function() goroutine.sleep(1) coroutine.yield('mine') return 'end' end)
         return table.concat(t), text, own(), own()",
    );
    assert!(
        sorted.contains(r#""1":"123","2":"AB","3":"mine","4":"end""#),
        "{sorted}"
    );
    let received = gives(
        "local channel = goroutine.channel()
         goroutine.spawn(function() goroutine.sleep(2) channel:send('x') end)
         local own = coroutine.wrap(function() return channel:receive() end)
         return own()",
    );
    assert!(received.contains(r#""1":"x""#), "{received}");
}

#[test]
fn errors_are_caught_across_a_wait() {
    let caught = gives(
        "local done, why = await(async(function()
             local fine, problem = pcall(function() goroutine.sleep(1) error('inner', 0) end)
             return fine, problem
         end))
         return done, why",
    );
    assert!(caught.contains(r#""1":true,"2":false"#), "{caught}");
}

#[test]
fn more_programs_than_may_run_take_turns() {
    let ran = World::granting("process.run = ['true']").run(
        "local list = table.pack() for i = 1, 100 do list[i] = i end
         local all = parallel.map(list, function() return exec.run('true').success end, 100)
         local count = 0 for i = 1, 100 do if all[i] then count = count + 1 end end
         return true, nil, { count = count }",
    );
    assert_eq!(ran.outputs(), r#"{"count":100}"#);
}

#[test]
fn what_is_given_up_leaves_its_turn_to_the_next() {
    let left = gives(
        "local mutex = goroutine.mutex()
         mutex:lock()
         local done = goroutine.timeout(20, function() mutex:lock() end)
         mutex:unlock()
         return done, mutex:try_lock()",
    );
    assert!(left.contains(r#""1":false,"2":true"#), "{left}");
}

#[test]
fn work_that_can_never_end_is_a_deadlock_of_its_task() {
    let ran = World::new()
        .run("local m = goroutine.mutex() m:lock() goroutine.spawn(function() m:lock() end)");
    assert!(ran.ended().contains("deadlock"), "{}", ran.ended());
}

#[test]
fn a_program_that_nobody_waited_for_is_a_change_all_the_same() {
    let world = World::granting("process.run = ['touch **']\nfiles.write = ['{}/**']");
    let ran = world.run(
        "goroutine.spawn(function() exec.run('touch {}/made') end)
         goroutine.yield()
         local stop = os.clock() + 1 while os.clock() < stop do end
         error('early')",
    );
    assert!(ran.ended().starts_with("failed: early"), "{}", ran.ended());
    assert_eq!(ran.changes().len(), 1, "{:?}", ran.changes());
}
