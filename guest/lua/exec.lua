-- Programs of the node.
local need = ...

local errors, check = need("errors"), need("check")
local fibers, run_as, name_of = need("fibers"), need("run_as"), need("secret").name_of
local type, pairs, rawlen, setmetatable = type, pairs, rawlen, setmetatable
local sort = table.sort

local exec = {}

local OPTIONS = {
    workdir = "text",
    env = "table",
    stdin = "bytes",
    timeout = "duration",
    user = "text",
    check = "boolean",
    creates = "text",
}

local function words_of(command, what)
    if type(command) == "table" then
        if rawlen(command) == 0 then
            errors.invalid(what .. ': the list of words is empty; write { "ls", "-l" }')
        end
        return check.texts(command, what)
    end
    return check.text(command, what .. ": the command")
end

local function by_name(left, right)
    return left[1] < right[1]
end

-- The contract takes pairs, those of secrets apart; sorted, equal tables make equal calls.
local function pairs_of(env, what)
    local texts, secrets = {}, {}
    local function add(name, value)
        local hidden, before = name_of(value)
        if hidden and before == "" then
            secrets[#secrets + 1] = { check.text(name, what), hidden }
        else
            texts[#texts + 1] = { check.text(name, what), check.text(value, what .. "." .. tostring(name)) }
        end
    end
    for name, value in pairs(run_as.env or {}) do
        if (env or {})[name] == nil then
            add(name, value)
        end
    end
    for name, value in pairs(env or {}) do
        add(name, value)
    end
    sort(texts, by_name)
    sort(secrets, by_name)
    return texts, secrets
end

local function explain(result)
    if result.timed_out then
        return "the time ran out"
    elseif result.signal then
        return ("ended by signal %d"):format(result.signal)
    end
    local last = result.stderr:match("([^\n]+)%s*$")
    local text = ("exit code %d"):format(result.exit_code)
    text = last and ("%s: %s"):format(text, last:sub(1, 300)) or text
    return result.hint and ("%s (hint: %s)"):format(text, result.hint) or text
end

-- An older way to call took the output for the answer. So an answer reads as its output where text is
-- wanted: `result .. "x"`, `result:match("…")`.
local meta = { __name = "result" }

function meta.__tostring(self)
    return self.stdout
end

function meta.__len(self)
    return #rawget(self, "stdout")
end

function meta.__concat(left, right)
    return tostring(left) .. tostring(right)
end

function meta.__index(self, key)
    local method = string[key]
    if method then
        return function(_, ...)
            return method(rawget(self, "stdout"), ...)
        end
    end
end

-- A program that is not there answers in the shape of one that failed, so that `result.success` can be
-- asked for without asking first whether there is a result.
local function absent(message)
    return setmetatable({
        success = false,
        changed = false,
        exit_code = 127,
        stdout = "",
        stderr = message,
        output = message,
        message = message,
        timed_out = false,
    }, meta)
end

local function run(what, command, options)
    local given = check.options(what, options, OPTIONS)
    local texts, secrets = pairs_of(given.env, what .. ": env")
    local result, problem = errors.act(what, fibers.run_program({
        command = words_of(command, what),
        workdir = given.workdir,
        env = texts,
        secrets = secrets,
        stdin = given.stdin,
        timeout = given.timeout,
        user = given.user or run_as.user,
        read_only = given.check or false,
        creates = given.creates,
    }))
    if not result then
        return absent(problem), problem, true
    end
    setmetatable(result, meta)
    result.output = result.stdout .. result.stderr
    -- Not run at all, in check mode or because of `creates`, is no failure.
    result.success = not result.timed_out and not result.signal and (result.exit_code or 0) == 0
    if result.success then
        return result, nil, false
    end
    result.message = explain(result)
    return result, result.message, true
end

--- exec.run(command[, {workdir=, env=, stdin=, timeout=, user=, check=, creates=}]) runs a program to its
--- end. The command is one line, or a list of words. Gives { success, changed, exit_code, signal, stdout,
--- stderr, output, message, timed_out, hint, resources } and, if it failed, the reason and true; `resources` is { user_time,
--- system_time, memory } in seconds and bytes. `check = true` says that the program changes nothing; `creates` names a
--- path that makes running it unnecessary. A value in `env` may be a secret.
function exec.run(command, options)
    -- exec.run{ "ls", "-l", workdir = "/" } carries its options beside the words.
    if type(command) == "table" and options == nil then
        local words, extra = {}, nil
        for key, value in pairs(command) do
            if type(key) == "number" then
                words[key] = value
            else
                extra = extra or {}
                extra[key] = value
            end
        end
        command, options = words, extra
    end
    return run("exec.run", command, options)
end

--- exec.sh(text[, options]) runs a line of shell; it needs `process.shell` if it holds shell syntax.
function exec.sh(text, options)
    return run("exec.sh", check.text(text, "exec.sh: the command"), options)
end

return exec
