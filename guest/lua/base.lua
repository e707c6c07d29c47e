-- The globals a script sees: Lua's own without what reaches outside, the older spellings, and the library.
local need, host = ...

local errors, check, names, missing = need("errors"), need("check"), need("names"), need("missing")
local log = need("log")
local native_load, native_os, native_debug = load, os, debug
local imports = need("import")
local type, select, tostring, pairs, rawset = type, select, tostring, pairs, rawset

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
debug = {
    traceback = native_debug.traceback,
    getinfo = function(subject, ...)
        -- This function stands between the caller and the level it means.
        local info = native_debug.getinfo(type(subject) == "number" and subject + 1 or subject, ...)
        if info then
            -- Functions of the library's own are nobody else's.
            info.func = nil
        end
        return info
    end,
}

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
-- The rest is made when a script first calls it.
for name in ("execute remove rename exit tmpname"):gmatch("%S+") do
    os[name] = function(...)
        return need("os_calls")[name](...)
    end
end
os.setlocale = missing.placeholder("os.setlocale")

for name in missing.modules:gmatch("%S+") do
    _G[name] = missing.placeholder(name)
    imports.later[name] = true
end
fs, json = need("fs").public, need("json")
_G.log = log
exec = need("exec")
cmd = exec
task = need("task").begin
workflow = need("workflow").public
stack = need("stack").public
import, require, loadfile, dofile = imports.import, imports.require, imports.loadfile, imports.dofile

for name in ("log exec fs json stack"):gmatch("%S+") do
    names.close(_G[name], name, errors.invalid)
end

-- Globals that are made when a script first names them: of which file, and which of its functions if not all.
local LATER = {
    file_ops = { "file_ops" },
    file = { "file_ops" },
    facts = { "facts" },
    goroutine = { "goroutine" },
    async = { "goroutine", "async" },
    await = { "goroutine", "await" },
    await_all = { "goroutine", "await_all" },
    parallel = { "parallel" },
    service = { "systemd" },
    template = { "template", "public" },
    secret = { "secret", "public" },
    group = { "group", "public" },
    plugin = { "plugin", "public" },
}
for name in
    ("strings yaml toml data crypto time io reliability git cron sysctl systemd infra_test state event http net pkg user"):gmatch("%S+")
do
    LATER[name] = { name }
end

for name in ("log exec cmd fs json stack task workflow string table math utf8 coroutine os debug"):gmatch("%S+") do
    imports.modules[name] = true
end
for name in pairs(LATER) do
    imports.modules[name] = true
end

-- The oldest form of a file says what it defines by assigning this global.
setmetatable(_G, {
    __newindex = function(globals, name, value)
        if name == "TaskDefinitions" then
            imports.assign_groups(value)
        else
            rawset(globals, name, value)
        end
    end,
    __index = function(globals, name)
        local later = LATER[name]
        if later then
            local value = need(later[1])
            if later[2] then
                value = value[later[2]]
            end
            rawset(globals, name, value)
            return value
        elseif name == "TaskDefinitions" then
            return (imports.groups())
        end
    end,
})
