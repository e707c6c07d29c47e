-- Changes inside a text file. Patterns are Lua's: https://www.lua.org/manual/5.4/manual.html#6.4.1
local need, host = ...

local errors, check = need("errors"), need("check")
local files = host.files
local concat, insert, remove = table.concat, table.insert, table.remove

local file_lines = {}

local STATES = { "present", "absent" }

-- Gives the lines of a file and whether the last one ends; an empty list if it may be made.
local function read(what, options)
    local content, problem = files.read(options.path)
    if problem then
        if problem.kind == "not-found" and (options.create or options.state == "absent") then
            return {}, true, nil
        end
        local _, message = errors.act(what, nil, problem)
        return nil, nil, message
    end
    local lines = {}
    local ends = content == "" or content:sub(-1) == "\n"
    for line in (ends and content or content .. "\n"):gmatch("([^\n]*)\n") do
        lines[#lines + 1] = line
    end
    return lines, ends, nil, content
end

-- Writes the lines if they differ from what was read.
local function write(what, options, lines, ends, before)
    local content = concat(lines, "\n")
    if #lines > 0 and ends then
        content = content .. "\n"
    end
    if content == (before or "") and not options.mode then
        return { changed = false, success = true, message = options.path .. " is so already" }
    end
    return errors.act(what, files.write(options.path, content, options.mode))
end

local function last_match(lines, pattern)
    for index = #lines, 1, -1 do
        if lines[index]:find(pattern) then
            return index
        end
    end
    return nil
end

-- Where a new line goes: after or before the last line that matches, at an end otherwise.
local function position(lines, options)
    local before, after = options.insertbefore, options.insertafter
    if before == "BOF" then
        return 1
    end
    local found = before and last_match(lines, before)
    if found then
        return found
    end
    found = after and after ~= "EOF" and last_match(lines, after)
    return found and found + 1 or #lines + 1
end

--- file_ops.lineinfile{path=, line=, regexp=, state="present"|"absent", insertafter=, insertbefore=, create=, mode=}
--- sees to one line. Present: the last line that matches `regexp`, a Lua pattern, becomes `line`; if none does, and
--- `line` is not there, it is put in. Absent: lines that match, or equal `line`, go. Also insertafter = "EOF" and
--- insertbefore = "BOF".
function file_lines.lineinfile(given)
    local what = "file_ops.lineinfile"
    local options = check.options(what, given, {
        path = "text!",
        line = "text",
        regexp = "text",
        state = STATES,
        insertafter = "text",
        insertbefore = "text",
        create = "boolean",
        mode = "mode",
    })
    if not options.line and (options.state ~= "absent" or not options.regexp) then
        errors.invalid(what .. ": the option `line` is missing")
    elseif options.line and options.line:find("\n") then
        errors.invalid(what .. ": line: is more than one line; use blockinfile")
    end
    local lines, ends, problem, before = read(what, options)
    if not lines then
        return nil, problem
    end
    if options.state == "absent" then
        for index = #lines, 1, -1 do
            local line = lines[index]
            local goes = options.regexp and line:find(options.regexp) or not options.regexp and line == options.line
            if goes then
                remove(lines, index)
            end
        end
        return write(what, { path = options.path }, lines, ends, before)
    end
    local found = options.regexp and last_match(lines, options.regexp)
    for index = 1, found and 0 or #lines do
        if lines[index] == options.line then
            found = index
        end
    end
    if found then
        lines[found] = options.line
    else
        local at = position(lines, options)
        insert(lines, at, options.line)
        -- A line put behind one that did not end ends itself.
        ends = ends or at == #lines
    end
    return write(what, options, lines, ends, before)
end

--- file_ops.blockinfile{path=, block=, marker="# {mark} SLOTH MANAGED BLOCK", state="present"|"absent", insertafter=,
--- insertbefore=, create=, mode=} sees to the lines between two marker lines; `{mark}` becomes BEGIN and END.
function file_lines.blockinfile(given)
    local what = "file_ops.blockinfile"
    local options = check.options(what, given, {
        path = "text!",
        block = "text",
        marker = "text",
        state = STATES,
        insertafter = "text",
        insertbefore = "text",
        create = "boolean",
        mode = "mode",
    })
    if not options.block and options.state ~= "absent" then
        errors.invalid(what .. ": the option `block` is missing")
    end
    local marker = options.marker or "# {mark} SLOTH MANAGED BLOCK"
    if not marker:find("{mark}", 1, true) then
        errors.invalid(what .. ": marker: must contain {mark}, which becomes BEGIN and END")
    end
    local lines, ends, problem, before = read(what, options)
    if not lines then
        return nil, problem
    end
    local first, last = marker:gsub("{mark}", "BEGIN"), marker:gsub("{mark}", "END")
    local from, to
    for index = 1, #lines do
        if lines[index] == first and not from then
            from = index
        elseif lines[index] == last and from and not to then
            to = index
        end
    end
    if from and to then
        for _ = from, to do
            remove(lines, from)
        end
    else
        from = nil
    end
    if options.state == "absent" then
        return write(what, { path = options.path }, lines, ends, before)
    end
    local at = from or position(lines, options)
    local block = { first }
    for line in (options.block:gsub("\n$", "") .. "\n"):gmatch("([^\n]*)\n") do
        block[#block + 1] = line
    end
    block[#block + 1] = last
    for index = #block, 1, -1 do
        insert(lines, at, block[index])
    end
    return write(what, options, lines, ends or at + #block > #lines, before)
end

--- file_ops.replace{path=, pattern=, replacement=} replaces every match of a Lua pattern in the whole text;
--- `%1` in the replacement is the first capture. The result has `count`.
function file_lines.replace(given)
    local what = "file_ops.replace"
    local options = check.options(what, given, { path = "text!", pattern = "text!", replacement = "bytes!" })
    local content, problem = errors.act(what, files.read(options.path))
    if not content then
        return nil, problem
    end
    local replaced, count = content:gsub(options.pattern, options.replacement)
    local result
    if replaced == content then
        result = { changed = false, success = true, message = options.path .. " is so already" }
    else
        result, problem = errors.act(what, files.write(options.path, replaced, nil))
        if not result then
            return nil, problem
        end
    end
    result.count = count
    return result
end

return file_lines
