//! What a run has to keep before it goes on. While the disk takes nothing the run waits, and nothing of it is given up:
//! a step that succeeded meanwhile is not said to have failed because that could not be written down.

use std::time::Duration;

use crate::store::master::Error;

/// The first and the longest wait before the store is asked again.
const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(2);

/// Asks the store until it can be used. Every other answer is given back.
pub(crate) async fn insist<T, Asked>(ask: impl FnMut() -> Asked) -> Result<T, Error>
where
    Asked: Future<Output = Result<T, Error>>,
{
    insist_until(std::future::pending(), ask).await
}

/// The same, for as long as nobody has gone who wants to know. What was asked is never left before its answer: it may
/// be kept, and then others have to be told.
pub(crate) async fn insist_until<T, Asked>(
    gone: impl Future<Output = ()>,
    mut ask: impl FnMut() -> Asked,
) -> Result<T, Error>
where
    Asked: Future<Output = Result<T, Error>>,
{
    let mut gone = std::pin::pin!(gone);
    let mut wait = FIRST;
    loop {
        let problem = match ask().await {
            Err(Error::Unusable(problem)) => problem,
            answer => return answer,
        };
        if wait == FIRST {
            tracing::error!("{problem}; what is to be kept waits for it");
        }
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = &mut gone => return Err(Error::Unusable(problem)),
        }
        wait = (wait * 2).min(LONGEST);
    }
}

#[cfg(test)]
mod tests {
    use sloth_sandbox::ports::Problem;

    use super::*;

    #[tokio::test]
    async fn a_full_disk_is_waited_for_and_other_errors_are_not() {
        let mut asked = 0;
        let kept = insist(|| {
            asked += 1;
            let answer = if asked < 3 {
                Err(Error::Unusable(Problem("the disk is full".into())))
            } else {
                Ok(asked)
            };
            async move { answer }
        });
        assert_eq!(kept.await.ok(), Some(3));
        let full = || async { Err::<(), _>(Error::Unusable(Problem("the disk is full".into()))) };
        assert!(insist_until(async {}, full).await.is_err());
        let kept = insist_until(async {}, || async {
            tokio::task::yield_now().await;
            Ok(1)
        });
        assert_eq!(kept.await.ok(), Some(1), "its answer is waited for");
        let missing = insist(|| async { Err::<(), _>(Error::NoRun("r".into())) }).await;
        assert!(matches!(missing, Err(Error::NoRun(_))));
    }
}
