//! Symbolic links among the files of a step: where they may lead, and what they tell.

use std::os::unix::fs::symlink;

use crate::world::World;

const ALL: &str = "[files]\nread = ['{}/**']\nwrite = ['{}/**']\ndelete = ['{}/**']";

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
fn a_link_that_goes_through_a_place_and_back_tells_nothing_of_it() {
    let said = |through: &str| {
        let ran = World::new().run(&format!(
            "fs.write('probe', 'x')
             fs.symlink('{through}/../../../../../../..' .. this.workdir.get() .. '/probe', 'link')
             local text, err = fs.read('link')
             return true, nil, {{ err = err and err:gsub('[a-z]+%-%x+', 'own') }}"
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
fn in_check_mode_planned_links_are_followed_as_real_ones_would_be() {
    let mut world = World::granting("files.write = ['{}/**']\nfiles.read = ['{}/**']");
    world.check = true;
    world.write("releases/1/index", "one");
    symlink("releases/1", world.path("current")).unwrap();
    let ran = world.run(
        "fs.mkdir('{}/releases/2') fs.write('{}/releases/2/index', 'two')
         fs.symlink('releases/2', '{}/current') fs.symlink('{}/current', '{}/www')
         fs.symlink('{}/round', '{}/and') fs.symlink('{}/and', '{}/round')
         fs.write('{}/www/more', 'x')
         return true, nil, { one = fs.read('{}/current/index'), two = fs.read('{}/www/index'),
            more = fs.read('{}/releases/2/more'), round = fs.exists('{}/round/x') }",
    );
    let outputs = format!("{} {:?}", ran.ended(), ran.finished.outputs);
    assert!(outputs.contains("\"one\": Text(\"two\")"), "{outputs}");
    assert!(outputs.contains("\"two\": Text(\"two\")"), "{outputs}");
    assert!(outputs.contains("\"more\": Text(\"x\")"), "{outputs}");
    assert_eq!(world.read("current/index"), "one");
}

#[test]
fn a_planned_link_leads_only_where_its_target_is_granted() {
    let mut world = World::granting("files.write = ['{}/in/**']\nfiles.read = ['{}/in/**']");
    world.check = true;
    world.write("secret", "hidden");
    world.write("in/x", "");
    let ran = world.run("fs.symlink('../secret', '{}/in/link') fs.read('{}/in/link')");
    assert!(ran.ended().starts_with("denied: "), "{}", ran.ended());
}

#[test]
fn the_inside_of_a_process_is_read_neither_by_its_name_nor_through_a_link_nor_found() {
    let world = World::granting("files.read = ['/**']\nfiles.follow = ['/**']");
    let own = std::process::id();
    symlink("/proc/self/environ", world.path("link")).unwrap();
    symlink(format!("/proc/{own}"), world.path("folder")).unwrap();
    for path in [
        "/proc/self/environ".to_owned(),
        format!("/proc/{own}/environ"),
        format!("/proc/{own}/task/{own}/maps"),
        world.path("link"),
        world.path("folder/environ"),
    ] {
        let ran = world.run(&format!("fs.read('{path}')"));
        assert!(
            ran.ended().starts_with("denied: ") && ran.ended().contains("self-protection"),
            "{path}: {}",
            ran.ended()
        );
    }
    let ran = world.run(
        "return true, nil, { found = #fs.glob('/proc/1/env*'), status = fs.read('/proc/1/status') ~= nil }",
    );
    assert_eq!(ran.outputs(), r#"{"found":0,"status":true}"#);
}
