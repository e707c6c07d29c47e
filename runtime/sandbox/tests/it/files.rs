//! `files`: every call denied by default and before any effect, and what each does once granted.

use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use crate::world::{World, assert_covers};

const ALL: &str = "[files]\nread = ['{}/**']\nwrite = ['{}/**']\ndelete = ['{}/**']";

#[test]
fn every_call_is_denied_by_default_and_changes_nothing() {
    let calls = [
        ("read", "fs.read('{}/a')", "read"),
        ("list", "fs.ls('{}')", "read"),
        ("stat", "fs.stat('{}/a')", "read"),
        ("hash", "fs.hash('{}/a')", "read"),
        ("write", "fs.write('{}/a', 'new')", "write"),
        ("append", "fs.append('{}/a', 'new')", "write"),
        ("create", "fs.create('{}/b', 'new')", "write"),
        ("mkdir", "fs.mkdir('{}/b')", "write"),
        ("link", "fs.symlink('{}/a', '{}/b')", "write"),
        ("chmod", "fs.chmod('{}/a', '0600')", "write"),
        ("chown", "fs.chown('{}/a', '1', '1')", "write"),
        ("remove", "fs.rm('{}/a')", "delete"),
        ("remove", "fs.rmr('{}/a')", "delete"),
        ("move", "fs.move('{}/a', '{}/b')", "delete"),
    ];
    // A glob has its own answer, below.
    let mut functions: Vec<&str> = calls.iter().map(|(function, ..)| *function).collect();
    functions.push("glob");
    assert_covers("files", &functions);
    for (_, call, verb) in calls {
        let world = World::new();
        world.write("a", "old");
        let ran = world.run(call);
        assert!(
            ran.ended()
                .starts_with(&format!("denied: files.{verb} is not granted for ")),
            "{call}: {}",
            ran.ended()
        );
        assert_eq!(world.read("a"), "old", "{call}");
        assert_eq!(
            std::fs::read_dir(world.path("")).unwrap().count(),
            1,
            "{call}"
        );
        assert_eq!(ran.denials().len(), 1, "{call}");
    }
    // A glob tells nothing of what may not be read.
    let world = World::new();
    world.write("a", "old");
    assert_eq!(
        world
            .run("return true, nil, { found = #fs.glob('{}/*') }")
            .outputs(),
        r#"{"found":0}"#
    );
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
fn a_link_with_an_absolute_target_inside_the_grant_is_read_through_and_switched() {
    let world = World::granting(ALL);
    world.write("releases/blue/index", "blue");
    world.write("releases/green/index", "green");
    symlink(world.path("releases/blue"), world.path("current")).unwrap();
    let ran = world.run(
        "local before = fs.read('{}/current/index')
         fs.write('{}/current/extra', 'x')
         fs.symlink('{}/releases/green', '{}/current')
         return true, nil, { before = before, after = fs.read('{}/current/index') }",
    );
    assert_eq!(ran.outputs(), r#"{"after":"green","before":"blue"}"#);
    assert_eq!(world.read("releases/blue/extra"), "x");
}

#[test]
fn a_link_that_leads_out_of_the_grant_is_denied_and_tells_nothing() {
    let world = World::granting("[files]\nread = ['{}/in/**']\nwrite = ['{}/in/**']");
    world.write("in/a", "a");
    world.write("out/secret", "secret");
    symlink(world.path("out"), world.path("in/escape")).unwrap();
    symlink(world.path("out/secret"), world.path("in/direct")).unwrap();
    for call in [
        "fs.read('{}/in/escape/secret')",
        "fs.read('{}/in/direct')",
        "fs.read('{}/in/escape/none')",
        "fs.read('{}/in/escape/none/deeper')",
        "fs.write('{}/in/direct', 'x')",
        "fs.write('{}/in/escape/new', 'x')",
        "fs.read('{}/in/../out/secret')",
    ] {
        let ran = world.run(call);
        assert!(
            ran.ended().starts_with("denied: files."),
            "{call}: {}",
            ran.ended()
        );
        assert!(ran.ended().contains("/out"), "{call}: {}", ran.ended());
    }
    assert_eq!(world.read("out/secret"), "secret");
}

#[test]
fn a_tree_of_links_as_on_nixos_is_read_where_following_is_granted() {
    let world = World::granting("[files]\nread = ['{}/etc/**']\nfollow = ['{}/store/**']");
    world.write("store/abc-etc/etc/nginx.conf", "nginx");
    world.write("store/private", "private");
    std::fs::create_dir_all(world.path("etc")).unwrap();
    symlink(world.path("store/abc-etc"), world.path("static")).unwrap();
    symlink(world.path("store/abc-etc/etc"), world.path("etc/static")).unwrap();
    symlink(
        world.path("etc/static/nginx.conf"),
        world.path("etc/nginx.conf"),
    )
    .unwrap();
    let ran = world.run("return true, nil, { text = fs.read('{}/etc/nginx.conf') }");
    assert_eq!(ran.outputs(), r#"{"text":"nginx"}"#);
    // Following is for links that are found; the place itself stays out of reach.
    assert!(
        world
            .run("fs.read('{}/store/private')")
            .ended()
            .starts_with("denied: ")
    );
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
fn a_link_that_goes_through_a_place_and_back_tells_nothing_of_it() {
    let said = |through: &str| {
        let ran = World::new().run(&format!(
            "fs.write('probe', 'x')
             fs.symlink('{through}/../../../../../../..' .. this.workdir.get() .. '/probe', 'link')
             local text, err = fs.read('link')
             return true, nil, {{ err = err and err:gsub('step%-%w+', 'step') }}"
        ));
        ran.outputs()
    };
    let (there, missing) = (said("/usr/lib"), said("/usr/no-such-folder"));
    assert!(std::path::Path::new("/usr/lib").is_dir());
    assert_eq!(there, missing);
    assert!(there.contains("through a folder and back"), "{there}");
}

#[test]
fn links_of_the_runners_own_process_are_not_followed_or_told() {
    for link in ["cwd", "exe", "root", "fd/0"] {
        let ran = World::new().run(&format!(
            "fs.symlink('/proc/self/{link}', 'link') fs.read('link')"
        ));
        assert!(
            ran.ended().contains("self-protection"),
            "{link}: {}",
            ran.ended()
        );
        assert!(ran.ended().contains("/proc/"), "{link}: {}", ran.ended());
    }
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
