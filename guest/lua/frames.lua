-- Where in the user's files something happened. The library's own functions have neither file nor line, and
-- are never shown.
local frames = {
    --- Where something is at fault when no frame of the user's is there, as in what a file only assigns.
    owner = nil,
    --- Where the keys begin of what a file only assigns.
    from = nil,
    --- The line of the first function of the table that is being read.
    begins = nil,
}

local getinfo = debug.getinfo
local concat, format, type = table.concat, string.format, type

-- Longer stacks are cut: a runaway recursion has two hundred thousand frames.
local LONGEST = 40

local function is_user(info)
    return info.source ~= "=[C]" and info.source ~= "=?"
end

local function file_name(info)
    local first = info.source:sub(1, 1)
    if first == "@" or first == "=" then
        return info.source:sub(2)
    end
    return info.short_src
end

--- Gives `file:line` of the innermost frame of the user's, or nil; and the line alone, or 0.
function frames.location()
    -- Who asks is a function of the library.
    local level = 3
    while true do
        local info = getinfo(level, "Sl")
        if not info then
            return nil, 0
        end
        if is_user(info) and info.currentline > 0 then
            return format("%s:%d", file_name(info), info.currentline), info.currentline
        end
        level = level + 1
    end
end

--- Gives `file:line` where a function of the user's begins, and the line alone; or nil.
function frames.defined(body)
    local info = getinfo(body, "S")
    if is_user(info) and info.linedefined > 0 then
        return format("%s:%d", file_name(info), info.linedefined), info.linedefined
    end
    return nil
end

local function describe(info)
    if info.what == "main" then
        return "in the main chunk"
    elseif info.namewhat == "metamethod" then
        return format("in metamethod '%s'", info.name)
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

-- The names of the scripts, by how Lua shortens them at the start of a message.
local scripts = {}

-- The texts of the scripts while they load, by name.
local texts = {}

--- Forgets the texts: everything is loaded.
function frames.leave()
    texts, frames.owner, frames.from, frames.begins = {}, nil, nil, nil
end

--- Gives `file:line` of a key of some table and the line alone, or nil: of the places where `key =` stands, from the
--- line of `from` on, that which is nearest to the line `near`.
function frames.key(key, from, near)
    local name, first = (from or ""):match("^(.*):(%d+)$")
    local text = texts[name]
    if not text or type(key) ~= "string" or #key > 64 then
        return nil
    end
    first = tonumber(first)
    near = near or first
    local pattern = "%f[%w_]" .. key:gsub("%W", "%%%0") .. "%f[^%w_][\"'%]]*%s*=%f[^=]"
    local line, position, best = 1, 1, nil
    while true do
        local start = text:find(pattern, position)
        if not start then
            break
        end
        local _, passed = text:sub(position, start - 1):gsub("\n", "")
        line, position = line + passed, start + 1
        if line >= first and (not best or math.abs(line - near) < math.abs(best - near)) then
            best = line
        end
    end
    return best and format("%s:%d", name, best), best
end

--- Gives the place of a key of the table that is being read, or nil.
function frames.near(key)
    local from = frames.location() or frames.from
    return frames.key(key, from, frames.begins)
end

--- Says under which name a script is loaded, and what it says.
function frames.enter(name, text)
    texts[name] = text
    -- As Lua itself shortens it: 59 bytes at most, the end of it where it is longer.
    scripts[#name < 60 and name or "..." .. name:sub(-56)] = name
end

--- Splits a message that Lua began with `file:line:` into that and the rest. Positions in the
--- library's own files are dropped: they say nothing to the user. What only looks like a position, as in
--- `localhost:80: refused`, stays.
function frames.split(message)
    local location
    while true do
        local rest = message:match("^%?:%-1: (.*)$")
        if not rest then
            local place
            local short, line, after = message:match("^(.-):(%d+): (.*)$")
            if short and scripts[short] then
                place, rest = format("%s:%s", scripts[short], line), after
            else
                place, rest = message:match('^(%[string "[^\n]*"%]:%d+): (.*)$')
            end
            if not place then
                return location, message
            end
            location = place
        end
        message = rest
    end
end

return frames
