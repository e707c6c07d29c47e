-- Moments, in seconds since 1970-01-01 UTC, and lengths of time. Dates and hours are UTC.
local need, host = ...

local errors, check, names, duration = need("errors"), need("check"), need("names"), need("duration")
local clock, fibers = need("clock"), need("fibers")
local os_time, os_date = os.time, os.date
local type, tonumber, tostring, pairs, ipairs = type, tonumber, tostring, pairs, ipairs
local floor, concat = math.floor, table.concat

local time = {}

local function moment_of(value, what)
    if type(value) ~= "number" or value ~= value or value < -1e11 or value > 1e12 then
        errors.invalid(("time.%s: %s is not a moment in seconds since 1970"):format(what, tostring(value)))
    end
    return floor(value)
end

-- Parts of a layout, longest first. The first column is the example date that older files write, the second
-- what os.date and other languages write; the third matches it.
local PARTS = {
    { "January", "%B", "(%a+)" },
    { "Monday", "%A", "(%a+)" },
    { "Z07:00", "%z", "([Z+-][%d:]*)" },
    { "-07:00", "%z", "([Z+-][%d:]*)" },
    { "-0700", "%z", "([Z+-][%d:]*)" },
    { "2006", "%Y", "(%d%d%d%d)" },
    { "Jan", "%b", "(%a%a%a)" },
    { "Mon", "%a", "(%a%a%a)" },
    { "MST", "%Z", "(%u+)" },
    { "06", "%y", "(%d%d)" },
    { "01", "%m", "(%d%d)" },
    { "02", "%d", "(%d%d)" },
    { "_2", "%e", " ?(%d%d?)" },
    { "15", "%H", "(%d%d)" },
    { "03", "%I", "(%d%d)" },
    { "04", "%M", "(%d%d)" },
    { "05", "%S", "(%d%d)" },
    { "PM", "%p", "([AaPp][Mm])" },
    { "1", "%-m", "(%d%d?)" },
    { "2", "%-d", "(%d%d?)" },
    { "3", "%-I", "(%d%d?)" },
}
local NAMED = {
    rfc3339 = "2006-01-02T15:04:05Z07:00",
    iso8601 = "2006-01-02T15:04:05Z07:00",
    datetime = "2006-01-02 15:04:05",
    date = "2006-01-02",
    time = "15:04:05",
}
local SHORT = { ["%F"] = "%Y-%m-%d", ["%T"] = "%H:%M:%S", ["%R"] = "%H:%M", ["%D"] = "%m/%d/%y" }

-- Cuts a layout into its parts and the text between them.
local function parts_of(layout, what)
    layout = check.text(layout, what)
    layout = NAMED[layout] or layout
    local column = layout:find("%", 1, true) and 2 or 1
    layout = layout:gsub("%%[FTRD]", SHORT)
    local parts, at = {}, 1
    while at <= #layout do
        local found
        for index = 1, #PARTS do
            local text = PARTS[index][column]
            if layout:sub(at, at + #text - 1) == text then
                found = PARTS[index]
                break
            end
        end
        local text = found and found[column] or layout:sub(at, at)
        if text == "%" then
            local spec = layout:sub(at, at + 1)
            if spec ~= "%%" then
                errors.invalid(("%s: `%s` is not known in a layout"):format(what, spec))
            end
            at = at + 1
        end
        parts[#parts + 1] = found or text
        at = at + #text
    end
    return parts
end

--- time.now() gives the present moment in whole seconds.
function time.now()
    return os_time()
end

--- time.unix([seconds]) gives the present moment, or the given one in whole seconds.
function time.unix(seconds)
    return seconds == nil and os_time() or moment_of(seconds, "unix")
end

--- time.monotonic() gives seconds since the step began, with fractions; it never goes back.
function time.monotonic()
    return clock.monotonic()
end

--- time.sleep(seconds) lets time pass; other work of the task goes on. Also a text: "500ms", "2m".
function time.sleep(seconds)
    if seconds ~= 0 then
        fibers.sleep(duration.parse(seconds, "time.sleep") / 1000)
    end
end

--- time.format([moment[, layout="rfc3339"]]) gives a moment as text. A layout is the date 2006-01-02 15:04:05 as it
--- would be written, or os.date's ("%Y-%m-%d"), or one of rfc3339, datetime, date, time.
function time.format(moment, layout)
    moment = moment == nil and os_time() or moment_of(moment, "format")
    local parts = parts_of(layout or "rfc3339", "time.format")
    for index, part in ipairs(parts) do
        if type(part) == "table" then
            local spec, example = part[2], part[1]
            if spec == "%z" then
                parts[index] = example == "Z07:00" and "Z" or example:gsub("7", "0"):gsub("-", "+")
            elseif spec == "%Z" then
                parts[index] = "UTC"
            elseif #spec == 3 then
                parts[index] = os_date("!%" .. spec:sub(3), moment):gsub("^0", "")
            else
                parts[index] = os_date("!" .. spec, moment)
            end
        end
    end
    return concat(parts)
end

--- time.rfc3339([moment]) gives a moment as `2006-01-02T15:04:05Z`.
function time.rfc3339(moment)
    return time.format(moment, "rfc3339")
end

local MONTHS = {}
for index, name in ipairs({ "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec" }) do
    MONTHS[name] = index
end

-- The moment of what stands in a text, or nil. `found` has values by os.date's letters.
local function moment_from(found)
    local month = tonumber(found.m) or MONTHS[(found.B or found.b or "jan"):lower():sub(1, 3)]
    local year, day = tonumber(found.Y), tonumber(found.d or found.e) or 1
    if found.y then
        year = tonumber(found.y) + (tonumber(found.y) < 69 and 2000 or 1900)
    end
    local hour = tonumber(found.H or found.I) or 0
    if found.p then
        hour = hour % 12 + (found.p:lower() == "pm" and 12 or 0)
    end
    local minute, second = tonumber(found.M) or 0, tonumber(found.S) or 0
    if not month or hour > 23 or minute > 59 or second > 60 then
        return nil
    end
    local moment = os_time({ year = year or 1970, month = month, day = day, hour = hour, min = minute, sec = second })
    -- The 31st of a month of thirty days is the first of the next.
    if month < 1 or month > 12 or tonumber(os_date("!%d", moment - second)) ~= day then
        return nil
    end
    local sign, hours, minutes = (found.z or ""):match("^([+-])(%d%d):?(%d%d)$")
    if sign then
        local ahead = tonumber(hours) * 3600 + tonumber(minutes) * 60
        moment = moment - (sign == "+" and ahead or -ahead)
    end
    return moment
end

local function read(text, layout, what)
    local pattern, letters = { "^" }, {}
    for _, part in ipairs(parts_of(layout, what)) do
        if type(part) == "table" then
            letters[#letters + 1] = part[2]:sub(-1)
            pattern[#pattern + 1] = part[3]
        else
            pattern[#pattern + 1] = part:gsub("%W", "%%%0")
        end
    end
    pattern[#pattern + 1] = "$"
    local values = { text:match(concat(pattern)) }
    if not values[1] then
        return nil
    end
    local found = {}
    for index, letter in ipairs(letters) do
        found[letter] = values[index]
    end
    return moment_from(found)
end

local COMMON = {
    "2006-01-02T15:04:05Z07:00",
    "2006-01-02 15:04:05Z07:00",
    "2006-01-02T15:04:05",
    "2006-01-02 15:04:05",
    "2006-01-02 15:04",
    "2006-01-02",
    "Mon, 02 Jan 2006 15:04:05 MST",
    "Mon, 02 Jan 2006 15:04:05 -0700",
    "Mon Jan _2 15:04:05 2006",
    "Jan 2, 2006",
}

--- time.parse(text) reads the common ways to write a date; time.parse(layout, text) one of that layout. Gives the
--- moment in seconds, or nil and a message. Without a zone it is UTC.
function time.parse(layout, text)
    if text ~= nil then
        text = check.text(text, "time.parse")
        local moment = read(text, layout, "time.parse")
        if not moment then
            return nil, ("time.parse: `%s` is not a date of the layout `%s`"):format(text, layout)
        end
        return moment
    end
    text = check.text(layout, "time.parse"):match("^%s*(.-)%s*$")
    -- Fractions of a second are passed over.
    local whole = text:gsub("(:%d%d)[.,]%d+", "%1")
    for index = 1, #COMMON do
        local moment = read(whole, COMMON[index], "time.parse")
        if moment then
            return moment
        end
    end
    return nil, ("time.parse: `%s` is not a date; give its layout first"):format(text)
end

--- time.duration(text) gives the seconds of "1h30m", "500ms" and the like.
function time.duration(text)
    return duration.parse(text, "time.duration") / 1000
end
--- time.parse_duration(text) is time.duration.
time.parse_duration = time.duration

--- time.format_duration(seconds) gives a length of time as text: "1h30m", "2.5s".
function time.format_duration(seconds)
    if type(seconds) ~= "number" or seconds < 0 or seconds == math.huge then
        errors.invalid("time.format_duration: must be called with a number of seconds")
    end
    local text, rest = "", seconds
    for _, unit in ipairs({ { "d", 86400 }, { "h", 3600 }, { "m", 60 } }) do
        local count = rest // unit[2]
        if count > 0 then
            text, rest = ("%s%d%s"):format(text, count, unit[1]), rest - count * unit[2]
        end
    end
    return (rest > 0 or text == "") and ("%s%.6gs"):format(text, rest) or text
end

--- time.add(moment, duration) gives the moment so much later: time.add(time.now(), "1h").
function time.add(moment, length)
    return moment_of(moment, "add") + time.duration(length)
end

--- time.sub(moment, duration) gives the moment so much earlier.
function time.sub(moment, length)
    return moment_of(moment, "sub") - time.duration(length)
end

--- time.since(moment) gives the seconds that have passed since then.
function time.since(moment)
    return os_time() - moment_of(moment, "since")
end

--- time.truncate(moment, duration) gives the last full hour, day or other length before a moment.
function time.truncate(moment, length)
    return moment_of(moment, "truncate") // time.duration(length) * time.duration(length)
end

local function component(name, form)
    return function(moment)
        local text = os_date("!" .. form, moment == nil and os_time() or moment_of(moment, name))
        return tonumber(text) or text
    end
end

--- time.year([moment]) gives the year of a moment.
time.year = component("year", "%Y")
--- time.month([moment]) gives the month, 1 to 12.
time.month = component("month", "%m")
--- time.day([moment]) gives the day of the month.
time.day = component("day", "%d")
--- time.hour([moment]) gives the hour, 0 to 23.
time.hour = component("hour", "%H")
--- time.minute([moment]) gives the minute.
time.minute = component("minute", "%M")
--- time.second([moment]) gives the second.
time.second = component("second", "%S")
--- time.weekday([moment]) gives the day's English name.
time.weekday = component("weekday", "%A")

--- time.before(one, other) says whether one moment is before another.
function time.before(one, other)
    return moment_of(one, "before") < moment_of(other, "before")
end

--- time.after(one, other) says whether one moment is after another.
function time.after(one, other)
    return moment_of(one, "after") > moment_of(other, "after")
end

--- time.equal(one, other) says whether two moments are the same second.
function time.equal(one, other)
    return moment_of(one, "equal") == moment_of(other, "equal")
end

return names.close(time, "time", errors.invalid)
