//! What those that run beside each other tell one another: counters, once, cond, context, and what flows through
//! channels.

use crate::world::World;

/// Lines of Lua that must all be true.
#[track_caller]
fn holds(body: &str) {
    let ran = World::new().run(&format!(
        "local function same(a, b) if a ~= b then error(('%s is not %s'):format(a, b), 2) end end
         local go = require('goroutine')\n{body}"
    ));
    assert!(ran.ended().starts_with("ok"), "{}", ran.ended());
}

/// The message of a body that fails.
fn fails(body: &str) -> String {
    let ended = World::new().run(body).ended();
    assert!(ended.starts_with("failed: "), "{body}: {ended}");
    ended
}

#[test]
fn an_atomic_int_counts() {
    holds(
        "local n = go.atomic_int() same(n:load(), 0) same(n:add(3), 3) same(n:swap(5), 3) n:store(7)
         same(n:compare_and_swap(6, 1), false) same(n:compare_and_swap(7, 1), true) same(n:load(), 1)
         local all = go.spawn_many(50, function() go.yield() n:add(1) end) go.await_all(all) same(n:load(), 51)
         same(go.atomic_int(4):load(), 4)",
    );
    assert!(fails("goroutine.atomic_int():add('x')").contains("whole number"));
}

#[test]
fn once_calls_one_function_and_the_others_wait_for_its_end() {
    holds(
        "local once, calls, done = go.once(), 0, false
         local all = go.spawn_many(5, function()
            once:call(function() calls = calls + 1 go.sleep(20) done = true end)
            assert(done)
         end)
         for _, r in ipairs(go.await_all(all)) do assert(r.success, r.error) end same(calls, 1)",
    );
}

#[test]
fn a_cond_wakes_one_or_all() {
    holds(
        "local cond, woken = go.cond(), 0
         local lock = cond:get_mutex()
         local all = go.spawn_many(3, function() lock:lock() cond:wait() woken = woken + 1 lock:unlock() end)
         go.sleep(5) cond:signal() go.sleep(5) same(woken, 1) cond:broadcast() go.await_all(all) same(woken, 3)
         same(lock:is_locked(), false)",
    );
    assert!(fails("goroutine.cond():wait()").contains("not locked"));
    assert!(fails("local c = goroutine.cond() c:get_mutex():lock() c:wait()").contains("deadlock"));
}

#[test]
fn a_context_ends_by_its_time_by_hand_and_with_what_it_is_made_of() {
    holds(
        "local root, cancel = go.context() same(root:err(), nil) same(root:deadline(), nil)
         local child = root:with_timeout(20) local other, stop = child:with_cancel()
         local when, set = other:deadline() assert(set and when > 1700000000000)
         stop() same(other:err(), 'context canceled') same(child:is_cancelled(), false)
         go.sleep(30) same(child:err(), 'context deadline exceeded') same(other:err(), 'context canceled') same(root:err(), nil)
         local later = root:with_deadline(when + 1000000) cancel() same(later:err(), 'context canceled') same(later:is_cancelled(), true)
         root:cancel() same(root:err(), 'context canceled')",
    );
}

#[test]
fn a_read_write_mutex_is_tried_without_waiting() {
    holds(
        "local m = go.rwmutex() same(m:try_rlock(), true) same(m:try_rlock(), true) same(m:try_lock(), false)
         m:runlock() m:runlock() same(m:try_lock(), true) same(m:try_lock(), false) same(m:try_rlock(), false) m:unlock()",
    );
}

#[test]
fn values_flow_through_stages_out_to_all_and_in_from_all() {
    holds(
        "local input = go.channel()
         local output = go.pipeline(input, { { fn = function(v) return v * 2 end, workers = 3 }, { fn = function(v) return v + 1 end } })
         go.spawn(function() for i = 1, 30 do go.channel_send(input, i) end go.channel_close(input) end)
         local sum, count = 0, 0 output:range(function(v) sum = sum + v count = count + 1 end) same(count, 30) same(sum, 30 * 31 + 30)
         local source = go.channel(3) for i = 1, 3 do source:send(i) end same(go.channel_len(source), 3) same(go.channel_cap(source), 3) source:close()
         local parts = go.fan_out(source, 2) same(#parts, 2)
         local all = { } go.fan_in(parts):range(function(v) all[#all + 1] = v end) table.sort(all) same(table.concat(all), '112233')
         same(go.channel_receive(source), nil)",
    );
}

#[test]
fn a_stage_that_fails_is_told_and_keeps_nobody_waiting() {
    let ended = fails(
        "local input = goroutine.channel()
         local output = goroutine.pipeline(input, { { fn = function(v) if v == 2 then error('broken') end return v end } })
         goroutine.spawn(function() for i = 1, 40 do input:send(i) end input:close() end)
         output:range(function() end)",
    );
    assert!(ended.contains("broken"), "{ended}");
    assert!(fails("goroutine.pipeline(goroutine.channel(), { })").contains("list of stages"));
    let ended = fails("goroutine.pipeline(goroutine.channel(), { { fn = print, wrkers = 2 } })");
    assert!(ended.contains("did you mean `workers`?"), "{ended}");
}

#[test]
fn pools_do_not_outlive_their_step() {
    // The same instance runs both: what the first began is not there for the second.
    let told = crate::parts::run(
        &World::new(),
        "task('a'):command(function() goroutine.pool_create('p') goroutine.pool_submit('p', function() goroutine.sleep(5) log.info('done') end) end),
         task('b'):command(function() log.info(pcall(goroutine.pool_stats, 'p')) end)",
    );
    let logged = told.logged();
    assert_eq!(logged[0], "done", "the step ends when all it started has");
    assert!(
        logged[1].starts_with("false ") && logged[1].contains("there is no pool `p`"),
        "{logged:?}"
    );
}

#[test]
fn a_fiber_that_was_given_up_does_not_end_twice() {
    holds(
        "local ended = 0
         local done, why = go.timeout(10, function() go.sleep(30) ended = ended + 1 end) same(done, false) same(why, 'timeout exceeded')
         go.sleep(60) same(ended, 0)
         local wg = go.wait_group() wg:add(1)
         go.timeout(5, function() local ok = pcall(go.sleep, 1000) wg:done() end)
         wg:done() same(pcall(wg.done, wg), false)",
    );
}
