//! How programs end: by themselves, at a limit, by a cancel, with their agent.

use super::*;

#[tokio::test]
async fn a_program_that_ignores_the_request_is_gone_after_the_grace() {
    let mut stage = shell("trap '' TERM; echo ready; while :; do sleep 1; done");
    stage.confinement.argv.push(stage.mark());
    let start = Instant::now();
    let done = stage
        .run_until(None, Duration::from_millis(300), std::future::pending())
        .await
        .unwrap();
    assert_eq!(
        (done.ended.how, done.ended.cause),
        (How::Signalled(9), Cause::TimedOut)
    );
    assert!(
        (800..3000).contains(&start.elapsed().as_millis()),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(count_living(&stage.mark()), 0);
}

#[tokio::test]
async fn a_program_that_obeys_ends_at_once_and_may_say_so() {
    let mut stage = shell("trap 'echo bye; exit 5' TERM; echo ready; while :; do sleep 0.05; done");
    stage.confinement.grace = Duration::from_secs(20);
    let soon = tokio::time::sleep(Duration::from_millis(300));
    let start = Instant::now();
    let done = stage
        .run_until(None, Duration::from_secs(30), soon)
        .await
        .unwrap();
    assert_eq!(
        (done.ended.how, done.ended.cause),
        (How::Exited(5), Cause::Cancelled)
    );
    assert!(done.stdout.ends_with("bye\n"));
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_stopped_program_is_ended() {
    let stage = shell("kill -STOP $$");
    let done = stage
        .run_until(None, Duration::from_millis(300), std::future::pending())
        .await
        .unwrap();
    assert_eq!(
        (done.ended.how, done.ended.cause),
        (How::Signalled(15), Cause::TimedOut)
    );
}

#[tokio::test]
async fn a_session_of_its_own_outlives_neither_the_program_nor_a_cancel() {
    for unconfined in [false, true] {
        let mut stage = probe(&["escape"]);
        stage.confinement.unconfined = unconfined;
        stage.confinement.argv.push(stage.mark());
        let done = stage.run().await;
        assert_eq!(
            (done.ended.how, done.ended.cause),
            (How::Exited(0), Cause::Itself)
        );
        assert_eq!(count_living(&stage.mark()), 0);

        stage.confinement.argv.push("stay".to_owned());
        let soon = tokio::time::sleep(Duration::from_millis(400));
        let done = stage
            .run_until(None, Duration::from_secs(30), soon)
            .await
            .unwrap();
        assert_eq!(
            (done.ended.how, done.ended.cause),
            (How::Signalled(15), Cause::Cancelled)
        );
        assert_eq!(count_living(&stage.mark()), 0);
    }
}

#[tokio::test]
async fn a_fork_bomb_is_limited() {
    let mut stage = probe(&["bomb"]);
    stage.confinement.argv.push(stage.mark());
    let start = Instant::now();
    let done = stage.run().await;
    assert_eq!(done.ended.cause, Cause::ProcessLimit);
    assert!(
        start.elapsed() < Duration::from_secs(10),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(count_living(&stage.mark()), 0);
}

#[tokio::test]
async fn a_flood_of_output_is_stopped() {
    let stage = shell("exec head -c 1000000000 /dev/zero");
    let mut total = 0;
    let output = |_, bytes: &[u8]| {
        total += bytes.len();
        if total > 1 << 20 {
            Flow::Stop
        } else {
            Flow::Continue
        }
    };
    let start = Instant::now();
    let far = start + Duration::from_secs(30);
    let never = std::future::pending();
    let ended = confine::run(
        Path::new(HELPER),
        &stage.confinement,
        None,
        far,
        never,
        output,
    )
    .await
    .unwrap();
    assert_eq!(ended.cause, Cause::OutputLimit);
    assert!(
        start.elapsed() < Duration::from_secs(2),
        "{:?}",
        start.elapsed()
    );
    assert!(total < 2 << 20);
}

#[tokio::test]
async fn a_program_that_closes_its_output_is_still_waited_for() {
    let done = shell("exec >&- 2>&-; sleep 0.3; exit 4").run().await;
    assert_eq!(done.ended.how, How::Exited(4));
}

#[tokio::test]
async fn dropping_the_future_leaves_nothing() {
    for unconfined in [false, true] {
        let mut stage = probe(&["escape"]);
        stage.confinement.unconfined = unconfined;
        stage
            .confinement
            .argv
            .extend([stage.mark(), "stay".to_owned()]);
        let run = stage.run_until(None, Duration::from_secs(30), std::future::pending());
        assert!(
            tokio::time::timeout(Duration::from_millis(400), run)
                .await
                .is_err()
        );
        expect_none_living(&stage.mark()).await;
    }
}

#[tokio::test]
async fn the_death_of_the_agent_leaves_nothing() {
    for unconfined in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let mark = folder.path().display().to_string();
        let mut agent = Command::new(HELPER);
        if unconfined {
            agent.env("UNCONFINED", "yes");
        }
        agent.args([
            "agent",
            "/bin/sh",
            "-c",
            "trap '' TERM; (sleep 600; sleep 600) & sleep 600; :",
            &mark,
        ]);
        let mut agent = agent.spawn().unwrap();
        // The agent, the shell and its copy of itself.
        let patience = Instant::now() + Duration::from_secs(5);
        while count_living(&mark) < 3 && Instant::now() < patience {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let count = count_living(&mark);
        agent.kill().unwrap();
        agent.wait().unwrap();
        assert!(count >= 3, "{count}");
        expect_none_living(&mark).await;
    }
}

async fn expect_none_living(mark: &str) {
    let patience = Instant::now() + Duration::from_secs(2);
    while count_living(mark) > 0 && Instant::now() < patience {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(count_living(mark), 0);
}
