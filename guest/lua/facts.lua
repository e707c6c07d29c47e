-- What the node is. Each section needs `facts.read` of its name.
local need, host = ...

local errors = need("errors")
local source = host.facts

local facts = {}

local SECTIONS = { "hostname", "platform", "memory", "disk", "network", "uptime", "load", "packages", "users" }

--- facts.hostname() gives the node's name.
function facts.hostname()
    return errors.read(source.hostname())
end

--- facts.platform() gives { os, arch, distribution, version, kernel, cpus }.
function facts.platform()
    return errors.read(source.platform())
end

--- facts.memory() gives { total, available, swap_total, swap_free } in bytes.
function facts.memory()
    return errors.read(source.memory())
end

--- facts.disk() gives a list of { mount, device, file_system, total, available }, in bytes.
function facts.disk()
    return errors.read(source.disk())
end

--- facts.network() gives a list of { name, mac, addresses }.
function facts.network()
    return errors.read(source.network())
end

--- facts.uptime() gives seconds since the node started.
function facts.uptime()
    return errors.read(source.uptime())
end

--- facts.load() gives { one, five, fifteen }: how many programs wanted to run, over so many minutes.
function facts.load()
    return errors.read(source.load())
end

--- facts.packages() gives { manager, installed_count, packages }, a list of { name, version }.
function facts.packages()
    return errors.read(source.packages())
end

--- facts.users() gives a list of { username, uid, gid, home, shell }.
function facts.users()
    return errors.read(source.users())
end

--- facts.get_all() gives every section that may be read, by name; others are left out.
function facts.get_all()
    local all = {}
    for index = 1, #SECTIONS do
        local section = SECTIONS[index]
        local value, problem = source[section]()
        if problem and problem.kind ~= "denied" then
            value = errors.read(nil, problem)
        end
        all[section] = value
    end
    return all
end

-- What the host does not tell yet says so, instead of being unknown.
local function later(section)
    return function()
        errors.not_available("facts." .. section)
    end
end

--- facts.services() comes in a later version.
facts.services = later("services")
--- facts.processes() comes in a later version.
facts.processes = later("processes")

return need("names").close(facts, "facts", errors.invalid)
