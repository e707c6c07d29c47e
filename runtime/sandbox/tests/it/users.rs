//! `users`: accounts and groups. The tools are a script that keeps files of the usual form; the real ones are
//! tried in the tests of hosts.

use crate::verbs::{Again, Verb, stand};
use crate::world::World;

const SHADOW: &str = include_str!("tools/shadow.sh");
const HASH: &str = "$6$saltsalt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/";

/// A machine with root, an administrator and an account for a site.
pub(crate) fn machine() -> World {
    let mut world = World::new();
    for tool in [
        "getent", "useradd", "usermod", "userdel", "groupadd", "groupmod", "groupdel", "gpasswd",
        "chpasswd",
    ] {
        world.tool(tool, SHADOW);
    }
    world.write(
        "machine/passwd",
        "root:x:0:0:root:/root:/bin/bash\nadmin:x:1000:1000::/home/admin:/bin/sh\n\
         site:x:1002:1002::/home/site:/bin/sh\n",
    );
    world.write(
        "machine/group",
        "root:x:0:\nsudo:x:27:admin\nweb:x:33:\nadmin:x:1000:\nsite:x:1002:\nempty:x:1400:\n",
    );
    world.write(
        "machine/shadow",
        &format!("root:*:20780:0:99999:7:::\nadmin:{HASH}:20780:0:99999:7:::\nsite:!:20780:0:99999:7:::\n"),
    );
    world
}

fn state(world: &World) -> String {
    ["passwd", "group", "shadow"]
        .map(|file| world.read(&format!("machine/{file}")))
        .join("\n")
}

#[test]
fn every_function_stands() {
    let verb = |function, body, grants| Verb {
        function,
        body,
        grants,
        again: Again::Settled,
    };
    let verbs = [
        verb(
            "query",
            "return user.exists('root')",
            "users.query = ['root']",
        ),
        verb("list", "return #user.list() == 3", "users.query = ['*']"),
        verb(
            "create",
            "return user.create('deploy', { shell = '/bin/bash', groups = 'web', uid = 1600 })",
            "users.create = ['deploy']\nusers.groups = ['web']\nusers.ids = ['16??']",
        ),
        verb(
            "modify",
            "return user.add_to_group('site', 'web')",
            "users.modify = ['s*']\nusers.groups = ['web']",
        ),
        verb(
            "remove",
            "return user.delete('site')",
            "users.remove = ['site']",
        ),
        verb(
            "query-group",
            "return group.exists('web')",
            "users.query = ['web']",
        ),
        verb(
            "list-groups",
            "return #group.list() == 6",
            "users.query = ['*']",
        ),
        verb(
            "create-group",
            "return group.create('apps', { gid = 1700 })",
            "users.create = ['apps']\nusers.ids = ['1700']",
        ),
        verb(
            "modify-group",
            "return group.modify('web', { gid = 1700, members = { 'site' } })",
            "users.modify = ['web']\nusers.groups = ['web']\nusers.ids = ['1700']",
        ),
        verb(
            "remove-group",
            "return group.delete('empty')",
            "users.remove = ['empty']",
        ),
    ];
    stand("users", &verbs, machine, state);
}

#[test]
fn an_account_is_told_without_its_hash() {
    let world = machine().and_granting("users.query = ['*']");
    let ran = world.run("return true, nil, { user = user.get_info('admin'), all = user.list() }");
    let outputs = ran.outputs();
    assert!(
        outputs.contains(r#""groups":["sudo"],"has_password":true"#),
        "{outputs}"
    );
    assert!(!outputs.contains("saltsalt"), "{outputs}");
}

#[test]
fn a_password_is_a_hash_and_is_shown_nowhere() {
    let mut world = machine().and_granting("users.create = ['deploy']\nusers.modify = ['deploy']");
    world.diff = true;
    let set = format!("return user.create('deploy', {{ password = '{HASH}' }})");
    let ran = world.run(&set);
    assert_eq!(
        ran.ended(),
        "changed: create the account deploy: password (set)"
    );
    assert!(!format!("{:?}", ran.events).contains("saltsalt"));
    assert!(
        world
            .read("machine/shadow")
            .contains(&format!("deploy:{HASH}:"))
    );
    assert!(world.run(&set).changes().is_empty());
    let plain = world.run("return user.set_password('deploy', 'hunter2')");
    assert!(
        plain.ended().contains("mkpasswd") && !format!("{:?}", plain.events).contains("hunter2"),
        "{}",
        plain.ended()
    );
}

#[test]
fn whoever_has_roots_rights_is_changed_only_by_name() {
    for (lines, call) in [
        (
            "users.modify = ['*']",
            "user.set_shell('root', '/bin/false')",
        ),
        (
            "users.modify = ['ro*', 'adm*']",
            "user.set_password('admin', 'HASH')",
        ),
        ("users.remove = ['*']", "user.delete('admin')"),
        (
            "users.create = ['*']\nusers.modify = ['*']",
            "user.create('root', { shell = '/bin/false' })",
        ),
        ("users.remove = ['*']", "group.delete('sudo')"),
        (
            "users.modify = ['*']\nusers.ids = ['*']",
            "group.modify('sudo', { gid = 1800 })",
        ),
    ] {
        let world = machine().and_granting(lines);
        let before = state(&world);
        let other = HASH.replace("qFm", "qFn");
        let ran = world.run(&format!("return {}", call.replace("HASH", &other)));
        assert!(
            ran.ended().starts_with("denied: ") && ran.ended().contains("without a pattern"),
            "{call}: {}",
            ran.ended()
        );
        assert_eq!(state(&world), before, "{call}");
    }
    let world = machine().and_granting("users.modify = ['root']");
    assert_eq!(
        world
            .run("return user.set_shell('root', '/bin/false')")
            .changes()
            .len(),
        1
    );
}

#[test]
fn a_group_is_joined_and_left_only_as_it_is_granted() {
    let world = machine().and_granting(
        "users.modify = ['site', 'admin']\nusers.create = ['sudo']\nusers.groups = ['web']",
    );
    for call in [
        "user.add_to_group('site', 'sudo')",
        "user.modify('site', { groups = { 'web', 'sudo' } })",
        "user.modify('admin', { groups = { 'web' } })",
        "user.modify('site', { gid = 27 })",
        "user.set_primary_group('site', 'sudo')",
        // A group of its name is there already.
        "user.create('sudo')",
    ] {
        let ended = world.run(&format!("return {call}")).ended();
        assert!(
            ended.starts_with("denied: users.groups is not granted for sudo"),
            "{call}: {ended}"
        );
    }
}

#[test]
fn folders_that_are_not_the_usual_ones_need_the_grants_of_files() {
    let world = machine().and_granting(
        "users.create = ['deploy']\nusers.modify = ['site']\nusers.remove = ['site']",
    );
    for (call, needed) in [
        (
            "user.create('deploy', { home = '/etc/x', create_home = true })",
            "files.write",
        ),
        (
            "user.modify('site', { home = '/srv/x', move_home = true })",
            "files.write",
        ),
    ] {
        let ended = world.run(&format!("return {call}")).ended();
        assert!(
            ended.starts_with(&format!("denied: {needed}")),
            "{call}: {ended}"
        );
    }
    world.write("machine/passwd", "site:x:1002:1002::/etc:/bin/sh\n");
    let ended = world.run("return user.delete('site', true)").ended();
    assert!(
        ended.starts_with("denied: files.delete is not granted for /etc"),
        "{ended}"
    );
    assert!(
        world
            .run("return user.delete('site')")
            .finished
            .outcome
            .succeeded()
    );
}

#[test]
fn what_is_no_name_reaches_no_tool() {
    let world = machine().and_granting(
        "users.create = ['*']\nusers.modify = ['*']\nusers.query = ['*']\nusers.remove = ['*']\nusers.ids = ['*']\nusers.groups = ['*']",
    );
    let before = state(&world);
    for call in [
        "user.create('-r')",
        "user.create('a b')",
        "user.create('a:b')",
        "user.create('a\\nb')",
        "user.create('a..b')",
        "user.create(('a'):rep(33))",
        "user.create('')",
        "user.exists('0')",
        "user.create('deploy', { shell = '/bin/sh:x' })",
        "user.create('deploy', { shell = 'sh' })",
        "user.create('deploy', { comment = 'a\\nroot::0:0:::' })",
        "user.create('deploy', { home = '/home/../etc' })",
        "user.create('deploy', { uid = 0 })",
        "user.create('deploy', { uid = 'x' })",
        "user.create('deploy', { expiry = 'tomorrow' })",
        "user.create('deploy', { groups = { '-G' } })",
        "user.create('deploy', { password = 'x' })",
        "group.create('-g')",
        "group.create('apps', { gid = 0 })",
        "group.modify('web', { members = { 'a,b' } })",
        "user.creat('x')",
    ] {
        let ended = world.run(&format!("return {call}")).ended();
        assert!(ended.starts_with("failed: "), "{call}: {ended}");
    }
    assert_eq!(state(&world), before);
    for (call, said) in [
        (
            "user.create('deploy', { groups = { 'none' } })",
            "group.create",
        ),
        (
            "user.modify('nobody-here', { shell = '/bin/sh' })",
            "user.create",
        ),
        (
            "user.create('deploy', { uid = 1000 })",
            "the account admin's",
        ),
        ("group.delete('site')", "the primary group of site"),
        ("user.unlock('site')", "no password"),
    ] {
        let ended = world
            .run(&format!("local r, why = {call} return r ~= nil, why"))
            .ended();
        assert!(ended.contains(said), "{call}: {ended}");
    }
}

#[test]
fn a_tool_that_fails_after_another_tells_of_what_was_done() {
    let mut world = machine().and_granting("users.create = ['deploy']");
    world.tool("chpasswd", "#!/bin/sh\necho 'chpasswd: no' >&2\nexit 1\n");
    let body = format!(
        "local r, why = user.create('deploy', {{ password = '{HASH}' }}) return r ~= nil, why"
    );
    let ran = world.run(&body);
    assert_eq!(ran.changes().len(), 1);
    assert!(
        ran.ended().contains("chpasswd: chpasswd: no"),
        "{}",
        ran.ended()
    );
}

#[test]
fn check_mode_sees_what_it_would_have_done() {
    let mut world = machine().and_granting(
        "users.create = ['*']\nusers.query = ['*']\nusers.modify = ['deploy']\nusers.groups = ['*']\nusers.remove = ['deploy']",
    );
    world.check = true;
    let before = state(&world);
    let ran = world.run(
        "local out = { }
         out.group = group.create('apps').changed
         out.user = user.create('deploy', { groups = { 'apps' }, shell = '/bin/bash' }).changed
         out.again = user.create('deploy', { groups = { 'apps' } }).changed
         out.shell, out.members = user.get_shell('deploy'), group.members('apps')
         user.remove_from_group('deploy', 'apps')
         out.left = #group.members('apps')
         user.delete('deploy')
         out.gone, out.own = user.exists('deploy'), group.exists('deploy')
         return true, nil, out",
    );
    assert_eq!(
        ran.outputs(),
        r#"{"again":false,"gone":false,"group":true,"left":0,"members":["deploy"],"own":false,"shell":"/bin/bash","user":true}"#
    );
    assert_eq!(state(&world), before);
}

#[test]
fn every_other_spelling_does_the_same() {
    let world = machine().and_granting(
        "users.create = ['*']\nusers.query = ['*']\nusers.modify = ['deploy']\nusers.groups = ['*']\nusers.remove = ['*']",
    );
    let ran = world.run(
        "assert(user.create{ username = 'deploy', shell = '/bin/bash', groups = 'web,empty' }.changed)
         assert(user.get_info('deploy').home == '/home/deploy' and user.get_home('deploy') == '/home/deploy')
         assert(#user.get_groups('deploy') == 2 and user.is_locked('deploy') and not user.is_root('deploy'))
         assert(user.set_comment('deploy', 'Web').changed and user.get_comment('deploy') == 'Web')
         assert(user.remove_from_group('deploy', 'web').changed and user.group_members('empty')[1] == 'deploy')
         assert(user.group_create('apps').changed and user.group_get_gid('apps') == 1500 and group.exists{ name = 'apps' })
         assert(user.group_add_member('apps', 'deploy').changed and not group.add_member('apps', 'deploy').changed)
         assert(not group.add_to_group('apps', 'deploy').changed and group.get_info('apps').gid == 1500)
         assert(user.group_exists('apps') and not user.group_exists('none') and user.group_get_info('apps').name == 'apps')
         assert(#user.group_list() == 8 and user.get_gid('deploy') == user.group_get_gid('deploy'))
         assert(user.group_remove_member('apps', 'deploy').changed and #group.members('apps') == 0)
         assert(group.add_member('apps', 'deploy').changed)
         assert(user.set_home('deploy', '/srv/deploy').changed and user.get_home('deploy') == '/srv/deploy')
         assert(not user.set_home('deploy', '/srv/deploy').changed)
         assert(user.set_expiry('deploy', '2030-01-02').changed and not user.set_expiry('deploy', '2030-01-02').changed)
         assert(group.remove_member('apps', 'deploy').changed and user.group_delete('apps').changed)
         assert(user.validate_username('deploy') and not user.validate_username('-x') and user.is_system_user('root'))
         assert(user.get_uid('nobody-here') == nil and #user.list(true) == 1 and user.get_uid('deploy') == 1001)
         assert(user.create{ name = 'deploy', state = 'absent' }.changed and not user.delete('deploy').changed)
         assert(require('user') == user and require('group') == group and require('pkg') == pkg)",
    );
    assert_eq!(ran.finished.outcome.word(), "changed", "{}", ran.ended());
}

#[test]
fn facts_tell_of_accounts() {
    let world = machine().and_granting("facts.read = ['users']");
    let ran = world.run("local all = facts.users() return true, nil, { n = #all, first = all[1] }");
    assert_eq!(
        ran.outputs(),
        r#"{"first":{"gid":1000,"home":"/home/admin","shell":"/bin/sh","uid":1000,"username":"admin"},"n":3}"#
    );
}

#[test]
fn a_group_or_an_account_of_a_root_groups_name_is_made_only_where_it_is_spelled() {
    let world = machine().and_granting("users.create = ['*']");
    let before = state(&world);
    for call in [
        "group.create('docker')",
        "group.create('wheel', { system = true })",
        "user.create('libvirt', { shell = '/bin/bash' })",
    ] {
        let ended = world.run(&format!("return {call}")).ended();
        assert!(
            ended.starts_with("denied: users.create") && ended.contains("without a pattern"),
            "{call}: {ended}"
        );
    }
    assert_eq!(state(&world), before);
    let world = machine().and_granting("users.create = ['docker']");
    assert_eq!(
        world.run("return group.create('docker')").changes().len(),
        1
    );
}

#[test]
fn learning_touches_no_folder_of_an_account_that_is_not_granted() {
    let mut world = machine().and_granting("users.create = ['deploy']\nusers.remove = ['site']");
    world.witness.learner = Some(std::sync::Arc::new(sloth_sandbox::Learner::new(false)));
    world.write("machine/passwd", "site:x:1002:1002::/srv/site:/bin/sh\n");
    let before = state(&world);
    for call in [
        "user.create('deploy', { home = '/srv/x', create_home = true })",
        "user.delete('site', true)",
    ] {
        let ran = world.run(&format!("pcall(function() return {call} end)"));
        assert!(ran.changes().is_empty(), "{call}: {:?}", ran.changes());
    }
    assert_eq!(state(&world), before);
}
