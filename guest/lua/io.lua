-- Lua's `io` over `files` and `process`, and so under the policy. A file is read as a whole when it is opened,
-- and written when it is flushed or closed, or when the task ends.
local need, host = ...

local errors, check, names = need("errors"), need("check"), need("names")
local files, exec, log, leftovers = host.files, need("exec"), need("log"), need("leftovers")
local type, tonumber, tostring, select, pairs = type, tonumber, tostring, select, pairs
local setmetatable, getmetatable, rawget, error = setmetatable, getmetatable, rawget, error
local concat, min, max = table.concat, math.min, math.max

local io = {}
local file = {}
local meta = { __name = "FILE*", __index = file }
local open = {}

function meta.__tostring(self)
    return self.closed and "file (closed)" or ("file (%s)"):format(self.path)
end

local function handle_of(value, what)
    if getmetatable(value) ~= meta then
        errors.invalid(what .. ": must be called on a file, with a colon: f:read()")
    elseif value.closed then
        errors.invalid(what .. ": the file is closed")
    end
    return value
end

local function made(handle)
    handle.at, handle.pieces, handle.fresh = 1, handle.pieces or {}, 0
    if handle.writes then
        open[handle] = true
    end
    return setmetatable(handle, meta)
end

-- What was written becomes part of the text.
local function settle(handle)
    if handle.fresh == 0 then
        return
    end
    local added = concat(handle.pieces)
    handle.pieces, handle.fresh, handle.dirty = {}, 0, true
    if handle.appends then
        handle.added = (handle.added or "") .. added
        handle.text = handle.text .. added
        handle.at = #handle.text + 1
        return
    end
    local text, from = handle.text, handle.at - #added
    if from > #text + 1 then
        text = text .. ("\0"):rep(from - 1 - #text)
    end
    handle.text = text:sub(1, from - 1) .. added .. text:sub(handle.at)
end

local function flush(handle)
    settle(handle)
    if not handle.dirty or handle.command then
        return true
    end
    handle.dirty = false
    if handle.appends then
        local added = handle.added
        handle.added = nil
        return errors.act("io", files.append(handle.path, added))
    end
    return errors.act("io", files.write(handle.path, handle.text, nil))
end

local function take(handle, format)
    local text, at = handle.text, handle.at
    if type(format) == "number" then
        if at > #text then
            return nil
        end
        handle.at = min(at + format, #text + 1)
        return text:sub(at, handle.at - 1)
    end
    format = tostring(format):gsub("^%*", ""):sub(1, 1)
    if format == "a" then
        handle.at = #text + 1
        return text:sub(at)
    elseif format == "l" or format == "L" then
        if at > #text then
            return nil
        end
        local stop = text:find("\n", at, true)
        handle.at = (stop or #text) + 1
        return text:sub(at, format == "L" and handle.at - 1 or (stop or #text + 1) - 1)
    elseif format == "n" then
        local first, last = text:find("^%s*[+-]?[%w.]+", at)
        local number = first and tonumber(text:sub(first, last))
        handle.at = number and last + 1 or at
        return number
    end
    errors.invalid('io: a format to read is "l", "L", "a", "n" or a number of bytes')
end

--- f:read([format, …]) gives what stands next: a line ("l", as without a format; "L" with its end), all that is left
--- ("a"), a number ("n") or so many bytes; nil at the end.
function file:read(...)
    local handle = handle_of(self, "read")
    if handle.output then
        errors.invalid("io.read: a task has no standard input; read a file or `params`")
    end
    settle(handle)
    local results = {}
    local count = max(1, select("#", ...))
    for index = 1, count do
        results[index] = take(handle, (select(index, ...)) or "l")
        if results[index] == nil then
            break
        end
    end
    return table.unpack(results, 1, count)
end

--- f:lines([format]) gives an iterator over what is left, line by line.
function file:lines(format)
    local handle = handle_of(self, "lines")
    return function()
        return file.read(handle, format or "l")
    end
end

--- f:write(…) adds texts and numbers at the place reached; gives the file.
function file:write(...)
    local handle = handle_of(self, "write")
    local texts = {}
    for index = 1, select("#", ...) do
        texts[index] = check.bytes((select(index, ...)), "io: what is written")
    end
    local text = concat(texts)
    if handle.output then
        -- A message of the step is a line.
        text = text:gsub("\n$", "")
        if text ~= "" then
            log[handle.output](text)
        end
        return self
    elseif not handle.writes then
        return nil, handle.path .. ": was opened for reading", 9
    end
    handle.pieces[#handle.pieces + 1] = text
    handle.fresh, handle.at = handle.fresh + 1, handle.at + #text
    return self
end

--- f:seek([whence[, offset]]) sets the place ("set", "cur", "end") and gives it, in bytes from the beginning.
function file:seek(whence, offset)
    local handle = handle_of(self, "seek")
    settle(handle)
    local from = ({ set = 0, cur = handle.at - 1, ["end"] = #handle.text })[whence or "cur"]
    if not from then
        errors.invalid('seek: must be one of "set", "cur", "end"')
    end
    local place = from + (offset or 0)
    if place < 0 then
        return nil, handle.path .. ": there is nothing before the beginning", 22
    end
    handle.at = place + 1
    return place
end

--- f:flush() writes what is still to be written; gives the file, or nil and a message.
function file:flush()
    local fine, problem = flush(handle_of(self, "flush"))
    if not fine then
        return nil, problem
    end
    return self
end

--- f:setvbuf() changes nothing.
function file:setvbuf()
    return true
end

local function ending(result)
    return result.success or nil, result.signal and "signal" or "exit", result.signal or result.exit_code or 0
end

--- f:close() writes the file; of a program it gives true or nil, "exit" and the code.
function file:close()
    local handle = handle_of(self, "close")
    if handle.output then
        return nil, "a task cannot close its output"
    end
    local fine, problem = flush(handle)
    handle.closed, open[handle] = true, nil
    if handle.command and handle.writes then
        handle.result = exec.run(handle.command, { stdin = handle.text })
    end
    if handle.result then
        return ending(handle.result)
    end
    return fine and true or nil, problem
end

meta.__close = function(handle)
    if not handle.closed then
        file.close(handle)
    end
end

leftovers.close = function()
    local list = {}
    for handle in pairs(open) do
        list[#list + 1] = handle
    end
    table.sort(list, function(left, right)
        return left.path < right.path
    end)
    for index = 1, #list do
        file.close(list[index])
    end
end

--- io.open(path[, mode="r"]) gives a file to read ("r"), write ("w"), add to ("a") or both ("r+", "w+", "a+"), or nil
--- and a message.
function io.open(path, mode)
    path, mode = check.text(path, "io.open: the path"), check.text(mode or "r", "io.open: the mode")
    local kind, both = mode:match("^([rwa])(%+?)b?$")
    if not kind then
        errors.invalid(('io.open: `%s` is not a mode; write "r", "w", "a", "r+", "w+" or "a+"'):format(mode))
    end
    local text = ""
    if kind == "r" or both ~= "" and kind == "a" then
        local problem
        local content, failed = files.read(path)
        if failed and failed.kind == "not-found" and kind == "a" then
            content, failed = "", nil
        end
        text, problem = errors.read(content, failed)
        if not text then
            return nil, problem, 2
        end
    elseif kind == "w" then
        local fine, problem = errors.act("io.open", files.write(path, "", nil))
        if not fine then
            return nil, problem, 2
        end
    end
    return made({ path = path, text = text, writes = kind ~= "r" or both ~= "", appends = kind == "a" })
end

--- io.lines(path[, format]) gives an iterator over a file's lines.
function io.lines(path, format)
    local handle, problem = io.open(path, "r")
    if not handle then
        error(problem, 2)
    end
    return handle:lines(format)
end

--- io.popen(command[, mode="r"]) runs a program to its end and gives a file with its output; with "w" it is run when
--- the file is closed, with what was written as its input. Needs `process.run`.
function io.popen(command, mode)
    command = check.text(command, "io.popen")
    if mode == "w" then
        return made({ path = command, text = "", writes = true, command = command })
    elseif mode ~= nil and mode ~= "r" then
        errors.invalid('io.popen: the mode must be "r" or "w"')
    end
    local result = exec.run(command)
    return made({ path = command, text = result.stdout, command = command, result = result })
end

--- io.write(…) writes a message of the step, as `print` does.
function io.write(...)
    return io.stdout:write(...)
end

--- io.read() raises an error: a task has no standard input.
function io.read()
    return io.stdin:read()
end

--- io.input() raises an error: a task has no standard input.
function io.input()
    errors.invalid("io.input: a task has no standard input; io.open gives a file to read")
end

--- io.output() raises an error: what a task prints is its log.
function io.output()
    errors.invalid("io.output: what a task prints is its log; io.open(path, \"w\") gives a file to write")
end

--- io.tmpfile() raises an error: os.tmpname gives a name in the step's own folder, which io.open opens.
function io.tmpfile()
    errors.invalid("io.tmpfile: open a file of the step's own folder, as in io.open(os.tmpname(), \"w+\")")
end

--- io.close(file) closes a file.
function io.close(handle)
    return file.close(handle)
end

--- io.type(value) gives "file" or "closed file", or nil for anything else.
function io.type(value)
    if getmetatable(value) ~= meta then
        return nil
    end
    return value.closed and "closed file" or "file"
end

io.stdin = made({ path = "stdin", text = "", output = "print" })
io.stdout = made({ path = "stdout", text = "", output = "print" })
io.stderr = made({ path = "stderr", text = "", output = "warn" })

return names.close(io, "io", errors.invalid)
