-- Functions that plugins add: components of their own, called with plain values.
local need, host = ...

local errors, check, names, imports, json = need("errors"), need("check"), need("names"), need("import"), need("json")
local frames = need("frames")
local source = host.plugins
local type, pairs, setmetatable, tostring, rawset = type, pairs, setmetatable, tostring, rawset

-- The key under which a handle's number stands, which no name of WIT can be.
local NUMBER = "#"

-- What an error of a plugin says, in one line.
local function words(value)
    if type(value) == "string" or type(value) == "number" or type(value) == "boolean" then
        return tostring(value)
    elseif type(value) == "table" and value.tag and value.value == nil then
        return tostring(value.tag)
    elseif type(value) == "table" and value.tag then
        return ("%s: %s"):format(value.tag, words(value.value))
    end
    return value == nil and "it failed and does not say why" or json.encode(value)
end

-- Makes tables that are handles into objects of their resource.
local function adopt(value, kinds)
    if type(value) ~= "table" then
        return value
    elseif value[NUMBER] then
        return setmetatable(value, kinds[value.resource])
    end
    for key, inner in pairs(value) do
        value[key] = adopt(inner, kinds)
    end
    return value
end

local function raise(label, kind, message, value)
    errors.again({ kind = kind, message = ("%s: %s"):format(label, message), value = value, location = frames.location() })
end

-- A function of a plugin as Lua calls it.
local function wrap(plugin, entry, kinds)
    local id, label, handles = entry.id, plugin .. "." .. entry.label, entry.handles
    return function(...)
        local given, value = source.call(plugin, id, ...)
        if given == nil then
            if value.kind == "denied" or value.kind == "not-while-loading" then
                return errors.read(nil, value)
            end
            raise(label, value.kind, value.message)
        elseif not given then
            raise(label, "failed", words(value), value)
        end
        return handles and adopt(value, kinds) or value
    end
end

-- WIT's names have hyphens, which Lua's fields cannot: both ways of writing are there.
local function put(into, name, value)
    rawset(into, name, value)
    rawset(into, (name:gsub("-", "_")), value)
end

-- What the handles of a resource are to Lua.
local function kind_of(plugin, label)
    local methods = names.close({}, label, errors.invalid)
    local function release(handle)
        source.release(plugin, handle[NUMBER])
    end
    return {
        __name = plugin .. "." .. label,
        __index = methods,
        __gc = release,
        __close = release,
        __tostring = function(handle)
            return ("%s.%s %d"):format(plugin, label, handle[NUMBER])
        end,
    }
end

local function inside(parent, name, label)
    local found = rawget(parent, name)
    if type(found) ~= "table" then
        found = names.close({}, label, errors.invalid)
        put(parent, name, found)
    end
    return found
end

-- Builds the tables of a plugin of what it says of itself: its functions, those of its interfaces under their
-- names, and each of these at the top as well where no other has its name.
local function build(into, plugin)
    local described, problem = errors.read(source.describe(plugin))
    if described == nil then
        errors.raise("failed", problem)
    end
    local kinds, times, top = {}, {}, {}
    for _, entry in ipairs(described.functions) do
        local parent = entry.interface and inside(into, entry.interface, plugin .. "." .. entry.interface) or into
        local key = entry.resource
        if key and not kinds[key] then
            kinds[key] = kind_of(plugin, key)
        end
        local call = wrap(plugin, entry, kinds)
        if entry.kind == "method" then
            put(kinds[key].__index, entry.name, call)
        else
            local holder, name = parent, entry.name
            if key then
                local of = key:match("[^.]+$")
                holder = inside(parent, of, plugin .. "." .. key)
                if entry.interface then
                    top[of], times[of] = holder, (top[of] == holder) and times[of] or (times[of] or 0) + 1
                end
            elseif entry.interface then
                top[name], times[name] = call, (times[name] or 0) + 1
            end
            put(holder, name, call)
        end
    end
    for name, value in pairs(top) do
        if times[name] == 1 and rawget(into, name) == nil then
            put(into, name, value)
        end
    end
end

local plugin = {}
local known = {}

local function proxy(name)
    local functions = {}
    local built = false
    local closed = getmetatable(names.close({}, name, errors.invalid)).__index
    local function index(_, key)
        if not built then
            build(functions, name)
            built = true
        end
        local value = rawget(functions, key)
        if value == nil then
            closed(functions, key)
        end
        return value
    end
    return setmetatable({}, {
        __name = "plugin " .. name,
        __index = index,
        __newindex = function()
            errors.invalid(("plugin %s: its functions are its own"):format(name))
        end,
    })
end

--- plugin.signatures(name) gives the functions of a plugin as a list of texts, such as `render(text: string) -> string`.
--- Needs `plugins.call` of the name.
function plugin.signatures(name)
    local described = errors.read(source.describe(check.text(name, "plugin.signatures: the name")))
    local list = json.array({})
    for index, entry in ipairs(described and described.functions or {}) do
        list[index] = entry.signature
    end
    return list
end

names.close(plugin, "plugin", errors.invalid)
--- plugin(name) gives the functions of a plugin, which is a component that the node or the bundle has:
--- plugin("markdown").render({ text = "# hi" }). Calling one needs `plugins.call` of the name.
getmetatable(plugin).__call = function(_, name)
    name = check.text(name, "plugin: the name")
    if not name:find("^[a-z][a-z0-9-]*$") or #name > 64 then
        errors.invalid(("plugin: `%s` is no name of a plugin; names are of lower-case letters, digits and `-`"):format(name))
    end
    imports.plugins[name] = true
    known[name] = known[name] or proxy(name)
    return known[name]
end

return { public = plugin }
