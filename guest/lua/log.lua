-- Messages of a step.
local need, host = ...

local write = host.log.write
local type, tostring, pairs, rawlen = type, tostring, pairs, rawlen
local concat, sort, rep = table.concat, table.sort, string.rep

local log = {}

local DEEPEST = 8

local function show(value, depth, open)
    if type(value) == "string" then
        return depth == 0 and value or ("%q"):format(value):gsub("\\\n", "\\n")
    elseif type(value) ~= "table" then
        return tostring(value)
    elseif open[value] or depth >= DEEPEST or (getmetatable(value) or {}).__tostring then
        return open[value] and "<itself>" or depth >= DEEPEST and "{…}" or tostring(value)
    end
    open[value] = true
    local lines, indent = {}, rep("  ", depth + 1)
    for index = 1, rawlen(value) do
        lines[#lines + 1] = indent .. show(value[index], depth + 1, open)
    end
    local keys = {}
    for key in pairs(value) do
        if not (math.type(key) == "integer" and key >= 1 and key <= rawlen(value)) then
            keys[#keys + 1] = key
        end
    end
    sort(keys, function(left, right)
        return tostring(left) < tostring(right)
    end)
    for _, key in pairs(keys) do
        lines[#lines + 1] = ("%s%s = %s"):format(indent, tostring(key), show(value[key], depth + 1, open))
    end
    open[value] = nil
    if #lines == 0 then
        return "{}"
    end
    return "{\n" .. concat(lines, ",\n") .. "\n" .. rep("  ", depth) .. "}"
end

local function writer(level, separator)
    return function(...)
        local parts = {}
        for index = 1, select("#", ...) do
            parts[index] = show(select(index, ...), 0, {})
        end
        write(level, concat(parts, separator))
    end
end

--- log.debug(...) writes a message for those who look closely. Tables are shown with what is in them.
log.debug = writer("debug", " ")
--- log.info(...) writes a message.
log.info = writer("info", " ")
--- log.success(...) writes that something went well.
log.success = writer("success", " ")
--- log.warn(...) writes a warning.
log.warn = writer("warn", " ")
--- log.error(...) writes an error; the task goes on.
log.error = writer("error", " ")
--- log.print(...) writes as `print` does.
log.print = writer("print", "\t")
--- log.table(value[, title]) writes a table with what is in it.
function log.table(value, title)
    local text = show(value, 0, {})
    write("info", title and (tostring(title) .. " = " .. text) or text)
end

return log
