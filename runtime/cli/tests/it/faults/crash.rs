//! A walk through all states of a run: at each of them one of the processes is killed, at a system call that is counted,
//! so that it dies with what it wrote there and nothing more. Whatever dies comes up again, and the run comes to its end.

use std::collections::BTreeSet;
use std::process::{Child, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::house::{Fleet, beneath, events, of, whole, within};

/// Runs at once: most of the time they wait.
const AT_ONCE: usize = 6;
/// A run takes a second; with a kill and what is waited for after it, a few.
const LIMIT: Duration = Duration::from_mins(1);

/// Each step leaves a line that tells its attempt.
const WORKFLOW: &str = r#"
local function leave(name)
    return function(this)
        assert(fs.append("{}/effects", name .. " " .. this.attempt() .. "\n"))
        return true, nil, { made = name }
    end
end
workflow.define("w"):tasks({
    task("one"):retries(2):command(leave("one")):build(),
    task("two"):depends_on("one"):retries(2):command(function(this)
        local ran = exec.run("sh -c 'echo two " .. this.attempt() .. " >> {}/effects; sleep 0.05'")
        assert(ran.success, ran.stderr)
    end):build(),
    task("three"):depends_on("two"):retries(2):command(leave("three")):build(),
})
"#;

const POLICY: &str = "files.write = ['{}/*']\nprocess.run = ['sh -c *']\nprocess.shell = true";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    Master,
    Agent,
    Operator,
    /// The master and the agent at once.
    Both,
}

/// When a process dies.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// As one of its threads comes to a system call for the so-manieth time. `fsync`: what a commit wrote is in the
    /// file, and nobody was told. `pwrite64`: in the middle of writing it.
    Call(&'static str, usize),
    /// Once the effects have come so far: the program of the second step is at work.
    Effect(usize),
    /// Once the operator has seen so many events.
    Seen(usize),
}

#[derive(Clone, Copy, Debug)]
struct Point {
    victim: Victim,
    moment: Moment,
}

/// Every commit of a master and of an agent, from their start to the end of a run and a little further, before it and
/// after; in the middle of each effect; and every time that the operator's program speaks.
fn points() -> Vec<Point> {
    let calls = |victim, name, counts: Vec<usize>| {
        let point = move |count| Point {
            victim,
            moment: Moment::Call(name, count),
        };
        counts.into_iter().map(point)
    };
    let mut points: Vec<Point> = Vec::new();
    points.extend(calls(Victim::Master, "fsync", (1..=23).collect()));
    points.extend(calls(
        Victim::Master,
        "pwrite64",
        (2..=140).step_by(7).collect(),
    ));
    points.extend(calls(Victim::Agent, "fsync", (1..=17).collect()));
    points.extend(calls(Victim::Agent, "fdatasync", (1..=4).collect()));
    points.extend(calls(
        Victim::Agent,
        "pwrite64",
        (2..=82).step_by(5).collect(),
    ));
    for victim in [Victim::Agent, Victim::Master, Victim::Both] {
        points.extend((1..=3).map(|lines| Point {
            victim,
            moment: Moment::Effect(lines),
        }));
    }
    points.extend(calls(Victim::Operator, "writev", (1..=8).collect()));
    points.extend(calls(
        Victim::Operator,
        "recvfrom",
        (1..=12).step_by(2).collect(),
    ));
    points.extend((1..=11).step_by(2).map(|events| Point {
        victim: Victim::Operator,
        moment: Moment::Seen(events),
    }));
    points
}

#[test]
#[ignore = "needs strace, and a minute: .ci/run has both"]
fn whoever_is_killed_at_whatever_state_of_a_run_it_ends_and_each_effect_happens_once() {
    let template = {
        let mut fleet = Fleet::start();
        fleet.agent("a", POLICY);
        fleet.kill_agent("a");
        fleet.kill_master();
        fleet
    };
    let points = points();
    let (next, killed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(point) = points.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let walked = std::panic::catch_unwind(|| House::of(&template).walk(*point));
                    if let Ok(died) = walked {
                        killed.fetch_add(usize::from(died), Ordering::Relaxed);
                    } else {
                        failures.lock().unwrap().push(*point);
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{failures:#?}");
    let killed = killed.into_inner();
    // Some come after the end: how many commits a run takes is not the same each time.
    assert!(
        killed >= 60,
        "only {killed} of {} were killed",
        points.len()
    );
}

/// One fleet for one point.
struct House {
    fleet: Fleet,
    folder: String,
    file: String,
}

impl House {
    fn of(template: &Fleet) -> Self {
        let fleet = template.copy();
        let folder = fleet.agents[0].program.path("");
        let file = fleet
            .master
            .write("w.sloth", WORKFLOW.replace("{}", &folder));
        Self {
            fleet,
            folder,
            file,
        }
    }

    fn effects(&self) -> Vec<String> {
        let text = std::fs::read_to_string(format!("{}/effects", self.folder)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Has a run with one of the processes killed. Whether it was.
    fn walk(mut self, point: Point) -> bool {
        let wrapper = match point.moment {
            Moment::Call(name, count) => killing(name, count),
            Moment::Effect(_) | Moment::Seen(_) => Vec::new(),
        };
        if point.victim == Victim::Master && !wrapper.is_empty() {
            self.fleet.serve_beneath(&wrapper);
        } else {
            self.fleet.serve();
        }
        if point.victim == Victim::Agent && !wrapper.is_empty() {
            self.fleet.start_agent_beneath("a", &wrapper);
        } else {
            self.fleet.start_agent("a");
        }
        let own: &[String] = if point.victim == Victim::Operator {
            &wrapper
        } else {
            &[]
        };
        let mut operator = Some(self.operator(own));
        let mut died = false;
        within(LIMIT, "the run's end", || {
            died |= self.killed(point, operator.as_mut().unwrap(), died);
            let over = operator.as_mut().unwrap().try_wait().unwrap();
            let Some(status) = over else { return false };
            if status.code() == Some(0) {
                return true;
            }
            // Killed, or it found no master: the same again is the same run.
            died |= point.victim == Victim::Operator;
            operator = Some(self.operator(&[]));
            false
        });
        if point.victim == Victim::Master && !died {
            // Its moment would come while it is asked what happened.
            self.fleet.kill_master();
            self.fleet.serve();
        }
        self.has_ended_well(&point);
        died
    }

    /// Kills, or finds killed and starts again, whom it is about. Whether it was now.
    fn killed(&mut self, point: Point, operator: &mut Child, already: bool) -> bool {
        match (point.victim, point.moment) {
            (_, Moment::Effect(lines)) if !already && self.effects().len() >= lines => {
                if point.victim != Victim::Agent {
                    self.fleet.kill_master();
                }
                if point.victim != Victim::Master {
                    self.fleet.kill_agent("a");
                    self.fleet.start_agent("a");
                }
                if point.victim != Victim::Agent {
                    self.fleet.serve();
                }
                true
            }
            (_, Moment::Seen(count)) if !already => {
                let seen = std::fs::read_to_string(self.fleet.master.path("seen"));
                let seen = seen.unwrap_or_default().lines().count() >= count;
                if seen {
                    operator.kill().unwrap();
                }
                seen
            }
            (Victim::Master, _) if self.fleet.serving().is_over() => {
                self.fleet.serve();
                true
            }
            (Victim::Agent, Moment::Call(..)) => {
                let service = self.fleet.member("a").service.as_mut().unwrap();
                let over = service.is_over();
                if over {
                    self.fleet.start_agent("a");
                }
                over
            }
            _ => false,
        }
    }

    /// `run`, with a key that makes it the same run each time.
    fn operator(&self, wrapper: &[String]) -> Child {
        let mut command = self.fleet.asking(&[
            "run",
            "s",
            "-f",
            &self.file,
            "--yes",
            "--delegate-to",
            "a",
            "--idempotency-key",
            "the-run",
            "--output",
            "json",
        ]);
        if !wrapper.is_empty() {
            command = beneath(&command, wrapper);
        }
        let seen = std::fs::File::create(self.fleet.master.path("seen")).unwrap();
        let said = std::fs::File::create(self.fleet.master.path("said")).unwrap();
        command
            .stdout(seen)
            .stderr(said)
            .stdin(Stdio::null())
            .spawn()
            .unwrap()
    }

    fn has_ended_well(&mut self, point: &Point) {
        let mut listed = String::new();
        let mut problem = String::new();
        let began = Instant::now();
        while listed.is_empty() {
            assert!(began.elapsed() < LIMIT, "{point:?}: {problem}");
            if self.fleet.serving().is_over() {
                self.fleet.serve();
            }
            (listed, problem, _) = self.fleet.ask(&["runs", "list", "--output", "json"]);
        }
        let listed: Value = serde_json::from_str(&listed).unwrap();
        let runs = listed["runs"].as_array().unwrap();
        assert_eq!(runs.len(), 1, "{point:?}: {listed}");
        let run = runs[0]["id"].as_str().unwrap();
        let told = self.fleet.ask(&["runs", "logs", run, "--output", "json"]).0;
        let told = events(&told);
        whole(&told);
        let seen = std::fs::read_to_string(self.fleet.master.path("seen")).unwrap();
        assert_eq!(
            events(&seen),
            told,
            "{point:?}: what was seen is what is kept"
        );
        assert_eq!(
            told.last().unwrap()["outcome"],
            "changed",
            "{point:?}: {told:#?}"
        );
        assert_eq!(of(&told, "run-finished").len(), 1);
        let effects = self.effects();
        let once: BTreeSet<&String> = effects.iter().collect();
        assert_eq!(once.len(), effects.len(), "{point:?}: {effects:?}");
        let mut attempts = BTreeSet::new();
        for started in of(&told, "step-started") {
            let (task, attempt) = (started["task"].as_str().unwrap(), &started["attempt"]);
            assert!(
                attempts.insert(format!("{task} {attempt}")),
                "{point:?}: {told:#?}"
            );
        }
        assert!(effects.iter().all(|effect| attempts.contains(effect)));
        let finished = of(&told, "step-finished");
        assert_eq!(finished.len(), 3, "{point:?}: {told:#?}");
        for step in finished {
            let of_task = |line: &&String| line.split(' ').next() == step["task"].as_str();
            let last = attempts.iter().filter(of_task).max().unwrap();
            assert_eq!(step["outcome"], "changed");
            assert!(
                effects.contains(last),
                "{point:?}: {last} was told and is not there"
            );
        }
        self.left_nothing_behind(point);
    }

    /// No program of a step outlives it.
    fn left_nothing_behind(&self, point: &Point) {
        let began = Instant::now();
        let orphans = || {
            let processes = std::fs::read_dir("/proc").unwrap().flatten();
            let lines = processes
                .filter_map(|process| std::fs::read_to_string(process.path().join("cmdline")).ok());
            let mark = format!("{}/effects", self.folder);
            lines
                .filter(|line| line.contains(&mark))
                .collect::<Vec<_>>()
        };
        while !orphans().is_empty() {
            assert!(
                began.elapsed() < Duration::from_secs(5),
                "{point:?}: {:?}",
                orphans()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// A program that starts another and kills it there.
fn killing(call: &str, count: usize) -> Vec<String> {
    let inject = format!("inject={call}:signal=SIGKILL:when={count}");
    let trace = format!("trace={call}");
    [
        "strace",
        "-f",
        "-o",
        "/dev/null",
        "-e",
        &trace,
        "-e",
        &inject,
    ]
    .map(str::to_owned)
    .into()
}
