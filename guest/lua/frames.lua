-- Where in the user's files something happened. The library's own files are named `=sloth:…` and never
-- shown.
local frames = {}

local getinfo = debug.getinfo
local concat, format = table.concat, string.format

-- Longer stacks are cut: a runaway recursion has two hundred thousand frames.
local LONGEST = 40

local function is_user(info)
    return info.source ~= "=[C]" and info.source:sub(1, 7) ~= "=sloth:"
end

local function file_name(info)
    local first = info.source:sub(1, 1)
    if first == "@" or first == "=" then
        return info.source:sub(2)
    end
    return info.short_src
end

--- Gives `file:line` of the innermost frame of the user's, or nil.
function frames.location()
    local level = 2
    while true do
        local info = getinfo(level, "Sl")
        if not info then
            return nil
        end
        if is_user(info) and info.currentline > 0 then
            return format("%s:%d", file_name(info), info.currentline)
        end
        level = level + 1
    end
end

--- Gives the line of the innermost frame of the user's, or 0.
function frames.line()
    local location = frames.location()
    return location and tonumber(location:match(":(%d+)$")) or 0
end

local function describe(info)
    if info.what == "main" then
        return "in the main chunk"
    elseif info.name and info.name ~= "?" then
        return format("in %s '%s'", info.namewhat == "method" and "method" or "function", info.name)
    end
    return format("in the function of line %d", info.linedefined)
end

--- Gives the user's frames, innermost first, one a line.
function frames.traceback()
    local lines = {}
    local level = 2
    while true do
        local info = getinfo(level, "Sln")
        if not info then
            break
        end
        if is_user(info) and info.currentline > 0 then
            if #lines == LONGEST then
                lines[#lines + 1] = "..."
                break
            end
            lines[#lines + 1] = format("%s:%d: %s", file_name(info), info.currentline, describe(info))
        end
        level = level + 1
    end
    return concat(lines, "\n")
end

--- Splits a message that Lua began with `file:line:` into that and the rest. Positions in the
--- library's own files are dropped: they say nothing to the user.
function frames.split(message)
    local location
    while true do
        local place, rest = message:match("^(sloth:[%w_]+:%d+): (.*)$")
        if not place then
            place, rest = message:match("^([^\n:]+:%d+): (.*)$")
            if not place then
                return location, message
            end
            location = place
        end
        message = rest
    end
end

return frames
