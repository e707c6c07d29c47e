//! Policy, drain, and the agent's own port.

use std::time::Duration;

use sloth_fleet::agent::port;
use sloth_fleet::wire::generated::DescribeRequest;
use sloth_fleet::wire::generated::agent_client::AgentClient;
use sloth_fleet::wire::generated::{Drain, downward};
use sloth_workflow::Outcome;
use tokio::net::TcpListener;

use super::master::until;
use super::world::World;

const SCRIPT: &str = "workflow.define('w'):tasks({ task('a'):command(function()
    fs.append('{}/effects', 'x') time.sleep(0.4) fs.append('{}/effects', 'y') return true end):build() })";
const POLICY: &str = "[files]\nwrite = [\"{}/*\"]\nread = [\"{}/*\"]\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_is_reloaded_for_runs_to_come_and_a_wrong_one_changes_nothing() {
    let world = World::of(SCRIPT, POLICY).await;
    let working = world.start().await;
    world.master.assign(world.assign(1, 0, "a")).await;
    until("the first effect", || world.read("effects") == "x").await;
    let good = std::mem::replace(
        &mut *world.policy.lock().unwrap(),
        "version = 1\n[fils]\n".into(),
    );
    let problem = working.agent.reload().await.unwrap_err();
    assert!(problem.contains("policy.toml:2"), "{problem}");
    *world.policy.lock().unwrap() = "version = 1\n[limits]\nconcurrent-steps = 3\n".into();
    assert_eq!(working.agent.reload().await.unwrap(), [""; 0]);
    // What runs keeps what it began with.
    assert_eq!(world.master.ended(1).await.1.outcome, Outcome::Changed);
    assert_eq!(world.read("effects"), "xy");
    let mut next = world.assign(2, 0, "a");
    next.call.as_mut().unwrap().run = "next".into();
    world.master.assign(next).await;
    assert_eq!(world.master.ended(2).await.1.outcome, Outcome::Denied);
    *world.policy.lock().unwrap() = good;
    working.agent.reload().await.unwrap();
    let mut next = world.assign(3, 0, "a");
    next.call.as_mut().unwrap().run = "after".into();
    world.master.assign(next).await;
    assert_eq!(world.master.ended(3).await.1.outcome, Outcome::Changed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_that_is_reloaded_is_held_against_the_one_that_the_process_began_with() {
    let world = World::of(SCRIPT, POLICY).await;
    let working = world.start().await;
    let began = world.policy.lock().unwrap().clone();
    for _ in 0..2 {
        *world.policy.lock().unwrap() = "version = 1\n[files]\nwrite = [\"/opt/app/*\"]\n".into();
        let beyond = working.agent.reload().await.unwrap();
        assert_eq!(beyond, ["writing beneath /opt/app"]);
    }
    *world.policy.lock().unwrap() = began;
    assert_eq!(working.agent.reload().await.unwrap(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_draining_agent_takes_nothing_on_finishes_and_ends() {
    let world = World::of(SCRIPT, POLICY).await;
    let working = world.start().await;
    world.master.assign(world.assign(1, 0, "a")).await;
    until("the effect", || world.read("effects") == "x").await;
    working.agent.drain();
    world.master.assign(world.assign(2, 0, "a")).await;
    assert!(world.master.declined(2).await.0.contains("draining"));
    assert_eq!(world.master.ended(1).await.1.outcome, Outcome::Changed);
    until("the agent to end", || working.task.is_finished()).await;
    assert_eq!(world.read("effects"), "xy");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_is_ended_cancels_what_runs_and_says_so_first() {
    let script = "workflow.define('w'):tasks({ task('a'):command(function() while true do end end):build() })";
    let world = World::of(script, "").await;
    let working = world.start().await;
    world.master.assign(world.assign(1, 0, "a")).await;
    until("the call", || working.agent.status().running == 1).await;
    working.agent.drain();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!working.task.is_finished());
    working.agent.end();
    until("the agent to end", || working.task.is_finished()).await;
    assert_eq!(world.master.ended(1).await.1.outcome, Outcome::Cancelled);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_by_the_master_is_shown_and_work_that_comes_again_undoes_it() {
    let world = World::of(SCRIPT, POLICY).await;
    let working = world.start().await;
    world.master.send(downward::Kind::Drain(Drain {})).await;
    until("the drain", || working.agent.status().draining).await;
    world.master.assign(world.assign(1, 0, "a")).await;
    assert_eq!(world.master.ended(1).await.1.outcome, Outcome::Changed);
    assert!(!working.agent.status().draining);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_agents_own_port_tells_what_it_is_and_is_not_open_to_all() {
    let world = World::of(SCRIPT, POLICY).await;
    let working = world.start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(port::serve(working.agent.clone(), listener, None));
    until("a session", || working.agent.status().connected).await;
    let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{address}")).unwrap();
    let mut client = AgentClient::new(endpoint.connect().await.unwrap());
    let told = client
        .describe(DescribeRequest {})
        .await
        .unwrap()
        .into_inner();
    assert_eq!(told.name, "web-01");
    assert!(told.connected && told.policy.contains("[files]") && told.started.is_some());
    serving.abort();
    let open = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let refused = port::serve(working.agent.clone(), open, None)
        .await
        .unwrap_err();
    assert!(refused.contains("without TLS"), "{refused}");
}
