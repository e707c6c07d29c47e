-- Work beside other work: programs, sleeps and what else waits overlap. Times are in milliseconds.
local need = ...

local errors, check, fibers = need("errors"), need("check"), need("fibers")
local channel, locks = need("channel"), need("locks")
local signals, context, flow = need("signals"), need("context"), need("flow")
local type, select, tostring, setmetatable = type, select, tostring, setmetatable
local unpack = table.unpack

local goroutine = {
    channel = channel.make,
    select = channel.select,
    select_timeout = channel.select_timeout,
    mutex = locks.mutex,
    rwmutex = locks.rwmutex,
    semaphore = locks.semaphore,
    wait_group = locks.wait_group,
    atomic_int = signals.atomic_int,
    once = signals.once,
    cond = signals.cond,
    context = context.make,
    pipeline = flow.pipeline,
    fan_out = flow.fan_out,
    fan_in = flow.fan_in,
}

--- goroutine.channel_send(channel, value) is channel:send(value).
goroutine.channel_send = channel.methods.send
--- goroutine.channel_receive(channel) is channel:receive().
goroutine.channel_receive = channel.methods.receive
--- goroutine.channel_close(channel) is channel:close().
goroutine.channel_close = channel.methods.close
--- goroutine.channel_len(channel) is channel:len().
goroutine.channel_len = channel.methods.len
--- goroutine.channel_cap(channel) is channel:cap().
goroutine.channel_cap = channel.methods.cap

local function callable(body, what)
    if type(body) ~= "function" then
        errors.invalid(("%s: must be called with a function, not a %s"):format(what, type(body)))
    end
    return body
end

local function milliseconds(value, what)
    if type(value) ~= "number" or not (value >= 0) then
        errors.invalid(what .. ": the time must be a number of milliseconds")
    end
    return value / 1000
end

local handle_meta = { __name = "handle" }

local function start(body, ...)
    return setmetatable({ fiber = fibers.start(body, ...) }, handle_meta)
end

local function fiber_of(handle, what)
    if type(handle) ~= "table" or getmetatable(handle) ~= handle_meta then
        errors.invalid(what .. ": must be called with what goroutine.async gave")
    end
    return handle.fiber
end

--- goroutine.spawn(f, ...) starts a function beside the task and gives a handle for await. The task ends when
--- all it started has ended; an error that nobody awaits fails the task.
function goroutine.spawn(body, ...)
    return start(callable(body, "goroutine.spawn"), ...)
end

--- goroutine.spawn_many(n, f) starts a function n times, with 1 to n.
function goroutine.spawn_many(count, body)
    callable(body, "goroutine.spawn_many")
    local handles = {}
    for index = 1, count do
        handles[index] = start(body, index)
    end
    return handles
end

--- goroutine.async(f, ...) starts a function and gives a handle for await.
function goroutine.async(body, ...)
    return start(callable(body, "goroutine.async"), ...)
end

--- goroutine.await(handle) waits for a function's end: gives true and its values, or false and why it failed.
function goroutine.await(handle)
    local done, result = fibers.join(fiber_of(handle, "goroutine.await"))
    if done then
        return unpack(result, 1, result.n)
    end
    return false, result.message
end

--- goroutine.await_all(handles) waits for all of a list: gives a list of { success, values } or { success,
--- error }.
function goroutine.await_all(handles)
    if type(handles) ~= "table" then
        errors.invalid("goroutine.await_all: must be called with a list of handles")
    end
    local results = {}
    for index = 1, #handles do
        local done, result = fibers.join(fiber_of(handles[index], "goroutine.await_all"))
        if done then
            results[index] = { success = true, values = { unpack(result, 2, result.n) } }
        else
            results[index] = { success = false, error = result.message }
        end
    end
    return results
end

--- goroutine.sleep(milliseconds) lets time pass for this function; the others go on.
function goroutine.sleep(time)
    fibers.sleep(milliseconds(time, "goroutine.sleep"))
end

--- goroutine.yield() lets the others have their turn.
function goroutine.yield()
    fibers.give_way()
end

--- goroutine.timeout(milliseconds, f, ...) gives a function so much time: true and its values, or false and
--- why it failed, which is "timeout exceeded" when the time ran out. It is then given up where it stands.
function goroutine.timeout(time, body, ...)
    local seconds = milliseconds(time, "goroutine.timeout")
    local fiber = fibers.start(callable(body, "goroutine.timeout"), ...)
    local done, result = fibers.join(fiber, seconds)
    if done then
        return unpack(result, 1, result.n)
    elseif done == nil then
        fibers.drop(fiber)
        return false, "timeout exceeded"
    end
    return false, result.message
end

-- Those of the present step.
local function pools()
    return fibers.of_step
end

local function pool_of(name, what)
    local pool = pools()[check.text(name, what .. ": the name")]
    if not pool then
        errors.invalid(("%s: there is no pool `%s`; make it with goroutine.pool_create"):format(what, tostring(name)))
    end
    return pool
end

--- goroutine.pool_create(name[, {workers=}]) makes a pool in which so many run at a time (default 4).
function goroutine.pool_create(name, options)
    check.text(name, "goroutine.pool_create: the name")
    local workers = (options or {}).workers or 4
    if pools()[name] and not pools()[name].closed then
        return false, ("the pool `%s` is there already"):format(name)
    end
    pools()[name] = {
        permits = locks.semaphore(workers),
        all = locks.wait_group(),
        workers = workers,
        stats = { submitted = 0, completed = 0, failed = 0, active = 0 },
    }
    return true
end

--- goroutine.pool_submit(name, f, ...) gives a pool something to do; gives its number.
function goroutine.pool_submit(name, body, ...)
    local pool = pool_of(name, "goroutine.pool_submit")
    callable(body, "goroutine.pool_submit")
    if pool.closed then
        return nil, ("the pool `%s` is closed"):format(name)
    end
    local stats = pool.stats
    stats.submitted = stats.submitted + 1
    pool.all:add(1)
    local count, arguments = select("#", ...), { ... }
    local fiber = fibers.start(function()
        pool.permits:acquire()
        stats.active = stats.active + 1
        local done, problem = pcall(body, unpack(arguments, 1, count))
        stats.active = stats.active - 1
        pool.permits:release()
        local kind = done and "completed" or "failed"
        stats[kind] = stats[kind] + 1
        if not done then
            need("log").error(("pool `%s`: %s"):format(name, tostring(problem)))
        end
        pool.all:done()
    end)
    fiber.joined = true
    return tostring(stats.submitted)
end

--- goroutine.pool_wait(name) waits until a pool has nothing left to do.
function goroutine.pool_wait(name)
    return pool_of(name, "goroutine.pool_wait").all:wait()
end

--- goroutine.pool_stats(name) gives { workers, submitted, completed, failed, active, pending }.
function goroutine.pool_stats(name)
    local pool = pool_of(name, "goroutine.pool_stats")
    local stats = { workers = pool.workers }
    for key, value in pairs(pool.stats) do
        stats[key] = value
    end
    stats.pending = stats.submitted - stats.completed - stats.failed - stats.active
    return stats
end

--- goroutine.pool_close(name) waits for a pool's work and takes no more.
function goroutine.pool_close(name)
    local pool = pool_of(name, "goroutine.pool_close")
    pool.closed = true
    return pool.all:wait()
end

return need("names").close(goroutine, "goroutine", errors.invalid)
