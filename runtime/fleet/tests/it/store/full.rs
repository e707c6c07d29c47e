//! A full disk: what finds no room is answered so, what was kept stays, and the store goes on when there is room.

use std::process::Command;

use sloth_fleet::store::master::{Error, Store};

use super::{all_words, said, submission};

/// A small disk of its own, unmounted at the end.
struct Disk(tempfile::TempDir);

impl Disk {
    fn of(bytes: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={bytes}"), "tmpfs"])
            .arg(folder.path())
            .status()
            .unwrap();
        assert!(mounted.success(), "the tests need a mount of their own");
        Self(folder)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_an_answer_and_the_store_goes_on_when_there_is_room() {
    let disk = Disk::of(4 << 20);
    let store = Store::open(disk.0.path()).unwrap();
    store.submit(submission("a")).await.unwrap();
    let ballast = disk.0.path().join("ballast");
    std::fs::write(&ballast, vec![0; 1 << 20]).unwrap();
    let mut kept = 0;
    let error = loop {
        // Several at once, so that one commit has several to disappoint.
        let large = || vec![said("x".repeat(20_000))];
        let (one, two) = tokio::join!(store.append("a", large()), store.append("a", large()));
        kept += u64::from(one.is_ok()) + u64::from(two.is_ok());
        if let Err(error) = one.and(two) {
            break error;
        }
        assert!(kept < 1000, "the disk does not fill");
    };
    assert!(matches!(error, Error::Unusable(_)), "{error:?}");
    let said_so = error.to_string();
    assert!(
        said_so.contains("master.db") && said_so.contains("disk"),
        "{said_so}"
    );
    assert_eq!(store.run("a").await.unwrap().events, kept);
    assert!(
        store
            .append("a", vec![said("x".repeat(200_000))])
            .await
            .is_err()
    );
    std::fs::remove_file(&ballast).unwrap();
    let last = store.append("a", vec![said("room again")]).await.unwrap();
    assert_eq!(last, kept + 1);
    let words = all_words(&store, "a").await;
    assert_eq!(words.last().unwrap(), "room again");
    drop(store);
    let store = Store::open(disk.0.path()).unwrap();
    assert_eq!(all_words(&store, "a").await.len(), words.len());
}

#[tokio::test]
async fn a_content_that_finds_no_room_is_not_kept_and_the_next_one_is() {
    let disk = Disk::of(2 << 20);
    let store = Store::open(disk.0.path()).unwrap();
    let digest = "a".repeat(64);
    let mut upload = store.receive(&digest, 8 << 20, 9 << 20).await.unwrap();
    let error = loop {
        if let Err(error) = upload.write(vec![0; 1 << 20]).await {
            break error;
        }
    };
    let said_so = error.to_string();
    assert!(
        said_so.contains("the disk is full; make room and try again"),
        "{said_so}"
    );
    drop(upload);
    assert_eq!(store.content_size(&digest).await.unwrap(), None);
    let mut upload = store.receive(&digest, 1 << 20, 9 << 20).await.unwrap();
    upload.write(vec![0; 1 << 20]).await.unwrap();
}
