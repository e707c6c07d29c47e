//! A disk that is full: nothing is begun without its record, and what runs is told when there is room.

use std::ffi::CString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use sloth_fleet::store::journal::{Bounds, Call, Journal, What};

/// A disk of half a megabyte.
struct Small(tempfile::TempDir);

impl Small {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let size = CString::new("size=512k").unwrap();
        let flags = MountFlags::empty();
        mount("tmpfs", folder.path(), "tmpfs", flags, size.as_c_str()).unwrap();
        Self(folder)
    }

    /// Fills what is left of it; gives the file to remove for there to be room again.
    fn fill(&self) -> PathBuf {
        let ballast = self.0.path().join("ballast");
        let mut file = std::fs::File::create(&ballast).unwrap();
        while file.write_all(&[0; 4096]).is_ok() {}
        while file.write_all(&[0]).is_ok() {}
        ballast
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = unmount(self.path(), UnmountFlags::DETACH);
    }
}

fn call(number: u64) -> Call {
    Call {
        run: "run".into(),
        number,
        fence: 1,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_begun_and_what_ends_is_told_when_there_is_room() {
    if !rustix::process::geteuid().is_root() {
        // Nobody else can mount a disk.
        return;
    }
    let disk = Small::new();
    let bounds = Bounds {
        memory: 16 << 10,
        ..Bounds::default()
    };
    let journal = Arc::new(Journal::open(disk.path(), bounds).unwrap());
    journal.begin(call(1)).await.unwrap();
    let ballast = disk.fill();
    // What room the database's own files still have is used up.
    let mut refused = None;
    for number in 2..200 {
        if let Err(problem) = journal.begin(call(number)).await {
            refused = Some(problem.0);
            break;
        }
    }
    assert!(refused.unwrap().contains("the disk is full"));
    let own = Arc::clone(&journal);
    let ending = tokio::spawn(async move { own.end(call(1), b"ended".to_vec()).await });
    let began = Instant::now();
    for _ in 0..1000 {
        journal.append_output("run", 1, vec![b'x'; 200]);
    }
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "{:?}",
        began.elapsed()
    );
    journal.append("run", b"change".to_vec());
    assert!(!ending.is_finished());
    assert!(journal.begin(call(500)).await.is_err());
    std::fs::remove_file(ballast).unwrap();
    ending.await.unwrap().unwrap();
    journal.begin(call(501)).await.unwrap();
    journal.begin(call(502)).await.unwrap();
    let items = journal.after(0, 1 << 20).await.unwrap();
    let lines: u64 = items
        .iter()
        .map(|item| match &item.what {
            What::Lost(lines) => *lines,
            What::Kept(body) => u64::from(body.len() == 200),
        })
        .sum();
    assert_eq!(lines, 1000, "each line is told or counted");
    for must in ["ended", "change"] {
        let must = What::Kept(must.as_bytes().to_vec());
        assert_eq!(items.iter().filter(|item| item.what == must).count(), 1);
    }
}
