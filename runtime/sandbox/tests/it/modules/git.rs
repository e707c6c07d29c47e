//! `git`, with the program itself.

use std::process::Command;

use super::{changes_once, denied, holds};
use crate::world::World;

fn git(folder: &str, words: &[&str]) {
    let fine = Command::new("git")
        .args([
            "-c",
            "user.name=t",
            "-c",
            "user.email=t@example.org",
            "-c",
            "init.defaultBranch=main",
        ])
        .args(words)
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .unwrap();
    assert!(fine.status.success(), "{words:?}: {fine:?}");
}

/// A bare repository `origin`, with a commit on `main`, one on `next`, and a checkout `work` of it.
fn world() -> World {
    let world = World::granting(
        "process.run = ['git **']\nfiles.read = ['{}/**', '/etc/**']\nfiles.write = ['{}/**']\nfiles.delete = ['{}/**']",
    );
    world.write("seed/a", "1\n");
    let seed = world.path("seed");
    git(&seed, &["init", "--quiet"]);
    git(&seed, &["add", "."]);
    git(&seed, &["commit", "--quiet", "-m", "one"]);
    git(&seed, &["checkout", "--quiet", "-b", "next"]);
    world.write("seed/a", "2\n");
    git(&seed, &["commit", "--quiet", "-am", "two"]);
    git(&seed, &["checkout", "--quiet", "main"]);
    git(
        &world.path(""),
        &["clone", "--quiet", "--bare", "seed", "origin"],
    );
    git(
        &world.path(""),
        &["clone", "--quiet", &world.path("origin"), "work"],
    );
    for (name, value) in [("user.name", "t"), ("user.email", "t@example.org")] {
        git(&world.path("work"), &["config", name, value]);
    }
    world
}

#[test]
fn nothing_runs_without_a_grant() {
    denied("process.run", "git.status('/tmp')");
    denied("process.run", "git.pull({ path = '/tmp' })");
    denied(
        "files.read",
        "git.clone({ url = 'u', local_path = '/tmp/x' })",
    );
    denied("files.delete", "git.ensure_clean('/tmp/sloth-git')");
}

#[test]
fn cloning_a_checkout_that_is_there_changes_nothing() {
    let world = world();
    changes_once(
        &world,
        "git.clone({ url = '{}/origin', local_path = '{}/new' })",
    );
    assert_eq!(world.read("new/a"), "1\n");
    changes_once(
        &world,
        "git.clone({ url = '{}/origin', local_path = '{}/new', branch = 'next' })",
    );
    assert_eq!(world.read("new/a"), "2\n");
    changes_once(
        &world,
        "git.clone({ url = '{}/origin', local_path = '{}/other', branch = 'next' })",
    );
    holds(
        &world,
        r#"local r, why = git.clone({ url = "{}/seed", local_path = "{}/new" }) same(r, nil) assert(why:find("is a checkout of"))
        r = assert(git.clone({ url = "{}/seed", local_path = "{}/new", clean = true })) same(r.changed, true) same(#r.commit, 40)
        r, why = git.clone({ url = "{}/none", local_path = "{}/missing" }) same(r, nil) assert(why:find("git.clone"))
        same(pcall(git.clone, { url = "--upload-pack=x", local_path = "{}/y" }), false)"#,
    );
}

#[test]
fn a_checkout_is_looked_at() {
    let world = world();
    holds(
        &world,
        r#"same(git.is_repo({ path = "{}/work" }), true) same(git.is_repo("{}"), false)
        same(git.status("{}/work"), "") fs.write("{}/work/a", "x") same(git.status({ path = "{}/work" }), " M a\n")
        same(git.current_branch("{}/work"), "main") same(#git.current_commit("{}/work"), 40)
        local none, why = git.current_commit("{}") same(none, nil) assert(why)"#,
    );
}

#[test]
fn versions_are_checked_out_once() {
    let world = world();
    changes_once(
        &world,
        "git.checkout({ path = '{}/work', branch = 'next' })",
    );
    assert_eq!(world.read("work/a"), "2\n");
    changes_once(
        &world,
        "git.checkout({ path = '{}/work', branch = 'fresh', create = true })",
    );
    let ended = world
        .run("local r, why = git.checkout({ path = '{}/work', branch = 'none' }) return r, why")
        .ended();
    assert!(
        ended.starts_with("failed: git.checkout: exit code 1"),
        "{ended}"
    );
}

#[test]
fn commits_are_made_pushed_and_pulled_once() {
    let world = world();
    world.write("work/b", "new\n");
    changes_once(
        &world,
        "git.commit({ path = '{}/work', message = '-three', add_all = true })",
    );
    changes_once(&world, "git.push({ path = '{}/work' })");
    // Not staged, so there is nothing to commit.
    world.write("work/b", "newer\n");
    holds(
        &world,
        "same(git.commit({ path = '{}/work', message = 'x' }).changed, false)",
    );
    git(
        &world.path("seed"),
        &["remote", "add", "origin", &world.path("origin")],
    );
    git(&world.path("seed"), &["fetch", "--quiet", "origin"]);
    git(
        &world.path("seed"),
        &["branch", "--quiet", "-u", "origin/main"],
    );
    changes_once(&world, "git.pull('{}/seed')");
    assert_eq!(world.read("seed/b"), "new\n");
    changes_once(&world, "git.ensure_clean('{}/seed')");
}
