//! Calls of the host that take long: each ends with the step, keeps no other step waiting, and is bounded.

use std::time::{Duration, Instant};

use sloth_workflow::scheduler::cancel;

use crate::parts::run;
use crate::world::World;

/// A file of so many bytes that takes no room.
fn sparse(world: &World, name: &str, size: u64) {
    let file = std::fs::File::create(world.path(name)).unwrap();
    file.set_len(size).unwrap();
}

#[test]
fn a_cancel_ends_the_hashing_of_a_huge_file_at_once() {
    let mut world = World::granting("files.read = ['{}/**']");
    sparse(&world, "huge", 200 << 30);
    let (canceller, cancel) = cancel::pair();
    world.cancel = cancel;
    let given = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_secs(2));
        canceller.give();
        Instant::now()
    });
    let ran = world.run("fs.hash('{}/huge')");
    let took = given.join().unwrap().elapsed();
    assert_eq!(ran.ended(), "cancelled: the run was cancelled");
    assert!(took < Duration::from_secs(2), "{took:?}");
}

#[test]
fn a_huge_file_that_is_hashed_ends_with_the_steps_time() {
    let mut world = World::granting("files.read = ['{}/**']");
    sparse(&world, "huge", 200 << 30);
    world.timeout = Duration::from_secs(1);
    let ended = world.run("fs.hash('{}/huge')").ended();
    assert_eq!(ended, "timed-out: the task's time ran out after 1s");
}

#[test]
fn one_task_that_hashes_keeps_no_other_waiting() {
    let world = World::granting("files.read = ['{}/**']");
    sparse(&world, "huge", 200 << 30);
    let told = crate::parts::run_with(
        &world,
        "workflow.define('w'):config({ max_parallel_tasks = 2, on_failure = 'continue' }):tasks({
            task('long'):timeout('3s'):command(function() fs.hash('{}/huge') end),
            task('short'):command(function() log.info('short') end) })",
        &[],
    );
    assert_eq!(told.outcomes(), ["timed-out", "ok"]);
    assert_eq!(told.finished_first(), "short");
}

/// A folder of so many folders with so many files each.
fn crowded(world: &World, name: &str, folders: usize, files: usize) {
    for folder in 0..folders {
        let path = world.path(&format!("{name}/{folder}"));
        std::fs::create_dir_all(&path).unwrap();
        for file in 0..files {
            std::fs::write(format!("{path}/{file}"), "").unwrap();
        }
    }
}

#[test]
fn one_task_that_walks_a_crowded_folder_keeps_no_other_waiting() {
    let world = World::granting(
        "files.read = ['{}/**']\nfiles.write = ['{}/**']\nfiles.delete = ['{}/**']",
    );
    crowded(&world, "deep", 40, 50);
    crowded(&world, "flat", 1, 2000);
    for walk in [
        "assert(#fs.glob('{}/deep/*/*') == 2000)",
        "assert(#fs.ls('{}/flat/0') == 2000)",
        "fs.move('{}/deep', '{}/moved')",
        "fs.rmr('{}/moved')",
        "fs.rmr('{}/flat')",
    ] {
        let told = crate::parts::run_with(
            &world,
            &format!(
                "local over = '{{}}/over'
                 workflow.define('w'):config({{ max_parallel_tasks = 2 }}):tasks({{
                    task('walks'):timeout('20s'):command(function()
                        time.sleep(0.1) log.info('begins') {walk} log.info('ends') fs.write(over, '') end),
                    task('beats'):timeout('20s'):command(function()
                        while not fs.exists(over) do time.sleep(0.001) log.info('beat') end fs.rm(over) end) }})"
            ),
            &[],
        );
        let logged = told.logged();
        let at = |word: &str| logged.iter().position(|line| line == word);
        let (Some(begins), Some(ends)) = (at("begins"), at("ends")) else {
            panic!("{walk}: {:?}", told.messages());
        };
        assert!(begins + 1 < ends, "{walk} held up the other task");
    }
}

#[test]
fn a_run_leaves_no_more_artifacts_than_its_total_and_equal_ones_count_once() {
    let world = World::granting("limits.scratch = '1MiB'");
    let task = |name: usize, text: &str| {
        format!(
            "task('t{name}'):artifacts('a'):command(function() fs.write('a', string.rep('{text}', 900 * 1024)) end)"
        )
    };
    let same: Vec<String> = (0..12).map(|name| task(name, "x")).collect();
    let told = run(&world, &same.join(","));
    assert!(
        told.outcomes().iter().all(|outcome| *outcome == "changed"),
        "{:?}",
        told.messages()
    );
    let different: Vec<String> = (0..12)
        .map(|name| {
            task(
                name,
                &char::from(b'a' + u8::try_from(name).unwrap()).to_string(),
            )
        })
        .collect();
    let told = run(&world, &different.join(","));
    assert_eq!(
        told.outcomes()[8..10],
        ["changed", "failed"],
        "{:?}",
        told.messages()
    );
    let message = &told.messages()[9];
    assert!(
        message.contains("all tasks together are more than 8388608 bytes"),
        "{message}"
    );
}

#[test]
fn equal_artifacts_keep_apart_which_of_them_is_a_program() {
    let told = run(
        &World::new(),
        "task('make'):artifacts({ 'a/tool', 'b/text' }):command(function()
            fs.mkdir('a') fs.mkdir('b') fs.write('a/tool', 'same', { mode = '0755' }) fs.write('b/text', 'same') end),
         task('look'):consumes('make'):command(function() log.info(fs.stat('a/tool').mode, fs.stat('b/text').mode) end)",
    );
    assert_eq!(told.logged(), ["0755 0644"], "{:?}", told.messages());
    assert_eq!(
        told.outcomes()[1],
        "ok",
        "filling its own folder is no change"
    );
}

#[test]
fn artifacts_that_replace_a_file_keep_its_owner_and_mode() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let world = World::granting("files.write = ['{}/in/**']\nfiles.read = ['{}/in/**']");
    let path = world.write("in/a", "before");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    if nix::unistd::geteuid().is_root() {
        std::os::unix::fs::chown(&path, Some(1234), Some(4321)).unwrap();
    }
    let before = std::fs::metadata(&path).unwrap();
    let told = run(
        &world,
        "task('build'):artifacts('a'):command(function() fs.write('a', 'after', { mode = '0755' }) end),
         task('put'):consumes('a'):workdir('{}/in'):command(function() end)",
    );
    assert_eq!(told.outcomes()[1], "changed", "{:?}", told.messages());
    let after = std::fs::metadata(&path).unwrap();
    assert_eq!(world.read("in/a"), "after");
    assert_eq!(
        (after.mode(), after.uid(), after.gid()),
        (before.mode(), before.uid(), before.gid())
    );
}

#[test]
fn a_scratch_folder_is_measured_while_the_task_sleeps_and_while_it_is_busy() {
    let world = World::granting("process.shell = true\nlimits.scratch = '2MiB'");
    let fill = "goroutine.spawn(function() exec.run('i=0; while [ $i -lt 100 ]; do head -c 100000 /dev/zero > file$i; i=$((i+1)); done; sleep 60') end) goroutine.yield()";
    for wait in [
        "time.sleep(15)",
        "local t = os.time() while os.time() < t + 15 do end",
    ] {
        let began = Instant::now();
        let ended = world.run(&format!("{fill} {wait}")).ended();
        assert!(
            ended.starts_with("failed: the task's scratch folder holds more than"),
            "{wait}: {ended}"
        );
        assert!(
            began.elapsed() < Duration::from_secs(12),
            "{:?}",
            began.elapsed()
        );
    }
}
