-- Services of the node. `service` is another name of this module. Names may lack `.service`.
local need, host = ...

local errors, check, names = need("errors"), need("check"), need("names")
local source = host.services
local type, tostring, pairs, setmetatable = type, tostring, pairs, setmetatable
local concat = table.concat

local systemd = {}

-- A unit's name, which is given alone or in a table of options.
local function name_of(what, given, known)
    if type(given) ~= "table" then
        return check.text(given, what .. ": the name"), {}
    end
    known = known or {}
    known.name = "text!"
    local options = check.options(what, given, known)
    return options.name, options
end

-- Answers that older files print or join to other text read as text.
local text = {}
function text.__tostring(self)
    return text.of(self)
end
function text.__concat(left, right)
    return tostring(left) .. tostring(right)
end
function text.of(unit)
    return ("%s - %s\n  Loaded: %s (%s)\n  Active: %s (%s)"):format(
        unit.name,
        unit.description,
        unit.load,
        unit.enabled,
        unit.active,
        unit.sub
    )
end

local function act(verb)
    return function(given)
        local what = "systemd." .. verb
        return errors.act(what, source[verb]((name_of(what, given))))
    end
end

--- systemd.start(name) starts a unit and waits until it runs: nginx, or { name = "nginx" }. `services.start`.
systemd.start = act("start")
--- systemd.stop(name) stops a unit and waits for its end. `services.stop`.
systemd.stop = act("stop")
--- systemd.restart(name) restarts a unit; always a change. `services.restart`.
systemd.restart = act("restart")
--- systemd.reload(name) has a unit read its settings again; always a change. `services.reload`.
systemd.reload = act("reload")
--- systemd.enable(name) sees to it that a unit starts with the machine. `services.enable`.
systemd.enable = act("enable")
--- systemd.disable(name) sees to it that it does not. `services.disable`.
systemd.disable = act("disable")

--- systemd.daemon_reload() has systemd read changed files of units. `services.daemon-reload`.
function systemd.daemon_reload(options)
    check.options("systemd.daemon_reload", options, {})
    return errors.act("systemd.daemon_reload", source.daemon_reload())
end

local function status(what, given)
    return errors.read(source.status((name_of(what, given))))
end

--- systemd.status(name) gives { name, description, load, active, sub, enabled, file, main_pid, outdated }, which reads
--- as text where text is wanted. `load` is "not-found" for what is not there. `services.status`.
function systemd.status(given)
    local found, problem = status("systemd.status", given)
    return found and setmetatable(found, text), problem
end

--- systemd.is_active(name) says whether a unit runs, and gives its state. `services.status`.
function systemd.is_active(given)
    local found, problem = status("systemd.is_active", given)
    if not found then
        return false, problem
    end
    return found.active == "active" or found.active == "reloading", found.active
end

--- systemd.is_enabled(name) says whether a unit starts with the machine, and gives the word for it. `services.status`.
function systemd.is_enabled(given)
    local found, problem = status("systemd.is_enabled", given)
    if not found then
        return false, problem
    end
    local word = found.enabled == "" and found.load or found.enabled
    return found.enabled:find("^enabled") ~= nil or word == "static" or word == "alias", word
end

--- systemd.show(name) gives what systemd.status does as lines of text, Id=nginx.service and so on.
function systemd.show(given)
    local found, problem = status("systemd.show", given)
    if not found then
        return nil, problem
    end
    return ("Id=%s\nDescription=%s\nLoadState=%s\nActiveState=%s\nSubState=%s\nUnitFileState=%s\nFragmentPath=%s\nMainPID=%d\n"):format(
        found.name,
        found.description,
        found.load,
        found.active,
        found.sub,
        found.enabled,
        found.file,
        found.main_pid or 0
    )
end

--- systemd.list_services([{state=}]) gives a list of { name, description, load, active, sub } of the services that
--- systemd has in memory and `services.status` is granted for.
function systemd.list_services(options)
    local given = check.options("systemd.list_services", options, { state = "text", no_header = "boolean" })
    local units, problem = errors.read(source.list())
    if not units then
        return nil, problem
    end
    local list = need("json").array({})
    for index = 1, #units do
        local unit = units[index]
        local wanted = given.state == nil or unit.active == given.state or unit.sub == given.state
        if wanted and unit.name:sub(-8) == ".service" then
            list[#list + 1] = unit
        end
    end
    return list
end

local DEFINITION = {
    name = "text!",
    exec_start = "texts!",
    exec_stop = "texts",
    exec_reload = "texts",
    description = "text",
    type = "text",
    user = "text",
    group = "text",
    working_directory = "text",
    environment = "table",
    restart = "text",
    restart_sec = "duration",
    after = "texts",
    wants = "texts",
    requires = "texts",
    wanted_by = "texts",
    writable = "texts",
    open = "texts",
}

-- Older files name several units in one text.
local function split(list)
    local split = {}
    for word in concat(list or {}, " "):gmatch("%S+") do
        split[#split + 1] = word
    end
    return split
end

--- systemd.create_service{name=, exec_start=, description=, type="simple", user=, group=, working_directory=,
--- environment={}, exec_stop=, exec_reload=, restart="always", restart_sec=, after=, wants=, requires=,
--- wanted_by="multi-user.target", writable={}, open={}} writes a service's file. Each command is a line, or a list of
--- words, and needs `process.run`. The service sees a machine that it cannot change, but for the folders in `writable`
--- and what `open` names: system, home, devices, temporary, privileges, kernel, namespaces. `services.define`.
function systemd.create_service(given, options)
    local what = "systemd.create_service"
    if type(given) ~= "table" then
        local named = { name = given }
        for key, value in pairs(options or {}) do
            named[key] = value
        end
        given = named
    end
    local unit = check.options(what, given, DEFINITION)
    local environment = {}
    for key, value in pairs(unit.environment or {}) do
        key = check.text(key, what .. ": environment")
        environment[key] = check.text(value, what .. ": environment." .. key)
    end
    unit.environment = environment
    for _, key in pairs({ "exec_start", "exec_stop", "exec_reload" }) do
        -- One text is a line, and a list is its words.
        unit[key] = type(given[key]) == "table" and unit[key] or unit[key] and unit[key][1]
    end
    unit.type = unit.type or "simple"
    unit.restart = unit.restart or (unit.type == "oneshot" and "no" or "always")
    unit.wanted_by = unit.wanted_by or { "multi-user.target" }
    for _, key in pairs({ "after", "wants", "requires", "wanted_by" }) do
        unit[key] = split(unit[key])
    end
    unit.writable, unit.open = unit.writable or {}, unit.open or {}
    return errors.act(what, source.define(unit.name, unit))
end

--- systemd.remove_service(name) stops a service, disables it and removes its file. Needs `services.status` and
--- `services.define`, and `services.stop` and `services.disable` where there is something to stop and disable.
function systemd.remove_service(given)
    local what = "systemd.remove_service"
    local name = name_of(what, given)
    local found, problem = errors.read(source.status(name))
    if not found then
        return nil, problem
    end
    local changed = false
    local function done(verb)
        local result
        result, problem = errors.act(what, source[verb](name))
        changed = changed or result ~= nil and result.changed
        return result
    end
    local live = found.load ~= "not-found" and found.active ~= "inactive" and found.active ~= "failed"
    if live and not done("stop") then
        return nil, problem
    end
    if found.enabled:find("^enabled") and not done("disable") then
        return nil, problem
    end
    local removed = done("remove")
    if not removed then
        return nil, problem
    end
    removed.changed = changed
    return removed
end

return names.close(systemd, "systemd", errors.invalid)
