//! Work that is done to its end, whoever has gone meanwhile.

use tonic::Status;

/// Does what must not be left half done: what was kept has to be followed by what follows from it. The connection of
/// whoever asked may end at any moment, and a handler with it.
pub(super) async fn unbroken<T: Send + 'static>(
    work: impl Future<Output = Result<T, Status>> + Send + 'static,
) -> Result<T, Status> {
    let done = tokio::spawn(work).await;
    done.map_err(|defect| Status::internal(defect.to_string()))?
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn what_nobody_waits_for_any_more_is_done_all_the_same() {
        let (go, wait) = oneshot::channel::<()>();
        let (done, see) = oneshot::channel();
        let work = unbroken(async move {
            let _ = wait.await;
            let _ = done.send(());
            Ok(())
        });
        let left = tokio::time::timeout(Duration::from_millis(20), work).await;
        assert!(left.is_err(), "whoever asked has gone");
        go.send(()).unwrap();
        see.await.unwrap();
        assert!(
            unbroken(async { Err::<(), _>(Status::not_found("x")) })
                .await
                .is_err()
        );
    }
}
