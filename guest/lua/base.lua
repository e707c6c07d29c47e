-- The globals a script sees: Lua's own without what reaches outside, the older spellings, and the library.
local need, host = ...

local errors, check, names, missing = need("errors"), need("check"), need("names"), need("missing")
local log = need("log")
local native_load, native_os, native_debug = load, os, debug
local type, select, tostring = type, select, tostring

--- print(...) writes its values, separated by tabs, as a message of the step.
print = log.print

--- load(chunk[, name[, mode[, environment]]]) compiles source text. Bytecode is refused.
function load(chunk, name, mode, ...)
    if mode ~= nil and not tostring(mode):find("t", 1, true) then
        return nil, "load: only source text can be loaded"
    end
    return native_load(chunk, name, "t", ...)
end

--- loadstring(text[, name]) is how Lua 5.1 spelled load.
function loadstring(text, name)
    return native_load(check.bytes(text, "loadstring"), name, "t")
end

unpack = table.unpack
table.getn = function(list)
    return #list
end
table.maxn = table.getn
math.pow = math.pow or function(base, exponent)
    return base ^ exponent
end
string.dump = nil

--- debug.traceback and debug.getinfo are all of the debug library that is here.
debug = { traceback = native_debug.traceback, getinfo = native_debug.getinfo }

os = {
    time = native_os.time,
    date = native_os.date,
    difftime = native_os.difftime,
    --- os.clock() gives seconds since the step began.
    clock = host.clock.monotonic,
    --- os.getenv(name) gives a variable of the runner's environment, or nil; `environment.read`.
    getenv = function(name)
        return (errors.read(host.environment.get(check.text(name, "os.getenv"))))
    end,
}
for name in ("execute remove rename exit tmpname setlocale"):gmatch("%S+") do
    os[name] = missing.placeholder("os." .. name)
end

for name in missing.modules:gmatch("%S+") do
    _G[name] = missing.placeholder(name)
end
file_ops = need("file_ops")
file_ops.unarchive = missing.placeholder("file_ops.unarchive")
file = file_ops
fs, facts, json = need("fs").public, need("facts"), need("json")
_G.log = log
exec = need("exec")
cmd = exec
stack = need("stack").public
local imports = need("import")
import, require = imports.import, imports.require
imports.modules = { string = true, table = true, math = true, utf8 = true, coroutine = true, os = true, debug = true }
for name in ("log exec cmd fs file_ops file facts json stack task workflow"):gmatch("%S+") do
    imports.modules[name] = true
end
for name in ("log exec fs file_ops facts json stack"):gmatch("%S+") do
    names.close(_G[name], name, errors.invalid)
end
task = need("task").begin
workflow = need("workflow").public

imports.watch()
