//! `cron`.

use super::{changes_once, denied, holds};
use crate::world::World;

fn world() -> World {
    let world = World::granting("files.read = ['{}/**']\nfiles.write = ['{}/**']");
    world.write("cron.d/other", "");
    world
}

#[test]
fn nothing_is_read_or_written_without_a_grant() {
    denied("files.read", "cron.list()");
    denied(
        "files.read",
        "cron.add({ name = 'a', schedule = '@daily', command = 'true' })",
    );
    denied("files.read", "cron.remove('a')");
}

#[test]
fn jobs_are_added_changed_and_removed_once() {
    let world = world();
    world.write("cron.d/jobs", "# made by hand\nMAILTO=root\n");
    let job = |schedule: &str| {
        format!(
            "cron.add({{ name = 'backup', schedule = '{schedule}', command = 'backup --all', user = 'app', file = '{{}}/cron.d/jobs' }})"
        )
    };
    changes_once(&world, &job("0  3 * * *"));
    assert_eq!(
        world.read("cron.d/jobs"),
        "# made by hand\nMAILTO=root\n# SLOTH_NAME:backup\n0 3 * * * app backup --all\n"
    );
    changes_once(&world, &job("*/5 3 * * mon-fri"));
    changes_once(
        &world,
        "cron.disable('backup', { file = '{}/cron.d/jobs' })",
    );
    holds(
        &world,
        r#"local jobs = cron.list({ file = "{}/cron.d/jobs" }) same(#jobs, 1) local job = jobs[1]
        same(job.name, "backup") same(job.schedule, "*/5 3 * * mon-fri") same(job.user, "app") same(job.command, "backup --all") same(job.enabled, false)
        same(#cron.list({ file = "{}/cron.d/jobs", user = "root" }), 0)
        same(cron.exists("backup", { file = "{}/cron.d/jobs" }), true) same(cron.exists("x", { file = "{}/cron.d/jobs" }), false)"#,
    );
    changes_once(&world, "cron.enable('backup', { file = '{}/cron.d/jobs' })");
    changes_once(&world, "cron.remove('backup', { file = '{}/cron.d/jobs' })");
    assert_eq!(world.read("cron.d/jobs"), "# made by hand\nMAILTO=root\n");
}

#[test]
fn a_users_crontab_names_nobody() {
    let world = world();
    changes_once(
        &world,
        "cron.add({ name = 'a', schedule = '@hourly', command = 'date', file = '{}/crontab' })",
    );
    assert_eq!(world.read("crontab"), "# SLOTH_NAME:a\n@hourly date\n");
    holds(
        &world,
        "same(cron.list({ file = '{}/crontab' })[1].command, 'date')",
    );
    let ended = world
        .run("cron.add({ name = 'a', schedule = '@hourly', command = 'date', user = 'x', file = '{}/crontab' })")
        .ended();
    assert!(ended.contains("`x` cannot stand in"), "{ended}");
}

#[test]
fn schedules_are_checked() {
    holds(
        &World::new(),
        r#"for _, good in ipairs({ "* * * * *", "@reboot", "0-30/5,45 0,12 1-15 jan,jun-aug 7", "*/2 * * * mon" }) do
            same(cron.validate_schedule(good), true)
        end
        for _, bad in ipairs({ "", "* * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8", "5-1 * * * *", "*/0 * * * *", "@often", "a * * * *", "1, * * * *" }) do
            local fine, why = cron.validate_schedule(bad) same(fine, false) assert(why)
        end"#,
    );
    for call in [
        "cron.add({ name = 'a', schedule = 'often', command = 'x' })",
        "cron.add({ name = 'a', schedule = '@daily', command = 'x\\ny' })",
        "cron.add({ name = 'a\\nb', schedule = '@daily', command = 'x' })",
        "cron.add({ name = 'a', schedule = '@daily', command = 'x', user = 'root sh' })",
    ] {
        let ended = World::new().run(call).ended();
        assert!(ended.starts_with("failed: cron.add: "), "{call}: {ended}");
    }
}
