//! `process`: programs run only as granted, and confined to what the step may do.

use std::time::{Duration, Instant};

use crate::verbs::{Again, Verb, stand};
use crate::world::World;

const SHELL: &str = "process.shell = true\nprocess.run = ['/** **']\n";

#[test]
fn every_function_stands() {
    let verb = |function, body| Verb {
        function,
        body,
        grants: "process.run = ['touch **']\nfiles.write = ['{}/**']",
        again: Again::Acts,
    };
    let verbs = [
        verb("run", "exec.run('touch {}/made')"),
        verb(
            "spawn",
            "local ok, problem
             goroutine.await(goroutine.async(function()
               ok, problem = pcall(exec.run, 'touch {}/made')
             end))
             if not ok then error(problem) end",
        ),
    ];
    let made = |world: &World| format!("{}", std::path::Path::new(&world.path("made")).exists());
    stand("process", &verbs, World::new, made);
}

#[test]
fn the_line_of_a_denial_makes_the_command_pass() {
    let mut world = World::new();
    let body = "local r = exec.run({ 'echo', 'a b', '*' }) return true, nil, { out = r.stdout }";
    let remedy = world.run(body).denials()[0].remedy.clone().unwrap();
    world.policy = format!("version = 1\n{}", remedy.replacen("] ", "]\n", 1));
    assert_eq!(world.run(body).outputs(), r#"{"out":"a b *\n"}"#);
    assert!(
        world
            .run("exec.run({ 'echo', 'a b', 'x' })")
            .ended()
            .starts_with("denied: ")
    );
}

#[test]
fn shell_syntax_needs_the_shell_and_the_denial_says_both_ways_out() {
    let ran = World::granting("process.run = ['echo **']").run("exec.run('echo a && echo b')");
    let ended = ran.ended();
    assert!(
        ended.starts_with("denied: ") && ended.contains("shell = true"),
        "{ended}"
    );
}

#[test]
fn a_shell_reads_no_file_that_is_not_granted() {
    let ran = World::granting(SHELL).run(
        "local r = exec.run('cat /etc/shadow; true')
         return true, nil, { out = r.stdout, failed = r.stderr:find('denied') ~= nil }",
    );
    assert_eq!(ran.outputs(), r#"{"failed":true,"out":""}"#);
}

#[test]
fn a_child_writes_only_beneath_its_grants_and_its_scratch_folder() {
    let world = World::granting(&format!("{SHELL}files.write = ['{{}}/in/**']"));
    world.write("in/keep", "");
    let ran = world.run(
        "local r = exec.run('echo x > {}/in/new; echo x > {}/out; echo x > here && cat here; pwd')
         return true, nil, { out = r.stdout:match('^x') }",
    );
    assert_eq!(ran.outputs(), r#"{"out":"x"}"#);
    assert_eq!(world.read("in/new"), "x\n");
    assert!(!std::path::Path::new(&world.path("out")).exists());
}

#[test]
fn a_child_is_denied_what_lies_denied_beneath_a_grant() {
    let world = World::granting(&format!(
        "{SHELL}files.read = ['{{}}/**']\ndeny.files.read = ['{{}}/t/*.key']"
    ));
    world.write("t/a.key", "secret");
    world.write("t/b.txt", "public");
    let ran = world.run(
        "local r = exec.run('cat {}/t/a.key {}/t/b.txt; true') return true, nil, { out = r.stdout }",
    );
    assert_eq!(ran.outputs(), r#"{"out":"public"}"#);
}

#[test]
fn a_child_gets_a_clean_environment() {
    let ran = World::granting("[process]\nrun = ['env']\nenv = ['COLOR']").run(
        "local r = exec.run('env', { env = { COLOR = 'blue' } })
         local names = table.pack()
         for name in r.stdout:gmatch('([A-Z_]+)=') do names[#names + 1] = name end
         table.sort(names)
         return true, nil, { names = table.concat(names, ' ') }",
    );
    assert_eq!(ran.outputs(), r#"{"names":"COLOR HOME LANG PATH TMPDIR"}"#);
    let ran =
        World::granting("process.run = ['env']").run("exec.run('env', { env = { A = 'b' } })");
    assert!(
        ran.ended()
            .starts_with("denied: process.env is not granted for A"),
        "{}",
        ran.ended()
    );
}

#[test]
fn a_program_that_ignores_being_asked_to_end_is_ended() {
    let mut world = World::granting(SHELL);
    world.timeout = Duration::from_secs(1);
    let began = Instant::now();
    let ran = world.run("exec.run(\"trap '' TERM; while :; do sleep 1; done\")");
    assert!(ran.ended().starts_with("timed-out: "), "{}", ran.ended());
    assert!(
        began.elapsed() < Duration::from_secs(6),
        "{:?}",
        began.elapsed()
    );
}

#[test]
fn a_programs_own_timeout_is_no_end_of_the_task() {
    let ran = World::granting("process.run = ['sleep *']").run(
        "local r = exec.run('sleep 20', { timeout = '300ms' })
         return true, nil, { timed_out = r.timed_out, success = r.success }",
    );
    assert_eq!(ran.outputs(), r#"{"success":false,"timed_out":true}"#);
}

#[test]
fn an_exit_code_a_signal_and_bytes_come_back() {
    let ran = World::granting(SHELL).run(
        "local r = exec.run('printf \"\\\\377\\\\0a\"; exit 3')
         local s = exec.run('kill -9 $$')
         return true, nil, { code = r.exit_code, bytes = #r.stdout, signal = s.signal, ok = r.success }",
    );
    assert_eq!(
        ran.outputs(),
        r#"{"bytes":3,"code":3,"ok":false,"signal":9}"#
    );
}

#[test]
fn a_flood_of_output_is_ended_by_the_limit() {
    let began = Instant::now();
    let world = World::granting(&format!("{SHELL}limits.output = '1MiB'"));
    let ran = world.run("exec.run('head -c 1000000000 /dev/zero')");
    assert!(
        ran.ended()
            .starts_with("failed: the task produced more than its 1048576 bytes")
    );
    assert!(began.elapsed() < Duration::from_secs(10));
    assert_eq!(world.run("return true").ended(), "ok: ");
}

#[test]
fn a_missing_program_is_a_soft_failure_and_an_empty_command_an_error() {
    let world = World::granting("process.run = ['/** **']");
    let ran = world
        .run("local r, err = exec.run('no-such-program-here') return true, nil, { err = err }");
    assert!(
        ran.outputs().contains("no such program"),
        "{}",
        ran.outputs()
    );
    assert!(world.run("exec.run('')").ended().contains("empty"));
    assert!(
        world
            .run("exec.run('echo \"open')")
            .ended()
            .starts_with("failed: ")
    );
}

#[test]
fn a_program_that_the_task_may_write_does_not_run() {
    let world = World::granting(
        "[files]\nwrite = ['{}/**']\nread = ['{}/**']\n[process]\nrun = ['/** **']",
    );
    let ran = world.run(
        "fs.write('{}/tool', '#!/bin/sh\\necho mine', { mode = '0755' }) exec.run({ '{}/tool' })",
    );
    assert!(
        ran.ended().starts_with("denied: process.run"),
        "{}",
        ran.ended()
    );
    assert!(
        ran.ended().contains("may write this program"),
        "{}",
        ran.ended()
    );
}

#[test]
fn check_mode_runs_only_what_is_said_to_change_nothing() {
    let mut world = World::granting(&format!(
        "{SHELL}[files]\nread = ['{{}}/**']\nwrite = ['{{}}/**']"
    ));
    world.write("there", "");
    world.check = true;
    let ran = world.run(
        "exec.run('touch {}/made')
         local seen = exec.run('echo looked', { check = true })
         local made = exec.run('touch {}/there', { creates = '{}/there' })
         return true, nil, { seen = seen.stdout, changed = made.changed }",
    );
    assert_eq!(ran.outputs(), r#"{"changed":false,"seen":"looked\n"}"#);
    assert_eq!(ran.changes().len(), 1, "{:?}", ran.changes());
    assert!(ran.changes()[0].starts_with("would run "));
    assert!(!std::path::Path::new(&world.path("made")).exists());
}

#[test]
fn a_child_opens_no_socket() {
    let ran = World::granting(SHELL).run(
        "local r = exec.run('perl -MSocket -e \"socket(S, PF_UNIX, SOCK_STREAM, 0) or print qq(none)\"')
         local t = exec.run('perl -MSocket -e \"socket(S, PF_INET, SOCK_STREAM, 0) or print qq(none)\"')
         return true, nil, { unix = r.stdout, inet = t.stdout }",
    );
    assert_eq!(ran.outputs(), r#"{"inet":"none","unix":"none"}"#);
}

#[test]
fn the_nodes_own_files_are_closed_to_children_too() {
    let data = crate::world::node().protected[0].clone();
    std::fs::create_dir_all(&data).unwrap();
    let secret = data.join("key");
    std::fs::write(&secret, "secret").unwrap();
    let policy = format!(
        "{SHELL}files.read = ['{}/**']",
        data.parent().unwrap().display()
    );
    let ran = World::granting(&policy).run(&format!(
        "local r = exec.run('cat {}; true') return true, nil, {{ out = r.stdout }}",
        secret.display()
    ));
    assert_eq!(ran.outputs(), r#"{"out":""}"#);
}

#[test]
fn a_grant_of_a_folder_alone_gives_a_child_nothing_beneath_it() {
    let world = World::granting("[files]\nread = ['{}/d']\n[process]\nrun = ['cat *']");
    world.write("d/inner/file", "secret");
    let ran = world.run(
        "local r = exec.run({ 'cat', '{}/d/inner/file' }) return true, nil, { out = r.stdout }",
    );
    assert_eq!(ran.outputs(), r#"{"out":""}"#);
}

#[test]
fn deny_lines_hold_for_children_where_they_name_system_files_or_removing() {
    let world = World::granting(&format!(
        "{SHELL}[files]\nwrite = ['{{}}/w/**']\n[deny]\nfiles.read = ['/etc/passwd']\nfiles.delete = ['{{}}/w/**']"
    ));
    world.write("w/keep", "kept");
    let ran = world.run(
        "local r = exec.run('cat /etc/passwd; rm {}/w/keep; true') return true, nil, { out = r.stdout }",
    );
    assert_eq!(ran.outputs(), r#"{"out":""}"#);
    assert_eq!(world.read("w/keep"), "kept");
}

#[test]
fn a_program_said_to_change_nothing_can_change_nothing() {
    let mut world = World::granting(&format!("{SHELL}files.write = ['{{}}/**']"));
    world.check = true;
    world.run("exec.run('touch {}/made', { check = true })");
    assert!(!std::path::Path::new(&world.path("made")).exists());
}

#[test]
fn a_program_that_the_task_could_make_does_not_run() {
    let world = World::granting("[files]\ncreate = ['{}/**']\n[process]\nrun = ['{}/new']");
    let ran = world.run(
        "fs.create('{}/new', '#!/bin/sh\\necho mine', { mode = '0755' }) exec.run({ '{}/new' })",
    );
    assert!(
        ran.ended().contains("may write this program"),
        "{}",
        ran.ended()
    );
}

#[test]
fn whether_an_ungranted_program_exists_is_not_told() {
    for path in ["/etc/no-such-folder/x", "/etc/shadow", "/etc/no-such-file"] {
        let ran = World::new().run(&format!("exec.run({{ '{path}' }})"));
        assert!(
            ran.ended().starts_with("denied: process.run"),
            "{path}: {}",
            ran.ended()
        );
    }
}

#[test]
fn a_program_that_fails_for_want_of_a_grant_says_which_would_help() {
    let world = World::granting(&format!("{SHELL}files.read = ['{{}}/**']"));
    world.write("there", "");
    let body = "local r, problem = exec.run('echo x > {}/there') return true, nil, { problem = problem, hint = r.hint }";
    let outputs = world.run(body).outputs();
    let place = world.path("there");
    let remedy = format!("[files] write = [\\\"{place}\\\"]");
    assert!(
        outputs.contains(&format!(
            "(hint: programs of this task may not write {place}; what would let them: {remedy}"
        )),
        "{outputs}"
    );
    // The line that the hint names makes the very program pass.
    let granted = World::granting(&format!("{SHELL}files.write = ['{{}}/there']"));
    granted.write("there", "");
    assert_eq!(granted.run(body).outputs(), "{}");
    assert_eq!(granted.read("there"), "x\n");
}

#[test]
fn a_program_that_fails_for_another_reason_is_given_no_hint() {
    let ran = World::granting(SHELL).run(
        "local r, problem = exec.run('echo no such thing >&2; exit 3') return true, nil, { problem = problem }",
    );
    assert_eq!(ran.outputs(), r#"{"problem":"exit code 3: no such thing"}"#);
}
