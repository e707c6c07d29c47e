//! Where steps run: on agents that the file names, on the operator's own machine, and what passes between them.

use serde_json::Value;

use crate::house::{Fleet, of, until, whole};

/// Where each task ended, in the order of the events.
fn places(events: &[Value]) -> Vec<(String, String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    of(events, "step-finished")
        .into_iter()
        .map(|step| {
            (
                text(&step["task"]),
                text(&step["target"]),
                text(&step["outcome"]),
            )
        })
        .collect()
}

fn place(task: &str, target: &str, outcome: &str) -> (String, String, String) {
    (task.to_owned(), target.to_owned(), outcome.to_owned())
}

#[test]
fn tasks_go_where_the_file_says_and_what_depends_on_them_has_what_all_of_them_gave() {
    let mut fleet = Fleet::start();
    fleet.agent("a", "process.run = ['echo **']");
    fleet.agent("b", "process.run = ['echo **']");
    let file = fleet.master.write(
        "w.sloth",
        r#"
        local function say(text)
          return function() return true, nil, { said = exec.run("echo " .. text).stdout } end
        end
        workflow.define("w"):tasks({
          task("named"):delegate_to("a"):command(say("named")),
          task("listed"):delegate_to({ "a", "b" }):command(say("listed")),
          task("selected"):delegate_to("role=web"):command(say("selected")),
          task("found"):delegate_to(function() return "b" end):command(say("found")),
          task("gathered"):depends_on({ "named", "listed", "selected", "found" })
            :command(function(this, params, deps)
              return true, nil, {
                named = deps.named.said,
                listed = deps.listed.a.said .. deps.listed.b.said,
                selected = deps.selected.a.said .. deps.selected.b.said,
                found = deps.found.said,
              }
            end),
        })
        "#,
    );
    let (events, said, code) = fleet.run(&file, &["--targets", "role=web"]);
    assert_eq!(code, Some(0), "{said}");
    whole(&events);
    let mut places = places(&events);
    assert_eq!(places.pop(), Some(place("gathered", "local", "ok")));
    places.sort();
    assert_eq!(
        places,
        [
            place("found", "b", "changed"),
            place("listed", "a", "changed"),
            place("listed", "b", "changed"),
            place("named", "a", "changed"),
            place("selected", "a", "changed"),
            place("selected", "b", "changed"),
        ]
    );
    let gathered = &events.last().unwrap()["outputs"]["tasks"]["gathered"];
    assert_eq!(
        *gathered,
        serde_json::json!({
            "named": "named\n",
            "listed": "listed\nlisted\n",
            "selected": "selected\nselected\n",
            "found": "found\n",
        })
    );
}

#[test]
fn targets_that_the_operator_did_not_allow_are_listed_and_nothing_runs() {
    let mut fleet = Fleet::start();
    fleet.agent("a", "");
    fleet.agent("b", "");
    let file = fleet.master.write(
        "w.sloth",
        r#"workflow.define("w"):tasks({
             task("one"):delegate_to("b"):command(function() return true end),
             task("two"):delegate_to("local"):command(function() return true end),
           })"#,
    );
    let (events, said, code) = fleet.run(&file, &["--delegate-to", "a"]);
    assert_eq!((events.len(), code), (0, Some(2)), "{said}");
    for named in ["`b`", "`local`"] {
        assert!(said.contains(named), "{said}");
    }
    let (events, said, code) = fleet.run(
        &file,
        &["--delegate-to", "a", "--targets", "name=b", "--allow-local"],
    );
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(
        places(&events),
        [place("one", "b", "ok"), place("two", "local", "ok")]
    );
}

#[test]
fn steps_on_the_operators_machine_are_held_against_the_operators_own_policy() {
    let mut fleet = Fleet::start();
    fleet.agent("a", "files.write = ['/**']");
    let folder = fleet.master.path("");
    let file = fleet.master.write(
        "w.sloth",
        format!(
            r#"workflow.define("w"):tasks({{
                 task("here"):delegate_to("local"):command(function()
                   return fs.write("{folder}/made", "x")
                 end),
               }})"#
        ),
    );
    let wanted = ["--delegate-to", "a", "--allow-local"];
    let (events, said, code) = fleet.run(&file, &wanted);
    assert_eq!(code, Some(3), "{said}");
    assert_eq!(places(&events), [place("here", "local", "denied")]);
    let policy = fleet.master.policy("files.write = ['{}/made']");
    let granted = [wanted.as_slice(), &["--policy", &policy]].concat();
    let (_, said, code) = fleet.run(&file, &granted);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(std::fs::read(format!("{folder}/made")).unwrap(), b"x");
    // Nothing of the sessions is left.
    let sessions = std::fs::read_dir(fleet.master.data().join("sessions")).unwrap();
    assert_eq!(sessions.count(), 0);
    let (_, said, code) = fleet.run(&file, &["--delegate-to", "a", "--grant-declared"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("--allow-local lets tasks run here"), "{said}");
    let detached = [wanted.as_slice(), &["--detach"]].concat();
    let (_, said, code) = fleet.run(&file, &detached);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("leave out --detach"), "{said}");
}

#[test]
fn an_artifact_that_one_agent_leaves_is_there_on_the_other() {
    let mut fleet = Fleet::start();
    fleet.agent(
        "a",
        "process.run = ['head *', 'sh *']\nprocess.shell = true",
    );
    fleet.agent("b", "process.run = ['sha256sum *']");
    // Larger than a message may be.
    let file = fleet.master.write(
        "w.sloth",
        r#"workflow.define("w"):tasks({
             task("make"):delegate_to("a"):artifacts("big.bin"):command(function()
               local made = exec.run("head -c 20000000 /dev/zero | tr '\\0' x > big.bin")
               return made.success, made.stderr
             end),
             task("take"):delegate_to("b"):depends_on("make"):consumes("big.bin")
               :command(function()
                 local sum = exec.run("sha256sum big.bin")
                 return sum.success, sum.stderr, { sum = sum.stdout:sub(1, 16) }
               end),
           })"#,
    );
    let (events, said, code) = fleet.run(&file, &["--targets", "*"]);
    assert_eq!(code, Some(0), "{said} {events:?}");
    // sha256 of twenty million times the letter x.
    let sum = &events.last().unwrap()["outputs"]["tasks"]["take"]["sum"];
    assert_eq!(sum, "bc01a03f3f505eaf");
}

#[test]
fn runs_with_one_lock_run_one_after_the_other_or_not_at_all() {
    let mut fleet = Fleet::start();
    let folder = fleet.agent("a", "process.run = ['sleep *']\nfiles.write = ['{}/log']");
    let workflow = |wait: &str, name: &str| {
        format!(
            r#"workflow.define("w"):config({{ lock = {{ name = "prod", wait = "{wait}" }} }}):tasks({{
                 task("t"):command(function()
                   assert(fs.append("{folder}/log", "{name} begins\n"))
                   exec.run("sleep 2")
                   assert(fs.append("{folder}/log", "{name} ends\n"))
                 end),
               }})"#
        )
    };
    let first = fleet
        .master
        .write("first.sloth", workflow("queue", "first"));
    let second = fleet
        .master
        .write("second.sloth", workflow("queue", "second"));
    let skipping = fleet
        .master
        .write("skipping.sloth", workflow("skip", "third"));
    let failing = fleet
        .master
        .write("failing.sloth", workflow("fail", "fourth"));
    let begin = |file: &str| {
        let (id, said, code) = fleet.ask(&[
            "run",
            "s",
            "-f",
            file,
            "--yes",
            "--delegate-to",
            "a",
            "--detach",
        ]);
        assert_eq!(code, Some(0), "{said}");
        id.trim().to_owned()
    };
    let first = begin(&first);
    until("the first has begun", || {
        std::fs::read_to_string(format!("{folder}/log")).is_ok()
    });
    let second = begin(&second);
    let (events, said, code) = fleet.run(&skipping, &["--delegate-to", "a"]);
    assert_eq!(
        (places(&events), code),
        (vec![place("t", "a", "skipped")], Some(0)),
        "{said}"
    );
    let (events, said, code) = fleet.run(&failing, &["--delegate-to", "a"]);
    assert_eq!(
        (places(&events), code),
        (vec![place("t", "a", "failed")], Some(1)),
        "{said}"
    );
    let message = of(&events, "step-finished")[0]["message"].as_str().unwrap();
    assert_eq!(message, format!("run {first} holds the lock `prod`"));
    // Who holds it and who waits is kept.
    fleet.kill_master();
    fleet.serve();
    let (told, said, code) = fleet.ask(&["runs", "logs", &second, "-f"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        told.contains("another run holds the lock `prod`; this run waits"),
        "{told}"
    );
    assert_eq!(
        std::fs::read_to_string(format!("{folder}/log")).unwrap(),
        "first begins\nfirst ends\nsecond begins\nsecond ends\n"
    );
}

#[test]
fn a_killed_operator_who_submits_again_takes_part_in_the_same_run() {
    let mut fleet = Fleet::start();
    fleet.agent("a", "");
    let folder = fleet.master.path("");
    let file = fleet.master.write(
        "w.sloth",
        format!(
            r#"workflow.define("w"):tasks({{
                 task("here"):delegate_to("local"):retries(1):command(function(this)
                   assert(fs.append("{folder}/log", this.attempt() .. "\n"))
                   if this.attempt() == 1 then assert(exec.run("sleep 30").success) end
                 end),
               }})"#
        ),
    );
    let policy = fleet
        .master
        .policy("files.write = ['{}/log']\nprocess.run = ['sleep *']");
    let wanted = [
        "run",
        "my-stack",
        "-f",
        &file,
        "--yes",
        "--output",
        "json",
        "--delegate-to",
        "a",
        "--allow-local",
        "--policy",
        &policy,
        "--idempotency-key",
        "once",
    ];
    let mut first = fleet
        .asking(&wanted)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let log = format!("{folder}/log");
    until("it has begun", || {
        std::fs::read_to_string(&log).is_ok_and(|log| log == "1\n")
    });
    first.kill().unwrap();
    first.wait().unwrap();
    let (out, said, code) = fleet.ask(&wanted);
    assert_eq!(code, Some(0), "{said}\n{out}");
    assert_eq!(std::fs::read_to_string(&log).unwrap(), "1\n2\n");
    let other = [&wanted[..], &["--var", "x=1"]].concat();
    let (_, said, code) = fleet.ask(&other);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("`once/0` was given before with other values"),
        "{said}"
    );
}

#[test]
fn the_limit_holds_for_all_that_a_run_has_out_together() {
    let mut fleet = Fleet::start();
    let agents = ["a", "b", "c"];
    for agent in agents {
        fleet.agent(agent, "process.run = ['sleep *', 'date **']");
    }
    let task = |on: &str| {
        format!(
            r#"task("on-{on}"):delegate_to("{on}"):command(function()
                 local from = exec.run("date +%s%N").stdout
                 exec.run("sleep 0.5")
                 return true, nil, {{ from = from, to = exec.run("date +%s%N").stdout }}
               end),"#
        )
    };
    let tasks: String = agents.map(task).concat();
    let script = format!(
        r#"workflow.define("w"):config({{ max_parallel_tasks = 3 }}):tasks({{ {tasks} }})"#
    );
    let file = fleet.master.write("w.sloth", script);
    let targets = ["--targets", "role=web", "--limit", "2"];
    let (events, said, code) = fleet.run(&file, &targets);
    assert_eq!(code, Some(0), "{said}");
    let outputs = &events.last().unwrap()["outputs"]["tasks"];
    let moment = |agent: &str, name: &str| -> u64 {
        let said = outputs[format!("on-{agent}")][name].as_str().unwrap();
        said.trim().parse().unwrap()
    };
    // When each begins, so many are at it.
    let busy = agents.map(|agent| {
        let now = moment(agent, "from");
        let at_it = |other: &&&str| moment(other, "from") <= now && now < moment(other, "to");
        agents.iter().filter(at_it).count()
    });
    assert_eq!(busy.iter().max(), Some(&2), "{outputs}");
}
