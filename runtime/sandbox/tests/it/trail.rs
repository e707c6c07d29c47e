//! What a step leaves on record.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use sloth_sandbox::ports::audit::{Audit, Kind, Record};

use crate::server::{Server, says};
use crate::world::World;

/// An audit in memory, which can be full.
#[derive(Default)]
pub(crate) struct Kept {
    pub(crate) records: Mutex<Vec<Record>>,
    pub(crate) full: AtomicBool,
    /// Intents that were not taken.
    pub(crate) refused: AtomicU32,
}

impl Audit for Kept {
    fn note(&self, record: Record) {
        self.records.lock().unwrap().push(record);
    }

    fn commit(&self, record: Record) -> io::Result<u64> {
        if self.full.load(Ordering::Relaxed) {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return Err(io::ErrorKind::StorageFull.into());
        }
        let mut records = self.records.lock().unwrap();
        records.push(record);
        Ok(records.len() as u64)
    }

    fn flush(&self) {}
}

/// Kind, capability, outcome and number of the intent, one line each.
fn told(kept: &Kept) -> Vec<String> {
    let records = kept.records.lock().unwrap();
    records
        .iter()
        .map(|record| {
            format!(
                "{} {} {} {}",
                record.kind.word(),
                record.capability,
                record.outcome.unwrap_or("-"),
                record.intent.map_or("-".to_owned(), |n| n.to_string())
            )
        })
        .collect()
}

fn kept(world: &mut World) -> Arc<Kept> {
    let kept = Arc::new(Kept::default());
    world.witness.audit = Some(kept.clone());
    kept
}

#[test]
fn a_step_leaves_what_it_read_was_refused_and_changed_in_order() {
    let mut world = World::granting("files.read = ['{}/a']\nfiles.write = ['{}/b']");
    world.write("a", "old");
    let kept = kept(&mut world);
    let ran = world
        .run("fs.write('{}/b', fs.read('{}/a')) pcall(fs.read, '{}/c') fs.write('{}/b', 'old')");
    assert_eq!(ran.ended(), "changed: ");
    assert_eq!(
        told(&kept),
        [
            "call files.read - -",
            "intent files.write - -",
            "result files.write ok 2",
            "denial files.read policy -",
        ]
    );
    let records = kept.records.lock().unwrap();
    assert!(records.iter().all(|record| {
        let origin = &record.origin;
        (&*origin.run, &*origin.task, origin.attempt) == ("0123456789abcdef", "t", 1)
    }));
}

#[test]
fn what_fails_after_its_intent_is_on_record_as_failed() {
    let mut world = World::granting("files.write = ['{}/**']");
    world.write("a", "");
    let kept = kept(&mut world);
    world.run("pcall(fs.write, '{}/none/b', 'x') pcall(fs.append, '/proc/sys/none', 'x') fs.write('{}/a/b', 'x')");
    let told = told(&kept);
    assert!(!told.iter().any(|line| line.contains("ok")), "{told:?}");
    let intents = told
        .iter()
        .filter(|line| line.starts_with("intent"))
        .count();
    let failed = told.iter().filter(|line| line.contains("failed")).count();
    assert_eq!(intents, failed, "{told:?}");
}

#[test]
fn programs_side_by_side_each_have_their_own_result_and_one_left_behind_as_well() {
    let mut world =
        World::granting("process.run = ['sleep *', 'true', '/usr/bin/sleep *', '/usr/bin/true']");
    let kept = kept(&mut world);
    let ran = world.run(
        "local g = goroutine
         local a, b = g.async(function() return exec.run('sleep 0.3') end), g.async(function() return exec.run('true') end)
         g.await_all({ a, b })",
    );
    assert_eq!(ran.ended(), "changed: ");
    let records = kept.records.lock().unwrap();
    let intents: Vec<_> = records.iter().filter(|r| r.kind == Kind::Intent).collect();
    assert_eq!(intents.len(), 2);
    for result in records.iter().filter(|r| r.kind == Kind::Result) {
        let number = usize::try_from(result.intent.unwrap()).unwrap();
        assert_eq!(records[number - 1].subject, result.subject);
        assert_eq!(result.outcome, Some("ok"));
    }
}

#[test]
fn when_the_audit_is_full_a_change_is_refused_with_the_reason() {
    let mut world = World::granting("files.write = ['{}/b']");
    kept(&mut world).full.store(true, Ordering::Relaxed);
    let ran = world.run("local ok, err = fs.write('{}/b', 'x') return ok ~= nil, err");
    let ended = ran.ended();
    assert!(
        ended.starts_with("failed: ") && ended.contains("the audit cannot be written"),
        "{ended}"
    );
    assert!(ended.contains("make room"), "{ended}");
    assert!(!std::path::Path::new(&world.path("b")).exists());
}

#[test]
fn a_steps_own_folder_needs_no_intent() {
    let mut world = World::new();
    let kept = kept(&mut world);
    kept.full.store(true, Ordering::Relaxed);
    assert_eq!(world.run("fs.write('x', '1')").ended(), "changed: ");
    assert_eq!(told(&kept), ["result files.write ok -"]);
}

#[test]
fn check_mode_leaves_what_would_be_done_and_no_intent() {
    let mut world = World::granting("files.write = ['{}/b']");
    world.check = true;
    let kept = kept(&mut world);
    world.run("fs.write('{}/b', 'x')");
    assert_eq!(told(&kept), ["plan files.write - -"]);
}

#[test]
fn no_record_holds_a_secret_not_even_one_that_was_revealed() {
    let mut world = World::granting(
        "files.read = ['{}/**']\nfiles.write = ['{}/**']\nsecrets.reveal = ['*']\n[process]\nrun = ['echo **']",
    );
    let kept = kept(&mut world);
    let ran = world.run(
        "local value = secret('db-password'):reveal()
         exec.run({ 'echo', '--password=' .. value })
         fs.write('{}/' .. value, 'x')
         pcall(fs.read, '/etc/' .. value)
         fs.read('{}/' .. value)
         fs.write('{}/' .. value .. '/under', 'x')",
    );
    assert!(ran.finished.outcome.succeeded(), "{}", ran.ended());
    let records = kept.records.lock().unwrap();
    let text = format!("{records:?}");
    assert!(!text.contains("horse"), "{text}");
    for part in [
        "--password=<secret db-password>",
        "/etc/<secret db-password>",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn a_request_has_one_intent_if_it_acts_or_writes_and_one_result_whatever_becomes_of_it() {
    let server = Server::plain(|heard| {
        if heard.contains("/gone") {
            says("302 Found", "Location: http://other.test/x\r\n", "")
        } else {
            says("200 OK", "", "content")
        }
    });
    let port = server.port;
    let mut world = World::granting(
        "http.send = ['http://127.0.0.1:*']\nhttp.addresses = ['127.0.0.1']\nfiles.write = ['{}/**']\nfiles.read = ['{}/**']",
    );
    let kept = kept(&mut world);
    let digest = "ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73";
    let steps = [
        // Looking is put on record without an intent.
        ("http.get(url)", "call http.send - -"),
        (
            "http.post(url, { body = 'x' })",
            "intent http.send - - | result http.send ok 1",
        ),
        (
            "http.download(url, '{}/f')",
            "intent files.write - - | result files.write ok 1",
        ),
        (
            "http.download(url, '{}/f', { sha256 = DIGEST })",
            "intent files.write - - | result files.write unchanged 1",
        ),
        (
            "http.download(url, 'own')",
            "call http.send - - | result files.write ok -",
        ),
        (
            "pcall(http.post, url .. 'gone', { body = 'x' })",
            "intent http.send - - | denial http.send policy - | result http.send failed 1",
        ),
        (
            "http.post('http://127.0.0.1:1/', { body = 'x' })",
            "intent http.send - - | result http.send failed 1",
        ),
    ];
    for (step, expected) in steps {
        kept.records.lock().unwrap().clear();
        let step = step.replace("DIGEST", &format!("'{digest}'"));
        let ran = world.run(&format!("local url = 'http://127.0.0.1:{port}/'\n{step}"));
        let told = told(&kept).join(" | ");
        assert_eq!(told, expected, "{step}: {}", ran.ended());
    }
}

#[test]
fn a_loop_over_what_is_refused_or_looked_at_is_told_of_and_fills_no_disk() {
    let mut world = World::granting("files.read = ['{}/**']");
    world.write("there", "x");
    let kept = kept(&mut world);
    let ran = world.run(
        "for number = 1, 5000 do pcall(fs.read, '/nowhere/' .. number .. ('/x'):rep(1000)) end
         for _ = 1, 500 do fs.read('{}/there') end",
    );
    assert!(ran.finished.outcome.succeeded(), "{}", ran.ended());
    let records = kept.records.lock().unwrap();
    let of = |kind| records.iter().filter(move |record| record.kind == kind);
    assert_eq!(of(Kind::Denial).count(), 1001);
    assert!(of(Kind::Denial).all(|record| record.subject.len() < 600));
    assert!(of(Kind::Call).count() < 120, "{}", of(Kind::Call).count());
    let more: Vec<_> = records
        .iter()
        .map(|record| record.subject.as_str())
        .collect();
    assert!(
        more.contains(&"and 4000 more"),
        "{:?}",
        &more[more.len() - 3..]
    );
}

#[test]
fn whose_step_it_was_is_told_within_bounds_and_without_its_secrets() {
    let mut world = World::granting("secrets.reveal = ['*']");
    let kept = kept(&mut world);
    world.witness.run = "r".repeat(100_000);
    world.run("pcall(fs.read, '/nowhere')");
    let records = kept.records.lock().unwrap();
    assert!(records[0].origin.run.len() < 600 && !records[0].origin.run.is_empty());
}

#[test]
fn what_a_step_leaves_in_its_stack_is_put_on_record_like_any_change_of_the_node() {
    let mut world = World::new();
    let kept = kept(&mut world);
    let body = "stack.set_output('color', 'blue')";
    let ran = world.run(body);
    assert!(ran.finished.outcome.succeeded(), "{}", ran.ended());
    let records = told(&kept);
    assert!(
        records.contains(&"intent stack.keep - -".to_owned()),
        "{records:?}"
    );
    assert!(
        records.last().unwrap().starts_with("result stack.keep ok"),
        "{records:?}"
    );
    kept.full.store(true, Ordering::Relaxed);
    let ran = world.run(body);
    assert!(
        ran.ended().contains("the audit cannot be written"),
        "{}",
        ran.ended()
    );
}
