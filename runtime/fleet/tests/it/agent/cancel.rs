//! What is cancelled ends within a second, whatever it does.

use std::time::{Duration, Instant};

use sloth_workflow::Outcome;

use super::master::until;
use super::world::World;

async fn cancelled(world: &World, call: u64) -> Duration {
    let began = Instant::now();
    world.master.cancel(world.call(call)).await;
    let (_, finished) = world.master.ended(call).await;
    assert_eq!(
        finished.outcome,
        Outcome::Cancelled,
        "{:?}",
        finished.message
    );
    began.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endless_loop_ends_within_a_second() {
    let script = "workflow.define('w'):tasks({ task('a'):command(function() fs.write('{}/begun', '') while true do end end):build() })";
    let world = World::of(script, "[files]\nwrite = [\"{}/*\"]\n").await;
    let _agent = world.start().await;
    world.master.assign(world.assign(1, 0, "a")).await;
    until("the loop", || world.path("begun").exists()).await;
    let took = cancelled(&world, 1).await;
    assert!(took < Duration::from_secs(1), "{took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_ends_and_leaves_nothing_behind() {
    let script = "workflow.define('w'):tasks({ task('a'):command(function() exec.run('sleep 98765') end):build() })";
    let world = World::of(script, "[process]\nrun = [\"sleep *\"]\n").await;
    let _agent = world.start().await;
    world.master.assign(world.assign(1, 0, "a")).await;
    until("the program", sleeping).await;
    let took = cancelled(&world, 1).await;
    assert!(took < Duration::from_secs(3), "{took:?}");
    assert!(!sleeping());
}

fn sleeping() -> bool {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok())
        .any(|line| line.ends_with(b"\x0098765\x00"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_output_holds_up_no_cancel_and_no_sign_of_life() {
    let script = "workflow.define('w'):tasks({ task('a'):command(function() while true do print(('x'):rep(200)) end end):build() })";
    let world = World::of(script, "[limits]\noutput = \"1GiB\"\n").await;
    let working = world.start().await;
    world.master.assign(world.assign(1, 0, "a")).await;
    world
        .master
        .sees("a flood", |seen| {
            (seen.deliveries.len() > 3000).then_some(())
        })
        .await;
    let began = Instant::now();
    world.master.cancel(world.call(1)).await;
    until("the step to end", || working.agent.status().running == 0).await;
    let took = began.elapsed();
    assert!(took < Duration::from_secs(1), "{took:?}");
    assert_eq!(
        world.master.look(|seen| seen.hellos.len()),
        1,
        "it is one session still"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_waits_for_its_place_is_cancelled_there() {
    let script = "workflow.define('w'):tasks({ task('a'):command(function() while true do end end):build() })";
    let world = World::of(script, "[limits]\nconcurrent-steps = 1\n").await;
    let working = world.start().await;
    world.master.assign(world.assign(1, 0, "a")).await;
    world.master.assign(world.assign(2, 0, "a")).await;
    until("both", || working.agent.status().running == 2).await;
    assert!(cancelled(&world, 2).await < Duration::from_secs(1));
    assert!(cancelled(&world, 1).await < Duration::from_secs(1));
}
