-- Values that outlive a run. The node keeps them, for whoever is granted their keys.
local need, host = ...

local errors, check, duration = need("errors"), need("check"), need("duration")
local source = host.state
local type = type

local state = {}

local function key_of(key, name)
    return check.text(key, "state." .. name .. ": the key")
end

local function pattern_of(pattern, name)
    return pattern == nil and "*" or check.text(pattern, "state." .. name .. ": the pattern")
end

local function lifetime_of(value, name)
    return duration.parse(value, "state." .. name .. ": how long it lives")
end

local function put(name, key, value, lifetime)
    key = key_of(key, name)
    if value == nil then
        errors.invalid(("state.%s: the value is missing; state.delete removes a key"):format(name))
    end
    return errors.act("state." .. name, source.set(key, value, lifetime))
end

--- state.get(key[, default]) gives a key's value, else the default. Needs `state.read` of the key.
function state.get(key, default)
    local value, problem = errors.read(source.get(key_of(key, "get")))
    if problem then
        return default, problem
    elseif value == nil then
        return default
    end
    return value
end

--- state.exists(key) says whether a key has a value. Needs `state.read` of the key.
function state.exists(key)
    return errors.read(source.get(key_of(key, "exists"))) ~= nil
end

--- state.keys([pattern="*"]) gives a list of the keys that fit, of those that `state.read` grants. `*` and `?` stand for characters.
function state.keys(pattern)
    return errors.read(source.keys(pattern_of(pattern, "keys")))
end

--- state.set(key, value[, lifetime]) keeps a value, for ever or for a time ("10m", or seconds). Needs `state.write` of the key.
function state.set(key, value, lifetime)
    return put("set", key, value, lifetime ~= nil and lifetime_of(lifetime, "set") or nil)
end

--- state.set_with_ttl(key, value, lifetime) keeps a value for a time ("10m", or seconds).
function state.set_with_ttl(key, value, lifetime)
    return put("set_with_ttl", key, value, lifetime_of(lifetime, "set_with_ttl"))
end

--- state.delete(key) removes a key. Needs `state.write` of the key.
function state.delete(key)
    return errors.act("state.delete", source.delete(key_of(key, "delete")))
end

--- state.clear([pattern="*"]) removes the keys that fit, of those that `state.write` grants; others stay.
function state.clear(pattern)
    return errors.act("state.clear", source.clear(pattern_of(pattern, "clear")))
end

local function add(name, key, by, sign)
    by = by == nil and 1 or by
    if type(by) ~= "number" then
        errors.invalid(("state.%s: what is added must be a number"):format(name))
    end
    return errors.act("state." .. name, source.increment(key_of(key, name), sign * by))
end

--- state.increment(key[, by=1]) adds to a number, of which a missing one is 0; gives the sum. No other run comes between. Needs `state.read` and `state.write` of the key.
function state.increment(key, by)
    return add("increment", key, by, 1)
end

--- state.decrement(key[, by=1]) subtracts, as state.increment adds.
function state.decrement(key, by)
    return add("decrement", key, by, -1)
end

--- state.compare_and_swap(key, old, new) puts the new value if the old one is there, and says whether it did; nil is no value. No other run comes between. Needs `state.read` and `state.write` of the key.
function state.compare_and_swap(key, old, new)
    return errors.act("state.compare_and_swap", source.swap(key_of(key, "compare_and_swap"), old, new))
end

--- state.compare_swap(key, old, new) is state.compare_and_swap.
state.compare_swap = state.compare_and_swap

return need("names").close(state, "state", errors.invalid)
