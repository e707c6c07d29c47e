-- What of Lua's `os` acts on the machine, over `files` and `process`, and so under the policy.
local need, host = ...

local errors, check = need("errors"), need("check")
local files, exec, fs = host.files, need("exec"), need("fs").public

local os_calls = {}

--- os.execute([command]) runs a line of shell; gives true or nil, "exit" or "signal", and the code. Without a command
--- it says that there is a shell.
function os_calls.execute(command)
    if command == nil then
        return true
    end
    local result = exec.run(check.text(command, "os.execute"))
    return result.success or nil, result.signal and "signal" or "exit", result.signal or result.exit_code or 0
end

--- os.remove(path) removes a file or an empty folder; gives true, or nil and a message.
function os_calls.remove(path)
    path = check.text(path, "os.remove")
    local change, problem = errors.act("os.remove", files.remove(path, false))
    if change and not change.changed then
        return nil, path .. ": nothing is there", 2
    end
    return change and true or nil, problem
end

--- os.rename(from, to) renames a file or a folder; gives true, or nil and a message.
function os_calls.rename(from, to)
    from, to = check.text(from, "os.rename"), check.text(to, "os.rename")
    local change, problem = errors.act("os.rename", files.move(from, to))
    return change and true or nil, problem
end

--- os.tmpname() gives a path in the task's folder where nothing is yet.
function os_calls.tmpname()
    return fs.tmpname()
end

--- os.exit() raises an error: a task ends by what it returns.
function os_calls.exit()
    errors.invalid("os.exit: a task ends by returning; write `return true`, or `return false, \"why\"`")
end

return os_calls
