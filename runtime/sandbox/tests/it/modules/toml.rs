//! `toml`.

use super::holds;
use crate::world::World;

#[test]
fn toml_reads_what_people_write() {
    holds(
        &World::new(),
        r#"local v = assert(toml.decode([==[
# a comment
title = "site \u00e9"
port = 8_080
hex = 0xff
ratio = 1e3
whole = 1.0
on = true
born = 1979-05-27T07:32:00Z
day = 1979-05-27
hours = [1, 2.5, "x", { a.b = 1 }]
lines = """
one
two"""
'quoted key' = 'C:\x'
a.b.c = 1
[server.tls]
cert = "/x"
[server]
name = "s"
[[host]]
name = "one"
[host.more]
x = 1
[[host]]
name = "two"
]==]))
        same(v.title, "site é") same(v.port, 8080) same(v.hex, 255) same(v.ratio, 1000.0) same(math.type(v.whole), "float")
        same(v.on, true) same(v.born, "1979-05-27T07:32:00Z") same(v.day, "1979-05-27") same(v.hours[2], 2.5) same(v.hours[4].a.b, 1)
        same(v.lines, "one\ntwo") same(v["quoted key"], "C:\\x") same(v.a.b.c, 1) same(v.server.tls.cert, "/x") same(v.server.name, "s")
        same(#v.host, 2) same(v.host[1].more.x, 1) same(v.host[2].name, "two")
        same(json.encode(toml.decode("")), "{" .. "}") same(json.encode(toml.decode("a = []")), '{"a":[]}')
        same(data.decode("toml", "a = 1").a, 1) same(data.encode("TOML", { a = 1 }), "a = 1\n")"#,
    );
}

#[test]
fn toml_that_is_wrong_or_too_deep_names_its_line() {
    holds(
        &World::new(),
        r#"local function why(text) local value, why = toml.decode(text) assert(value == nil and why, "accepted: " .. text:sub(1, 40)) return why end
        for text, place in pairs({
            ["a = 1\na = 2"] = "`a` is there already at line 2 column 1", ["a = 1\n[a]"] = "line 2", ["[a]\n[a]"] = "line 2",
            ["a.b = 1\n[a]\nc = 1"] = "line 2", ["[a.b]\n[a]\nb.c = 1"] = "line 3", ["a = [1]\n[[a]]"] = "line 2", ["[[a]]\n[a]"] = "line 2",
            ["a = { b = 1 }\n[a.c]"] = "line 2", ["x = 1\ny = 2x"] = "line 2", ["a = 9223372036854775808"] = "beyond 64 bits at line 1 column 5",
            ["a = 1e999"] = "line 1", ["a = 2024-13-01"] = "no date", ["a = \"x"] = "line 1", ["a"] = "line 1", ["= 1"] = "line 1", ["\n\na = nope"] = "line 3",
        }) do assert(why(text):find(place, 1, true), text .. ": " .. why(text)) end
        assert(why("a = \"\xff\""):find("UTF%-8"))
        assert(why("a = " .. ("["):rep(10000)):find("deeper"))
        assert(why("a = " .. ("{ a = "):rep(10000)):find("deeper"))
        assert(why(("a."):rep(10000) .. "a = 1"):find("deeper"))
        assert(why("[" .. ("a."):rep(10000) .. "a]"):find("deeper"))
        assert(why("a = { " .. ("a."):rep(10000) .. "a = { b = 1 } }"):find("deeper"))"#,
    );
}

#[test]
fn toml_is_written_the_same_each_time_and_comes_back_as_it_was() {
    holds(
        &World::new(),
        r#"local value = { name = "a\"b\n\0é", n = 3, f = 3.0, big = 1e300, list = { 1, 2 }, empty = json.array(), none = { }, ["odd key"] = true,
            server = { tls = { on = true } }, hosts = { { name = "x", at = { y = 1 } }, { name = "z" } }, mixed = { { a = 1 }, 2 }, inf = -math.huge }
        local text = toml.encode(value)
        same(text, toml.stringify(toml.parse(text)))
        same(json.encode(toml.decode(toml.encode({ list = value.list, hosts = value.hosts, server = value.server }))),
            '{"hosts":[{"at":{"y":1},"name":"x"},{"name":"z"}],"list":[1,2],"server":{"tls":{"on":true}}}')
        same(toml.encode({ b = 1, a = { d = { e = 1 }, c = { { x = 1 }, { } } } }), "b = 1\n\n[[a.c]]\nx = 1\n\n[[a.c]]\n\n[a.d]\ne = 1\n")
        same(math.type(toml.decode(text).f), "float") same(toml.decode(text).inf, -math.huge) same(toml.decode(text).name, value.name)
        for what, wrong in pairs({ ["a table of names"] = { 1, 2 }, ["no null"] = { a = { 1, json.null } }, ["not UTF%-8"] = { a = "\xff" } }) do
            local done, why = pcall(toml.encode, wrong)
            assert(not done and why.message:find("^toml.encode: .*" .. what), tostring(why))
        end"#,
    );
}
