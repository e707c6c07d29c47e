//! `time`.

use super::holds;
use crate::world::World;

#[test]
fn moments_are_formatted_and_read() {
    holds(
        &World::new(),
        r#"local at = 1704164645
        same(time.format(at), "2024-01-02T03:04:05Z") same(time.rfc3339(at), "2024-01-02T03:04:05Z")
        same(time.format(at, "2006-01-02 15:04:05"), "2024-01-02 03:04:05")
        same(time.format(at, "Mon, 02 Jan 2006 3:04 PM -0700 MST"), "Tue, 02 Jan 2024 3:04 AM +0000 UTC")
        same(time.format(at, "Jan 2, 06"), "Jan 2, 24") same(time.format(at, "%Y%m%d-%H%M%S %%"), "20240102-030405 %")
        same(time.format(at, "%F %T"), "2024-01-02 03:04:05") same(time.format(at, "date"), "2024-01-02")
        for _, text in ipairs({ "2024-01-02T03:04:05Z", "2024-01-02 03:04:05", "2024-01-02T04:04:05.123+01:00",
            "Tue, 02 Jan 2024 03:04:05 GMT", "Tue, 02 Jan 2024 05:04:05 +0200", "Tue Jan  2 03:04:05 2024" }) do
            same(time.parse(text), at)
        end
        same(time.parse("2024-01-02"), 1704153600) same(time.parse("02/01/2006", "02/01/2024"), 1704153600)
        same(time.parse("%d.%m.%Y", "02.01.2024"), 1704153600) same(time.parse("3:04 PM", "1:30 PM"), 48600)
        same(time.parse("2023-02-29"), nil) same(time.parse("2024-13-01"), nil) same(time.parse("tomorrow"), nil)
        local none, why = time.parse("2006-01-02", "x") same(none, nil) assert(why:find("layout"))"#,
    );
    let ended = World::new().run("time.format(0, '%Q')").ended();
    assert!(ended.contains("`%Q` is not known"), "{ended}");
}

#[test]
fn lengths_and_parts_of_time() {
    holds(
        &World::new(),
        r#"local at = 1704164645
        same(time.duration("1h30m"), 5400.0) same(time.parse_duration("500ms"), 0.5)
        same(time.format_duration(5400), "1h30m") same(time.format_duration(90061.5), "1d1h1m1.5s") same(time.format_duration(0), "0s")
        same(time.add(at, "1h"), at + 3600) same(time.sub(at, 60), at - 60) same(time.truncate(at, "1d"), 1704153600)
        same(time.year(at), 2024) same(time.month(at), 1) same(time.day(at), 2) same(time.hour(at), 3)
        same(time.minute(at), 4) same(time.second(at), 5) same(time.weekday(at), "Tuesday")
        same(time.before(1, 2), true) same(time.after(1, 2), false) same(time.equal(2, 2), true)
        assert(time.now() > at and time.unix() >= time.now() - 1) same(time.unix(5.7), 5)
        assert(time.since(time.now() - 10) >= 10)"#,
    );
}

#[test]
fn sleeping_lets_time_pass() {
    holds(
        &World::new(),
        r#"local start = time.monotonic()
        time.sleep(0.05) time.sleep("50ms") time.sleep(0)
        local passed = time.monotonic() - start
        assert(passed >= 0.1 and passed < 5, passed)"#,
    );
    let ended = World::new().run("time.sleep('soon')").ended();
    assert!(ended.contains("\"soon\" is not a time"), "{ended}");
}
