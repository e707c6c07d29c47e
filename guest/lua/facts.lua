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

--- facts.packages() gives { manager, installed_count, packages }, a list of { name, version }.
function facts.packages()
    return errors.read(source.packages())
end

--- facts.users() gives a list of { username, uid, gid, home, shell }.
function facts.users()
    return errors.read(source.users())
end

--- facts.services() gives a list of { name, description, load, active, sub } of the units systemd has in memory.
function facts.services()
    return errors.read(source.services())
end

local COUNTED = { running = true, sleeping = true, zombie = true }

local function processes()
    local list, problem = source.processes()
    if not list then
        return nil, problem
    end
    local counts = { total = #list, running = 0, sleeping = 0, zombie = 0, list = list }
    for index = 1, #list do
        local state = list[index].state
        if COUNTED[state] then
            counts[state] = counts[state] + 1
        end
    end
    return counts
end

--- facts.processes() gives { total, running, sleeping, zombie, list }, each of the list a { pid, parent, name, state,
--- uid, memory }.
function facts.processes()
    return errors.read(processes())
end

--- facts.get_all() gives every section that may be read, by name. The others are left out, and asking is no refusal.
function facts.get_all()
    local all, sections = {}, errors.read(source.sections())
    for index = 1, #sections do
        local section = sections[index]
        if section == "services" then
            -- A machine may be without systemd.
            all[section] = source.services()
        elseif section == "processes" then
            all[section] = facts.processes()
        else
            all[section] = errors.read(source[section]())
        end
    end
    return all
end

return need("names").close(facts, "facts", errors.invalid)
