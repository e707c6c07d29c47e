-- What each key of a task stores. Both forms of a task go through these, so both accept and refuse the same.
local need = ...

local errors, check, names = need("errors"), need("check"), need("names")
local duration, capabilities, frames = need("duration"), need("capabilities"), need("frames")
local is_secret = need("secret").name_of
local type, pairs, tostring = type, pairs, tostring

local keys, sealed = {}, {}

local function what(spec, key)
    return ("%s of task `%s`"):format(key, spec.name)
end

local function list_of(value)
    if type(value) ~= "table" or sealed.of(value) then
        return { value }
    end
    return value
end

local function name_of(item, place)
    local other = sealed.of(item)
    return other and other.name or check.text(item, place)
end

local function append_names(spec, key, value)
    local list = list_of(value)
    local into = spec[key] or {}
    for index = 1, #list do
        into[#into + 1] = name_of(list[index], what(spec, key))
    end
    spec[key] = into
end

--- Says how a task's record is told from other tables; asked for by task.lua.
function sealed.by(of)
    sealed.of = of
end

local function runnable(spec, key, value)
    if type(value) ~= "function" and type(value) ~= "string" then
        errors.invalid(("%s: must be a function or a command line, not a %s"):format(what(spec, key), type(value)))
    end
    return value
end

function keys.description(spec, value)
    spec.description = check.text(value, what(spec, "description"))
end

function keys.command(spec, value)
    spec.command = runnable(spec, "command", value)
end

function keys.timeout(spec, value)
    spec.timeout = duration.parse(value, what(spec, "timeout"))
end

--- Reads delegate_to: a text, a list of texts, or a function of values, which is called when the file is planned.
function sealed.delegate(value, place)
    if type(value) == "function" then
        return value
    elseif type(value) == "table" then
        if value.address then
            errors.invalid(place .. ": an agent is known by its name, not by an address")
        end
        return need("json").array(check.texts(value, place))
    end
    return check.text(value, place)
end

function keys.delegate_to(spec, value)
    spec.delegate_to = sealed.delegate(value, what(spec, "delegate_to"))
end

function keys.workdir(spec, value)
    local workdir = check.text(value, what(spec, "workdir"))
    -- Empty means what leaving it out means: the step's own folder.
    spec.workdir = workdir ~= "" and workdir or nil
end

function keys.user(spec, value)
    spec.user = check.text(value, what(spec, "user"))
end

function keys.env(spec, value)
    if type(value) ~= "table" then
        errors.invalid(what(spec, "env") .. ': must be a table of names and values, such as { LANG = "C" }')
    end
    local env = {}
    for name, text in pairs(value) do
        env[check.text(name, what(spec, "env"))] = is_secret(text) and text
            or check.text(text, what(spec, "env") .. "." .. tostring(name))
    end
    spec.env = env
end

function keys.params(spec, value)
    spec.params = check.table(value, what(spec, "params"))
end

function keys.capabilities(spec, value)
    spec.capabilities = capabilities.read(value, what(spec, "capabilities"))
end

function keys.depends_on(spec, value)
    append_names(spec, "depends_on", value)
end

function keys.next_if_fail(spec, value)
    append_names(spec, "next_if_fail", value)
end

function keys.consumes(spec, value)
    append_names(spec, "consumes", value)
end

function keys.artifacts(spec, value)
    spec.artifacts = check.texts(value, what(spec, "artifacts"))
end

keys["async"] = function(spec, value)
    spec.async = check.flag(value, what(spec, "async"))
end

function keys.uses(spec, value)
    local base = sealed.of(value)
    if not base and type(value) == "table" then
        base = sealed.read(value, what(spec, "uses"))
    elseif not base then
        errors.invalid(what(spec, "uses") .. ": must be a task to inherit from, or a table such as one")
    end
    spec.uses = base
end

local RETRY = { n = true, delay = true, backoff = true, max_delay = true, jitter = true, on = true }
local OUTCOMES = { failed = true, ["timed-out"] = true, denied = true }

--- Reads retries: a number, or { n=, delay=, backoff=, max_delay=, jitter=, on= }.
function sealed.retries(value, place, backoff)
    local given = type(value) == "table" and value or { n = value }
    for key in pairs(given) do
        if not RETRY[key] then
            local message = ("%s: unknown key `%s`%s"):format(place, tostring(key), names.suggest(tostring(key), RETRY))
            errors.invalid(message, frames.near(key))
        end
    end
    backoff = given.backoff or backoff
    if math.type(given.n) ~= "integer" or given.n < 0 or given.n > 1000 then
        errors.invalid(place .. ": must be a whole number from 0 to 1000, or a table such as { n = 3 }")
    elseif backoff ~= nil and backoff ~= "constant" and backoff ~= "exponential" then
        errors.invalid(place .. ': backoff must be "constant" or "exponential"')
    elseif given.jitter ~= nil then
        check.flag(given.jitter, place .. ": jitter")
    end
    local on
    if given.on ~= nil then
        on = check.texts(given.on, place .. ": on")
        for index = 1, #on do
            if not OUTCOMES[on[index]] then
                errors.invalid(('%s: on: unknown outcome `%s`; write "failed", "timed-out" or "denied"'):format(place, on[index]))
            end
        end
    end
    return {
        n = given.n,
        delay = given.delay and duration.parse(given.delay, place .. ": delay"),
        max_delay = given.max_delay and duration.parse(given.max_delay, place .. ": max_delay"),
        backoff = backoff,
        jitter = given.jitter,
        on = on and need("json").array(on),
    }
end

function keys.retries(spec, value, backoff)
    spec.retries = sealed.retries(value, what(spec, "retries"), backoff)
end

function keys.run_if(spec, value)
    spec.run_if = runnable(spec, "run_if", value)
end

function keys.abort_if(spec, value)
    spec.abort_if = runnable(spec, "abort_if", value)
end

for _, key in pairs({ "pre_hook", "post_hook", "on_success", "on_failure", "on_timeout" }) do
    keys[key] = function(spec, value)
        spec[key] = check.hook(value, what(spec, key))
    end
end

-- Other names of the same.
keys.run, keys.condition, keys.on_fail = keys.command, keys.run_if, keys.on_failure
keys.pre_exec, keys.post_exec = keys.pre_hook, keys.post_hook

sealed.keys = keys
return sealed
