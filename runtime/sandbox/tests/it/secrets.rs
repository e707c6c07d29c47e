//! `secrets`: values go where the policy binds them to, and nowhere else.

use sloth_workflow::event::Level;

use crate::verbs::{Again, Verb, stand};
use crate::world::{Ran, World};

const VALUE: &str = "correct-horse battery";

/// Every program of these, with the variable PW, may have every secret.
fn world() -> World {
    World::granting(
        "process.run = ['printenv **', 'perl **', 'sh **', 'true **']\nprocess.shell = true\n\
         process.env = ['PW']\nfiles.read = ['{}/**']\nfiles.write = ['{}/**']\n\
         [secrets]\nenv = { '*' = ['/usr/bin/printenv', '/usr/bin/perl', '/bin/sh', '/usr/bin/sh'] }",
    )
}

fn revealing() -> World {
    let mut world = world();
    world.policy.push_str("\nreveal = ['*']\n");
    world
}

/// All that was told, as programs read it.
pub(crate) fn told(ran: &Ran) -> String {
    let events: Vec<_> = ran
        .events
        .iter()
        .map(|event| serde_json::to_string(event).unwrap())
        .collect();
    format!(
        "{}\n{}\n{}\n{}\n{:?}",
        events.join("\n"),
        ran.finished.message.raw(),
        serde_json::to_string(&ran.finished.outputs).unwrap(),
        serde_json::to_string(&ran.finished.stack).unwrap(),
        ran.finished.traceback,
    )
}

#[track_caller]
pub(crate) fn tells_nothing(ran: &Ran, value: &str) {
    let told = told(ran);
    for line in value.lines().map(str::trim).filter(|line| line.len() >= 8) {
        assert!(!told.contains(line), "{line} in {told}");
    }
}

#[test]
fn the_function_stands() {
    let reveal = Verb {
        function: "reveal",
        body: "return #secret('db-password'):reveal() == 21",
        grants: "secrets.reveal = ['db-password']",
        again: Again::Settled,
    };
    stand("secrets", &[reveal], World::new, |_| String::new());
}

#[test]
fn a_program_that_gets_a_secret_stands() {
    let verb = |function, body| Verb {
        function,
        body,
        grants: "process.run = ['touch **']\nfiles.write = ['{}/**']\nprocess.env = ['PW']\n\
                 secrets.env = { db-password = ['/usr/bin/touch'] }",
        again: Again::Acts,
    };
    let verbs = [
        verb(
            "run",
            "exec.run('touch {}/made', { env = { PW = secret('db-password') } })",
        ),
        verb(
            "spawn",
            "local ok, problem
             goroutine.await(goroutine.async(function()
               ok, problem = pcall(exec.run, 'touch {}/made', { env = { PW = secret('db-password') } })
             end))
             if not ok then error(problem) end",
        ),
    ];
    let made = |world: &World| format!("{}", std::path::Path::new(&world.path("made")).exists());
    stand("process", &verbs, World::new, made);
}

#[test]
fn a_program_gets_the_value_and_what_it_prints_is_redacted() {
    let ran = world().run(
        "local r = exec.run('printenv PW', { env = { PW = secret('db-password') } })
         local sum = exec.run({ 'sh', '-c', '[ \"$PW\" = \"correct-horse battery\" ] && echo same; printf %s \"$PW\" >&2' },
           { env = { PW = secret('db-password') } })
         return true, nil, { out = r.stdout, sum = sum.stdout, err = sum.stderr }",
    );
    assert_eq!(
        ran.outputs(),
        r#"{"err":"<secret db-password>","out":"<secret db-password>\n","sum":"same\n"}"#
    );
    assert!(told(&ran).contains(r#""text":"<secret db-password>\n""#));
}

#[test]
fn a_value_printed_byte_by_byte_is_redacted() {
    let ran = world().run(
        "local r = exec.run({ 'perl', '-e', '$| = 1; for (split //, \"a $ENV{PW} b\") { print; select undef, undef, undef, 0.002 }' },
           { env = { PW = secret('db-password') } })
         return true, nil, { out = r.stdout }",
    );
    assert_eq!(ran.outputs(), r#"{"out":"a <secret db-password> b"}"#);
    tells_nothing(&ran, VALUE);
}

#[test]
fn base64_and_the_lines_of_a_key_are_redacted() {
    let mut world = world();
    let key = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJrmhOSMXAZ1\nk2l7vK1r9fYJ\n-----END PRIVATE KEY-----\n";
    world.secrets.insert("tls-key", key.to_owned());
    let ran = world.run(
        "local env = { env = { PW = secret('tls-key') } }
         local code = exec.run('printf %s \"x$PW\" | base64 -w0', env).stdout
         local broken = exec.run('printf %s \"$PW\" | base64', env).stdout
         local lines = exec.run('printf %s \"$PW\" | sed s/^/:/', env).stdout
         return true, nil, { code = #code, broken = broken, lines = lines }",
    );
    let outputs = ran.outputs();
    assert!(
        outputs.contains(r#""broken":"<secret tls-key>\n<secret tls-key>=="#),
        "{outputs}"
    );
    assert!(outputs.contains(r":<secret tls-key>\n:<secret tls-key>\n"));
    let told = told(&ran);
    for part in [
        "MC4CAQAwBQYDK2Vw",
        "k2l7vK1r9fYJ",
        "LS0tLS1CRUdJTi",
        "tLS0tLUJFR0lO",
        "TUM0Q0FRQXdCUV",
        "1DNENBUUF3QlFZ",
    ] {
        assert!(!told.contains(part), "{part} in {told}");
    }
}

#[test]
fn a_handle_reads_as_its_name_and_never_as_its_value() {
    let ran = revealing().run(
        "local pw = secret('db-password')
         log.info(pw, { pw = pw })
         print(pw)
         return true, nil, { text = tostring(pw), joined = 'a' .. pw .. 'b', formatted = ('%s'):format(pw) }",
    );
    assert_eq!(
        ran.outputs(),
        r#"{"formatted":"<secret db-password>","joined":"a<secret db-password>b","text":"<secret db-password>"}"#
    );
    assert_eq!(ran.logged(Level::Print), ["<secret db-password>"]);
}

#[test]
fn a_handle_is_no_text_and_the_error_says_what_is() {
    for body in [
        "fs.write('{}/x', secret('db-password'))",
        "exec.run({ 'true', secret('db-password') })",
        "exec.run('true', { stdin = secret('db-password') })",
        "exec.run('true', { env = { [secret('db-password')] = 'x' } })",
        "return secret('db-password'):upper()",
        "return string.upper(secret('db-password'))",
        "return crypto.sha256(secret('db-password'))",
        "return json.encode({ pw = secret('db-password') })",
        "return true, nil, { pw = secret('db-password') }",
        "stack.set_output('pw', secret('db-password'))",
        "return template.render('{{ pw }}', { pw = secret('db-password') })",
        "secret('db-password').name = 'other'",
    ] {
        let world = world();
        let ran = world.run(body);
        let ended = ran.ended();
        assert!(
            ended.starts_with("failed: ") && ended.contains("secret.reveal gives"),
            "{body}: {ended}"
        );
        tells_nothing(&ran, VALUE);
        assert!(!std::path::Path::new(&world.path("x")).exists(), "{body}");
    }
}

#[test]
fn a_secret_never_stands_in_arguments() {
    let ran = world().run("exec.run('printenv ' .. secret('db-password'))");
    assert!(ran.ended().starts_with("ok") || ran.ended().starts_with("changed"));
    tells_nothing(&ran, VALUE);
}

#[test]
fn without_a_grant_nobody_learns_whether_a_secret_exists() {
    let denied = |body: &str, name: &str| {
        let world = World::granting("process.run = ['true']\nprocess.env = ['PW']");
        let ran = world.run(&body.replace("NAME", name));
        assert!(
            ran.ended().starts_with("denied: secrets."),
            "{}",
            ran.ended()
        );
        told(&ran).replace(name, "NAME")
    };
    for body in [
        "exec.run('true', { env = { PW = secret('NAME') } })",
        "secret.reveal('NAME')",
        "secret('NAME'):reveal()",
        "local ok, problem = pcall(secret.reveal, 'NAME') error(problem)",
    ] {
        assert_eq!(
            denied(body, "db-password"),
            denied(body, "no-password"),
            "{body}"
        );
    }
}

#[test]
fn a_missing_secret_says_how_to_set_it_and_nothing_is_run() {
    for check in [false, true] {
        let mut world = world();
        world.check = check;
        let ran = world.run(
            "exec.run({ 'sh', '-c', 'touch {}/made' }, { env = { PW = secret('no-password') } })",
        );
        assert!(
            ran.ended()
                .contains("set it there with: sloth-runner secret set no-password"),
            "{}",
            ran.ended()
        );
        assert!(ran.changes().is_empty() && !std::path::Path::new(&world.path("made")).exists());
    }
    let ran = revealing().run("return #secret.reveal('no-password') == 0");
    assert!(
        ran.ended()
            .starts_with("failed: there is no secret `no-password`")
    );
}

#[test]
fn a_program_that_is_not_bound_does_not_run() {
    let world = world();
    let ran = world.run("exec.run({ 'true' }, { env = { PW = secret('db-password') } })");
    assert_eq!(
        ran.ended(),
        "denied: secrets.env is not granted for db-password /usr/bin/true (policy); to allow it: \
         [secrets] env = { \"db-password\" = [\"/usr/bin/true\"] }"
    );
    assert!(ran.changes().is_empty());
    // A variable that is not granted is refused as ever.
    let ran = world.run("exec.run({ 'printenv' }, { env = { OTHER = secret('db-password') } })");
    assert!(
        ran.ended().starts_with("denied: process.env"),
        "{}",
        ran.ended()
    );
}

#[test]
fn a_denied_program_gets_nothing_under_either_of_its_names() {
    let mut world = world();
    world
        .policy
        .push_str("\n[deny]\nsecrets.env = { '*' = ['/usr/bin/dash', '/usr/bin/bash'] }");
    let ran = world.run("exec.run('echo $PW; true', { env = { PW = secret('db-password') } })");
    assert!(
        ran.ended().starts_with("denied: secrets.env"),
        "{}",
        ran.ended()
    );
}

#[test]
fn a_revealed_value_leaves_by_no_way() {
    let mut world = revealing();
    world.diff = true;
    world.write("seen", "old\n");
    let ran = world.run(
        "local value = secret('db-password'):reveal()
         assert(value == 'correct-horse ' .. 'battery')
         log.info('it is ' .. value) print(value, value) log.table({ value = value, [value] = 1 })
         fs.write('{}/seen', 'now ' .. value .. '\\n')
         fs.write('{}/' .. value, 'x')
         pcall(fs.read, '/' .. value)
         stack.set_output('pw', value)
         exec.run({ 'printenv', value })
         log.info(('x'):rep(65536 - 10) .. value)
         error({ message = 'no ' .. value })",
    );
    assert_eq!(ran.ended(), "failed: no <secret db-password>");
    tells_nothing(&ran, VALUE);
    // Not even the half of it, where a text was cut.
    assert!(!told(&ran).contains("correct"), "{}", told(&ran));
    assert_eq!(world.read("seen"), format!("now {VALUE}\n"));
    assert_eq!(world.read(VALUE), "x");
    let ran = world.run(
        "local value = secret('db-password'):reveal()
         return true, 'is ' .. value, { [value] = { value }, crypto.base64_encode('ab' .. value) }",
    );
    tells_nothing(&ran, VALUE);
    assert!(
        ran.outputs()
            .contains(r#""<secret db-password>":["<secret db-password>"]"#)
    );
}

#[test]
fn a_traceback_and_a_name_of_an_artifact_are_redacted() {
    let mut world = revealing();
    let ran = world.run(
        "local value = secret('db-password'):reveal()
         load('error(\"x\")', '=' .. value)()",
    );
    tells_nothing(&ran, VALUE);
    world.secrets.insert("file", "name-of-file".to_owned());
    world.top = "local one = task".to_owned();
    let ran = world.run("return true, nil, { name = secret('file'):reveal() .. '.tar' }");
    assert_eq!(ran.outputs(), r#"{"name":"<secret file>.tar"}"#);
}

#[test]
fn what_was_revealed_comes_back_and_what_was_not_does_not() {
    let mut world = revealing();
    world.secrets.insert("token", "token-of-the-api".to_owned());
    let ran = world.run(
        "secret.reveal('token')
         local function out(name)
           return exec.run('printenv PW', { env = { PW = secret(name) } }).stdout
         end
         return true, nil, { token = #out('token'), other = out('db-password') }",
    );
    assert_eq!(
        ran.outputs(),
        r#"{"other":"<secret db-password>\n","token":17}"#
    );
    tells_nothing(&ran, "token-of-the-api");
}

#[test]
fn what_one_program_was_given_is_redacted_in_what_others_print() {
    let ran = world().run(
        "exec.run('printf %s \"$PW\" > kept', { env = { PW = secret('db-password') } })
         return true, nil, { out = exec.run('cat kept; rev kept; true').stdout }",
    );
    let outputs = ran.outputs();
    assert!(
        outputs.starts_with(r#"{"out":"<secret db-password>"#),
        "{outputs}"
    );
    tells_nothing(&ran, VALUE);
}

#[test]
fn a_value_that_occurs_in_a_path_is_redacted_where_it_is_told_and_not_where_it_acts() {
    let mut world = world();
    world.secrets.insert("folder", "hidden-folder".to_owned());
    let ran = world.run(
        "exec.run('true; true', { env = { PW = secret('folder') } })
         fs.mkdir('{}/hidden-folder')
         return true, nil, { there = fs.exists('{}/hidden-folder') }",
    );
    assert_eq!(ran.outputs(), r#"{"there":true}"#);
    assert!(
        ran.changes()[1].ends_with("/<secret folder>"),
        "{:?}",
        ran.changes()
    );
}

#[test]
fn a_handle_may_be_made_while_loading_and_nothing_be_done_with_it() {
    let define = "workflow.define('w'):tasks({ task('t'):command(function() end):build() })\n";
    assert!(World::plan(&format!("local pw = secret('x')\n{define}")).is_ok());
    for call in ["secret.reveal('x')", "secret('x'):reveal()"] {
        let failure = World::plan(&format!("{define}{call}")).unwrap_err();
        assert!(
            failure.message.raw().contains("move this call into a task"),
            "{}",
            failure.message.raw()
        );
    }
}

#[test]
fn a_declaration_narrows_where_a_secret_goes() {
    let mut world = World::granting(
        "process.run = ['printenv **']\nprocess.env = ['PW']\n\
         [secrets]\nenv = { '*' = ['/usr/bin/printenv'] }",
    );
    world.secrets.insert("other", "another-value".to_owned());
    let script =
        |name: &str| format!("exec.run('printenv PW', {{ env = {{ PW = secret('{name}') }} }})");
    world.top = "local define = workflow.define
        workflow = setmetatable({ define = function(name) return define(name):capabilities({
          process = { run = { 'printenv **' }, env = { 'PW' } },
          secrets = { env = { ['db-password'] = { '/usr/bin/printenv' } } } }) end },
          { __index = workflow })"
        .to_owned();
    let ran = world.run(&script("db-password"));
    assert!(ran.finished.outcome.succeeded(), "{}", ran.ended());
    let ran = world.run(&script("other"));
    assert!(
        ran.ended().starts_with(
            "denied: secrets.env is not granted for other /usr/bin/printenv (declaration); to allow \
             it: :capabilities({ secrets = { env = { [\"other\"] = { \"/usr/bin/printenv\" } } } })"
        ),
        "{}",
        ran.ended()
    );
}

#[test]
fn what_is_no_name_is_refused() {
    for name in ["", ".x", "a/b", "a b", "../x", "\\27[2J", "ä"] {
        let ran = revealing().run(&format!("secret.reveal('{name}')"));
        assert!(
            ran.ended().contains("is no name of a secret"),
            "{}",
            ran.ended()
        );
    }
}
