-- Assertions about a machine. Each gives true, or fails the task with a message that says what was found instead.
local need, host = ...

local errors, check, names = need("errors"), need("check"), need("names")
local exec, files = need("exec"), host.files
local pcall, tonumber, tostring, ipairs = pcall, tonumber, tostring, ipairs

local infra_test = {}

local function fail(message, ...)
    errors.raise("failed", message:format(...))
end

-- Older files name the machine last; it is the task that says where it runs.
local function here(target, what)
    if target ~= nil and target ~= "local" and target ~= "localhost" then
        errors.invalid(("infra_test.%s: where a task runs is said by its delegate_to"):format(what))
    end
end

local function stat(path, target, what)
    here(target, what)
    local found, problem = errors.read(files.stat(check.text(path, "infra_test." .. what), true))
    if not found then
        fail("%s: %s", path, problem or "nothing is there")
    end
    return found
end

local function expect(found, wanted, path, word)
    if found ~= wanted then
        fail("%s: its %s is %s, not %s", path, word, tostring(found), tostring(wanted))
    end
    return true
end

-- As it is, or as a Lua pattern.
local function holds(text, pattern)
    if text:find(pattern, 1, true) then
        return true
    end
    local fine, found = pcall(text.find, text, pattern)
    return fine and found ~= nil
end

--- infra_test.file_exists(path) asserts that something is there.
function infra_test.file_exists(path, target)
    return stat(path, target, "file_exists") ~= nil
end

--- infra_test.is_file(path) asserts that a file is there.
function infra_test.is_file(path, target)
    return expect(stat(path, target, "is_file").kind, "file", path, "kind")
end

--- infra_test.is_directory(path) asserts that a folder is there.
function infra_test.is_directory(path, target)
    return expect(stat(path, target, "is_directory").kind, "directory", path, "kind")
end

--- infra_test.file_contains(path, text) asserts that a file holds a text, or something that a Lua pattern matches.
function infra_test.file_contains(path, pattern, target)
    here(target, "file_contains")
    pattern = check.bytes(pattern, "infra_test.file_contains: the text")
    local content, problem = errors.read(files.read(check.text(path, "infra_test.file_contains")))
    if not content then
        fail("%s", problem)
    elseif not holds(content, pattern) then
        fail("%s: does not contain `%s`", path, pattern)
    end
    return true
end

--- infra_test.file_mode(path, mode) asserts permission bits: "0644".
function infra_test.file_mode(path, mode, target)
    local wanted = ("%04o"):format(check.mode(mode, "infra_test.file_mode"))
    return expect(("%04o"):format(stat(path, target, "file_mode").mode), wanted, path, "mode")
end

--- infra_test.file_owner(path, user) asserts the owner, by name or number.
function infra_test.file_owner(path, user, target)
    local found = stat(path, target, "file_owner")
    return tonumber(user) == found.uid or expect(found.owner or found.uid, user, path, "owner")
end

--- infra_test.file_group(path, group) asserts the group, by name or number.
function infra_test.file_group(path, group, target)
    local found = stat(path, target, "file_group")
    return tonumber(group) == found.gid or expect(found.group or found.gid, group, path, "group")
end

--- infra_test.file_size(path, bytes) asserts the size.
function infra_test.file_size(path, size, target)
    return expect(stat(path, target, "file_size").size, size, path, "size")
end

-- The runner's own folder in /proc is out of reach; the first process sees the machine's ports.
-- Whether one of the kernel's tables has a socket on a port in a state: 0A listens, 07 is an open UDP socket.
local function has_port(tables, port, state, what)
    if math.type(port) ~= "integer" or port < 1 or port > 65535 then
        errors.invalid(("infra_test.%s: a port is a number from 1 to 65535"):format(what))
    end
    local wanted = ("^%%s*%%d+: %%x+:%04X %%x+:%%x+ %s "):format(port, state)
    for _, name in ipairs(tables) do
        local content, problem = files.read("/proc/1/net/" .. name)
        -- A machine may have no IPv6.
        if not content and problem.kind ~= "not-found" then
            content, problem = errors.read(nil, problem)
            fail("%s", problem)
        end
        for line in (content or ""):gmatch("[^\n]+") do
            if line:find(wanted) then
                return true
            end
        end
    end
    return false
end

--- infra_test.port_is_tcp(port) asserts that something listens on a TCP port of the machine. Needs `files.read` of
--- "/proc/1/net/tcp" and "/proc/1/net/tcp6".
function infra_test.port_is_tcp(port, target)
    here(target, "port_is_tcp")
    return has_port({ "tcp", "tcp6" }, port, "0A", "port_is_tcp") or fail("nothing listens on TCP port %d", port)
end

--- infra_test.port_is_udp(port) asserts that a UDP port is open; it reads "/proc/1/net/udp" and udp6.
function infra_test.port_is_udp(port, target)
    here(target, "port_is_udp")
    return has_port({ "udp", "udp6" }, port, "07", "port_is_udp") or fail("UDP port %d is not open", port)
end

--- infra_test.port_is_listening(port) asserts that something listens on a TCP port.
infra_test.port_is_listening = infra_test.port_is_tcp

local function matching(pattern, what)
    pattern = check.bytes(pattern, "infra_test." .. what)
    local count = 0
    local paths = errors.read(files.glob("/proc/[0-9]*/cmdline")) or {}
    for index = 1, #paths do
        -- It may have ended since.
        local line = files.read(paths[index])
        if line and line ~= "" and holds(line:gsub("%z", " "), pattern) then
            count = count + 1
        end
    end
    return count
end

--- infra_test.process_is_running(text) asserts that the command line of a process holds a text, or what a Lua pattern
--- matches. It sees those it may read: `files.read` of "/proc/*/cmdline".
function infra_test.process_is_running(pattern, target)
    here(target, "process_is_running")
    if matching(pattern, "process_is_running") == 0 then
        fail("no process that may be seen matches `%s`", pattern)
    end
    return true
end

--- infra_test.process_count(text, count) asserts how many processes match.
function infra_test.process_count(pattern, count, target)
    here(target, "process_count")
    local found = matching(pattern, "process_count")
    if found ~= count then
        fail("%d processes match `%s`, not %s", found, pattern, tostring(count))
    end
    return true
end

local function run(command, target, what)
    here(target, what)
    return exec.run(command, { check = true })
end

--- infra_test.command_succeeds(command) asserts that a program ends with 0. Commands of assertions are to change
--- nothing: they run in check mode too.
function infra_test.command_succeeds(command, target)
    local result, problem = run(command, target, "command_succeeds")
    return result.success or fail("`%s`: %s", tostring(command), problem)
end

--- infra_test.command_fails(command) asserts that a program does not end with 0.
function infra_test.command_fails(command, target)
    return not run(command, target, "command_fails").success or fail("`%s`: succeeded", tostring(command))
end

--- infra_test.command_stdout_contains(command, text) asserts that a program's output holds a text, or what a Lua
--- pattern matches.
function infra_test.command_stdout_contains(command, pattern, target)
    local result = run(command, target, "command_stdout_contains")
    if not holds(result.stdout, check.bytes(pattern, "infra_test.command_stdout_contains")) then
        fail("`%s`: its output has no `%s`", tostring(command), pattern)
    end
    return true
end
--- infra_test.command_outputs(command, text) is command_stdout_contains.
infra_test.command_outputs = infra_test.command_stdout_contains

--- infra_test.command_stderr_is_empty(command) asserts that a program writes no errors.
function infra_test.command_stderr_is_empty(command, target)
    local result = run(command, target, "command_stderr_is_empty")
    return not result.stderr:find("%S") or fail("`%s`: wrote %s", tostring(command), result.stderr:sub(1, 300))
end

--- infra_test.command_output_equals(command, text) asserts a program's whole output, but for space at its ends.
function infra_test.command_output_equals(command, text, target)
    local result = run(command, target, "command_output_equals")
    local found, wanted = result.stdout:match("^%s*(.-)%s*$"), tostring(text):match("^%s*(.-)%s*$")
    if found ~= wanted then
        fail("`%s`: its output is `%s`, not `%s`", tostring(command), found:sub(1, 300), wanted)
    end
    return true
end

local function unit(word)
    return function(name, target)
        local what = "service_is_" .. word
        here(target, what)
        name = check.text(name, "infra_test." .. what)
        local found, state = need("systemd")[word == "running" and "is_active" or "is_enabled"](name)
        return found or fail("service %s is not %s: %s", name, word, tostring(state))
    end
end

--- infra_test.service_is_running(name) asserts that systemd runs a service. `services.status`.
infra_test.service_is_running = unit("running")
--- infra_test.service_is_enabled(name) asserts that a service starts with the machine. `services.status`.
infra_test.service_is_enabled = unit("enabled")

-- The version of an installed package, or nil.
local function version_of(name, what)
    local found, problem = errors.read(host.packages.query({ check.text(name, "infra_test." .. what) }))
    return found and found[1].version or problem and fail("%s", problem)
end

--- infra_test.package_is_installed(name) asserts that a package is installed; `packages.query`.
function infra_test.package_is_installed(name, target)
    here(target, "package_is_installed")
    return version_of(name, "package_is_installed") ~= nil or fail("package %s is not installed", name)
end

--- infra_test.package_version(name, version) asserts that an installed package's version begins so.
function infra_test.package_version(name, version, target)
    here(target, "package_version")
    local found = version_of(name, "package_version")
    version = check.text(version, "infra_test.package_version: the version")
    if not found then
        fail("package %s is not installed", name)
    elseif found:sub(1, #version) ~= version then
        fail("package %s has version %s, not %s", name, found, version)
    end
    return true
end

return names.close(infra_test, "infra_test", errors.invalid)
