//! `files`: every call denied by default and before any effect, and what each does once granted.

use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use crate::verbs::{Again, Verb, stand};
use crate::world::World;

pub(crate) const ALL: &str = "[files]\nread = ['{}/**']\nwrite = ['{}/**']\ndelete = ['{}/**']";

#[test]
fn every_function_stands() {
    let verbs = [
        ("read", "return fs.read('{}/a') == 'old'", "read = ['{}/a']"),
        ("list", "return #fs.ls('{}') == 1", "read = ['{}']"),
        (
            "stat",
            "return fs.stat('{}/a').size == 3",
            "read = ['{}/a']",
        ),
        ("hash", "return #fs.hash('{}/a') == 64", "read = ['{}/a']"),
        ("write", "fs.write('{}/a', 'new')", "write = ['{}/a']"),
        (
            "append",
            "fs.append('{}/a', '')  fs.append('{}/b', '')",
            "write = ['{}/a', '{}/b']",
        ),
        (
            "create",
            "if not fs.exists('{}/b') then fs.create('{}/b', 'new') end",
            "create = ['{}/b']\nread = ['{}/b']",
        ),
        ("mkdir", "fs.mkdir('{}/b')", "create = ['{}/b']"),
        ("link", "fs.symlink('{}/a', '{}/b')", "write = ['{}/b']"),
        ("chmod", "fs.chmod('{}/a', '0600')", "write = ['{}/a']"),
        ("chown", "fs.chown('{}/a', '1', '1')", "write = ['{}/a']"),
        (
            "extract",
            "file_ops.unarchive({ src = 'files/site.tar', dest = '{}/new' })",
            "write = ['{}/new/**']",
        ),
        ("remove", "fs.rm('{}/a')", "delete = ['{}/a']"),
        (
            "move",
            "if fs.exists('{}/a') then fs.move('{}/a', '{}/b') end",
            "delete = ['{}/a']\nwrite = ['{}/b']\nread = ['{}/a']",
        ),
        // A glob tells nothing of what may not be read, and so is never refused: see below.
        (
            "glob",
            "if #fs.glob('{}/*') == 0 then fs.read('{}/a') end",
            "read = ['{}/*']",
        ),
    ];
    let verbs = verbs.map(|(function, body, grants)| Verb {
        function,
        body,
        grants: Box::leak(format!("[files]\n{grants}").into_boxed_str()),
        again: Again::Settled,
    });
    let world = || {
        let world = World::new();
        world.write("a", "old");
        world
    };
    stand("files", &verbs, world, |world| tree(&world.path("")));
}

/// Every name beneath a folder with its mode, owner and content.
pub(crate) fn tree(folder: &str) -> String {
    let mut lines: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let about = std::fs::symlink_metadata(&path).unwrap();
            let content = std::fs::read_to_string(&path).unwrap_or_default();
            format!(
                "{} {:o} {} {content}",
                path.display(),
                about.mode(),
                about.uid()
            )
        })
        .collect();
    lines.sort();
    lines.join("\n")
}

#[test]
fn the_line_of_a_denial_makes_the_call_pass() {
    let world = World::new();
    let ran = world.run("fs.write('{}/motd', 'hello')");
    let remedy = ran.denials()[0].remedy.clone().unwrap();
    assert_eq!(
        remedy,
        format!("[files] write = [\"{}\"]", world.path("motd"))
    );
    let mut world = world;
    world.policy = format!("version = 1\n{}", remedy.replacen("] ", "]\n", 1));
    assert_eq!(
        world.run("fs.write('{}/motd', 'hello')").ended(),
        "changed: "
    );
    assert_eq!(world.read("motd"), "hello");
}

#[test]
fn writing_is_atomic_keeps_the_mode_and_is_idempotent() {
    let world = World::granting(ALL);
    let path = world.write("conf", "old");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    let before = std::fs::metadata(&path).unwrap().ino();
    assert_eq!(world.run("fs.write('{}/conf', 'new')").ended(), "changed: ");
    let after = std::fs::metadata(&path).unwrap();
    assert_eq!(after.mode() & 0o7777, 0o640);
    assert_ne!(after.ino(), before, "a new file replaced the old one");
    assert_eq!(world.run("fs.write('{}/conf', 'new')").ended(), "ok: ");
    assert_eq!(
        std::fs::read_dir(world.path("")).unwrap().count(),
        1,
        "no temporary file is left"
    );
}

#[test]
fn no_step_makes_a_program_that_runs_as_somebody_else() {
    let world = World::granting(ALL);
    let path = world.write("tool", "old");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o4755)).unwrap();
    let mode = || std::fs::metadata(&path).unwrap().mode() & 0o7777;
    for call in [
        "fs.chmod('{}/tool', '6755')",
        "fs.write('{}/new', 'x', { mode = '4755' })",
        "fs.mkdir('{}/folder', { mode = '4755' })",
    ] {
        let ended = world.run(&format!("assert({call})")).ended();
        assert!(ended.contains("runs as somebody else"), "{call}: {ended}");
    }
    assert_eq!(mode(), 0o4755);
    assert_eq!(std::fs::read_dir(world.path("")).unwrap().count(), 1);
    // Whoever is given another content is not trusted as the one before was.
    assert_eq!(world.run("fs.write('{}/tool', 'new')").ended(), "changed: ");
    assert_eq!(mode(), 0o755);
}

#[test]
fn another_name_of_a_file_keeps_the_old_content() {
    let world = World::granting(ALL);
    let path = world.write("a", "old");
    std::fs::hard_link(&path, world.path("b")).unwrap();
    assert_eq!(world.run("fs.write('{}/a', 'new')").ended(), "changed: ");
    assert_eq!(
        (world.read("a"), world.read("b")),
        ("new".into(), "old".into())
    );
    let ran = world.run("fs.write('{}/b', 'x') fs.append('{}/b', 'y')");
    assert_eq!(ran.ended(), "changed: ");
    assert_eq!(world.read("a"), "new");
}

#[test]
fn appending_through_one_of_several_names_is_refused() {
    let world = World::granting(ALL);
    let path = world.write("a", "old");
    std::fs::hard_link(&path, world.path("b")).unwrap();
    let ran =
        world.run("local ok, err = fs.append('{}/a', 'more') return true, nil, { err = err }");
    assert!(
        ran.outputs().contains("2 names (hard links)"),
        "{}",
        ran.outputs()
    );
    assert_eq!(world.read("b"), "old");
}

#[test]
fn moving_needs_both_ends_before_anything_happens() {
    let world = World::granting("[files]\ndelete = ['{}/a']\nwrite = ['{}/b']");
    world.write("a", "content");
    let ran = world.run("fs.move('{}/a', '{}/elsewhere')");
    assert!(
        ran.ended().starts_with("denied: files.write"),
        "{}",
        ran.ended()
    );
    assert_eq!(world.read("a"), "content");
    assert_eq!(world.run("fs.move('{}/a', '{}/b')").ended(), "changed: ");
    assert_eq!(world.read("b"), "content");
}

#[test]
fn removing_a_tree_with_something_ungranted_in_it_removes_nothing() {
    let world = World::granting("files.delete = ['{}/t/**']\ndeny.files.delete = ['{}/t/keep/**']");
    world.write("t/a", "a");
    world.write("t/keep/b", "b");
    let ran = world.run("fs.rmr('{}/t')");
    assert!(
        ran.ended().starts_with("denied: files.delete"),
        "{}",
        ran.ended()
    );
    assert_eq!(
        (world.read("t/a"), world.read("t/keep/b")),
        ("a".into(), "b".into())
    );
}

#[test]
fn create_makes_what_is_missing_and_never_touches_what_is_there() {
    let world = World::granting("files.create = ['{}/**']");
    assert_eq!(world.run("fs.write('{}/new', 'x')").ended(), "changed: ");
    let ran = world.run("fs.write('{}/new', 'y')");
    assert!(
        ran.ended().starts_with("denied: files.write"),
        "{}",
        ran.ended()
    );
    assert_eq!(world.read("new"), "x");
    assert!(
        world
            .run("fs.chmod('{}/new', '0600')")
            .ended()
            .starts_with("denied: files.write")
    );
}

#[test]
fn check_mode_applies_nothing_and_later_reads_see_what_is_planned() {
    let mut world = World::granting(ALL);
    world.write("old", "one\n");
    world.check = true;
    world.diff = true;
    let ran = world.run(
        "fs.mkdir('{}/new/deep', { parents = true })
         fs.write('{}/new/deep/file', 'planned')
         fs.write('{}/old', 'two\\n')
         fs.append('{}/old', 'three\\n')
         local text = fs.read('{}/new/deep/file') .. '/' .. fs.read('{}/old')
         local names = table.concat(fs.ls('{}'), ',')
         fs.move('{}/old', '{}/moved')
         local gone = fs.exists('{}/old')
         fs.rmr('{}/new')
         return true, nil, { text = text, names = names, gone = not gone, back = fs.exists('{}/new/deep') }",
    );
    assert_eq!(
        ran.outputs(),
        r#"{"back":false,"gone":true,"names":"new,old","text":"planned/two\nthree\n"}"#
    );
    assert_eq!(world.read("old"), "one\n");
    assert_eq!(std::fs::read_dir(world.path("")).unwrap().count(), 1);
    assert!(ran.changes().len() >= 5, "{:?}", ran.changes());
}

#[test]
fn a_diff_shows_nothing_that_may_not_be_read() {
    let mut world = World::granting("files.write = ['{}/**']");
    world.write("secret", "old secret\n");
    world.diff = true;
    let ran = world.run("fs.write('{}/secret', 'new\\n')");
    assert_eq!(ran.ended(), "changed: ");
    let shown = format!("{:?}", ran.events);
    assert!(!shown.contains("old secret"), "{shown}");
}

#[test]
fn the_nodes_own_files_are_denied_whatever_is_granted() {
    let world = World::granting("[files]\nread = ['/**']\nwrite = ['/**']");
    let data = crate::world::node().protected[0].canonicalize().unwrap();
    let data = data.to_str().unwrap();
    for call in [
        format!("fs.read('{data}/cache/x')"),
        format!("fs.write('{data}/x', 'x')"),
        "fs.read('/proc/self/environ')".to_owned(),
        format!("fs.read('/proc/{}/environ')", std::process::id()),
        "fs.read('/proc/thread-self/environ')".to_owned(),
    ] {
        let ran = world.run(&call);
        assert!(
            ran.ended().starts_with("denied: files."),
            "{call}: {}",
            ran.ended()
        );
        assert!(
            ran.ended().contains("self-protection"),
            "{call}: {}",
            ran.ended()
        );
    }
    symlink("/proc/self", world.path("me")).unwrap();
    let ran = world.run("fs.read('{}/me/environ')");
    assert!(ran.ended().contains("self-protection"), "{}", ran.ended());
}

#[test]
fn every_step_has_a_scratch_folder_that_is_gone_afterwards() {
    let ran = World::new().run(
        "fs.write('note', 'mine')
         return true, nil, { text = fs.read('note'), where = this.workdir.get() }",
    );
    assert!(
        ran.outputs().starts_with(r#"{"text":"mine","where":"/"#),
        "{}",
        ran.outputs()
    );
    let place = ran
        .finished
        .outputs
        .get("where")
        .unwrap()
        .as_text()
        .unwrap()
        .to_owned();
    assert!(!std::path::Path::new(&place).exists());
}

#[test]
fn odd_paths_are_clear_errors() {
    let world = World::granting("[files]\nread = ['/**']\nwrite = ['{}/**']");
    for (call, said) in [
        ("fs.read('a\\0b')", "NUL byte"),
        ("fs.read('')", "empty path"),
        (
            "fs.read(string.rep('a/', 2500))",
            "bytes long; at most 4095",
        ),
        ("fs.read(string.rep('a', 5000))", "at most"),
    ] {
        let ran = world.run(call);
        assert!(
            ran.ended().starts_with("failed: "),
            "{call}: {}",
            ran.ended()
        );
        assert!(ran.ended().contains(said), "{call}: {}", ran.ended());
    }
    let ran = world.run(
        "fs.write('{}/line\\nbreak', 'x') return true, nil, { text = fs.read('{}/line\\nbreak') }",
    );
    assert_eq!(ran.outputs(), r#"{"text":"x"}"#);
}

#[test]
fn devices_and_pipes_are_not_read_and_nothing_hangs() {
    let world = World::granting("files.read = ['/dev/**', '{}/**']");
    let pipe = std::ffi::CString::new(world.path("pipe")).unwrap();
    nix::unistd::mkfifo(pipe.as_c_str(), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let ran = world.run(
        "local _, zero = fs.read('/dev/zero')
         local _, pipe = fs.read('{}/pipe')
         return true, nil, { zero = zero, pipe = pipe }",
    );
    assert_eq!(
        ran.outputs().matches("only regular files").count(),
        2,
        "{}",
        ran.outputs()
    );
}

#[test]
fn a_full_disk_leaves_the_old_content() {
    let world = World::granting(ALL);
    std::fs::create_dir(world.path("small")).unwrap();
    let target = world.path("small");
    nix::mount::mount(
        Some("tmpfs"),
        target.as_str(),
        Some("tmpfs"),
        nix::mount::MsFlags::empty(),
        Some("size=64k"),
    )
    .expect("the tests of a full disk mount a small one: run them as root");
    world.write("small/file", "old");
    let ran = world.run(
        "local ok, err = fs.write('{}/small/file', string.rep('x', 1 << 20))
         return true, nil, { err = err }",
    );
    let content = world.read("small/file");
    let left = std::fs::read_dir(&target).unwrap().count();
    nix::mount::umount(target.as_str()).unwrap();
    assert!(ran.outputs().contains("no space left"), "{}", ran.outputs());
    assert_eq!((content.as_str(), left), ("old", 1));
}

#[test]
fn a_read_only_disk_is_a_clear_error() {
    let world = World::granting(ALL);
    world.write("small/keep", "");
    let target = world.path("small");
    nix::mount::mount(
        Some("tmpfs"),
        target.as_str(),
        Some("tmpfs"),
        nix::mount::MsFlags::MS_RDONLY,
        Some("size=64k"),
    )
    .expect("the tests of a read-only disk mount one: run them as root");
    let ran =
        world.run("local ok, err = fs.write('{}/small/file', 'x') return true, nil, { err = err }");
    nix::mount::umount(target.as_str()).unwrap();
    assert!(
        ran.outputs().contains("read-only file system"),
        "{}",
        ran.outputs()
    );
}

#[test]
fn what_the_bundle_carries_needs_no_grant() {
    let world = World::granting("files.write = ['{}/**']");
    let ran = world.run("file_ops.copy({ src = 'files/motd', dest = '{}/motd' })");
    assert_eq!(ran.ended(), "changed: ");
    assert_eq!(world.read("motd"), "carried\n");
}

#[test]
fn nothing_on_the_way_to_the_nodes_own_files_is_replaced() {
    let data = crate::world::node().protected[0].clone();
    let above = data.parent().unwrap().canonicalize().unwrap();
    let policy = format!(
        "[files]\nwrite = ['{0}/**']\ndelete = ['{0}/**']",
        above.display()
    );
    let world = World::granting(&policy);
    for call in [
        format!("fs.move('{0}', '{0}-moved')", above.display()),
        format!("fs.rmr('{}')", above.display()),
        format!("fs.symlink('/tmp', '{}')", above.display()),
    ] {
        let ran = world.run(&call);
        assert!(
            ran.ended().contains("self-protection"),
            "{call}: {}",
            ran.ended()
        );
    }
}

#[test]
fn a_folder_of_thousands_is_removed_and_numbers_that_name_nobody_are_refused() {
    let world = World::granting(ALL);
    for index in 0..3000 {
        world.write(&format!("many/{index}"), "");
    }
    assert_eq!(world.run("fs.rmr('{}/many')").ended(), "changed: ");
    world.write("a", "");
    let ended = world.run("fs.chown('{}/a', '4294967295')").ended();
    assert!(ended.contains("there is no user"), "{ended}");
}

#[test]
fn a_glob_tells_nothing_of_how_much_there_is_where_nothing_may_be_read() {
    let world = World::granting("files.read = ['{}/open/**']");
    world.write("open/x", "1");
    for number in 0..300 {
        world.write(&format!("closed/{number}/x"), "1");
    }
    let begun = std::time::Instant::now();
    let ran = world.run("return true, nil, { all = #fs.glob('/**'), here = #fs.glob('{}/**') }");
    // The folder of what is granted is among what `open/**` covers.
    assert_eq!(ran.outputs(), r#"{"all":2,"here":2}"#);
    assert!(begun.elapsed().as_secs() < 10);
}
