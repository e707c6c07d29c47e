-- stack: what the runs under one name share, kept by the node from run to run.
local need, host = ...

local errors, check = need("errors"), need("check")
local type, pairs = type, pairs

local stack = {}

-- The stack's name, what it holds, and what this step has set.
local name, held, set = "", {}, nil

-- Resources have keys of their own among the outputs.
local RESOURCE = "^resource:"

local null = host.formats.null

--- Begins a step of a run.
local function enter(run_name, outputs)
    name, held, set = run_name, outputs, nil
end

--- Gives what the step has set, or nil.
local function leave()
    return set
end

-- The stack as the file on resources sees it; nil removes.
local kept = {
    name = function()
        return name
    end,
    get = function(key)
        return held[key]
    end,
    set = function(key, value)
        set = set or {}
        held[key] = value
        set[key] = value == nil and null or value
    end,
}

local function output_key(key, what)
    local text = check.text(key, what .. ": the key")
    if text:find(RESOURCE) then
        errors.invalid(what .. ": keys that begin with `resource:` are those of resources")
    end
    return text
end

--- stack.get_name() gives the name that the run was started under.
function stack.get_name()
    return name
end

--- stack.get_id() is stack.get_name: a stack is known by its name.
stack.get_id = stack.get_name

--- stack.get_status() gives "running": who can ask is part of a run.
function stack.get_status()
    return "running"
end

--- stack.set_output(key, value) leaves a value among the outputs of the run and of its stack; the last one under a key stays.
function stack.set_output(key, value)
    local text = output_key(key, "stack.set_output")
    if value == nil or type(value) == "function" then
        errors.invalid("stack.set_output: the value is missing, or is no plain data")
    end
    kept.set(text, value)
    return true
end

--- stack.get_output(key) gives a value set by an earlier task or by an earlier run of the stack on this node, or nil.
function stack.get_output(key)
    return held[output_key(key, "stack.get_output")]
end

--- stack.delete_output(key) removes a value from the stack's outputs.
function stack.delete_output(key)
    kept.set(output_key(key, "stack.delete_output"), nil)
    return true
end

--- stack.get_outputs() gives all values set so far, by key.
function stack.get_outputs()
    local copy = {}
    for key, value in pairs(held) do
        if not key:find(RESOURCE) then
            copy[key] = value
        end
    end
    return copy
end

--- stack.register_resource{type=, name=, module=} writes down what the stack made, with `properties` and `dependencies`; gives "created", "changed" or "unchanged", and the resource.
function stack.register_resource(options)
    return need("resources").register(kept, options)
end

--- stack.get_resource(type, name) gives { id, stack_id, type, name, module, state, checksum, properties, dependencies, error }, or nil.
function stack.get_resource(kind, resource)
    return need("resources").get(kept, kind, resource)
end

--- stack.get_resources() gives all resources, by "type/name".
function stack.get_resources()
    return need("resources").all(held)
end

--- stack.resource_exists(type, name) says whether a resource is written down.
function stack.resource_exists(kind, resource)
    return stack.get_resource(kind, resource) ~= nil
end

--- stack.update_resource(type, name, options) writes down a resource's `state` and `error`.
function stack.update_resource(kind, resource, options)
    return need("resources").update(kept, kind, resource, options)
end

--- stack.delete_resource(type, name) forgets a resource.
function stack.delete_resource(kind, resource)
    return need("resources").delete(kept, kind, resource)
end

return { public = stack, enter = enter, leave = leave }
