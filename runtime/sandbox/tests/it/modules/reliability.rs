//! `reliability`.

use super::{denied, holds};
use crate::world::World;

#[test]
fn what_fails_is_tried_again_until_it_succeeds() {
    holds(
        &World::new(),
        r#"local tries, told = 0, { }
        local value, second = reliability.retry({ attempts = 5, delay = "10ms", jitter = false, on_retry = function(n, wait, why) told[#told + 1] = n .. ":" .. wait .. ":" .. why end }, function()
            tries = tries + 1
            if tries == 1 then error({ message = "raised" }) elseif tries == 2 then return nil, "told" elseif tries == 3 then return false end
            return "value", nil, 3
        end)
        same(value, "value") same(second, nil) same(tries, 4) same(table.concat(told, " "), "1:0.01:raised 2:0.02:told 3:0.04:it gave false")
        tries = 0
        local none, why = reliability.retry(2, 0, function() tries = tries + 1 return nil, "no" end)
        same(none, nil) same(why, "failed 2 times: no") same(tries, 2)
        local waits = { }
        reliability.retry_with_config({ max_attempts = 4, initial_delay = "2ms", max_delay = "5ms", strategy = reliability.strategy.LINEAR_BACKOFF, jitter = false,
            on_retry = function(_, wait) waits[#waits + 1] = wait end }, function() error("x") end)
        same(table.concat(waits, " "), "0.002 0.004 0.005")"#,
    );
}

#[test]
fn a_refused_call_is_not_tried_again() {
    denied(
        "files.read",
        "reliability.retry(3, 0, function() tries = (tries or 0) + 1 if tries > 1 then error('again') end fs.read('/etc/shadow') end)",
    );
}

#[test]
fn wrong_options_are_named() {
    for (call, said) in [
        (
            "reliability.retry({ atempts = 3 }, print)",
            "unknown option `atempts`; did you mean `attempts`?",
        ),
        (
            "reliability.retry({ attempts = 0 }, print)",
            "attempts: must be a whole number from 1",
        ),
        (
            "reliability.retry({ }, 3)",
            "must be called with a function",
        ),
        (
            "reliability.retry({ backoff = 'never' }, print)",
            "must be one of",
        ),
        (
            "reliability.circuit_breaker('a', { max_failure = 1 })",
            "did you mean `max_failures`?",
        ),
    ] {
        let ended = World::new().run(call).ended();
        assert!(ended.contains(said), "{call}: {ended}");
    }
}

#[test]
fn a_breaker_opens_after_failures_and_closes_after_success() {
    holds(
        &World::new(),
        r#"local changes = { }
        local breaker = reliability.circuit_breaker("db", { max_failures = 2, timeout = "50ms", on_state_change = function(from, to) changes[#changes + 1] = from .. ">" .. to end })
        local function bad() return nil, "down" end
        same(select(2, breaker:call(bad)), "down") same(breaker:state(), "closed") breaker:call(bad) same(breaker:state(), "open")
        local none, why = breaker:call(function() error("called") end) same(none, nil) assert(why:find("`db` is open"))
        local stats = reliability.get_circuit_stats("db") same(stats.requests, 2) same(stats.total_failures, 2) same(stats.refused, 1) same(stats.consecutive_failures, 2)
        time.sleep("60ms")
        same(reliability.circuit_breaker("db", { }, function() return "up" end), "up") same(breaker:stats().state, "closed")
        same(table.concat(changes, " "), "closed>open open>half-open half-open>closed")
        same(breaker:stats().total_success, 1) same(reliability.reset_circuit("db"), true) same(breaker:stats().requests, 0)
        breaker:reset() same(reliability.list_circuits()[1], "db")
        same(reliability.reset_circuit("x"), false) local missing, message = reliability.get_circuit_stats("x") same(missing, nil) assert(message)"#,
    );
}
