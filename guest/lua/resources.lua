-- The resources of a stack: what it made, kept among its outputs under keys of their own.
local need = ...

local errors, check, json = need("errors"), need("check"), need("json")
local pairs, type = pairs, type

local resources = {}

-- No output can be set under such a key, which stack.lua sees to.
local PREFIX = "resource:"

local function key_of(kind, name, what)
    kind, name = check.text(kind, what .. ": the type"), check.text(name, what .. ": the name")
    if kind:find("/", 1, true) then
        errors.invalid(what .. ": a type has no `/`")
    end
    return PREFIX .. kind .. "/" .. name
end

-- What tells one set of properties from another: equal tables have equal text.
local function checksum_of(properties, dependencies)
    return need("crypto").sha256(json.encode({ properties, dependencies }))
end

local function copy_of(resource)
    local copy = {}
    for key, value in pairs(resource) do
        copy[key] = value
    end
    return copy
end

--- Writes a resource down: "created", "changed" or "unchanged", and the resource.
function resources.register(stack, given)
    local options = check.options("stack.register_resource", given, {
        type = "text!",
        name = "text!",
        module = "text!",
        properties = "table",
        dependencies = "texts",
    })
    local key = key_of(options.type, options.name, "stack.register_resource")
    local properties, dependencies = options.properties or {}, options.dependencies or {}
    local checksum = checksum_of(properties, dependencies)
    local known = stack.get(key)
    if known and known.checksum == checksum and known.module == options.module then
        return "unchanged", copy_of(known)
    end
    local resource = {
        id = options.type .. "/" .. options.name,
        stack_id = stack.name(),
        type = options.type,
        name = options.name,
        module = options.module,
        state = known and "changed" or "created",
        checksum = checksum,
        properties = properties,
        dependencies = dependencies,
    }
    stack.set(key, resource)
    return resource.state, copy_of(resource)
end

--- Gives a resource, or nil.
function resources.get(stack, kind, name)
    local resource = stack.get(key_of(kind, name, "stack.get_resource"))
    return resource and copy_of(resource)
end

--- Writes down how a resource is doing; gives true.
function resources.update(stack, kind, name, given)
    local key = key_of(kind, name, "stack.update_resource")
    local options = check.options("stack.update_resource", given, { state = "text", error = "text" })
    local resource = stack.get(key)
    if type(resource) ~= "table" then
        errors.invalid(("stack.update_resource: the stack has no resource `%s/%s`"):format(kind, name))
    end
    local updated = copy_of(resource)
    updated.state, updated.error = options.state or resource.state, options.error
    stack.set(key, updated)
    return true
end

--- Forgets a resource; gives true.
function resources.delete(stack, kind, name)
    stack.set(key_of(kind, name, "stack.delete_resource"), nil)
    return true
end

--- Gives all resources by their ids.
function resources.all(held)
    local all = {}
    for key, value in pairs(held) do
        if key:sub(1, #PREFIX) == PREFIX then
            all[key:sub(#PREFIX + 1)] = copy_of(value)
        end
    end
    return all
end

return resources
