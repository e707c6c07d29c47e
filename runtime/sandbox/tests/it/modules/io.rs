//! `io`, and what of `os` acts on the machine: both under the policy.

use sloth_workflow::event::Level;

use super::{denied, holds};
use crate::world::World;

const FILES: &str = "[files]\nread = ['{}/**']\nwrite = ['{}/**']\ndelete = ['{}/**']";

#[test]
fn nothing_is_reached_without_a_grant() {
    denied("files.read", "io.open('/etc/hostname')");
    denied("files.read", "for _ in io.lines('/etc/hostname') do end");
    denied("files.write", "io.open('/tmp/sloth-io', 'w')");
    denied("process.run", "io.popen('date')");
    denied("process.run", "os.execute('date')");
    denied("files.delete", "os.remove('/tmp/sloth-io')");
    denied(
        "files.delete",
        "os.rename('/tmp/sloth-io', '/tmp/sloth-ip')",
    );
}

#[test]
fn what_has_no_meaning_says_what_has() {
    for (call, said) in [
        ("io.tmpfile()", "os.tmpname"),
        ("io.output('x')", "io.open(path, \"w\")"),
        ("io.input('x')", "io.open gives a file to read"),
    ] {
        let ended = World::new().run(call).ended();
        let name = call.split('(').next().unwrap();
        assert!(ended.starts_with(&format!("failed: {name}: ")), "{ended}");
        assert!(ended.replace("\\\"", "\"").contains(said), "{ended}");
    }
}

#[test]
fn files_are_read_in_pieces() {
    let world = World::granting(FILES);
    world.write("a", "one\ntwo\n12 0x10 rest\nlast");
    holds(
        &world,
        r#"local f = assert(io.open("{}/a"))
        same(io.type(f), "file") same(f:read(), "one") same(f:read("L"), "two\n") same(f:read("n"), 12) same(f:read("*n"), 16)
        same(f:read(3), " re") same(f:seek(), 18) same(f:seek("set", 4), 4) same(f:read("*l"), "two") same(f:seek("end"), 25) same(f:read("l"), nil)
        same(f:read("a"), "") same(f:seek("set", -1), nil) f:seek("set")
        local a, b = f:read("l", "l") same(a .. b, "onetwo")
        local none, why = f:write("x") same(none, nil) assert(why:find("reading"))
        same(f:close(), true) same(io.type(f), "closed file") same(io.type(1), nil)
        same(pcall(f.read, f), false)
        local lines = { } for line in io.lines("{}/a") do lines[#lines + 1] = line end same(#lines, 4) same(lines[4], "last")
        local missing, message = io.open("{}/none") same(missing, nil) assert(message)
        same(f.setvbuf(f), true)"#,
    );
}

#[test]
fn files_are_written_when_closed_or_at_the_end() {
    let world = World::granting(FILES);
    holds(
        &world,
        r#"local f = assert(io.open("{}/a", "w"))
        f:write("one ", 2, "\n"):write("three\n") f:flush() same(fs.read("{}/a"), "one 2\nthree\n") io.close(f)
        local more = assert(io.open("{}/a", "a")) more:write("four\n") more:close()
        local both = assert(io.open("{}/a", "r+")) both:seek("set", 4) both:write("X") same(both:read("a"), "\nthree\nfour\n") both:close()
        local new <close> = assert(io.open("{}/new", "w+")) new:write("abc") new:seek("set", 5) new:write("d")
        left = assert(io.open("{}/left", "w")) left:write("not closed")"#,
    );
    assert_eq!(world.read("a"), "one X\nthree\nfour\n");
    assert_eq!(world.read("new"), "abc\0\0d");
    assert_eq!(world.read("left"), "not closed");
}

#[test]
fn programs_are_run_through_the_policy() {
    let world = World::granting(
        "process.shell = true\nprocess.run = ['/bin/sh -c **', 'cat', 'echo **', 'false', 'true']\nfiles.write = ['{}/**']",
    );
    holds(
        &world,
        r#"local p = io.popen("echo a b") same(p:read("l"), "a b") same(p:read("l"), nil) same(p:close(), true)
        local fine, how, code = io.popen("false"):close() same(fine, nil) same(how, "exit") same(code, 1)
        same(os.execute(), true) same(os.execute("true"), true)
        local failed, word, number = os.execute("false") same(failed, nil) same(word, "exit") same(number, 1)
        local w = io.popen("cat", "w") w:write("x") same(w:close(), true)"#,
    );
}

#[test]
fn files_are_renamed_and_removed() {
    let world = World::granting(FILES);
    world.write("a", "x");
    holds(
        &world,
        r#"same(os.rename("{}/a", "{}/b"), true) same(fs.exists("{}/a"), false)
        same(os.remove("{}/b"), true) local none, why = os.remove("{}/b") same(none, nil) assert(why:find("nothing is there"))
        assert(os.tmpname():find("/tmp%-%x+$")) assert(os.tmpname() ~= os.tmpname())"#,
    );
}

#[test]
fn output_is_messages_and_there_is_no_input() {
    let ran =
        World::new().run("io.write('a', 1, '\\n') io.stdout:write('b') io.stderr:write('c\\n')");
    assert_eq!(ran.logged(Level::Print), ["a1", "b"]);
    assert_eq!(ran.logged(Level::Warn), ["c"]);
    for (call, said) in [
        ("io.read()", "a task has no standard input"),
        ("io.stdin:read('a')", "a task has no standard input"),
        ("os.exit(1)", "a task ends by returning"),
        ("io.open('x', 'q')", "`q` is not a mode"),
    ] {
        let ended = World::new().run(call).ended();
        assert!(ended.contains(said), "{call}: {ended}");
    }
}
