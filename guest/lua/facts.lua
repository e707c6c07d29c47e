-- What the node is. Each section needs `facts.read` of its name.
local need, host = ...

local errors = need("errors")
local source = host.facts

local facts = {}

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

--- facts.get_all() gives every section that may be read, by name. The others are left out, and asking is no refusal.
function facts.get_all()
    local all, sections = {}, errors.read(source.sections())
    for index = 1, #sections do
        all[sections[index]] = errors.read(source[sections[index]]())
    end
    return all
end

-- What the host does not tell yet says so, instead of being unknown.
local function later(section)
    return function()
        errors.not_available("facts." .. section)
    end
end

--- facts.users() comes in a later version.
facts.users = later("users")
--- facts.packages() comes in a later version.
facts.packages = later("packages")
--- facts.services() comes in a later version.
facts.services = later("services")
--- facts.processes() comes in a later version.
facts.processes = later("processes")

return need("names").close(facts, "facts", errors.invalid)
