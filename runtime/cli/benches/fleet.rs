//! What a fleet costs, with real processes on loopback: a step to an agent and back over TLS, durable steps through one
//! master, a thousand agents at once, and output. Prints what it found beside what it may be; it is no test.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a measurement may fail, and tells what it found"
)]

mod fleet {
    pub(crate) mod house;
    pub(crate) mod simulated;
}

use std::sync::Arc;
use std::time::{Duration, Instant};

use fleet::house::{House, Work};
use fleet::simulated;
use tokio::runtime::Runtime;

const NOTHING: &str =
    "workflow.define('w'):tasks({ task('t'):command(function() return true end) })";
/// Steps of each of fifty agents.
const EACH: usize = 100;
const LINES: u64 = 1_000_000;

fn main() {
    // `cargo test` runs it too, to see that it runs.
    let short = !std::env::args().any(|argument| argument == "--bench");
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        round_trip(if short { 5 } else { 500 }).await;
        durable(if short { 2 } else { EACH }).await;
        thousand(if short { 20 } else { 1000 }).await;
        lines(if short { 10_000 } else { LINES }).await;
    });
}

/// A step that does nothing: submitted, made by an agent, and told; client, master and agent are warm.
async fn round_trip(times: usize) {
    let house = House::with_an_agent("").await;
    let work = Work::of(NOTHING, &house).await;
    let targets = ["a".to_owned()];
    for _ in 0..times.div_ceil(10) {
        work.ended(&house, &targets).await;
    }
    let mut took = Vec::new();
    for _ in 0..times {
        let began = Instant::now();
        work.ended(&house, &targets).await;
        took.push(began.elapsed());
    }
    took.sort();
    let (half, most) = (took[times / 2], took[times * 99 / 100]);
    println!(
        "no-op step, client → master → agent → back, TLS: p50 {half:?} (5 ms), p99 {most:?} (20 ms)"
    );
}

/// Each step is a row of its own that is on the disk before it is given out, and again when it ends.
async fn durable(each: usize) {
    let house = House::insecure().await;
    let names: Vec<String> = (0..50).map(|number| format!("agent-{number}")).collect();
    let agents = simulated::agents(&house, &names).await;
    let tasks: String = (0..each)
        .map(|number| format!("task('t{number}'):command(function() end),"))
        .collect();
    let script =
        format!("workflow.define('w'):config({{ max_parallel_tasks = 10 }}):tasks({{ {tasks} }})");
    let work = Work::of(&script, &house).await;
    let began = Instant::now();
    work.ended(&house, &names).await;
    let took = began.elapsed();
    let steps = names.len() * each;
    let rate = steps as f64 / took.as_secs_f64();
    println!("durable steps, 50 agents: {steps} in {took:?}, {rate:.0} a second (2,000)");
    drop(agents);
}

/// One step on each of many agents.
async fn thousand(count: usize) {
    let house = House::insecure().await;
    let names: Vec<String> = (0..count).map(|number| format!("agent-{number}")).collect();
    let agents = simulated::agents(&house, &names).await;
    let work = Work::of(NOTHING, &house).await;
    let began = Instant::now();
    work.ended(&house, &names).await;
    let took = began.elapsed();
    let memory = house.memory() >> 20;
    println!("{count} agents, a step on each: {took:?} (1 s); the master has {memory} MiB (200)");
    drop(agents);
}

/// Lines of a program on an agent, until the last of them is with the client.
async fn lines(count: u64) {
    let policy = "process.run = ['sh -c *']\nprocess.shell = true";
    let house = Arc::new(House::with_an_agent(policy).await);
    let script = format!(
        "workflow.define('w'):tasks({{ task('t'):command(function()
           return exec.run(\"sh -c 'yes a line of sixty characters, as many programs print them so | head -n {count}'\").success
         end) }})"
    );
    let work = Work::of(&script, &house).await;
    let began = Instant::now();
    let came = work.ended(&house, &["a".to_owned()]).await;
    let took = began.elapsed().max(Duration::from_millis(1));
    let rate = came as f64 / took.as_secs_f64();
    println!("output: {came} of {count} lines in {took:?}, {rate:.0} a second (200,000)");
}
