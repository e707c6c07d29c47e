//! `run`: granting, refusing, selecting, cancelling.

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::program::Program;

#[test]
fn a_write_outside_the_grants_is_an_event_with_the_line_to_add() {
    let program = Program::new();
    let file = program.task("fs.write('{}/out', 'x')");
    let policy = program.policy("files.write = ['{}/in/**']");
    let ended = program.run_file(&file, &["--policy", &policy, "--output", "json"]);
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    let events = ended.events();
    let denial = events
        .iter()
        .find(|event| event["event"] == "denial")
        .unwrap();
    assert_eq!(denial["capability"], "files.write");
    assert_eq!(denial["subject"], program.path("out"));
    assert_eq!(
        denial["remedy"],
        format!("[files] write = [\"{}\"]", program.path("out"))
    );
    let finished = events
        .iter()
        .find(|event| event["event"] == "step-finished")
        .unwrap();
    assert_eq!(finished["outcome"], "denied");
    let last = events.last().unwrap();
    assert_eq!(
        (&last["event"], &last["outcome"]),
        (&"run-finished".into(), &"denied".into())
    );
    assert!(!std::path::Path::new(&program.path("out")).exists());

    let policy = program.policy("files.write = ['{}/out']");
    let ended = program.run_file(&file, &["--policy", &policy]);
    assert_eq!(ended.code, Some(0), "{}", ended.stdout);
    assert_eq!(std::fs::read_to_string(program.path("out")).unwrap(), "x");
}

#[test]
fn without_a_terminal_and_without_yes_nothing_runs() {
    let program = Program::new();
    let file = program.task("log.info('ran')");
    let ended = program.run(&["run", "s", "-f", &file]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("add --yes"), "{}", ended.stderr);
    assert!(!ended.stdout.contains("ran"));
}

#[test]
fn yes_grants_nothing_and_grant_declared_grants_what_is_declared() {
    let program = Program::new();
    let script = format!(
        "workflow.define('w'):tasks({{ task('t'):command(function() fs.write('{0}/a', 'x') end):build() }})
           :capabilities({{ files = {{ write = {{ '{0}/**' }} }} }})",
        program.path("")
    );
    let file = program.write("w.sloth", script);
    assert_eq!(program.run_file(&file, &[]).code, Some(3));
    assert_eq!(program.run_file(&file, &["--grant-declared"]).code, Some(0));
}

#[test]
fn grant_declared_refuses_what_gives_the_account_away() {
    let program = Program::new();
    let file = program.write(
        "w.sloth",
        "workflow.define('w'):tasks({ task('t'):command(function() end):build() })
           :capabilities({ process = { shell = true }, files = { write = { '/**' } } })",
    );
    let ended = program.run_file(&file, &["--grant-declared"]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("process.shell") && ended.stderr.contains("files.write /**"));
}

#[test]
fn a_declaration_narrows_what_the_policy_grants() {
    let program = Program::new();
    let script = format!(
        "workflow.define('w'):tasks({{ task('t'):command(function() fs.write('{0}/a', 'x') end):build() }})
           :capabilities({{ files = {{ write = {{ '{0}/other' }} }} }})",
        program.path("")
    );
    let file = program.write("w.sloth", script);
    let policy = program.policy("files.write = ['{}/**']");
    let ended = program.run_file(&file, &["--policy", &policy]);
    assert_eq!(ended.code, Some(3), "{}", ended.stdout);
    assert!(ended.stdout.contains("(declaration)"), "{}", ended.stdout);
}

#[test]
fn values_come_from_files_and_settings_and_later_wins() {
    let program = Program::new();
    let file = program.task("log.info(values.site.name .. ' ' .. values.site.port + 1)");
    let yaml = program.write("a.yaml", "site: { name: one, port: 1 }\n");
    let toml = program.write("b.toml", "[site]\nname = 'two'\n");
    let ended = program.run_file(&file, &["-v", &yaml, "-v", &toml, "--var", "site.port:=41"]);
    assert!(
        ended.stdout.contains("two 42"),
        "{}{}",
        ended.stdout,
        ended.stderr
    );
}

const CHAIN: &str = "local function step(name, on)
    return { name = name, depends_on = on, command = function(this, params, deps)
      log.info('ran ' .. name)
      return true, nil, { from = name, got = on and deps[on] and deps[on].from }
    end }
  end
  workflow.define('w', { tasks = { step('a'), step('b', 'a'), step('c', 'b'), step('d') } })";

fn ran(program: &Program, more: &[&str]) -> String {
    let file = program.write("chain.sloth", CHAIN);
    let ended = program.run_file(&file, more);
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    let said = ended
        .stdout
        .lines()
        .filter_map(|line| line.trim().strip_prefix("│ ran "));
    said.collect::<Vec<_>>().join(" ")
}

#[test]
fn tasks_run_in_list_order_and_can_be_chosen_and_left_out() {
    let program = Program::new();
    assert_eq!(ran(&program, &[]), "a b c d");
    assert_eq!(ran(&program, &["--task", "b"]), "a b");
    assert_eq!(ran(&program, &["--skip", "a"]), "b c d");
    let file = program.path("chain.sloth");
    assert_eq!(program.run_file(&file, &["--task", "zzz"]).code, Some(2));
    assert_eq!(
        program.run_file(&file, &["--workflow", "zzz"]).code,
        Some(2)
    );
}

#[test]
fn a_failure_stops_what_follows_and_skips_what_depends_on_it() {
    let program = Program::new();
    let script = |config: &str| {
        format!(
            "local function t(name, on, ok) return {{ name = name, depends_on = on, command = function() return ok, 'because' end }} end
             workflow.define('w', {{ tasks = {{ t('a', nil, false), t('b', 'a', true), t('c', nil, true) }}, config = {{ {config} }} }})"
        )
    };
    let outcomes = |config: &str| {
        let file = program.write("w.sloth", script(config));
        let ended = program.run_file(&file, &["--output", "json"]);
        assert_eq!(ended.code, Some(1));
        let events = ended.events();
        let finished = events
            .iter()
            .filter(|event| event["event"] == "step-finished");
        finished
            .map(|e| {
                format!(
                    "{}={}",
                    e["task"].as_str().unwrap(),
                    e["outcome"].as_str().unwrap()
                )
            })
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(outcomes(""), "a=failed b=skipped c=skipped");
    assert_eq!(
        outcomes("on_failure = 'continue'"),
        "a=failed b=skipped c=ok"
    );
}

#[test]
fn an_interrupt_cancels_more_endless_loops_than_cores_within_a_second() {
    let program = Program::new();
    let file = program.write(
        "w.sloth",
        "local tasks = {}
         for i = 1, 8 do tasks[i] = { name = 't' .. i, command = function() while true do end end } end
         workflow.define('w', { tasks = tasks, config = { max_parallel_tasks = 8 } })",
    );
    let mut child = program
        .command(&["run", "s", "-f", &file, "--yes", "--output", "json"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let started = lines
        .by_ref()
        .filter(|line| line.as_ref().unwrap().contains("step-started"));
    assert_eq!(started.take(8).count(), 8);
    std::thread::sleep(Duration::from_millis(200));
    let began = Instant::now();
    let id = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGINT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(
        began.elapsed() < Duration::from_secs(3),
        "{:?}",
        began.elapsed()
    );
}

#[test]
fn an_interrupt_ends_running_programs_and_all_they_started() {
    let program = Program::new();
    let file = program.task("exec.run('sleep 4242 & (setsid sleep 4243 &); sleep 4244')");
    let policy = program.policy("process.shell = true");
    let mut child = program
        .command(&["run", "s", "-f", &file, "--policy", &policy, "--yes"])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let sleeping = || {
        std::fs::read_dir("/proc").unwrap().flatten().any(|entry| {
            let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            ["4242", "4243", "4244"]
                .iter()
                .any(|n| line.starts_with(format!("sleep\0{n}").as_bytes()))
        })
    };
    let began = Instant::now();
    while !sleeping() && began.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(sleeping(), "the programs did not start");
    let id = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGINT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(!sleeping(), "a program outlived its run");
}

#[test]
fn a_reader_that_goes_away_is_no_failure_of_the_run() {
    let program = Program::new();
    let file =
        program.task("for i = 1, 5000 do log.info('line ' .. i) end fs.write('{}/done', 'x')");
    let policy = program.policy("files.write = ['{}/**']");
    let mut child = program
        .command(&["run", "s", "-f", &file, "--policy", &policy, "--yes"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0; 10];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let mut stderr = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut stderr)
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    assert!(std::path::Path::new(&program.path("done")).exists());
}

#[test]
fn steps_share_one_loaded_instance_until_one_is_ended_by_force() {
    let program = Program::new();
    let file = program.write(
        "w.sloth",
        "local count = 0
         local function step(name, more)
           return { name = name, timeout = '500ms', command = function()
             count = count + 1
             log.info(name .. ' is number ' .. count)
             if more then more() end
           end }
         end
         workflow.define('w', {
           tasks = { step('a'), step('b'), step('c', function() while true do end end), step('d') },
           config = { on_failure = 'continue' } })",
    );
    let ended = program.run_file(&file, &[]);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    for said in [
        "a is number 1",
        "b is number 2",
        "c is number 3",
        "d is number 1",
    ] {
        assert!(ended.stdout.contains(said), "{said}: {}", ended.stdout);
    }
}

#[test]
fn tasks_with_declarations_of_their_own_never_run_out_of_instances() {
    let program = Program::new();
    let file = program.write(
        "w.sloth",
        "local tasks = {}
         for i = 1, 40 do
           tasks[i] = { name = 't' .. i, command = function() end,
             capabilities = { files = { read = { '/tmp/' .. i } } } }
         end
         workflow.define('w', { tasks = tasks })",
    );
    let policy = program.policy("files.read = ['/tmp/**']");
    let ended = program.run_file(&file, &["--policy", &policy]);
    assert_eq!(ended.code, Some(0), "{}", ended.stdout);
}

#[test]
fn a_folder_to_work_in_tells_nothing_where_nothing_is_granted() {
    let program = Program::new();
    for folder in ["/etc", "/etc/no-such-folder", "/etc/shadow"] {
        let script = format!(
            "workflow.define('w'):tasks({{ task('t'):workdir('{folder}'):command(function() end):build() }})"
        );
        let file = program.write("w.sloth", script);
        assert_eq!(program.run_file(&file, &[]).code, Some(3), "{folder}");
    }
}

#[test]
fn what_a_workflow_imports_is_out_of_its_reach() {
    let program = Program::new();
    program.write("lib.lua", "return table.pack()");
    let file = program.write(
        "w.sloth",
        "require('lib')
         workflow.define('w'):tasks({ task('t'):command(function()
            fs.write(values.at .. '/lib.lua', 'return 1') end) })",
    );
    let policy = program.policy("files.write = ['{}/**']\nfiles.read = ['{}/**']");
    let at = format!("at={}", program.path(""));
    let ended = program.run_file(&file, &["--policy", &policy, "--var", &at]);
    assert_eq!(ended.code, Some(3), "{}{}", ended.stdout, ended.stderr);
    assert!(ended.stdout.contains("self-protection"), "{}", ended.stdout);
}

#[test]
fn an_interrupt_is_heard_while_a_huge_file_is_hashed_or_collected() {
    for body in [
        "fs.hash('{}/huge')",
        "exec.run('truncate -s 300G huge') log.info('collecting')",
    ] {
        let program = Program::new();
        let huge = std::fs::File::create(program.path("huge")).unwrap();
        huge.set_len(300 << 30).unwrap();
        let script = format!(
            "workflow.define('w'):tasks({{ task('t'):artifacts('huge'):command(function() {} end) }})",
            body.replace("{}", &program.path(""))
        );
        let file = program.write("w.sloth", script);
        let policy = program.policy(
            "files.read = ['{}/huge']\nprocess.run = ['truncate **']\nlimits.scratch = '1024GiB'",
        );
        let mut child = program
            .command(&[
                "run", "s", "-f", &file, "--policy", &policy, "--yes", "--output", "json",
            ])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let wanted = if body.contains("collecting") {
            "collecting"
        } else {
            "step-started"
        };
        assert!(lines.any(|line| line.unwrap().contains(wanted)));
        std::thread::sleep(Duration::from_secs(1));
        let began = Instant::now();
        let id = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
        nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGINT).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(130), "{body}");
        assert!(
            began.elapsed() < Duration::from_secs(3),
            "{body}: {:?}",
            began.elapsed()
        );
    }
}

#[test]
fn a_pipe_is_no_import_and_is_not_waited_for() {
    let program = Program::new();
    let pipe = std::ffi::CString::new(program.path("lib.lua")).unwrap();
    nix::unistd::mkfifo(pipe.as_c_str(), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let file = program.write(
        "w.sloth",
        "import('lib.lua') workflow.define('w'):tasks({ task('t'):command(function() end) })",
    );
    let ended = program.run_file(&file, &[]);
    assert_eq!(ended.code, Some(2), "{}", ended.stdout);
    assert!(
        ended.stderr.contains("there is no file `lib.lua`"),
        "{}",
        ended.stderr
    );
}

#[test]
fn what_a_bundle_looks_at_has_an_end() {
    let program = Program::new();
    std::fs::create_dir(program.path("many")).unwrap();
    for index in 0..100_001 {
        let path = program.path("many") + &format!("/{index}");
        nix::unistd::mkdir(path.as_str(), nix::sys::stat::Mode::S_IRWXU).unwrap();
    }
    let file = program.write(
        "w.sloth",
        "workflow.define('w'):bundle('**/*.txt'):tasks({ task('t'):command(function() end) })",
    );
    let ended = program.run_file(&file, &[]);
    assert_eq!(ended.code, Some(2), "{}", ended.stdout);
    assert!(
        ended.stderr.contains("more than 100000 files and folders"),
        "{}",
        ended.stderr
    );
}
