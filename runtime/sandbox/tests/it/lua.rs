//! Lua itself is stock 5.4, but for what would reach outside.

use std::fmt::Write;

use crate::world::World;

/// Each holds in Lua 5.4 as its manual has it.
const STOCK: &[&str] = &[
    "7 // 2 == 3 and 7 / 2 == 3.5 and -7 // 2 == -4 and 7 % -3 == -2 and 2 ^ 10 == 1024.0",
    "math.type(3) == 'integer' and math.type(3.0) == 'float' and 1 == 1.0 and tostring(3.0) == '3.0'",
    "5 & 3 == 1 and 5 | 3 == 7 and 5 ~ 3 == 6 and ~0 == -1 and 1 << 62 == 4611686018427387904 and 1 << 64 == 0",
    "math.maxinteger + 1 == math.mininteger and math.tointeger(3.0) == 3",
    "('x'):rep(3, ',') == 'x,x,x' and #'äö' == 4 and utf8.len('äö') == 2 and utf8.char(228) == 'ä'",
    "('key = value'):match('^(%w+)%s*=%s*(%w+)$') == 'key' and ('a,b'):find(',', 1, true) == 2",
    "('hello world'):gsub('o', '0') == 'hell0 w0rld' and ('%d'):format(3.0) == '3'",
    "('THE (quick) fox'):find('%((%a+)%)') == 5 and ('[[x]]'):match('%b[]') == '[[x]]' and ('THE'):match('%f[%a]%a+') == 'THE'",
    "string.unpack('<i4', string.pack('<i4', -2)) == -2 and string.packsize('i4i8') == 12",
    "select('#', table.unpack({ 1, nil, 3 }, 1, 3)) == 3 and table.pack(1, nil).n == 2",
    "table.concat({ 1, 2, 3 }, '-') == '1-2-3' and #table.move({ 1, 2 }, 1, 2, 2) == 3",
    "(function() local t = { 3, 1, 2 } table.sort(t, function(a, b) return a > b end) return table.concat(t) end)() == '321'",
    "(function() for i = 1, 3 do if i == 2 then goto done end end ::done:: return true end)()",
    "(function() local seen = '' do local x <close> = setmetatable({}, { __close = function() seen = seen .. 'c' end }) seen = seen .. 'b' end return seen end)() == 'bc'",
    "(function() local x <const> = 1 return load('local y <const> = 1 y = 2') == nil end)()",
    "(function() local t = setmetatable({}, { __index = function(_, k) return k .. '!' end, __call = function(_, a) return a end, __len = function() return 7 end }) return t.x == 'x!' and t(5) == 5 and #t == 7 end)()",
    "(function() local m = { __add = function() return 'add' end, __lt = function() return true end, __concat = function() return 'cat' end } local a = setmetatable({}, m) return a + 1 == 'add' and a < a and a .. 'x' == 'cat' end)()",
    "(function() local co = coroutine.wrap(function(a) local b = coroutine.yield(a + 1) return b * 2 end) return co(1) == 2 and co(5) == 10 end)()",
    "(function() local co = coroutine.create(function() coroutine.yield() end) coroutine.resume(co) return coroutine.close(co) and coroutine.status(co) == 'dead' end)()",
    "(function() local co = coroutine.wrap(function() local ok, e = pcall(function() coroutine.yield(1) error('x', 0) end) return e end) return co() == 1 and co() == 'x' end)()",
    "(function() local ok, e = pcall(function() local t = nil return t.x end) return not ok and e:find('attempt to index a nil value %(local \\'t\\'%)') ~= nil end)()",
    "(function() local ok, e = pcall(error, { code = 7 }) return not ok and e.code == 7 end)()",
    "(function() local ok, e = xpcall(function() error('a', 0) end, function(m) return m .. 'b' end) return e == 'ab' end)()",
    "(function() local weak = setmetatable({}, { __mode = 'k' }) weak[{}] = 1 collectgarbage() return next(weak) == nil end)()",
    "collectgarbage('count') > 0 and collectgarbage('incremental') ~= nil and collectgarbage('step') ~= nil",
    "load('return 1 + 1')() == 2 and load(function() return nil end) ~= nil and load('x =') == nil",
    "load('return x', 'name', 't', { x = 5 })() == 5 and rawequal('a', 'a') and rawlen({ 1 }) == 1 and next({}) == nil",
    "tostring(1e15) == '1e+15' and tonumber('0x10') == 16 and tonumber('10', 2) == 2 and tonumber('z', 36) == 35 and tonumber('1e1') == 10.0",
    "os.time({ year = 2000, month = 1, day = 1, hour = 12 }) == 946728000 and os.date('!%Y-%m-%d', 0) == '1970-01-01'",
    "math.floor(-3.5) == -4 and math.ult(1, -1) and math.fmod(-7, 3) == -1 and math.max(1, 2.5) == 2.5",
    "utf8.codepoint('ä') == 228 and (function() local n = 0 for _ in utf8.codes('aäb') do n = n + 1 end return n end)() == 3",
    "(function() local t = {} for k, v in ipairs({ 'a', 'b', nil, 'd' }) do t[k] = v end return #t end)() == 2",
    "(function(...) return select(-1, ...) end)(1, 2, 3) == 3 and #{ n = 1, 2, 3 } == 2",
    "_VERSION == 'Lua 5.4' and assert(1, 'x') == 1 and type(print) == 'function'",
    // Lua 5.1 spellings.
    "unpack({ 1 }) == 1 and loadstring('return 3')() == 3 and table.getn({ 1, 2 }) == 2 and math.pow(2, 3) == 8",
];

#[test]
fn everything_else_is_as_the_manual_has_it() {
    let mut body = String::from("local wrong = json.array()\n");
    for (index, claim) in STOCK.iter().enumerate() {
        let _ = writeln!(
            body,
            "do local done, held = pcall(function() return {claim} end)
             if not (done and held) then wrong[#wrong + 1] = {index} .. ': ' .. tostring(held) end end"
        );
    }
    // The world's own placeholder for its folder is no table here.
    let body = body.replace("{}", "{ }");
    let ran = World::new().run(&(body + "return { wrong = wrong }"));
    assert_eq!(ran.outputs(), r#"{"wrong":[]}"#, "by their place in STOCK");
}

#[test]
fn bytecode_is_refused_and_debug_and_os_are_what_is_harmless() {
    let ran = World::new().run(
        "local names = json.array()
         for name in pairs(debug) do names[#names + 1] = name end table.sort(names)
         local done, why = load('\\27Lua', 'x', 'b')
         local hidden = load('\\27Lua')
         return { debug = names, dump = string.dump == nil, done = done == nil, hidden = hidden == nil, why = why }",
    );
    let outputs = ran.outputs();
    for part in [
        r#""debug":["getinfo","traceback"]"#,
        r#""dump":true"#,
        r#""done":true"#,
        r#""hidden":true"#,
    ] {
        assert!(outputs.contains(part), "{outputs}");
    }
}

#[test]
fn what_blows_up_ends_as_an_error_that_a_script_can_catch() {
    let ran = World::new().run(
        "local function deep(n) return 1 + deep(n + 1) end
         local fine, why = pcall(deep, 1)
         local rep, much = pcall(string.rep, 'x', 1 << 31)
         local pattern, hard = pcall(string.match, 'a', ('('):rep(40))
         local nested, inner = pcall(load, ('('):rep(300) .. '1' .. (')'):rep(300))
         return { deep = fine, said = tostring(why):sub(1, 60), rep = rep, pattern = pattern, nested = nested and inner == nil }",
    );
    let outputs = ran.outputs();
    for part in [
        r#""deep":false"#,
        "stack overflow",
        r#""rep":false"#,
        r#""nested":true"#,
    ] {
        assert!(outputs.contains(part), "{outputs}");
    }
}
