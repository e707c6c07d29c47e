-- Settings of the kernel: read from /proc/sys, set by the program `sysctl`, kept in files of /etc/sysctl.d.
local need, host = ...

local errors, check, names = need("errors"), need("check"), need("names")
local exec, files = need("exec"), host.files
local file_lines = need("file_lines")
local type, tostring = type, tostring

local sysctl = {}

local FILE = "/etc/sysctl.d/99-sloth-runner.conf"

local function name_of(value, what)
    local name = check.text(value, what .. ": the name")
    if not name:find("^[%w_][%w_./:@-]*$") or name:find("..", 1, true) then
        errors.invalid(("%s: `%s` is not the name of a setting, like net.ipv4.ip_forward"):format(what, name))
    end
    return name
end

local function value_of(value, what)
    if type(value) == "boolean" then
        return value and "1" or "0"
    elseif math.type(value) == "float" and math.tointeger(value) then
        value = math.tointeger(value)
    end
    local text = check.text(value, what .. ": the value")
    if text:find("[\r\n]") then
        errors.invalid(what .. ": the value must be one line")
    end
    -- The kernel shows lists with tabs between their numbers.
    return (text:gsub("%s+", " "):gsub("^ ", ""):gsub(" $", ""))
end

-- A slash within a name, as of a network device, is written where a dot would be a folder.
local function path_of(name)
    return "/proc/sys/" .. name:gsub("[./]", { ["."] = "/", ["/"] = "." })
end

--- sysctl.get(name) gives a setting as text, or nil and a message. Needs to read its file beneath /proc/sys.
function sysctl.get(name)
    local content, problem = errors.read(files.read(path_of(name_of(name, "sysctl.get"))))
    return content and value_of(content:gsub("\n$", ""):gsub("\n", " "), "sysctl.get"), problem
end

--- sysctl.exists(name) says whether the kernel has a setting.
function sysctl.exists(name)
    local found, problem = errors.read(files.stat(path_of(name_of(name, "sysctl.exists")), true))
    return found ~= nil, problem
end

--- sysctl.set(name, value) sets it until the next start. Needs to read the setting and to run `sysctl -w name=value`.
function sysctl.set(name, value)
    local what = "sysctl.set"
    name, value = name_of(name, what), value_of(value, what)
    local before, problem = sysctl.get(name)
    if not before then
        return nil, problem
    elseif before == value then
        return { changed = false, success = true, message = ("%s is %s already"):format(name, value) }
    end
    local result
    result, problem = exec.run({ "sysctl", "-w", ("%s=%s"):format(name, value) })
    if not result.success then
        return nil, ("%s: %s"):format(what, problem)
    end
    return { changed = true, success = true, message = ("set %s from %s to %s"):format(name, before, value) }
end

--- sysctl.persist(name, value[, file="/etc/sysctl.d/99-sloth-runner.conf"]) writes a setting down for every start,
--- and does not set it now. Needs to read and write the file.
function sysctl.persist(name, value, file)
    local what = "sysctl.persist"
    name, value = name_of(name, what), value_of(value, what)
    return file_lines.lineinfile({
        path = file == nil and FILE or check.text(file, what .. ": the file"),
        line = ("%s = %s"):format(name, value),
        regexp = "^%s*" .. name:gsub("%p", "%%%0") .. "%s*=",
        create = true,
    })
end

--- sysctl.set_persistent(name, value[, file]) does both: sysctl.persist, then sysctl.set.
function sysctl.set_persistent(name, value, file)
    local kept, problem = sysctl.persist(name, value, file)
    if not kept then
        return nil, problem
    end
    local set
    set, problem = sysctl.set(name, value)
    if not set then
        return nil, problem
    end
    local told = kept.changed and not set.changed and kept.message or set.message
    return { changed = kept.changed or set.changed, success = true, message = told, diff = kept.diff }
end

--- sysctl.list([pattern]) gives a list of { name, value } of the settings whose name matches a regular expression.
--- Needs to run `sysctl -a`.
function sysctl.list(pattern)
    local words = { "sysctl", "-a" }
    if pattern ~= nil then
        words[3], words[4] = "--pattern", check.text(pattern, "sysctl.list")
    end
    local result, problem = exec.run(words, { check = true })
    -- Some settings may not be read; the others are told all the same.
    if not result.success and result.stdout == "" then
        return nil, "sysctl.list: " .. tostring(problem)
    end
    local list = need("json").array({})
    for name, value in result.stdout:gmatch("([^\n=]-) = ([^\n]*)") do
        list[#list + 1] = { name = name, value = value }
    end
    return list
end

local function load(what, ...)
    local result, problem = exec.run({ "sysctl", ... })
    if not result.success then
        return nil, ("%s: %s"):format(what, problem)
    end
    return { changed = result.changed, success = true, message = "the settings were loaded" }
end

--- sysctl.reload([file]) sets what a file says, /etc/sysctl.conf by default; always counts as a change.
function sysctl.reload(file)
    if file == nil then
        return load("sysctl.reload", "-p")
    end
    return load("sysctl.reload", "-p", check.text(file, "sysctl.reload"))
end

--- sysctl.apply() sets what all of the system's files say; always counts as a change.
function sysctl.apply()
    return load("sysctl.apply", "--system")
end

return names.close(sysctl, "sysctl", errors.invalid)
