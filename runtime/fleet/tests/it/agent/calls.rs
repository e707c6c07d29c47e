//! Calls that fit are made, and their events and ends are told.

use sloth_workflow::Outcome;

use super::world::World;

const SCRIPT: &str = "
workflow.define('w'):tasks({
    task('a'):command(function() print('hello') fs.write('{}/made', 'x') return true, 'done', { n = 1 } end):build(),
    task('b'):depends_on('a'):command(function(this, params, deps)
        print('n is ' .. deps.a.n)
        return true
    end):build(),
})";
const POLICY: &str = "[files]\nwrite = [\"{}/*\"]\nread = [\"{}/*\"]\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_call_is_made_and_told() {
    let world = World::of(SCRIPT, POLICY).await;
    let _agent = world.start().await;
    world.master.assign(world.assign(1, 0, "a")).await;
    let (ended, finished) = world.master.ended(1).await;
    assert!(!ended.interrupted);
    assert_eq!(finished.outcome, Outcome::Changed, "{:?}", finished.message);
    assert_eq!(world.read("made"), "x");
    let told = world.master.told();
    assert_eq!(told[0], "hello");
    assert!(told[1].starts_with("change: "), "{told:?}");
    assert_eq!(told[2], "1 changed: done");
    assert_eq!(told.len(), 3);
}
