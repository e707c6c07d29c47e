//! What services tell who watches them: real processes, asked over HTTP as a scraper does.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use nix::sys::signal::Signal;
use sloth_fleet::telemetry::{At, CATALOGUE, Kind};

use crate::house::{Fleet, free, until, within};
use crate::program::{Program, root};

/// A port that a service is watched on.
pub(crate) struct Port(u16);

/// What was answered.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Port {
    pub(crate) fn draw() -> Self {
        Self(free())
    }

    /// The options of a service that is watched here.
    pub(crate) fn options(&self) -> Vec<String> {
        let port = self.0.to_string();
        ["--telemetry", "--metrics-port", &port]
            .map(String::from)
            .to_vec()
    }

    fn send(&self, request: &str) -> Option<Answer> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.0)).ok()?;
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        // Whoever is cut off may be so before all is written.
        let _ = stream.write_all(request.as_bytes());
        let mut text = String::new();
        let _ = stream.read_to_string(&mut text);
        let (head, body) = text.split_once("\r\n\r\n")?;
        Some(Answer {
            status: head.split(' ').nth(1)?.parse().ok()?,
            head: head.to_lowercase(),
            body: body.to_owned(),
        })
    }

    fn try_get(&self, path: &str) -> Option<Answer> {
        self.send(&format!("GET {path} HTTP/1.1\r\nHost: here\r\n\r\n"))
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.try_get(path).expect("an answer")
    }

    pub(crate) fn text(&self) -> String {
        self.get("/metrics").body
    }

    /// The sum of a metric's samples with all of these labels, where they are whole numbers.
    fn count(&self, name: &str, labels: &[&str]) -> u64 {
        let text = self.text();
        let samples = samples(&text, name, labels);
        samples.map(|sample| sample.parse::<u64>().unwrap()).sum()
    }
}

/// A metric's samples with all of these labels.
fn samples<'a>(text: &'a str, name: &'a str, labels: &'a [&str]) -> impl Iterator<Item = &'a str> {
    text.lines().filter_map(move |line| {
        let rest = line.strip_prefix(name)?;
        let meant = rest.starts_with([' ', '{']) && labels.iter().all(|label| rest.contains(label));
        rest.rsplit_once(' ')
            .filter(|_| meant)
            .map(|(_, sample)| sample)
    })
}

/// What each metric of a node says.
fn whole(text: &str, other: At) -> BTreeMap<&'static str, Vec<String>> {
    let served = CATALOGUE.iter().filter(|metric| metric.at != other);
    let told = served.map(|metric| {
        let lines = text.lines().filter(|line| line.starts_with(metric.name));
        let mut lines: Vec<_> = lines.map(String::from).collect();
        lines.sort();
        (metric.name, lines)
    });
    told.collect()
}

/// A master and an agent that are watched.
pub(crate) fn watched(policy: &str) -> (Fleet, Port, Port) {
    let (master, agent) = (Port::draw(), Port::draw());
    let words = master.options();
    let mut fleet = Fleet::start_with(&words.iter().map(String::as_str).collect::<Vec<_>>());
    let words = agent.options();
    let port = free().to_string();
    let reported = format!("127.0.0.1:{port}");
    let mut options: Vec<&str> = words.iter().map(String::as_str).collect();
    options.extend(["--port", &port, "--report-address", &reported]);
    fleet.agent_with("a", policy, &options);
    (fleet, master, agent)
}

const WORK: &str = "workflow.define('deploy'):tasks({
    task('greet'):command(function() return exec.run('echo hello').success end),
    task('rest'):depends_on('greet'):command(function() return exec.run('sleep 2').success end),
    task('pry'):depends_on('rest'):command(function() return exec.run('cat /etc/shadow').success end),
})";

/// Waits for a run; gives its outcome.
fn ended(fleet: &Fleet, run: &str) -> String {
    let (events, _) = fleet.follow(run);
    let outcome = events.last().unwrap()["outcome"].as_str();
    outcome.unwrap().to_owned()
}

#[test]
fn every_metric_moves_when_something_happens() {
    let (mut fleet, master, agent) = watched("process.run = ['echo **', 'sleep *']");
    let scrape = || {
        (
            whole(&master.text(), At::Agent),
            whole(&agent.text(), At::Master),
        )
    };
    assert_eq!(master.count("sloth_agents", &["state=\"online\""]), 1);
    let mut scrapes = vec![scrape()];
    let file = fleet.master.write("w.sloth", WORK);
    let run = fleet.submit(&file, &["--delegate-to", "a"]);
    until("a step runs", || {
        // Of one moment: the next step may be between the two.
        let (before, now) = (&scrapes[0], scrape());
        let running = "sloth_tasks_running";
        let runs = before.0[running] != now.0[running] && before.1[running] != now.1[running];
        if runs {
            scrapes.push(now);
        }
        runs
    });
    assert_eq!(ended(&fleet, &run), "denied");
    scrapes.push(scrape());
    for (status, count) in [("changed", 2), ("denied", 1)] {
        let labels = [&*format!("status=\"{status}\""), "workflow=\"deploy\""];
        for port in [&master, &agent] {
            assert_eq!(port.count("sloth_tasks_total", &labels), count, "{status}");
        }
    }
    let slept = ["workflow=\"deploy\"", "task=\"rest\""];
    let text = master.text();
    let mut took = samples(&text, "sloth_task_duration_seconds_sum", &slept);
    assert!(took.next().unwrap().parse::<f64>().unwrap() >= 2.0);
    assert_eq!(agent.count("sloth_task_duration_seconds_count", &slept), 1);
    let refused = ["capability=\"process.run\""];
    assert!(agent.count("sloth_denials_total", &refused) >= 1);
    let submitted = ["method=\"sloth.v1.Fleet/Submit\"", "status=\"OK\""];
    assert_eq!(master.count("sloth_grpc_requests_total", &submitted), 1);
    // The master asks after the health of the agent's own port, soon after it has come.
    let asked = ["method=\"grpc.health.v1.Health/Check\"", "status=\"OK\""];
    until("the agent's port is asked", || {
        agent.count("sloth_grpc_requests_total", &asked) >= 1
    });
    scrapes.push(scrape());
    let info = [
        &*format!("os=\"{}\"", std::env::consts::OS),
        "version=\"0.1.0\"",
    ];
    assert_eq!(agent.count("sloth_agent_info", &info), 1);

    fleet.kill_agent("a");
    until("the agent is lost", || {
        master.count("sloth_agents", &["state=\"lost\""]) == 1
    });
    let run = fleet.submit(&file, &["--delegate-to", "a"]);
    until("a step waits for it", || {
        master.count("sloth_queue_depth", &[]) == 1
    });
    let last = whole(&master.text(), At::Agent);
    assert_eq!(fleet.ask(&["runs", "cancel", &run]).2, Some(0));
    until("nothing waits", || {
        master.count("sloth_queue_depth", &[]) == 0
    });
    assert_eq!(fleet.ask(&["agent", "drain", "a"]).2, Some(0));
    assert_eq!(master.count("sloth_agents", &["state=\"drained\""]), 1);

    let (mut of_master, of_agent): (Vec<_>, Vec<_>) = scrapes.into_iter().unzip();
    of_master.push(last);
    for metric in CATALOGUE {
        let name = metric.name;
        for (node, scrapes) in [("master", &of_master), ("agent", &of_agent)] {
            // What an agent is does not change.
            if scrapes[0].contains_key(name) && name != "sloth_agent_info" {
                let moved = scrapes
                    .windows(2)
                    .any(|pair| pair[0][name] != pair[1][name]);
                assert!(moved, "{name} of the {node}");
            }
        }
    }
}

#[test]
fn what_a_workflow_declares_in_vain_counts_as_refused() {
    let (fleet, _, agent) = watched("");
    let file = fleet.master.write(
        "w.sloth",
        "workflow.define('w'):tasks({ task('t'):capabilities({ users = { create = { 'eve' } } })
           :command(function() return true end) })",
    );
    let (_, said, code) = fleet.run(&file, &["--delegate-to", "a"]);
    assert_eq!(code, Some(3), "{said}");
    let refused = ["capability=\"users.create\""];
    assert_eq!(agent.count("sloth_denials_total", &refused), 1);
}

#[test]
fn a_master_that_comes_up_again_counts_no_task_a_second_time() {
    let (mut fleet, master, _) = watched("process.run = ['echo **', 'sleep *']");
    let file = fleet.master.write("w.sloth", WORK);
    let run = fleet.submit(&file, &["--delegate-to", "a"]);
    until("the first task has ended", || {
        master.count("sloth_tasks_total", &[]) == 1
    });
    fleet.kill_master();
    fleet.serve();
    assert_eq!(ended(&fleet, &run), "denied");
    assert_eq!(master.count("sloth_tasks_total", &[]), 2);
    assert_eq!(master.count("sloth_tasks_total", &["status=\"denied\""]), 1);
}

#[test]
fn health_and_readiness_are_told_apart_and_say_why_not() {
    let (mut fleet, master, agent) = watched("");
    until("the agent is ready", || agent.get("/ready").status == 200);
    let (answer, ready) = (master.get("/metrics"), master.get("/ready"));
    assert_eq!((ready.status, ready.body.as_str()), (200, "ok\n"));
    assert!(
        answer
            .head
            .contains("content-type: text/plain; version=0.0.4; charset=utf-8")
    );
    fleet.kill_master();
    until("the agent is not ready", || {
        agent.get("/ready").status == 503
    });
    let (health, ready) = (agent.get("/health"), agent.get("/ready"));
    assert_eq!((health.status, health.body.as_str()), (200, "ok\n"));
    assert_eq!(
        ready.body,
        "the master is not reached; the agent's log says why\n"
    );
    assert_eq!(agent.get("/").status, 404);
    assert_eq!(agent.get("/metrics/../etc").status, 404);
    let posted = agent.send("POST /metrics HTTP/1.1\r\nHost: here\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(posted.unwrap().status, 405);
    // What is asked of it while it drains is answered.
    fleet.serve();
    fleet.is_online("a");
    let slow = "workflow.define('w'):tasks({ task('t'):command(function() time.sleep(3) return true end) })";
    let file = fleet.master.write("slow.sloth", slow);
    let run = fleet.submit(&file, &["--delegate-to", "a"]);
    until("the step runs", || {
        agent.count("sloth_tasks_running", &[]) == 1
    });
    fleet
        .member("a")
        .service
        .as_ref()
        .unwrap()
        .signal(Signal::SIGTERM);
    until("the agent drains", || {
        agent.get("/ready").body.starts_with("the agent is drained")
    });
    assert_eq!(ended(&fleet, &run), "ok");
}

#[test]
fn nobody_who_reaches_the_port_can_hold_it_up_or_fill_it() {
    let (_fleet, master, _) = watched("");
    let long = format!(
        "GET /metrics HTTP/1.1\r\nHost: here\r\nX: {}\r\n\r\n",
        "x".repeat(1 << 20)
    );
    assert!(master.send(&long).is_none_or(|answer| answer.status >= 400));
    let many = format!("GET /metrics HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(1000));
    assert!(master.send(&many).is_none_or(|answer| answer.status >= 400));
    assert!(
        master
            .send("\u{16}\u{3}\u{1} this is no HTTP\r\n\r\n")
            .is_none_or(|answer| answer.status == 400)
    );
    // Who says nothing keeps its place for some seconds only.
    let silent: Vec<_> = (0..16)
        .map(|_| TcpStream::connect(("127.0.0.1", master.0)).unwrap())
        .collect();
    until("there is no place left", || {
        master.try_get("/health").is_none()
    });
    within(Duration::from_secs(15), "there is room again", || {
        master.try_get("/health").is_some()
    });
    drop(silent);
    assert_eq!(master.get("/metrics").status, 200);
}

#[test]
fn nothing_is_served_unasked_and_a_port_in_use_is_named() {
    let program = Program::keeping();
    let ended = program.run(&["master", "start", "--metrics-port", "9191"]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("--telemetry"), "{}", ended.stderr);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let own = free().to_string();
    for service in [
        &[
            "master",
            "start",
            "--bind-address",
            "127.0.0.1",
            "--port",
            &own,
        ][..],
        &[
            "agent",
            "start",
            "--name",
            "a",
            "--insecure",
            "--master",
            "127.0.0.1:1",
            "--port",
            &own,
        ],
    ] {
        let mut arguments = service.to_vec();
        arguments.extend(["--telemetry", "--metrics-port", &port]);
        let ended = program.run(&arguments);
        assert_ne!(ended.code, Some(0));
        let wanted = format!(
            "failed to listen on 127.0.0.1:{port} for metrics; name another port with --metrics-port"
        );
        assert!(ended.stderr.contains(&wanted), "{}", ended.stderr);
    }
}

/// The table of the guide.
fn table() -> String {
    let mut table =
        "| metric | kind | labels | of | what it says |\n| --- | --- | --- | --- | --- |\n"
            .to_owned();
    for metric in CATALOGUE {
        let of = match metric.at {
            At::Both => "both",
            At::Master => "master",
            At::Agent => "agent",
        };
        let (name, kind, labels) = (metric.name, metric.kind.word(), metric.labels.join(", "));
        table.push_str(
            &format!(
                "| `{name}` | {kind} | {labels} | {of} | {} |\n",
                metric.help
            )
            .replace("|  |", "| |"),
        );
    }
    table
}

#[test]
fn the_guide_lists_every_metric() {
    let path = root().join("docs/operations.md");
    let guide = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = guide.split_once("| metric | kind |").expect("the table");
    let after = rest.split_once("\n\n").expect("its end").1;
    let wanted = format!("{before}{}\n{after}", table());
    if std::env::var_os("SLOTH_ACCEPT").is_some() {
        std::fs::write(&path, &wanted).unwrap();
        return;
    }
    assert!(
        guide == wanted,
        "docs/operations.md: SLOTH_ACCEPT=1 writes it anew:\n{}",
        table()
    );
}

#[test]
fn the_monitoring_example_names_metrics_that_there_are() {
    let folder = root().join("examples/monitoring");
    let mut named = 0;
    for entry in std::fs::read_dir(&folder).unwrap().flatten() {
        let text = std::fs::read_to_string(entry.path()).unwrap();
        if entry
            .path()
            .extension()
            .is_some_and(|ending| ending == "json")
        {
            let board: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert!(
                board["panels"]
                    .as_array()
                    .is_some_and(|panels| panels.len() > 4)
            );
        }
        let words = text.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'));
        for word in words.filter(|word| word.starts_with("sloth_")) {
            let there = CATALOGUE.iter().any(|metric| {
                let rest = word.strip_prefix(metric.name);
                match metric.kind {
                    Kind::Histogram => {
                        rest.is_some_and(|rest| matches!(rest, "" | "_bucket" | "_sum" | "_count"))
                    }
                    Kind::Counter | Kind::Gauge => rest == Some(""),
                }
            });
            assert!(there, "{word} in {}", entry.path().display());
            named += 1;
        }
    }
    assert!(named > 10, "{named}");
}
