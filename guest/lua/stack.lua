-- stack: what the runs under one name share.
local need = ...

local errors, check = need("errors"), need("check")
local type, pairs = type, pairs

local stack = {}

-- The stack's name, what it holds, and what this step has set.
local name, held, set = "", {}, nil

--- Begins a step of a run.
local function enter(run_name, outputs)
    name, held, set = run_name, outputs, nil
end

--- Gives what the step has set, or nil.
local function leave()
    return set
end

--- stack.get_name() gives the name that the run was started under.
function stack.get_name()
    return name
end

--- stack.set_output(key, value) leaves a value among the run's outputs; the last one under a key stays.
function stack.set_output(key, value)
    local text = check.text(key, "stack.set_output: the key")
    if value == nil or type(value) == "function" then
        errors.invalid("stack.set_output: the value is missing, or is no plain data")
    end
    set = set or {}
    set[text], held[text] = value, value
    return true
end

--- stack.get_output(key) gives a value set by an earlier task of the run, or nil.
function stack.get_output(key)
    return held[check.text(key, "stack.get_output: the key")]
end

--- stack.get_outputs() gives all values set so far, by key.
function stack.get_outputs()
    local copy = {}
    for key, value in pairs(held) do
        copy[key] = value
    end
    return copy
end

return { public = stack, enter = enter, leave = leave }
