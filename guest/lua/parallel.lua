-- parallel{ f, g, … }: several functions at once, and what came of each.
local need = ...

local errors, fibers, names = need("errors"), need("fibers"), need("names")
local type, pairs, tostring, setmetatable = type, pairs, tostring, setmetatable

local parallel = {}

local function message_of(result, key)
    return ("%s: %s"):format(tostring(key), result.message)
end

-- Starts what a table holds, by its keys, and gives the results by the same keys and the first failure.
local function all(functions, what)
    if type(functions) ~= "table" then
        errors.invalid(what .. ": must be called with a table of functions")
    end
    local started, order = {}, {}
    for key, body in pairs(functions) do
        if type(body) ~= "function" then
            errors.invalid(("%s: `%s` must be a function, not a %s"):format(what, tostring(key), type(body)))
        end
        started[key] = fibers.start(body)
        order[#order + 1] = key
    end
    local results, problem = {}, nil
    for index = 1, #order do
        local key = order[index]
        local done, result = fibers.join(started[key])
        if done then
            results[key] = result[2]
        else
            problem = problem or message_of(result, key)
        end
    end
    return results, problem
end

--- parallel.run(functions) runs the functions of a table at once and waits for all. Gives a table of their
--- first values under the same keys, and the first failure's message if one failed. parallel{…} is the same.
function parallel.run(functions)
    return all(functions, "parallel")
end

--- parallel.map(list, f[, workers]) calls f(item, index) for every item, so many at a time (default 8), and
--- gives the list of what came of them, and the first failure's message if one failed.
function parallel.map(list, body, workers)
    if type(list) ~= "table" or type(body) ~= "function" then
        errors.invalid("parallel.map: must be called with a list and a function")
    end
    local permits = need("locks").semaphore(workers or 8)
    local functions = {}
    for index = 1, #list do
        functions[index] = function()
            return permits:with(body, list[index], index)
        end
    end
    return all(functions, "parallel.map")
end

names.close(parallel, "parallel", errors.invalid)
local meta = getmetatable(parallel)
meta.__call = function(_, functions)
    return all(functions, "parallel")
end

return setmetatable(parallel, meta)
