//! Check mode: what later calls on files see of what would have been done.

use crate::files::ALL;
use crate::world::World;

#[test]
fn in_check_mode_a_glob_sees_what_a_listing_sees() {
    let mut world = World::granting(ALL);
    world.write("there/old", "x");
    world.check = true;
    let ran = world.run(
        "fs.mkdir('{}/new/deep') fs.write('{}/new/a', '1') fs.write('{}/new/deep/b', '2') fs.write('{}/there/c', '3')
         fs.rm('{}/there/old')
         local function names(of) local list = fs.glob('{}/' .. of)
           for i, path in ipairs(list) do list[i] = path:sub(#'{}' + 2) end return table.concat(list, ' ') end
         return true, nil, { all = names('new/**'), one = names('new/*'), deep = names('new/deep/*'), there = names('there/*'),
           same = #fs.ls('{}/new') == #fs.glob('{}/new/*') }",
    );
    assert_eq!(
        ran.outputs(),
        r#"{"all":"new new/a new/deep new/deep/b","deep":"new/deep/b","one":"new/a new/deep","same":true,"there":"there/c"}"#
    );
}

#[test]
fn in_check_mode_a_folder_that_is_made_again_is_empty_and_a_moved_one_is_whole() {
    let mut world = World::granting(ALL);
    world.write("old/a", "text");
    world.write("old/in/b", "deep");
    world.write("out/stale", "x");
    let body = "fs.rmr('{}/out') fs.mkdir('{}/out')
         local emptied = #fs.ls('{}/out') .. tostring(fs.exists('{}/out/stale')) .. #fs.glob('{}/out/*')
         fs.write('{}/out/new', '1')
         fs.write('{}/old/in/c', 'later') fs.rm('{}/old/a')
         fs.move('{}/old', '{}/now')
         return true, nil, { emptied = emptied, out = table.concat(fs.ls('{}/out'), ' '),
           now = table.concat(fs.glob('{}/now/**'), ' '):gsub('{}/', ''),
           read = fs.read('{}/now/in/b') .. fs.read('{}/now/in/c'), old = fs.exists('{}/old/in') }";
    world.check = true;
    let foreseen = world.run(body).outputs();
    assert_eq!(
        foreseen,
        r#"{"emptied":"0false0","now":"now now/in now/in/b now/in/c","old":false,"out":"new","read":"deeplater"}"#
    );
    assert_eq!(world.read("old/a"), "text", "nothing was done");
    world.check = false;
    assert_eq!(world.run(body).outputs(), foreseen);
}

#[test]
fn in_check_mode_a_file_keeps_its_owner_until_it_is_given_away() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let mut world = World::granting(ALL);
    let path = world.write("a", "before");
    let body = "local said = { }
         local function look(name) local s = fs.stat('{}/' .. name) said[#said + 1] = s.uid .. ':' .. s.gid end
         fs.write('{}/a', 'after') look('a')
         fs.chown('{}/a', '1234', '4321') look('a')
         fs.chown('{}/a', '77') look('a')
         fs.move('{}/a', '{}/b') look('b')
         fs.write('{}/a', 'new') look('a')
         return true, nil, { said = table.concat(said, ' ') }";
    let mut told = Vec::new();
    for check in [true, false] {
        world.check = check;
        std::os::unix::fs::chown(&path, Some(1234), Some(4321)).unwrap();
        let ran = world.run(body);
        told.push((ran.outputs(), ran.changes().len()));
    }
    let said = r#"{"said":"1234:4321 1234:4321 77:4321 77:4321 0:0"}"#;
    assert_eq!(told, [(said.to_owned(), 4), (said.to_owned(), 4)]);
}

#[test]
fn in_check_mode_a_moved_file_that_is_too_long_to_remember_has_its_length_and_says_why_it_is_not_read()
 {
    let mut world = World::granting(ALL);
    world.check = true;
    let size = 5_u64 << 30;
    let file = std::fs::File::create(world.path("huge")).unwrap();
    file.set_len(size).unwrap();
    let ran = world.run(
        "fs.move('{}/huge', '{}/there')
         local hash, why = fs.hash('{}/there')
         local read = pcall(fs.read, '{}/there')
         return true, nil, { size = fs.size('{}/there'), hash = hash ~= nil, read = read, why = tostring(why) }",
    );
    let outputs = ran.outputs();
    assert!(
        outputs.contains(&format!(r#""read":false,"size":{size}"#))
            && outputs.contains(r#""hash":false"#),
        "{outputs}"
    );
    assert!(
        outputs.contains("does not remember a file of that length"),
        "{outputs}"
    );
}
