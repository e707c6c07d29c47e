//! Learn mode: what is not granted is as if it were not there, and what is learned is exactly what was
//! tried.

use std::sync::Arc;

use sloth_policy::{Effective, Policy};
use sloth_sandbox::Learner;

use crate::server::{Server, says};
use crate::world::World;

/// A world that learns under its grants, and its learner.
fn learning(grants: &str, observe: bool, check: bool) -> (World, Arc<Learner>) {
    let mut world = World::granting(grants);
    let learner = Arc::new(Learner::new(observe));
    world.witness.learner = Some(Arc::clone(&learner));
    world.check = check;
    (world, learner)
}

fn effective(policy: &str) -> Effective {
    let policy = Policy::parse(policy, "learned.toml").unwrap_or_else(|e| panic!("{e}\n{policy}"));
    Effective::new(&policy, "", &[], Vec::new())
}

/// All that was tried is allowed, and with any one line less something is not.
fn assert_exact(learner: &Learner) {
    let policy = learner.policy();
    let tried = learner.tried();
    let all = effective(&policy);
    for call in tried.iter() {
        assert!(call.is_allowed(&all), "{call:?} under\n{policy}");
    }
    let lines: Vec<&str> = policy.lines().collect();
    let mut entries = 0;
    for (index, line) in lines.iter().enumerate() {
        if !(line.starts_with("  ") || line.ends_with("= true")) {
            continue;
        }
        entries += 1;
        let mut fewer = lines.clone();
        fewer.remove(index);
        let fewer = effective(&fewer.join("\n"));
        assert!(
            tried.iter().any(|call| !call.is_allowed(&fewer)),
            "`{line}` is needless in\n{policy}"
        );
    }
    assert!(entries > 0, "{policy}");
    assert!(!policy.contains("**"), "{policy}");
}

const WORK: &str = "fs.mkdir('{}/new/deep', { parents = true })
    fs.write('{}/new/deep/x', 'a')
    fs.write('{}/odd [name]*?', 'b')
    fs.append('{}/new/deep/x', 'c')
    log.info(fs.read('{}/new/deep/x'))
    fs.glob('{}/new/*')
    exec.run({ 'echo', 'a b', '*', '-n' })
    exec.run('echo $HOME | cat')
    fs.write('in-scratch', 'd')
    fs.rm('{}/new/deep/x')";

#[test]
fn in_check_mode_a_run_goes_on_and_nothing_happens() {
    let (world, learner) = learning("", false, true);
    let ran = world.run(WORK);
    assert!(ran.finished.outcome.succeeded(), "{}", ran.ended());
    assert_eq!(ran.logged(sloth_workflow::event::Level::Info), ["ac"]);
    assert_eq!(std::fs::read_dir(world.path("")).unwrap().count(), 0);
    assert!(ran.denials().is_empty());
    assert_exact(&learner);
    let policy = learner.policy();
    assert!(
        !policy.contains("in-scratch") && !policy.contains("/step-"),
        "{policy}"
    );
    assert!(policy.contains("was not seen"), "{policy}");
}

#[test]
fn a_run_under_exactly_what_was_learned_passes_and_learns_the_same() {
    let (world, learner) = learning("", false, true);
    assert!(world.run(WORK).finished.outcome.succeeded());
    let mut again = world;
    again.witness.learner = None;
    again.check = false;
    again.policy = learner.policy();
    let ran = again.run(WORK);
    assert!(
        ran.denials().is_empty(),
        "{:?}\n{}",
        ran.denials(),
        again.policy
    );
    assert!(ran.finished.outcome.succeeded(), "{}", ran.ended());
    let relearned = Arc::new(Learner::new(false));
    again.witness.learner = Some(Arc::clone(&relearned));
    assert!(again.run(WORK).finished.outcome.succeeded());
    for call in relearned.tried().iter() {
        assert!(call.is_allowed(&effective(&again.policy)), "{call:?}");
    }
}

#[test]
fn what_is_not_granted_has_no_eyes() {
    for check in [false, true] {
        let (world, learner) = learning("", false, check);
        world.write("secret", "hidden");
        let ran = world.run(
            "local found, err = fs.read('{}/secret')
             return true, nil, { found = found, err = err, there = fs.exists('{}/secret'), hostname = (facts.get_hostname()) }",
        );
        let outputs = format!("{}{:?}", ran.ended(), ran.finished.outputs);
        assert!(!outputs.contains("hidden"), "{outputs}");
        assert!(!outputs.contains("\"there\": Boolean(true)"), "{outputs}");
        assert!(learner.policy().contains("/secret"), "{}", learner.policy());
    }
}

#[test]
fn to_observe_is_to_answer_reads_truly_and_still_to_change_nothing() {
    let (world, learner) = learning("", true, true);
    world.write("config", "old");
    let ran = world.run(
        "local text = fs.read('{}/config') fs.write('{}/config', text .. 'new') log.info(fs.read('{}/config'))",
    );
    assert_eq!(
        ran.logged(sloth_workflow::event::Level::Info),
        ["oldnew"],
        "{}",
        ran.ended()
    );
    assert_eq!(world.read("config"), "old");
    assert_exact(&learner);
}

#[test]
fn without_check_what_is_granted_happens_and_what_is_not_does_not() {
    let (world, learner) = learning("files.write = ['{}/granted']", false, false);
    let ran = world.run(
        "fs.write('{}/granted', 'x')
         local ok, err = fs.write('{}/other', 'x')
         local ran = exec.run('touch {}/third')
         return true, nil, { other = ok ~= nil, ran = ran.success }",
    );
    assert_eq!(ran.outputs(), r#"{"other":false,"ran":false}"#);
    assert_eq!(world.read("granted"), "x");
    assert_eq!(std::fs::read_dir(world.path("")).unwrap().count(), 1);
    assert_exact(&learner);
}

#[test]
fn a_deny_line_and_the_nodes_own_files_are_refused_while_learning_too() {
    let (world, learner) = learning("[deny]\nfiles.read = ['**/*.key']", true, true);
    world.write("a.key", "hidden");
    let ran = world.run("fs.read('{}/a.key')");
    assert!(ran.ended().starts_with("denied: "), "{}", ran.ended());
    assert!(!learner.policy().contains("a.key"));
}

/// What a run may do with everything that is no file: each call goes on, whatever it is answered.
const ELSEWHERE: &str = "assert(not http.get('http://127.0.0.1:PORT/looked'))
    http.post('http://127.0.0.1:PORT/acted', 'x')
    state.set('app/new', 1)
    assert(state.get('app/new') == 1 and state.get('app/there') == nil)
    state.keys('app/*')
    event.dispatch('site.deployed', { a = 1 })
    assert(not user.exists('root'))
    pcall(exec.run, { 'true' }, { env = { PW = secret('db-password') } })
    pcall(function() return secret('db-password'):reveal() end)
    pcall(pkg.install, 'nginx')";

#[test]
fn nothing_goes_out_while_requests_secrets_keys_and_events_are_learned() {
    let server = Server::plain(|_| says("200 OK", "", "x"));
    let body = ELSEWHERE.replace("PORT", &server.port.to_string());
    for observe in [false, true] {
        let (world, learner) = learning("", observe, true);
        let body = if observe {
            // What is there is told truly, and requests and secrets stay where they are.
            body.replace("assert(not user.exists('root'))", "user.exists('root')")
        } else {
            body.clone()
        };
        let ran = world.run(&body);
        assert!(ran.finished.outcome.succeeded(), "{}", ran.ended());
        assert!(ran.denials().is_empty(), "{:?}", ran.denials());
        assert!(server.heard().is_empty(), "{:?}", server.heard());
        assert!(world.state.keys().unwrap().is_empty());
        assert!(!format!("{:?}", ran.events).contains("horse"));
        assert_exact(&learner);
        let policy = learner.policy();
        for line in [
            "[http]\n",
            "/acted\",",
            "/looked\",",
            "addresses = [\n  \"127.0.0.1\",",
            "env.db-password = [\n",
            "reveal = [\n  \"db-password\",",
            "[state]\nread = [\n  \"app/*\",\n]\nwrite = [\n  \"app/new\",",
            "emit = [\n  \"site.deployed\",",
            "install = [\n  \"nginx\",",
            "query = [\n  \"root\",",
        ] {
            assert!(policy.contains(line), "{line} is not in\n{policy}");
        }
    }
}

#[test]
fn where_a_name_and_a_redirect_lead_is_learned_and_under_it_the_request_passes() {
    let server = Server::plain(|heard| {
        if heard.contains("/from") {
            says("302 Found", "Location: /to\r\n", "")
        } else {
            says("200 OK", "", "there")
        }
    });
    let body = format!(
        "local r = http.get('http://local.test:{}/from') return true, nil, {{ got = r and r.body }}",
        server.port
    );
    let mut policy = String::new();
    // Each run gets one step further: to the server, to its address, to where it redirects.
    for _ in 0..4 {
        let (world, learner) = learning(&policy, false, false);
        let ran = world.run(&body);
        assert!(ran.denials().is_empty(), "{:?}", ran.denials());
        assert_exact(&learner);
        policy = learner.policy().replace("version = 1\n", "");
    }
    assert!(
        policy.contains("/from\",") && policy.contains("/to\","),
        "{policy}"
    );
    assert!(policy.contains("\"local.test\""), "{policy}");
    let world = World::granting(&policy);
    assert_eq!(world.run(&body).outputs(), r#"{"got":"there"}"#);
}

#[test]
fn a_secret_in_a_call_never_stands_in_what_is_learned() {
    let grants = "secrets.reveal = ['*']";
    let (world, learner) = learning(grants, false, true);
    let ran = world.run(
        "local value = secret('db-password'):reveal()
         exec.run({ 'true', '--password=' .. value })
         pcall(fs.write, '{}/' .. value, 'x')
         pcall(http.post, 'http://127.0.0.1/' .. value, 'x')",
    );
    assert!(ran.finished.outcome.succeeded(), "{}", ran.ended());
    let policy = learner.policy();
    assert!(!policy.contains("horse"), "{policy}");
    assert!(
        policy.contains("--password=<secret db-password>"),
        "{policy}"
    );
}

/// What sets up a service on a fresh machine, and asks for everything it did.
const SETTING_UP: &str = "local made = assert(group.create('site', { gid = 1600 }))
    assert(pkg.install({ 'sloth-site', 'sloth-lib' }))
    assert(pkg.is_installed('sloth-site'))
    assert(not pkg.is_installed('sloth-base'))
    assert(pkg.remove('sloth-old'))
    assert(pkg.update())
    assert(user.create('web', { groups = { 'sudo', 'site' }, uid = 1601, home = '/srv/web', create_home = true }))
    assert(user.exists('web') and not user.exists('admin'))
    assert(user.add_to_group('admin', 'web'))
    assert(group.add_member('web', 'admin') ~= false)
    assert(user.delete('old'))
    assert(#user.list() == 2)
    return true, nil, { changed = made.changed }";

#[test]
fn one_round_of_checking_learns_all_that_packages_and_accounts_need() {
    let (mut world, learner) = learning("", false, true);
    // Whatever there is on this machine, nobody may look at it, not even to find out which tools it has.
    world.tool("getent", "#!/bin/sh\ntouch \"${0%/*}/../looked\"\n");
    world.tool("apt-get", "#!/bin/sh\ntouch \"${0%/*}/../looked\"\n");
    let ran = world.run(SETTING_UP);
    assert_eq!(ran.outputs(), r#"{"changed":true}"#);
    assert!(ran.denials().is_empty(), "{:?}", ran.denials());
    assert!(!std::path::Path::new(&world.path("looked")).exists());
    assert_exact(&learner);
    let policy = learner.policy();
    for line in [
        "install = [\n  \"sloth-lib\",\n  \"sloth-site\",\n]",
        "remove = [\n  \"sloth-old\",\n]",
        "refresh = [\n  \"*\",\n]",
        "create = [\n  \"site\",\n  \"web\",\n]",
        "groups = [\n  \"site\",\n  \"sudo\",\n  \"web\",\n]",
        "ids = [\n  \"1600\",\n  \"1601\",\n]",
        "\"/srv/web\",",
    ] {
        assert!(policy.contains(line), "{line} is not in\n{policy}");
    }
}

#[test]
fn without_check_nothing_of_packages_and_accounts_is_imagined() {
    let (world, learner) = learning("", false, false);
    let ran = world.run(
        "return true, nil, { made = user.create('web') ~= nil, there = pkg.install('sloth-site') ~= nil }",
    );
    assert_eq!(ran.outputs(), r#"{"made":false,"there":false}"#);
    assert_exact(&learner);
}

#[test]
fn what_a_package_would_have_brought_is_said_to_be_unforeseen() {
    let mut world = crate::packages::machine();
    world.check = true;
    let folder = world.path("");
    world.policy += "packages.install = ['*']\nfiles.read = ['";
    world.policy += &folder;
    world.policy += "/**']";
    let ran = world.run(
        "local _, before = fs.read('{}/site.conf')
         pkg.install('sloth-site')
         local _, after = fs.read('{}/site.conf')
         return true, nil, { before = before:find('foresee') ~= nil, after = after }",
    );
    let outputs = ran.outputs();
    assert!(
        outputs.contains("\"before\":false")
            && outputs.contains("cannot foresee what a package brings: sloth-lib, sloth-site would be installed by now"),
        "{outputs}"
    );
}

/// The body of a call, and what of its capabilities is granted: all but one that it needs.
const SHORT_OF_ONE: [(&str, &str); 12] = [
    ("fs.append('{}/there', 'more')", "files.create = ['{}/**']"),
    ("fs.write('{}/there', 'other')", "files.create = ['{}/**']"),
    ("fs.symlink('other', '{}/link')", "files.create = ['{}/**']"),
    (
        "file_ops.link({ src = 'other', dest = '{}/link', force = true })",
        "files.create = ['{}/**']",
    ),
    ("fs.chmod('{}/there', '0600')", "files.create = ['{}/**']"),
    ("fs.chown('{}/there', '1', '1')", "files.create = ['{}/**']"),
    (
        "file_ops.unarchive({ src = 'files/site.tar', dest = '{}' })",
        "files.create = ['{}/**']",
    ),
    (
        "fs.move('{}/there', '{}/x')",
        "files.create = ['{}/**']\nfiles.delete = ['{}/there']\nfiles.read = ['{}/**']",
    ),
    ("fs.move('{}/there', '{}/new')", "files.write = ['{}/**']"),
    ("fs.rmr('{}')", "files.write = ['{}/**']"),
    ("fs.rm('{}/there')", "files.create = ['{}/**']"),
    (
        "fs.mkdir('{}/folder', { mode = '0700' })",
        "files.delete = ['{}/**']",
    ),
];

#[test]
fn learning_changes_nothing_that_is_not_granted_in_whole() {
    for (body, grants) in SHORT_OF_ONE {
        let (world, learner) = learning(grants, false, false);
        let folder = world.path("");
        world.write("there", "original");
        world.write("x", "original");
        std::os::unix::fs::symlink("there", world.path("link")).unwrap();
        let before = crate::files::tree(&folder);
        let ran = world.run(&format!("pcall(function() {body} end)"));
        assert_eq!(crate::files::tree(&folder), before, "{body}");
        assert!(ran.changes().is_empty(), "{body}: {:?}", ran.changes());
        assert!(!learner.policy().is_empty());
    }
}

#[test]
fn what_is_only_learned_of_in_check_mode_is_as_if_it_were_not_there() {
    let (world, learner) = learning(
        "files.create = ['{}/**']\nfiles.read = ['{}/**']",
        false,
        true,
    );
    world.write("there", "original");
    let ran = world.run(
        "assert(fs.append('{}/there', 'more'))
         return true, nil, { now = fs.read('{}/there') }",
    );
    assert_eq!(ran.outputs(), r#"{"now":"more"}"#);
    assert_eq!(world.read("there"), "original");
    assert!(
        learner.policy().contains("write = ["),
        "{}",
        learner.policy()
    );
}

#[test]
fn what_the_node_has_is_learned_and_not_told() {
    let (mut world, learner) = learning("", false, true);
    world.tool("apt-get", "#!/bin/sh\n");
    let ran = world.run("return true, nil, { manager = (pkg.get_manager()) }");
    assert!(!ran.outputs().contains("apt"), "{}", ran.outputs());
    assert!(
        learner.policy().contains("\"platform\""),
        "{}",
        learner.policy()
    );
    let mut granted = World::granting(&learner.policy().replace("version = 1\n", ""));
    granted.tool("apt-get", "#!/bin/sh\n");
    let ran = granted.run("return true, nil, { manager = (pkg.get_manager()) }");
    assert_eq!(ran.outputs(), r#"{"manager":"apt"}"#);
}
