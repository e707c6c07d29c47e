//! The same confinement where the kernel's call that follows no link is hidden, as units with `RestrictSUIDSGID=` have it.

use std::os::unix::fs::symlink;

use super::*;

/// The helper under a filter that answers ENOSYS to openat2, compiled once.
static HIDING: LazyLock<(TempDir, PathBuf)> = LazyLock::new(|| compile("confine_hidden.c", &[]));

fn hidden(mut stage: Stage) -> Stage {
    stage.helper.clone_from(&HIDING.1);
    stage
}

/// The helper under a filter that answers ENOSYS to unshare.
static ALONE: LazyLock<(TempDir, PathBuf)> =
    LazyLock::new(|| compile("confine_hidden.c", &["-DHIDDEN=SYS_unshare"]));

#[tokio::test]
async fn without_namespaces_a_write_outside_the_grants_is_refused_by_landlock_alone() {
    let outside = tempfile::tempdir().unwrap();
    let folder = outside.path().canonicalize().unwrap();
    let path = folder.join("new");
    // The folder is the same account's own and nothing is mounted over it: what is left to refuse it is Landlock.
    let mut stage = probe(&["write", path.to_str().unwrap()]);
    stage.helper.clone_from(&ALONE.1);
    assert_eq!(stage.code().await, EACCES);
    assert!(!path.exists());
    stage.confinement.write.push(folder);
    assert_eq!(stage.code().await, 0);
    assert!(path.exists());
}

#[tokio::test]
async fn without_openat2_a_program_reaches_what_it_is_granted_and_nothing_else() {
    assert_eq!(probe(&["openat2"]).code().await, 0);
    assert_eq!(hidden(probe(&["openat2"])).code().await, ENOSYS);
    let mut stage = hidden(shell(""));
    fs::write(stage.inside.join("granted"), "content").unwrap();
    let outside = stage.outside.display();
    fs::write(stage.outside.join("victim"), "as it was").unwrap();
    stage.confinement.argv[2] = format!(
        "cat granted; echo x > new && rm new; cat {outside}/victim; echo x > {outside}/victim; exit 3"
    );
    let done = stage.run().await;
    assert_eq!(
        (done.ended.how, done.stdout.as_str()),
        (How::Exited(3), "content"),
        "{}",
        done.stderr
    );
    assert!(done.stderr.contains("victim"), "{}", done.stderr);
    let victim = fs::read_to_string(stage.outside.join("victim")).unwrap();
    assert_eq!(victim, "as it was");
    assert!(!stage.inside.join("new").exists());
}

#[tokio::test]
async fn without_openat2_modes_outside_what_may_be_written_stay_as_they_are() {
    let victim = tempfile::NamedTempFile::new().unwrap();
    let before = mode(victim.path());
    let words = ["chmod", victim.path().to_str().unwrap()];
    assert_ne!(hidden(probe(&words)).code().await, 0);
    assert_eq!(mode(victim.path()), before);
}

#[tokio::test]
async fn without_openat2_neither_a_link_nor_one_of_proc_grants_what_it_leads_to() {
    for way in ["last", "between", "magic"] {
        let mut stage = hidden(shell("cat \"$0\""));
        let victim = stage.outside.join("victim");
        fs::write(&victim, "secret").unwrap();
        let link = stage.inside.join("link");
        let granted = match way {
            "last" => {
                symlink(&victim, &link).unwrap();
                link
            }
            "between" => {
                symlink(&stage.outside, &link).unwrap();
                link.join("victim")
            }
            _ => {
                let below = victim.strip_prefix("/").unwrap();
                Path::new(&format!("/proc/{}/root", std::process::id())).join(below)
            }
        };
        assert_eq!(fs::read_to_string(&granted).unwrap(), "secret", "{way}");
        stage.confinement.read.push(granted);
        stage.confinement.argv.push(victim.display().to_string());
        let done = stage.run().await;
        assert_eq!(done.stdout, "", "{way}");
        assert!(done.stderr.contains("denied"), "{way}: {}", done.stderr);
        // What was in the way is all that kept it from being read.
        stage.confinement.read.push(victim);
        assert_eq!(stage.run().await.stdout, "secret", "{way}");
    }
}
