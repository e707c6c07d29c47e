-- Times as people write them: "30s", "1h30m", "500ms", or a number of seconds.
local need = ...

local errors = need("errors")
local type, tonumber, tostring = type, tonumber, tostring

local duration = {}

local UNITS = { ms = 1, s = 1000, m = 60 * 1000, h = 3600 * 1000, d = 24 * 3600 * 1000 }
local LONGEST = 366 * UNITS.d

local function milliseconds(value)
    if type(value) == "number" then
        return value * 1000
    elseif type(value) ~= "string" then
        return nil
    end
    if tonumber(value) then
        return tonumber(value) * 1000
    end
    local total, rest = 0, value:gsub("%s", "")
    if rest == "" then
        return nil
    end
    while rest ~= "" do
        local amount, unit, after = rest:match("^(%d+%.?%d*)(%a+)(.*)$")
        if not amount or not UNITS[unit] then
            return nil
        end
        total, rest = total + tonumber(amount) * UNITS[unit], after
    end
    return total
end

--- Gives whole milliseconds; raises an error that begins with `what` for anything else.
function duration.parse(value, what)
    local total = milliseconds(value)
    if not total or not (total > 0 and total <= LONGEST) then
        local shown = type(value) == "string" and ('"%s"'):format(value) or tostring(value)
        errors.invalid(('%s: %s is not a time; write "30s", "5m", "1h30m", "500ms" or seconds'):format(what, shown))
    end
    return math.max(1, math.floor(total + 0.5))
end

return duration
