//! The limit of processes holds for all programs of a step together.

use std::time::{Duration, Instant};

use crate::world::World;

fn world(processes: u32) -> World {
    World::granting(&format!(
        "limits.processes = {processes}\nprocess.shell = true\nprocess.run = ['/** **']"
    ))
}

/// A task that starts several programs at once and says how each ended.
fn at_once(count: u32, command: &str) -> String {
    format!(
        "local said = {{ }}
         local all = {{ }}
         for i = 1, {count} do
           all[i] = goroutine.async(function()
             local ok, result, problem = pcall(exec.run, [[{command}]])
             said[i] = ok and (problem or 'ok') or tostring(result)
           end)
         end
         for i = 1, {count} do goroutine.await(all[i]) end
         local again = exec.run('echo again')
         return true, nil, {{ said = said, again = again.stdout }}"
    )
}

/// How each program ended.
fn said(world: &World, body: &str) -> Vec<String> {
    let outputs: serde_json::Value = serde_json::from_str(&world.run(body).outputs()).unwrap();
    // Whatever became of them, the step goes on.
    assert_eq!(outputs["again"], "again\n", "{outputs}");
    let said = outputs["said"].as_array().unwrap().iter();
    said.map(|text| text.as_str().unwrap().to_owned()).collect()
}

fn living(mark: &str) -> usize {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok())
        .filter(|line| String::from_utf8_lossy(line).contains(mark))
        .count()
}

#[test]
fn programs_that_are_each_within_the_limit_are_not_within_it_together() {
    // Five processes each.
    let body = at_once(4, "for i in 1 2 3 4; do sleep 20.4142 & done; wait");
    let began = Instant::now();
    let said = said(&world(8), &body);
    let ended = "more than 8 processes together";
    assert!(said.iter().all(|text| text.contains(ended)), "{said:?}");
    assert!(began.elapsed() < Duration::from_secs(10));
    assert_eq!(living("20.4142"), 0);
}

#[test]
fn a_fork_bomb_spread_over_programs_is_limited() {
    // Each keeps far below the limit on its own, and goes on until it is stopped.
    let bomb = "n=0; while [ $n -lt 9 ]; do sleep 20.5772 & n=$((n+1)); sleep 0.05; done; wait";
    let said = said(&world(16), &at_once(6, bomb));
    let ended = |text: &&String| text.contains("processes together");
    assert_eq!(said.iter().filter(ended).count(), 6, "{said:?}");
    assert_eq!(living("20.5772"), 0);
}

#[test]
fn programs_that_are_within_the_limit_together_run() {
    let said = said(&world(8), &at_once(4, "sleep 0.2; sleep 0.2"));
    assert_eq!(said, ["ok"; 4]);
}

#[test]
fn one_more_program_than_there_is_room_for_is_refused_and_ends_no_other() {
    let said = said(&world(3), &at_once(4, "sleep 0.5"));
    let refused = "the task's programs have 3 processes already";
    assert_eq!(
        said.iter().filter(|text| *text == "ok").count(),
        3,
        "{said:?}"
    );
    assert!(said.iter().any(|text| text.contains(refused)), "{said:?}");
}
