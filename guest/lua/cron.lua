-- Jobs in a file of cron's: /etc/cron.d/sloth-runner, or another. Each job is a line below one with its name. In
-- files of /etc/cron.d and in /etc/crontab a line names whom it runs as; in a user's crontab it does not.
local need, host = ...

local errors, check, names = need("errors"), need("check"), need("names")
local files = host.files
local type, tonumber, ipairs = type, tonumber, ipairs
local concat, insert, remove = table.concat, table.insert, table.remove

local cron = {}

local FILE = "/etc/cron.d/sloth-runner"
local MARK = "# SLOTH_NAME:"
local SPECIAL = "@hourly @daily @weekly @monthly @yearly @annually @midnight @reboot "
local FIELDS = {
    { "minute", 0, 59 },
    { "hour", 0, 23 },
    { "day of the month", 1, 31 },
    { "month", 1, 12, "jan feb mar apr may jun jul aug sep oct nov dec" },
    { "day of the week", 0, 7, "sun mon tue wed thu fri sat" },
}

local function number_of(text, field)
    local found = field[4] and #text == 3 and (field[4] .. " "):find(text:lower() .. " ", 1, true)
    local number = found and (found - 1) // 4 + field[2] or text:find("^%d+$") and tonumber(text)
    return number and number >= field[2] and number <= field[3] and number or nil
end

local function is_item(item, field)
    local range, step = item:match("^([^/]+)/(%d+)$")
    range = range or item
    if step and tonumber(step) == 0 then
        return false
    elseif range == "*" then
        return true
    end
    local first, last = range:match("^(%w+)%-(%w+)$")
    if first then
        first, last = number_of(first, field), number_of(last, field)
        return first ~= nil and last ~= nil and first <= last
    end
    return number_of(range, field) ~= nil
end

--- cron.validate_schedule(schedule) gives true, or false and what is wrong: five fields, or @daily and the like.
function cron.validate_schedule(schedule)
    schedule = check.text(schedule, "cron.validate_schedule")
    if schedule:sub(1, 1) == "@" then
        local known = SPECIAL:find(schedule .. " ", 1, true) ~= nil
        return known, not known and ("`%s` is none of %s"):format(schedule, SPECIAL:sub(1, -2)) or nil
    end
    local words = {}
    for word in schedule:gmatch("%S+") do
        words[#words + 1] = word
    end
    if #words ~= 5 or schedule:find("\n") then
        return false, "a schedule has five fields: minute, hour, day of the month, month, day of the week"
    end
    for index, word in ipairs(words) do
        for item in (word .. ","):gmatch("([^,]*),") do
            if not is_item(item, FIELDS[index]) then
                return false, ("`%s` is no %s"):format(word, FIELDS[index][1])
            end
        end
    end
    return true
end

local function file_of(options, what)
    if type(options) == "string" then
        options = { user = options }
    end
    local given = check.options(what, options, { file = "text", user = "text" })
    given.file = given.file or FILE
    return given
end

local function names_users(path)
    return path:find("/cron%.d/") ~= nil or path:find("/etc/crontab$") ~= nil
end

-- The lines of a file; none if it is not there.
local function lines_of(path, what)
    local content, problem = files.read(path)
    if problem and problem.kind == "not-found" then
        content, problem = "", nil
    end
    content, problem = errors.read(content, problem)
    if not content then
        return nil, ("%s: %s"):format(what, problem)
    end
    local lines = {}
    for line in (content:gsub("\n$", "") .. "\n"):gmatch("([^\n]*)\n") do
        lines[#lines + 1] = line
    end
    return content == "" and {} or lines
end

local function entry_of(line, path)
    local rest, disabled = line:gsub("^#%s*", "")
    local schedule, tail = rest:match("^(@%a+)%s+(.+)$")
    if not schedule then
        schedule, tail = rest:match("^(%S+%s+%S+%s+%S+%s+%S+%s+%S+)%s+(.+)$")
    end
    -- A line that only tells something reads like no schedule.
    if not schedule or not cron.validate_schedule(schedule) then
        return nil
    end
    local user
    if names_users(path) then
        user, tail = tail:match("^(%S+)%s+(.+)$")
    end
    return tail and { schedule = schedule, command = tail, user = user, enabled = disabled == 0 }
end

-- Where the line with a job's name stands.
local function find(lines, name)
    for index = 1, #lines - 1 do
        if lines[index] == MARK .. name then
            return index
        end
    end
    return nil
end

local function name_of(value, what)
    local name = check.text(value, what .. ": the name")
    if name == "" or name:find("[%c]") or name ~= name:match("^%s*(.-)%s*$") then
        errors.invalid(what .. ": the name must be one line without space at its ends")
    end
    return name
end

local function so_already(message)
    return { changed = false, success = true, message = message }
end

local function write(what, path, lines)
    return errors.act(what, files.write(path, #lines > 0 and concat(lines, "\n") .. "\n" or "", nil))
end

-- Changes the lines of a file about a job. `change` gets them and where the job stands, if it does; it gives a result
-- if they stay as they are.
local function edit(what, name, options, change)
    local path = file_of(options, what).file
    local lines, problem = lines_of(path, what)
    if not lines then
        return nil, problem
    end
    local result
    result, problem = change(lines, find(lines, name_of(name, what)), path)
    if result or problem then
        return result, problem
    end
    return write(what, path, lines)
end

--- cron.add{name=, schedule=, command=, user="root", file="/etc/cron.d/sloth-runner"} sees to it that a job of that
--- name is there, enabled, with that schedule and command. Needs to read and write the file.
function cron.add(given)
    local what = "cron.add"
    local options = check.options(what, given, {
        name = "text!",
        schedule = "text!",
        command = "text!",
        user = "text",
        file = "text",
    })
    local name, path = name_of(options.name, what), options.file or FILE
    local valid, problem = cron.validate_schedule(options.schedule)
    if not valid then
        errors.invalid(("%s: schedule: %s"):format(what, problem))
    elseif options.command:find("[\r\n]") or not options.command:find("%S") then
        errors.invalid(what .. ": command: must be one line")
    elseif options.user and (not names_users(path) or options.user:find("[^%w_.-]")) then
        errors.invalid(("%s: user: `%s` cannot stand in %s"):format(what, options.user, path))
    end
    local line = options.schedule:gsub("%s+", " ") .. " " .. options.command
    if names_users(path) then
        line = ("%s %s %s"):format(options.schedule:gsub("%s+", " "), options.user or "root", options.command)
    end
    return edit(what, name, { file = path }, function(lines, at)
        if at and lines[at + 1] == line then
            return so_already(("job %s is so already"):format(name))
        elseif at then
            lines[at + 1] = line
        else
            insert(lines, MARK .. name)
            insert(lines, line)
        end
    end)
end

--- cron.remove(name[, {file=}]) removes a job. None of that name is no change.
function cron.remove(name, options)
    return edit("cron.remove", name, options, function(lines, at)
        if not at then
            return so_already(("there is no job %s"):format(name))
        end
        remove(lines, at + 1)
        remove(lines, at)
    end)
end

--- cron.list([{file=, user=}]) gives a list of { name, schedule, command, user, enabled }, in the file's order; jobs
--- without a name too.
function cron.list(options)
    local given = file_of(options, "cron.list")
    local lines, problem = lines_of(given.file, "cron.list")
    if not lines then
        return nil, problem
    end
    local jobs = need("json").array({})
    for index, line in ipairs(lines) do
        local name = index > 1 and lines[index - 1]:sub(1, #MARK) == MARK and lines[index - 1]:sub(#MARK + 1) or nil
        local entry = line:sub(1, #MARK) ~= MARK and entry_of(line, given.file)
        -- What is commented out and has no name is a comment.
        if entry and (name or entry.enabled) and (not given.user or entry.user == given.user) then
            entry.name = name
            jobs[#jobs + 1] = entry
        end
    end
    return jobs
end

--- cron.exists(name[, {file=}]) says whether there is a job of that name.
function cron.exists(name, options)
    local lines, problem = lines_of(file_of(options, "cron.exists").file, "cron.exists")
    return lines ~= nil and find(lines, name_of(name, "cron.exists")) ~= nil, problem
end

local function switch(what, name, options, on)
    return edit(what, name, options, function(lines, at, path)
        if not at then
            return nil, ("%s: there is no job %s in %s"):format(what, name, path)
        end
        local line = lines[at + 1]
        if (line:sub(1, 1) ~= "#") == on then
            return so_already(("job %s is so already"):format(name))
        end
        lines[at + 1] = on and line:gsub("^#%s*", "") or "# " .. line
    end)
end

--- cron.enable(name[, {file=}]) lets a disabled job run again.
function cron.enable(name, options)
    return switch("cron.enable", name, options, true)
end

--- cron.disable(name[, {file=}]) keeps a job in the file, but as a comment.
function cron.disable(name, options)
    return switch("cron.disable", name, options, false)
end

return names.close(cron, "cron", errors.invalid)
