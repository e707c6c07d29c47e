//! How programs start: what is refused, and what they are given.

use super::*;

#[tokio::test]
async fn a_program_that_is_not_there_is_told_apart_from_one_that_fails() {
    let stage = stage(&["/usr/bin/there-is-no-such-program"]);
    let error = stage
        .run_until(None, Duration::from_secs(9), std::future::pending())
        .await;
    assert!(matches!(error, Err(Error::NotFound(path)) if path == stage.confinement.program));
}

#[tokio::test]
async fn a_file_that_is_not_executable_or_not_granted_is_refused() {
    let mut stage = stage(&["/etc/passwd"]);
    let error = stage
        .run_until(None, Duration::from_secs(9), std::future::pending())
        .await;
    assert!(matches!(error, Err(Error::NotExecutable { .. })));
    let written = stage.inside.join("written");
    fs::copy("/bin/sh", &written).unwrap();
    stage.confinement.program = written;
    let error = stage
        .run_until(None, Duration::from_secs(9), std::future::pending())
        .await;
    assert!(matches!(error, Err(Error::NotExecutable { .. })));
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_named() {
    let mut stage = shell("true");
    stage.confinement.workdir = stage.inside.join("missing");
    let error = stage
        .run_until(None, Duration::from_secs(9), std::future::pending())
        .await;
    assert!(matches!(error, Err(Error::Helper(text)) if text.contains("missing")));
}

#[tokio::test]
async fn a_nul_character_in_an_argument_is_an_error() {
    let stage = stage(&["/bin/echo", "a\0b"]);
    let error = stage
        .run_until(None, Duration::from_secs(9), std::future::pending())
        .await;
    assert!(matches!(error, Err(Error::Invalid(_))));
}

#[tokio::test]
async fn standard_input_arrives_whole() {
    let input: Vec<u8> = (0..3_000_000_u32)
        .map(|number| (number % 10) as u8 + b'0')
        .collect();
    let wanted = String::from_utf8(input.clone()).unwrap();
    let stage = shell("cat");
    let done = stage
        .run_until(Some(input), Duration::from_secs(9), std::future::pending())
        .await
        .unwrap();
    assert!(done.stdout == wanted);
}

#[tokio::test]
async fn standard_input_that_nobody_reads_blocks_nothing() {
    let stage = shell("exit 6");
    let input = vec![b'x'; 64 << 20];
    let done = stage
        .run_until(Some(input), Duration::from_secs(9), std::future::pending())
        .await
        .unwrap();
    assert_eq!(
        (done.ended.how, done.ended.cause),
        (How::Exited(6), Cause::Itself)
    );
}

#[tokio::test]
async fn without_standard_input_there_is_its_end() {
    assert_eq!(shell("cat; echo end").run().await.stdout, "end\n");
}

#[tokio::test]
async fn the_environment_is_exactly_what_was_given() {
    let mut stage = stage(&["/usr/bin/env"]);
    if !stage.confinement.program.exists() {
        return;
    }
    stage.confinement.env = vec![("ONE".into(), "1".into()), ("TWO".into(), "a b=c\n".into())];
    assert_eq!(stage.run().await.stdout, "ONE=1\nTWO=a b=c\n\n");
}

#[tokio::test]
async fn the_program_holds_three_descriptors_and_no_ignored_signal() {
    assert_eq!(probe(&["descriptors"]).run().await.stdout, "0 1 2 ");
    // The C library keeps two signals above 31 for itself, and lets nobody change them.
    let ignored = probe(&["status", "SigIgn"]).run().await.stdout;
    assert!(
        ["00000000\n", "80000000\n"]
            .iter()
            .any(|end| ignored.ends_with(end)),
        "{ignored}"
    );
    assert_eq!(
        probe(&["status", "SigBlk"]).run().await.stdout,
        "SigBlk:\t0000000000000000\n"
    );
    assert_eq!(
        probe(&["status", "NoNewPrivs"]).run().await.stdout,
        "NoNewPrivs:\t1\n"
    );
}

#[tokio::test]
async fn the_status_cannot_be_forged() {
    let done = probe(&["forge"]).run().await;
    assert_eq!(
        (done.ended.how, done.ended.cause),
        (How::Exited(7), Cause::Itself)
    );
    assert!(done.stdout.contains("Ended"));
}

#[tokio::test]
async fn another_account_is_taken_on_whole() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let mut stage = shell("id -u; id -g; id -G; echo x > new");
    stage.confinement.workdir = PathBuf::from("/");
    stage.confinement.user = Some(confine::Account {
        uid: 65534,
        gid: 65534,
        groups: vec![65533],
    });
    let done = stage.run().await;
    assert_eq!(done.stdout, "65534\n65534\n65534 65533\n");
    let mut stage = probe(&["status", "Cap"]);
    fs::set_permissions(stage.inside.join("."), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(PROBE.1.parent().unwrap(), fs::Permissions::from_mode(0o755)).unwrap();
    stage.confinement.user = Some(confine::Account {
        uid: 65534,
        gid: 65534,
        groups: vec![],
    });
    assert!(
        stage
            .run()
            .await
            .stdout
            .contains("CapEff:\t0000000000000000")
    );
}

#[tokio::test]
async fn processor_time_is_limited() {
    let mut stage = shell("while :; do :; done");
    stage.confinement.cpu_seconds = 1;
    let done = stage.run().await;
    assert_eq!(
        (done.ended.how, done.ended.cause),
        (How::Signalled(9), Cause::Itself)
    );
}
