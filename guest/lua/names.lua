-- Which known name somebody may have meant.
local names = {}

local min, max = math.min, math.max

-- How many letters must be put in, left out, changed or swapped to come from one name to the other.
local function distance(left, right)
    local before, previous = nil, {}
    for column = 0, #right do
        previous[column] = column
    end
    for row = 1, #left do
        local current = { [0] = row }
        for column = 1, #right do
            local same = left:byte(row) == right:byte(column)
            local cost = min(previous[column] + 1, current[column - 1] + 1, previous[column - 1] + (same and 0 or 1))
            if
                before
                and column > 1
                and left:byte(row) == right:byte(column - 1)
                and left:byte(row - 1) == right:byte(column)
            then
                cost = min(cost, before[column - 2] + 1)
            end
            current[column] = cost
        end
        before, previous = previous, current
    end
    return previous[#right]
end

-- What other tools call things.
local ELSEWHERE = {
    cwd = "workdir",
    dir = "workdir",
    chdir = "workdir",
    needs = "depends_on",
    requires = "depends_on",
    when = "run_if",
    script = "command",
    hosts = "delegate_to",
    vars = "params",
    rescue = "next_if_fail",
}

-- Whether one name goes on from the other, or both begin alike.
local function kin(name, candidate)
    return #name > 2 and candidate:sub(1, min(#name, 4)) == name:sub(1, 4)
end

--- Gives the nearest key of `known`, or nil if none is near.
function names.nearest(name, known)
    if #name > 64 then
        return nil
    elseif ELSEWHERE[name] and rawget(known, ELSEWHERE[name]) then
        return ELSEWHERE[name]
    end
    local best, least = nil, max(2, #name // 3) + 1
    for candidate in pairs(known) do
        local cost = distance(name, candidate)
        if cost < least or (cost == least and best and candidate < best) then
            best, least = candidate, cost
        end
    end
    if not best then
        for candidate in pairs(known) do
            if kin(name, candidate) and (not best or candidate < best) then
                best = candidate
            end
        end
    end
    return best
end

--- Gives `; did you mean …?` or nothing, for the end of a message.
function names.suggest(name, known)
    local nearest = names.nearest(name, known)
    return nearest and ("; did you mean `%s`?"):format(nearest) or ""
end

--- Makes using what a module does not have an error that names the nearest it has.
function names.close(module, name, raise)
    return setmetatable(module, {
        __index = function(_, key)
            raise(("unknown function `%s.%s`%s"):format(name, tostring(key), names.suggest(tostring(key), module)))
        end,
    })
end

return names
