//! `data` and `yaml`.

use super::holds;
use crate::world::World;

#[test]
fn yaml_reads_what_people_write() {
    holds(
        &World::new(),
        r#"local v = assert(yaml.decode([[
# a comment
name: web
port: 8080
hex: 0x1f
ratio: .5
on: true
version: "1.0"
none: ~
list:
  - a
  - {b: [1, 2], c: 'it''s'}
text: |
  one
  two
folded: >-
  one
  two
base: &base {x: 1, y: 2}
more:
  <<: *base
  y: 3
80: eighty
]]))
        same(v.name, "web") same(v.port, 8080) same(v.hex, 31) same(v.ratio, 0.5) same(v.on, true)
        same(v.version, "1.0") same(v.none, nil) same(v.list[1], "a") same(v.list[2].b[2], 2) same(v.list[2].c, "it's")
        same(v.text, "one\ntwo\n") same(v.folded, "one two") same(v.more.x, 1) same(v.more.y, 3) same(v["80"], "eighty")
        same(yaml.decode(""), nil) same(yaml.decode("just text"), "just text")
        local all = yaml.decode_all("a: 1\n---\na: 2\n") same(#all, 2) same(all[2].a, 2)
        local none, why = yaml.decode("a: 1\n---\na: 2\n") same(none, nil) assert(why:find("2 documents"))"#,
    );
}

#[test]
fn yaml_that_is_wrong_or_a_bomb_is_a_message() {
    holds(
        &World::new(),
        r#"local function why(text) local value, why = yaml.decode(text) assert(value == nil and why, "accepted") return why end
        assert(why("a: [1"):find("line"), why("a: [1"))
        assert(why("a: 1\na: 2"):find("`a` stands twice"))
        assert(why("? [a]\n: 1"):find("a key is not text"))
        assert(why("\xff"):find("UTF%-8"))
        assert(why(("["):rep(500)), "deep")
        local bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n"
        for i = 1, 9 do bomb = bomb .. ("a%d: &a%d [%s]\n"):format(i, i, ("*a" .. i - 1 .. ","):rep(10)) end
        assert(why(bomb):find("aliases stand for more than"))"#,
    );
}

#[test]
fn yaml_comes_back_as_it_was() {
    holds(
        &World::new(),
        r#"local text = yaml.encode({ b = { 1, { x = "why", z = 1 } }, a = "yes", t = "one\ntwo\n", num = "8080", f = 1.0, s = "a: b",
            e = json.array({ }), l = { { 1, 2 }, { 3 } }, u = "", p = "a b", q = " a", d = "-x", deep = { { "t\nu" } } })
        same(text, [[
a: "yes"
b:
  - 1
  - x: why
    z: 1
d: "-x"
deep:
  - - |-
      t
      u
e: []
f: 1.0
l:
  - - 1
    - 2
  - - 3
num: "8080"
p: a b
q: " a"
s: "a: b"
t: |
  one
  two
u: ""
]])
        local back = assert(yaml.decode(text))
        same(json.encode(back), json.encode(assert(json.decode(json.encode(back)))))
        same(back.t, "one\ntwo\n") same(back.b[2].x, "why") same(back.l[2][1], 3) same(back.deep[1][1], "t\nu") same(back.a, "yes") same(back.f, 1.0)
        same(yaml.encode("x"), "x\n") same(yaml.encode({ z = { }, y = "n" }), '"y": "n"\nz: {' .. "}\n") same(yaml.parse(yaml.stringify({ a = 1 })).a, 1)
        same(yaml.decode(yaml.encode("a\nb")), "a\nb")
        same(yaml.decode(yaml.encode(1 / 0)), 1 / 0)"#,
    );
}

#[test]
fn data_speaks_all_formats_by_older_names() {
    holds(
        &World::new(),
        r#"same(data.parse_json('{"a":[1]}').a[1], 1) same(data.json_decode("2"), 2)
        same(data.to_json({ a = 1 }), '{\n  "a": 1\n}') same(data.json_pretty({ 1 }), "[\n  1\n]") same(data.json_encode({ 1 }), "[1]")
        same(data.json_validate("[]"), true) same(data.json_validate("{"), false)
        same(data.parse_yaml("a: 1").a, 1) same(data.yaml_decode("a: 1").a, 1)
        same(data.to_yaml({ a = 1 }), "a: 1\n") same(data.yaml_encode({ a = 1 }), "a: 1\n")
        same(data.yaml_to_json("a: [1]"), '{"a":[1]}') same(data.json_to_yaml('{"a":[1]}'), "a:\n  - 1\n")
        same(data.decode("YAML", "a: 1").a, 1) same(data.encode("json", { 1 }), "[1]")
        local none, why = data.parse_json("{") same(none, nil) assert(why)
        local t = data.set_path({ }, "a.b", 1) same(data.get_path(t, "a.b"), 1) same(data.get_path({ { x = 2 } }, "1.x"), 2) same(data.get_path(t, "a.b.c"), nil)
        same(data.flatten({ a = { b = 1 }, c = { 2 } })["a.b"], 1) same(data.flatten({ c = { 2 } }, "/")["c/1"], 2)"#,
    );
    let ended = World::new().run("data.decode('xml', '')").ended();
    assert!(ended.contains("`xml` is not a format"), "{ended}");
}
