-- Trying again, and not trying for a while what keeps failing.
local need, host = ...

local errors, check, names, duration = need("errors"), need("check"), need("names"), need("duration")
local fibers, clock = need("fibers"), need("clock")
local type, pairs, pcall, tostring, setmetatable, error = type, pairs, pcall, tostring, setmetatable, error
local pack, unpack, sort = table.pack, table.unpack, table.sort
local random, min = math.random, math.min

local reliability = {}

--- reliability.strategy names ways to wait: FIXED_DELAY, EXPONENTIAL_BACKOFF, LINEAR_BACKOFF.
reliability.strategy = { FIXED_DELAY = 0, EXPONENTIAL_BACKOFF = 1, LINEAR_BACKOFF = 2 }

local WAYS = { [0] = "constant", [1] = "exponential", [2] = "linear" }

local function whole(value, what, least)
    if math.type(value) ~= "integer" and math.tointeger(value) == nil or value < least then
        errors.invalid(("%s: must be a whole number from %d"):format(what, least))
    end
    return math.tointeger(value)
end

local function callable(body, what)
    if type(body) ~= "function" then
        errors.invalid(what .. ": must be called with a function")
    end
    return body
end

-- Calls once. Gives its values packed, and why it failed, if so: it raised an error, or gave false, or a text as
-- its second value. That the script is wrong, or may not do this, is no failure to be borne.
local function attempt(body)
    local values = pack(pcall(body))
    if not values[1] then
        local raised = values[2]
        if errors.is(raised) and raised.kind ~= "failed" then
            error(raised, 0)
        end
        return nil, errors.describe(raised).message
    end
    local reason = values[3]
    if type(reason) == "string" and reason ~= "" then
        return nil, reason
    elseif values[2] == false then
        return nil, "it gave false"
    end
    return values
end

-- Seconds, 0 as well.
local function seconds(value, what)
    return value == 0 and 0 or duration.parse(value, what) / 1000
end

local ALIASES = { max_attempts = "attempts", initial_delay = "delay", strategy = "backoff" }

local function options_of(given, what)
    local options = { attempts = 3, delay = 1, backoff = "exponential", multiplier = 2, max_delay = 60, jitter = true }
    local known = {
        attempts = 1, delay = 1, backoff = 1, multiplier = 1, max_delay = 1, jitter = 1, on_retry = 1,
        max_attempts = 1, initial_delay = 1, strategy = 1,
    }
    if type(given) ~= "table" then
        errors.invalid(what .. ": must be called with a table of options")
    end
    for key, value in pairs(given) do
        if not known[key] then
            errors.invalid(("%s: unknown option `%s`%s"):format(what, tostring(key), names.suggest(tostring(key), known)))
        end
        options[ALIASES[key] or key] = value
    end
    options.attempts = whole(options.attempts, what .. ": attempts", 1)
    options.delay = seconds(options.delay, what .. ": delay")
    options.max_delay = seconds(options.max_delay, what .. ": max_delay")
    local way = WAYS[options.backoff] or options.backoff
    if way ~= "constant" and way ~= "exponential" and way ~= "linear" then
        errors.invalid(what .. ': backoff: must be one of "constant", "linear", "exponential"')
    end
    options.backoff = way
    if type(options.multiplier) ~= "number" or options.multiplier < 1 then
        errors.invalid(what .. ": multiplier: must be a number from 1")
    end
    return options
end

local function delay_before(options, number)
    local factor = 1
    if options.backoff == "exponential" then
        factor = options.multiplier ^ (number - 1)
    elseif options.backoff == "linear" then
        factor = number
    end
    local wait = min(options.delay * factor, options.max_delay)
    -- Half of it up to all of it, so that many who failed together do not come back together.
    return options.jitter and wait * (0.5 + random() / 2) or wait
end

local function retry(options, body)
    local reason
    for number = 1, options.attempts do
        local values
        values, reason = attempt(body)
        if values then
            return unpack(values, 2, values.n)
        end
        if number < options.attempts then
            local wait = delay_before(options, number)
            if options.on_retry then
                options.on_retry(number, wait, reason)
            end
            if wait > 0 then
                fibers.sleep(wait)
            end
        end
    end
    return nil, ("failed %d times: %s"):format(options.attempts, reason)
end

--- reliability.retry({attempts=3, delay=1, backoff="exponential"|"linear"|"constant", multiplier=2, max_delay=60,
--- jitter=true, on_retry=}, function) calls a function until it succeeds; gives what it gave, or nil and why the last
--- attempt failed. It fails by an error, by false, or by a text as its second value; a refused call is not tried
--- again. Also reliability.retry(attempts, delay, function), and times as "500ms".
function reliability.retry(options, second, third)
    local what = "reliability.retry"
    if type(options) == "table" then
        return retry(options_of(options, what), callable(second, what))
    end
    return retry(options_of({ attempts = options, delay = second }, what), callable(third, what))
end

--- reliability.retry_with_config(options, function) is retry; options may be named max_attempts, initial_delay,
--- strategy too.
function reliability.retry_with_config(options, body)
    local what = "reliability.retry_with_config"
    return retry(options_of(options, what), callable(body, what))
end

--- reliability.timeout(duration, function, ...) gives a function so much time ("2s", or seconds): gives what it gave, or
--- nil and why it failed, which is "timeout exceeded" when the time ran out. It is given up where it waits: a sleep, a
--- program or a request ends there. What never waits, such as a loop that only counts or a call within a sort
--- comparator, cannot be interrupted and ends by the task's own timeout.
function reliability.timeout(time, body, ...)
    local what = "reliability.timeout"
    local limit = seconds(time, what)
    local fiber = fibers.start(callable(body, what), ...)
    local done, result = fibers.join(fiber, limit)
    if done then
        return unpack(result, 2, result.n)
    elseif done == nil then
        fibers.drop(fiber)
        return nil, "timeout exceeded"
    elseif result.kind ~= "failed" then
        errors.again(result)
    end
    return nil, result.message
end

local breaker = {}
breaker.__index, breaker.__name = breaker, "circuit breaker"
local circuits = {}

local function enter(self, state)
    local before = self.current
    self.current = state
    if before ~= state and self.options.on_state_change then
        self.options.on_state_change(before, state)
    end
end

-- Seconds of the node's clock: that of a step begins anew with each, and a breaker outlives them. A clock that was
-- set back counts from there.
local function since_opened(self)
    local now = clock.now()
    self.opened = min(self.opened, now)
    return now - self.opened
end

--- breaker:state() gives "closed" (calls pass), "open" (they fail at once) or "half-open" (the next one tells).
function breaker:state()
    if self.current == "open" and since_opened(self) >= self.options.timeout then
        enter(self, "half-open")
        self.good = 0
    end
    return self.current
end

--- breaker:call(function) calls a function unless the breaker is open; gives what it gave, or nil and a message.
function breaker:call(body)
    callable(body, "circuit breaker")
    if self:state() == "open" then
        self.refused = self.refused + 1
        return nil, ("the circuit `%s` is open"):format(self.name)
    end
    self.requests = self.requests + 1
    local values, reason = attempt(body)
    if values then
        self.successes, self.good, self.bad = self.successes + 1, self.good + 1, 0
        if self.current == "half-open" and self.good >= self.options.success_threshold then
            enter(self, "closed")
        end
        return unpack(values, 2, values.n)
    end
    self.failures, self.bad, self.good = self.failures + 1, self.bad + 1, 0
    if self.current == "half-open" or self.bad >= self.options.max_failures then
        self.opened = clock.now()
        enter(self, "open")
    end
    return nil, reason
end

--- breaker:stats() gives { state, requests, total_success, total_failures, consecutive_success,
--- consecutive_failures, refused }.
function breaker:stats()
    return {
        state = self:state(),
        requests = self.requests,
        total_success = self.successes,
        total_failures = self.failures,
        consecutive_success = self.good,
        consecutive_failures = self.bad,
        refused = self.refused,
    }
end

--- breaker:reset() closes the breaker and forgets what it counted.
function breaker:reset()
    self.requests, self.successes, self.failures, self.refused, self.good, self.bad = 0, 0, 0, 0, 0, 0
    enter(self, "closed")
end

--- reliability.circuit_breaker(name[, {max_failures=5, timeout=60, success_threshold=1, on_state_change=}[, function]])
--- gives the breaker of that name, made if it is new, or calls the function through it. After `max_failures` in a row
--- calls fail at once, until `timeout` has passed. A breaker lives as long as the loaded file.
function reliability.circuit_breaker(name, options, body)
    local what = "reliability.circuit_breaker"
    name = check.text(name, what)
    local found = circuits[name]
    if not found then
        local given = { max_failures = 5, timeout = 60, success_threshold = 1 }
        local known = { max_failures = 1, timeout = 1, success_threshold = 1, on_state_change = 1 }
        for key, value in pairs(options or {}) do
            if not known[key] then
                errors.invalid(
                    ("%s: unknown option `%s`%s"):format(what, tostring(key), names.suggest(tostring(key), known))
                )
            end
            given[key] = value
        end
        given.max_failures = whole(given.max_failures, what .. ": max_failures", 1)
        given.success_threshold = whole(given.success_threshold, what .. ": success_threshold", 1)
        given.timeout = seconds(given.timeout, what .. ": timeout")
        found = setmetatable({ name = name, options = given, current = "closed" }, breaker)
        found:reset()
        circuits[name] = found
    end
    if body ~= nil then
        return found:call(body)
    end
    return found
end

local function known(name, what)
    local found = circuits[check.text(name, what)]
    return found, not found and ("there is no circuit breaker `%s`"):format(name) or nil
end

--- reliability.get_circuit_stats(name) gives what breaker:stats() gives, or nil and a message.
function reliability.get_circuit_stats(name)
    local found, problem = known(name, "reliability.get_circuit_stats")
    return found and found:stats(), problem
end

--- reliability.reset_circuit(name) closes a breaker; gives true, or false and a message.
function reliability.reset_circuit(name)
    local found, problem = known(name, "reliability.reset_circuit")
    if found then
        found:reset()
    end
    return found ~= nil, problem
end

--- reliability.list_circuits() gives the names of all breakers, sorted.
function reliability.list_circuits()
    local list = need("json").array({})
    for name in pairs(circuits) do
        list[#list + 1] = name
    end
    sort(list)
    return list
end

return names.close(reliability, "reliability", errors.invalid)
