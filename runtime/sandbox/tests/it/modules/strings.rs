//! `strings`.

use super::holds;
use crate::world::World;

#[test]
fn space_and_case() {
    holds(
        &World::new(),
        r#"same(strings.trim("  a b\n"), "a b")
        same(strings.trim_left("  a "), "a ")
        same(strings.trim_right(" a  \n"), " a")
        same(strings.upper("aé"), "Aé") same(strings.lower("AB"), "ab")
        same(strings.title("the sloth's day"), "The Sloth's Day")
        same(strings.is_empty(nil), true) same(strings.is_empty(" \n"), true) same(strings.is_empty("x"), false)"#,
    );
}

#[test]
fn parts() {
    holds(
        &World::new(),
        r#"local function split(...) return table.concat(strings.split(...), "|") end
        same(split("a.b..c", "."), "a|b||c") same(split(" a  b "), "a|b") same(split("aé", ""), "a|é")
        same(split("a,b,c", ",", 2), "a|b,c") same(#strings.split("", ","), 1)
        same(strings.join({ 1, true, "x" }, "-"), "1-true-x") same(strings.join({ }), "")
        same(strings.contains("a.b", "."), true) same(strings.contains("ab", "."), false)
        same(strings.starts_with("abc", "ab"), true) same(strings.starts_with("abc", "b"), false)
        same(strings.ends_with("abc", "bc"), true) same(strings.ends_with("abc", ""), true) same(strings.ends_with("abc", "b"), false)
        same(strings.count("a.b.c", "."), 2)
        same(strings.replace("a.b.c", ".", "%1"), "a%1b%1c") same(strings.replace("a.b.c", ".", "-", 1), "a-b.c")
        same(strings.rep("ab", 2), "abab") same(strings.repeat_text("ab", 2, "-"), "ab-ab")
        local function lines(text) return table.concat(strings.lines(text), "|") .. #strings.lines(text) end
        same(lines("a\r\nb\n"), "a|b2") same(lines("a\n\nb"), "a||b3") same(lines(""), "0") same(lines("a"), "a1") same(lines("\n"), "1")"#,
    );
}

#[test]
fn widths() {
    holds(
        &World::new(),
        r##"same(strings.pad_left("7", 3, "0"), "007") same(strings.pad_left("é", 3), "  é")
        same(strings.pad_right("ab", 5, "xy"), "abxyx") same(strings.pad_right("abc", 2), "abc")
        same(strings.truncate("éééé", 3, "…"), "éé…") same(strings.truncate("abc", 3), "abc") same(strings.truncate("abcdef", 2), "..")
        same(strings.indent("a\n\nb", 2), "  a\n\n  b") same(strings.indent("a", "# "), "# a")
        same(strings.dedent("    a\n      b\n\n    c\n"), "a\n  b\n\nc\n")
        same(strings.slugify("  Hello, World! 2 "), "hello-world-2")"##,
    );
}

#[test]
fn forms_patterns_and_encodings() {
    holds(
        &World::new(),
        r##"same(strings.is_numeric("1.5e3"), true) same(strings.is_numeric("x"), false)
        same(strings.is_alpha("ab"), true) same(strings.is_alpha("a1"), false)
        same(strings.is_alphanumeric("a1"), true) same(strings.is_alphanumeric(""), false)
        same(strings.is_email("a.b+c@example.org"), true) same(strings.is_email("a@b"), false)
        same(strings.is_url("https://example.org/x"), true) same(strings.is_url("ftp://x"), false)
        same(table.concat(strings.match("k=v", "(%w)=(%w)"), "|"), "k=v|k|v") same(strings.match("x", "%d"), nil)
        local all = strings.match_all("a1 b2", "(%a)(%d)") same(#all, 2) same(all[2][2], "2")
        same(strings.replace_pattern("a1b2", "%d", "#"), "a#b#")
        same(strings.url_encode("a b/é"), "a%20b%2F%C3%A9") same(strings.url_decode("a%20b%2F%C3%A9"), "a b/é")
        same(strings.base64_encode("hi"), "aGk=") same(strings.base64_decode("aGk="), "hi")
        same(strings.sha256(""), crypto.sha256("")) same(strings.sha1(""), crypto.sha1("")) same(strings.md5(""), crypto.md5(""))"##,
    );
}

#[test]
fn wrong_use_says_where() {
    for (call, said) in [
        (
            "strings.trim({ })",
            "strings.trim: must be a string, not a table",
        ),
        (
            "strings.join('x')",
            "strings.join: must be called with a list",
        ),
        (
            "strings.rep('x', -1)",
            "strings.rep: must be a whole number",
        ),
        ("strings.match('x', '(')", "is not a Lua pattern"),
    ] {
        let ended = World::new().run(call).ended();
        assert!(ended.contains(said), "{call}: {ended}");
    }
}
