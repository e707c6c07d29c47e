//! What a confined program reaches, and what it does not.

use super::*;

#[tokio::test]
async fn a_granted_file_is_read_and_the_exit_code_comes_back() {
    let stage = shell("cat granted; exit 3");
    fs::write(stage.inside.join("granted"), "content").unwrap();
    let done = stage.run().await;
    assert_eq!(done.stdout, "content");
    assert_eq!(
        (done.ended.how, done.ended.cause),
        (How::Exited(3), Cause::Itself)
    );
}

#[tokio::test]
async fn etc_shadow_and_the_environment_of_other_processes_are_unreadable() {
    for path in [
        "/etc/shadow",
        "/proc/1/environ",
        &format!("/proc/{}/environ", std::process::id()),
    ] {
        let done = shell(&format!("cat {path}")).run().await;
        assert_ne!(done.ended.how, How::Exited(0), "{path}");
        assert_eq!(done.stdout, "");
    }
}

#[tokio::test]
async fn files_are_made_changed_and_removed_inside() {
    let script = "echo a > a && mkdir b && mv a b/a && echo c >> b/a && ln -s x y && chmod 600 b/a \
                  && cp b/a d && rm d && cat b/a";
    let done = shell(script).run().await;
    assert_eq!((done.stdout.as_str(), done.stderr.as_str()), ("a\nc\n", ""));
}

#[tokio::test]
async fn nothing_is_made_changed_or_removed_outside() {
    let mut stage = shell("");
    let victim = stage.outside.join("victim");
    fs::write(&victim, "as it was").unwrap();
    let outside = stage.outside.display();
    stage.confinement.argv[2] = format!(
        "cat {outside}/victim; echo x > {outside}/victim; echo x > {outside}/new; rm {outside}/victim; \
         mv {outside}/victim .; ln {outside}/victim here; true"
    );
    let done = stage.run().await;
    assert_eq!(done.stdout, "");
    assert_eq!(fs::read_to_string(&victim).unwrap(), "as it was");
    assert_eq!(fs::read_dir(&stage.outside).unwrap().count(), 1);
    assert!(!stage.inside.join("here").exists());
}

#[tokio::test]
async fn a_tree_for_writing_alone_is_neither_read_nor_emptied() {
    let mut stage = shell("echo x > new; cat old; rm old; true");
    fs::write(stage.inside.join("old"), "old").unwrap();
    stage.confinement.read.pop();
    stage.confinement.delete.clear();
    assert_eq!(stage.run().await.stdout, "");
    assert!(stage.inside.join("old").exists() && stage.inside.join("new").exists());
}

#[tokio::test]
async fn a_single_file_is_changed_in_place_and_not_removed() {
    let mut stage = shell("echo new > file; rm file; true");
    let file = stage.inside.join("file");
    fs::write(&file, "old").unwrap();
    for list in [
        &mut stage.confinement.write,
        &mut stage.confinement.delete,
        &mut stage.confinement.read,
    ] {
        list.retain(|path| *path != stage.inside);
        list.push(file.clone());
    }
    assert_eq!(stage.run().await.ended.how, How::Exited(0));
    assert_eq!(fs::read_to_string(&file).unwrap(), "new\n");
}

#[tokio::test]
async fn a_link_that_an_earlier_program_left_in_the_lists_grants_nothing() {
    let mut stage = shell("cat link/secret");
    fs::write(stage.outside.join("secret"), "secret").unwrap();
    std::os::unix::fs::symlink(&stage.outside, stage.inside.join("link")).unwrap();
    stage.confinement.read.push(stage.inside.join("link"));
    assert_eq!(stage.run().await.stdout, "");
}

#[tokio::test]
async fn metadata_outside_does_not_change() {
    for verb in ["chmod", "chown", "touch", "attribute"] {
        let mut stage = probe(&[verb]);
        let victim = stage.outside.join("victim");
        fs::write(&victim, "").unwrap();
        fs::set_permissions(&victim, fs::Permissions::from_mode(0o600)).unwrap();
        stage.confinement.argv.push(victim.display().to_string());
        assert_ne!(stage.code().await, 0, "{verb}");
        assert_eq!(mode(&victim), 0o600);
    }
}

#[tokio::test]
async fn metadata_does_not_change_through_what_may_be_read() {
    let mut stage = probe(&["chmod-open"]);
    let victim = stage.outside.join("victim");
    fs::write(&victim, "").unwrap();
    fs::set_permissions(&victim, fs::Permissions::from_mode(0o600)).unwrap();
    stage.confinement.read.push(victim.clone());
    stage.confinement.argv.push(victim.display().to_string());
    assert!(![0, 99].contains(&stage.code().await));
    assert_eq!(mode(&victim), 0o600);
    assert_ne!(probe(&["chmod-stdin"]).code().await, 0);
}

#[tokio::test]
async fn no_family_of_sockets_is_there_unless_granted() {
    let (unix, inet, inet6, netlink, packet, vsock) = (1, 2, 10, 16, 17, 40);
    for family in [unix, inet, inet6, netlink, packet, vsock] {
        assert_eq!(
            probe(&["raw-socket", &family.to_string()]).code().await,
            EPERM,
            "{family}"
        );
    }
    let mut stage = probe(&["socket", "2"]);
    stage.confinement.network = Network::All;
    assert_eq!(stage.code().await, 0);
    let mut stage = probe(&["socket", "1"]);
    stage.confinement.network = Network::All;
    assert_eq!(stage.code().await, EPERM);
    stage.confinement.unix_sockets = true;
    assert_eq!(stage.code().await, 0);
    let mut stage = probe(&["raw-socket", "17"]);
    (stage.confinement.network, stage.confinement.unix_sockets) = (Network::All, true);
    assert_eq!(stage.code().await, EPERM);
}

#[tokio::test]
async fn pairs_of_sockets_are_there_unless_they_could_be_pointed_elsewhere() {
    let (stream, datagram, sequenced) = ("1", "2", "5");
    assert_eq!(probe(&["pair", stream]).code().await, 0);
    assert_eq!(probe(&["pair", sequenced]).code().await, 0);
    assert_eq!(probe(&["pair", datagram]).code().await, EPERM);
}

#[tokio::test]
async fn ways_around_the_layers_are_refused() {
    for attempt in [
        "io_uring", "unshare", "clone", "device", "clock", "limit", "type",
    ] {
        assert!(
            [EPERM, EACCES].contains(&probe(&[attempt, "node"]).code().await),
            "{attempt}"
        );
    }
    assert_eq!(probe(&["mount", "."]).code().await, EPERM);
    assert_eq!(probe(&["clone3"]).code().await, ENOSYS);
    assert_eq!(probe(&["x32"]).code().await, ENOSYS);
}

#[tokio::test]
async fn neither_the_agent_nor_the_supervisor_can_be_signalled() {
    assert_ne!(
        probe(&["kill", &std::process::id().to_string()])
            .code()
            .await,
        0
    );
    assert_ne!(probe(&["kill-parent"]).code().await, 0);
}

#[tokio::test]
async fn the_inside_of_other_processes_is_closed_to_a_program_that_may_read_all_of_proc() {
    // One helper that may make namespaces, in which `/proc` shows the program's own processes, and one that may not.
    let folder = tempfile::tempdir().unwrap();
    let without_namespaces = folder.path().join("helper");
    fs::write(
        &without_namespaces,
        format!("#!/bin/sh\nexec /usr/bin/setpriv --bounding-set=-sys_admin {HELPER} \"$@\"\n"),
    )
    .unwrap();
    fs::set_permissions(&without_namespaces, fs::Permissions::from_mode(0o755)).unwrap();
    let own = std::process::id();
    for helper in [Path::new(HELPER), &without_namespaces] {
        for entry in [
            "environ",
            "maps",
            "mem",
            "auxv",
            "fd/0",
            "root/etc/hostname",
        ] {
            let mut stage = shell(&format!(
                "cat /proc/1/{entry} /proc/{own}/{entry} /proc/$PPID/{entry}; true"
            ));
            stage.confinement.read.push("/proc".into());
            stage.confinement.read.push("/etc".into());
            let mut told = Vec::new();
            let far = Instant::now() + Duration::from_secs(10);
            let ended = confine::run(
                helper,
                &stage.confinement,
                None,
                far,
                std::future::pending(),
                |stream, bytes| {
                    if stream == Stream::Stdout {
                        told.extend_from_slice(bytes);
                    }
                    Flow::Continue
                },
            );
            assert_eq!(ended.await.unwrap().how, How::Exited(0));
            let told = String::from_utf8_lossy(&told);
            assert_eq!(told, "", "{} {entry}", helper.display());
        }
    }
}
