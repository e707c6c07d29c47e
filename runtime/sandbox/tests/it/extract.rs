//! `files.extract`: what archives may do, and above all what not.

use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use tar::{Builder, EntryType, Header};

use crate::world::World;

const ALL: &str = "[files]\nread = ['{}/**']\nwrite = ['{}/**']";
const UNPACK: &str = "local ok, err = file_ops.unarchive({ src = '{}/a', dest = '{}/out' })
    return ok and ok.success, err or ok.message";

/// One entry of a tar file.
struct Item<'a> {
    name: &'a str,
    kind: EntryType,
    mode: u32,
    content: &'a [u8],
    target: &'a str,
}

fn file<'a>(name: &'a str, content: &'a str) -> Item<'a> {
    Item {
        name,
        kind: EntryType::Regular,
        mode: 0o644,
        content: content.as_bytes(),
        target: "",
    }
}

fn other<'a>(name: &'a str, kind: EntryType, target: &'a str) -> Item<'a> {
    Item {
        kind,
        mode: 0o755,
        target,
        ..file(name, "")
    }
}

/// A tar file whose names are written as they are, whatever the crate thinks of them.
fn tarred(items: &[Item<'_>]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for item in items {
        let mut header = Header::new_gnu();
        let gnu = header.as_gnu_mut().unwrap();
        gnu.name[..item.name.len()].copy_from_slice(item.name.as_bytes());
        gnu.linkname[..item.target.len()].copy_from_slice(item.target.as_bytes());
        header.set_entry_type(item.kind);
        header.set_mode(item.mode);
        header.set_uid(12345);
        header.set_gid(12345);
        header.set_size(item.content.len() as u64);
        header.set_cksum();
        builder.append(&header, item.content).unwrap();
    }
    builder.into_inner().unwrap()
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
}

fn zipped(items: &[(&str, &str)]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default().unix_permissions(0o100_755);
    for (name, content) in items {
        zip.start_file(*name, options).unwrap();
        zip.write_all(content.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn world(archive: &[u8]) -> World {
    let world = World::granting(ALL);
    std::fs::write(world.path("a"), archive).unwrap();
    world
}

fn refused(archive: &[u8]) -> String {
    let world = world(archive);
    world.write("beside", "kept");
    let ended = world.run(UNPACK).ended();
    assert!(
        !std::path::Path::new(&world.path("out")).exists(),
        "{ended}"
    );
    assert_eq!(world.read("beside"), "kept", "{ended}");
    ended
}

#[test]
fn each_format_is_told_by_its_content_and_a_second_time_nothing_changes() {
    let plain = tarred(&[
        other("d/", EntryType::Directory, ""),
        Item {
            mode: 0o6777,
            ..file("d/tool", "#!")
        },
        file("deep/er/text", "words"),
        other("link", EntryType::Symlink, "deep/er/text"),
        other("d/same", EntryType::Link, "deep/er/text"),
    ]);
    for archive in [plain.clone(), gzipped(&plain), zstd(&plain)] {
        let world = world(&archive);
        let ran = world.run(UNPACK);
        assert!(
            ran.ended().starts_with("changed: unpack "),
            "{}",
            ran.ended()
        );
        assert_eq!(world.read("out/d/tool"), "#!");
        assert_eq!(world.read("out/link"), "words");
        assert_eq!(world.read("out/d/same"), "words");
        let tool = std::fs::metadata(world.path("out/d/tool")).unwrap();
        assert_eq!(
            tool.mode() & 0o7777,
            0o755,
            "no set-id bits, not writable for others"
        );
        assert_ne!(tool.uid(), 12345);
        assert_eq!(
            std::fs::metadata(world.path("out/d/same")).unwrap().nlink(),
            1
        );
        assert!(world.run(UNPACK).ended().starts_with("ok: "));
    }
    let world = world(&zipped(&[("x/y", "1"), ("z", "2")]));
    assert!(world.run(UNPACK).ended().starts_with("changed: "));
    assert_eq!(world.read("out/x/y"), "1");
    assert!(world.run(UNPACK).ended().starts_with("ok: "));
    let mode = std::fs::metadata(world.path("out/z"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o7777, 0o755);
}

#[test]
fn no_name_and_no_link_leads_out_of_the_destination() {
    for name in ["../beside", "x/../../beside", "/etc/sloth-test", "x/.."] {
        let ended = refused(&tarred(&[file("good", "x"), file(name, "bad")]));
        assert!(ended.contains("entry"), "{name}: {ended}");
    }
    for target in ["/etc", "..", "../beside", "x/../../beside", "x/.."] {
        let ended = refused(&tarred(&[other("l", EntryType::Symlink, target)]));
        assert!(ended.contains("is a link"), "{target}: {ended}");
    }
    for target in ["../beside", "/etc/passwd", "beside"] {
        let ended = refused(&tarred(&[other("h", EntryType::Link, target)]));
        assert!(ended.starts_with("failed: "), "{target}: {ended}");
    }
    let ended = refused(&zipped(&[("../beside", "bad")]));
    assert!(ended.contains("`..`"), "{ended}");
}

#[test]
fn nothing_is_written_through_a_link_be_it_the_archives_or_one_that_was_there() {
    let ended = refused(&tarred(&[
        other("l", EntryType::Symlink, "."),
        file("l/x", "bad"),
    ]));
    assert!(ended.contains("needs a folder at l"), "{ended}");

    let world = world(&tarred(&[file("l/x", "bad")]));
    std::fs::create_dir_all(world.path("out")).unwrap();
    std::fs::create_dir_all(world.path("elsewhere")).unwrap();
    symlink(world.path("elsewhere"), world.path("out/l")).unwrap();
    let ended = world.run(UNPACK).ended();
    assert!(ended.starts_with("failed: "), "{ended}");
    assert!(!std::path::Path::new(&world.path("elsewhere/x")).exists());

    // A link in the last place is replaced, never followed.
    let world = self::world(&tarred(&[file("x", "new")]));
    std::fs::create_dir_all(world.path("out")).unwrap();
    symlink(world.write("beside", "kept"), world.path("out/x")).unwrap();
    assert!(world.run(UNPACK).ended().starts_with("changed: "));
    assert_eq!(
        (world.read("out/x"), world.read("beside")),
        ("new".into(), "kept".into())
    );
}

#[test]
fn devices_and_pipes_are_refused_before_anything_is_made() {
    for kind in [EntryType::Char, EntryType::Block, EntryType::Fifo] {
        let ended = refused(&tarred(&[file("good", "x"), other("node", kind, "")]));
        assert!(ended.contains("is a device"), "{ended}");
    }
}

#[test]
fn of_two_entries_of_a_name_the_later_counts_and_a_file_is_no_folder() {
    let world = world(&tarred(&[
        file("x", "one"),
        file("y", ""),
        file("x", "two"),
    ]));
    assert!(world.run(UNPACK).ended().starts_with("changed: "));
    assert_eq!(world.read("out/x"), "two");
    assert!(world.run(UNPACK).ended().starts_with("ok: "));
    let ended = refused(&tarred(&[file("x", ""), file("x/y", "")]));
    assert!(ended.contains("has something else"), "{ended}");
    let ended = refused(&tarred(&[file("x/y", ""), file("x", "")]));
    assert!(ended.contains("has something else"), "{ended}");
}

#[test]
fn bombs_end_at_the_steps_limits() {
    let zeros = "0".repeat(30 << 20);
    let bomb = gzipped(&tarred(&[file("zeros", &zeros)]));
    assert!(bomb.len() < 100 << 10);
    let ended = refused(&bomb);
    assert!(ended.contains("1000 times its size"), "{ended}");
    let mut world = world(&tarred(&[file("zeros", &zeros[..(2 << 20)])]));
    world.policy.push_str("\n[limits]\nscratch = '1MiB'");
    let ended = world.run(UNPACK).ended();
    assert!(ended.contains("raise scratch in [limits]"), "{ended}");
    assert!(!std::path::Path::new(&world.path("out")).exists());
}

#[test]
fn what_is_no_archive_or_half_of_one_changes_nothing() {
    let whole = gzipped(&tarred(&[file("x", &"text ".repeat(5000))]));
    for archive in [
        &b"#!/bin/sh\n"[..],
        b"",
        &whole[..whole.len() / 2],
        b"PK\x03\x04",
    ] {
        let ended = refused(archive);
        assert!(ended.starts_with("failed: "), "{ended}");
    }
}

#[test]
fn every_path_needs_its_grant_and_a_refusal_comes_before_the_first_file() {
    let archive = tarred(&[file("in", "x"), file("secret/key", "y")]);
    let mut world = world(&archive);
    world.policy = format!(
        "version = 1\n[files]\nread = ['{0}/a']\nwrite = ['{0}/out', '{0}/out/in']",
        world.path("")
    );
    let ran = world.run(UNPACK);
    assert!(ran.ended().starts_with("denied: "), "{}", ran.ended());
    assert!(!std::path::Path::new(&world.path("out")).exists());
    world.policy = format!(
        "version = 1\n[files]\nread = ['{0}/a']\ncreate = ['{0}/out/**']",
        world.path("")
    );
    assert!(world.run(UNPACK).ended().starts_with("changed: "));
    world.write("out/in", "other");
    let ended = world.run(UNPACK).ended();
    assert!(
        ended.starts_with("denied: "),
        "what is there is not for create: {ended}"
    );
    assert_eq!(world.read("out/in"), "other");
}

#[test]
fn check_mode_tells_the_names_and_later_reads_see_them() {
    let mut world = world(&tarred(&[file("x", "new"), file("y", "same")]));
    world.write("out/y", "same");
    (world.check, world.diff) = (true, true);
    let ran = world.run(
        "local done = file_ops.unarchive({ src = '{}/a', dest = '{}/out' })
         return true, nil, { diff = done.diff, x = fs.read('{}/out/x') }",
    );
    assert!(ran.outputs().contains("+x (3 bytes)"), "{}", ran.outputs());
    assert!(!ran.outputs().contains("y ("), "{}", ran.outputs());
    assert!(ran.outputs().contains(r#""x":"new""#), "{}", ran.outputs());
    assert!(!std::path::Path::new(&world.path("out/x")).exists());
}

#[test]
fn leading_folders_are_cut_off_and_creates_makes_it_unnecessary() {
    let world = world(&tarred(&[
        file("site-1.2/bin/run", "x"),
        file("site-1.2/README", "y"),
    ]));
    let call = "local done = file_ops.unarchive({ src = '{}/a', dest = '{}/out', strip_components = 1, creates = '{}/out/bin/run' })
        return true, done.message";
    assert!(world.run(call).ended().starts_with("changed: "));
    assert_eq!(
        (world.read("out/bin/run"), world.read("out/README")),
        ("x".into(), "y".into())
    );
    std::fs::remove_file(world.path("out/README")).unwrap();
    assert!(world.run(call).ended().contains("exists already"));
}

#[test]
fn a_name_longer_than_a_header_is_read_and_an_endless_one_is_not() {
    let long = format!("{}/x", "d".repeat(200));
    let mut builder = Builder::new(Vec::new());
    let mut header = Header::new_gnu();
    header.set_size(1);
    header.set_mode(0o644);
    builder.append_data(&mut header, &long, &b"y"[..]).unwrap();
    let world = world(&builder.into_inner().unwrap());
    assert!(world.run(UNPACK).ended().starts_with("changed: "));
    assert_eq!(world.read(&format!("out/{long}")), "y");
    let endless = "n".repeat(3 << 20);
    let name = Item {
        kind: EntryType::GNULongName,
        ..file("././@LongLink", &endless)
    };
    let ended = refused(&tarred(&[name, file("x", "")]));
    assert!(ended.contains("header of it is longer"), "{ended}");
}

/// A name by an extension header, so long as none can be in a header of its own.
fn at_a_long_name(name: &str) -> Vec<u8> {
    let long = Item {
        kind: EntryType::GNULongName,
        ..file("././@LongLink", name)
    };
    tarred(&[long, file("x", "")])
}

#[test]
fn a_name_that_stands_for_endless_folders_is_refused() {
    for name in [
        "a/".repeat(500_000) + "f",
        "a/".repeat(300) + "f",
        "n".repeat(5000),
    ] {
        let begun = std::time::Instant::now();
        let ended = refused(&gzipped(&at_a_long_name(&name)));
        assert!(ended.contains("the archive's entry"), "{ended}");
        assert!(
            ended.len() < 20_000 && begun.elapsed().as_secs() < 15,
            "{}",
            ended.len()
        );
    }
    // Each for itself is short enough, and all of them are not.
    let mut builder = Builder::new(Vec::new());
    for number in 0..40 {
        let mut header = Header::new_gnu();
        header.set_size(0);
        header.set_mode(0o644);
        let name = format!("{number}/{}x", "0123456789abcde/".repeat(250));
        builder.append_data(&mut header, &name, &b""[..]).unwrap();
    }
    let ended = refused(&builder.into_inner().unwrap());
    assert!(ended.contains("the names in"), "{ended}");
}

#[test]
fn other_names_of_a_file_count_as_often_as_they_are_written() {
    let content = "0".repeat(100 << 10);
    let mut items = vec![file("f", &content)];
    let names: Vec<String> = (0..30).map(|number| format!("same-{number}")).collect();
    items.extend(names.iter().map(|name| other(name, EntryType::Link, "f")));
    let archive = tarred(&items);
    let mut world = world(&archive);
    world.policy.push_str("\n[limits]\nscratch = '1MiB'");
    let ended = world.run(UNPACK).ended();
    assert!(ended.contains("raise scratch in [limits]"), "{ended}");
    assert!(!std::path::Path::new(&world.path("out")).exists());
    let world = self::world(&archive);
    assert!(world.run(UNPACK).ended().starts_with("changed: "));
    for name in names {
        assert_eq!(world.read(&format!("out/{name}")).len(), content.len());
    }
    assert!(world.run(UNPACK).ended().starts_with("ok: "));
}

#[test]
fn other_names_of_a_file_have_the_content_it_had_when_they_were_given() {
    let world = world(&tarred(&[
        file("f", "before"),
        other("kept", EntryType::Link, "f"),
        file("f", "after"),
        other("again", EntryType::Link, "f"),
        other("kept-too", EntryType::Link, "kept"),
    ]));
    assert!(world.run(UNPACK).ended().starts_with("changed: "));
    let read = |name: &str| world.read(&format!("out/{name}"));
    assert_eq!(
        ["f", "kept", "again", "kept-too"].map(read),
        ["after", "before", "after", "before"]
    );
    assert!(world.run(UNPACK).ended().starts_with("ok: "));
}

#[test]
fn nothing_is_read_of_an_archive_for_who_may_not_unpack_it() {
    let mut world = world(b"no archive at all");
    world.policy = format!("version = 1\nfiles.read = ['{}/a']", world.path(""));
    let ended = world.run(UNPACK).ended();
    assert!(
        ended.starts_with("denied: ") && ended.contains("files.write"),
        "{ended}"
    );
}

#[test]
fn check_mode_takes_in_no_content_that_it_has_no_room_for() {
    let zeros = vec![0; 300 << 20];
    let mut header = Header::new_gnu();
    header.set_size(zeros.len() as u64);
    header.set_mode(0o644);
    let mut builder = Builder::new(Vec::new());
    builder.append_data(&mut header, "zeros", &*zeros).unwrap();
    let archive = gzipped(&builder.into_inner().unwrap());
    drop(zeros);
    let mut world = world(&[archive, vec![0; 400 << 10]].concat());
    world.check = true;
    let ended = world.run(UNPACK).ended();
    assert!(
        ended.contains("check mode remembers at most 256 MiB"),
        "{ended}"
    );
}
