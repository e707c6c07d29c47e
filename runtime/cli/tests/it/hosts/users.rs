//! Real accounts: the tools of shadow on a machine of their own.

use super::layer::Root;

const HASH: &str = "$6$saltsalt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/";

fn root() -> Root {
    let root = Root::new();
    root.policy(
        "users.query = ['*']\nusers.create = ['deploy', 'apps', 'svc']\nusers.modify = ['deploy', 'apps']\n\
         users.remove = ['deploy', 'apps', 'svc']\nusers.groups = ['apps', 'www-data']\nusers.ids = ['1[56]??']\n",
    );
    root
}

const STORY: &str = "
    local wish = { uid = 1500, shell = '/bin/bash', groups = { 'apps' }, comment = 'Web, site', create_home = true,
        home = '/home/deploy', password = 'HASH', expiry = '2030-01-31' }
    log.info(group.create('apps', { gid = 1600 }).changed, group.create('apps', { gid = 1600 }).changed)
    log.info(user.create('deploy', wish).changed, user.create('deploy', wish).changed)
    log.info(user.create('svc', { system = true }).changed, user.get_uid('svc') < 1000)
    log.info(user.lock('deploy').changed, user.lock('deploy').changed, user.is_locked('deploy'))
    log.info(user.unlock('deploy').changed, user.is_locked('deploy'))
    log.info(user.modify('deploy', { groups = 'www-data', append = true, shell = '/bin/sh', expiry = '' }).message)
    log.info(table.concat(user.get_groups('deploy'), ' '))
    log.info(user.remove_from_group('deploy', 'apps').changed, #group.members('apps'))
    log.info(group.modify('apps', { members = { 'deploy' } }).changed, group.modify('apps', { members = { } }).changed)
";

#[test]
#[ignore = "needs a Debian root at SLOTH_TEST_ROOT: .ci/run makes one"]
fn accounts_come_change_and_go() {
    let root = root();
    root.task("story", &STORY.replace("HASH", HASH));
    root.task(
        "end",
        "log.info(user.delete('deploy', true).changed, user.delete('deploy').changed, user.delete('svc').changed)
         log.info(group.delete('apps').changed, group.delete('apps').changed, user.exists('deploy'), fs == nil)",
    );
    let ended = root.run(
        "sloth story
         getent passwd deploy; getent shadow deploy | cut -d: -f2,8; ls -d /home/deploy
         sloth end
         getent passwd deploy || echo gone; ls -d /home/deploy || echo no folder",
    );
    let told = super::messages(&ended.stdout);
    assert_eq!(
        told,
        [
            "true false",
            "true false",
            "true true",
            "true false true",
            "true false",
            "change the account deploy: groups apps,www-data, shell /bin/sh, expires none",
            "apps www-data",
            "true 0",
            "true true",
            "true false true",
            "true false false false",
        ],
        "{}{}",
        ended.stdout,
        ended.stderr
    );
    for line in [
        "deploy:x:1500:1500:Web, site:/home/deploy:/bin/sh\n",
        &format!("{HASH}:\n"),
        "/home/deploy\n",
        "gone\n",
        "no folder\n",
    ] {
        assert!(ended.stdout.contains(line), "{line}: {}", ended.stdout);
    }
    let shown = ended.stdout.replace(&format!("{HASH}:\n"), "");
    assert!(!shown.contains("saltsalt"), "the hash is shown: {shown}");
}

#[test]
#[ignore = "needs a Debian root at SLOTH_TEST_ROOT: .ci/run makes one"]
fn check_mode_makes_nobody_and_another_tool_is_waited_for() {
    let root = root();
    root.task(
        "check",
        "log.info(user.create('deploy', { create_home = true }).message, user.exists('deploy'))",
    );
    root.task("make", "log.info(user.create('deploy').changed)");
    let ended = root.run(
        "sloth check --check
         getent passwd deploy || echo nobody
         sleep 3 & echo $! >/etc/passwd.lock
         ( sleep 3; rm -f /etc/passwd.lock ) &
         sloth make
         getent passwd deploy",
    );
    let told = super::messages(&ended.stdout);
    assert_eq!(
        told[0], "create the account deploy true",
        "{}{}",
        ended.stdout, ended.stderr
    );
    assert!(ended.stdout.contains("nobody\n"), "{}", ended.stdout);
    assert!(
        told[1].starts_with("waiting to create the account deploy"),
        "{told:?}"
    );
    assert_eq!(told[2], "true");
}
