-- Work that takes turns: fibers over coroutines, woken by each other, by timers, and by programs and requests
-- that end.
-- Whoever waits yields to the others. Where Lua cannot yield (a sort comparator, a gsub callback, a
-- coroutine of the script's own, the task itself) waiting runs the others from where it stands.
local need, host = ...

local errors, frames = need("errors"), need("frames")
local process, http, clock = host.process, host.http, host.clock
local create, resume, yield = coroutine.create, coroutine.resume, coroutine.yield
local running, isyieldable, status = coroutine.running, coroutine.isyieldable, coroutine.status
local pairs, next = pairs, next
local pack, unpack, concat, sort, remove = table.pack, table.unpack, table.concat, table.sort, table.remove

local fibers = {}

-- The fiber that runs now, if any; those that can go on, in order; all that have not ended.
local current
local ready, first, last = {}, 1, 0
local alive = {}
local count = 0
-- Who waits for a moment, and for which of what goes on outside: programs and requests, by number.
local timers = {}
local outside = {}
-- How many of them go on, who waits to start one, and how many may.
local started, queue = 0, {}
local MOST_OUTSIDE = 16
-- Those that failed, in the order they did.
local failures = {}

--- What belongs to the present step and goes with it, by name.
fibers.of_step = {}

--- Forgets everything: a step begins.
function fibers.reset()
    fibers.of_step = {}
    started, queue = 0, {}
    current, ready, first, last, alive, count, timers, outside, failures = nil, {}, 1, 0, {}, 0, {}, {}, {}
end

--- Says whether there is anybody to take turns with, or who failed and was not asked.
function fibers.any()
    return count > 0 or #failures > 0 or next(fibers.of_step) ~= nil
end

local function enqueue(fiber)
    last = last + 1
    ready[last] = fiber
end

--- Makes something to wait for once. `what` says in a deadlock's message what it is.
function fibers.waiter(what)
    return { what = what, woken = false }
end

--- Wakes who waits, with values for it. Gives false if that was done before.
function fibers.wake(waiter, ...)
    if waiter.woken then
        return false
    end
    waiter.woken, waiter.values = true, pack(...)
    if waiter.fiber then
        enqueue(waiter.fiber)
    end
    return true
end

--- Wakes at a moment, in seconds since the step began.
function fibers.wake_at(waiter, moment, ...)
    timers[waiter] = { moment = moment, values = pack(...) }
end

local function finish(fiber, done, result)
    if fiber.ended then
        return
    end
    alive[fiber], count = nil, count - 1
    if not done then
        failures[#failures + 1] = fiber
    end
    fiber.ended, fiber.done, fiber.result = true, done, result
    for index = 1, #fiber.waiters do
        fibers.wake(fiber.waiters[index])
    end
end

local function go_on(fiber)
    local before = current
    current = fiber
    local fine, problem = resume(fiber.thread)
    current = before
    if not fine then
        -- The body catches its own errors: this is Lua's own end of the thread.
        finish(fiber, false, errors.describe(problem))
    end
end

local function wake_due()
    local now = clock.monotonic()
    local due = {}
    for waiter, timer in pairs(timers) do
        if waiter.woken then
            timers[waiter] = nil
        elseif timer.moment <= now then
            due[#due + 1] = { waiter, timer }
        end
    end
    sort(due, function(left, right)
        return left[2].moment < right[2].moment
    end)
    for index = 1, #due do
        local waiter, timer = due[index][1], due[index][2]
        timers[waiter] = nil
        fibers.wake(waiter, unpack(timer.values, 1, timer.values.n))
    end
    return #due > 0
end

local function raise_deadlock(waiter)
    local lines = { ("  here: %s"):format(waiter.what) }
    for fiber in pairs(alive) do
        if fiber.waiting then
            lines[#lines + 1] = ("  started at %s: %s"):format(fiber.location or "?", fiber.waiting.what)
        end
    end
    sort(lines, function(left, right)
        return left < right
    end)
    errors.raise("failed", "deadlock: everything waits and nothing is left that could wake it\n" .. concat(lines, "\n"))
end

-- Lets somebody go on: who is ready, or whom time or an end outside wakes. Gives false if nobody can.
local function turn(blocking)
    local woken = wake_due()
    if first <= last then
        local fiber = ready[first]
        ready[first] = nil
        first = first + 1
        if fiber.ended then
            return true
        elseif status(fiber.thread) == "suspended" then
            fiber.waiting = nil
            go_on(fiber)
        else
            -- It waits further down this very stack, and goes on when that returns.
            return turn(blocking)
        end
        return true
    end
    -- It may be who asks that was woken.
    if woken then
        return true
    end
    local soonest
    for _, timer in pairs(timers) do
        if not soonest or timer.moment < soonest then
            soonest = timer.moment
        end
    end
    local numbers = {}
    for number in pairs(outside) do
        numbers[#numbers + 1] = number
    end
    if not soonest and #numbers == 0 then
        return false
    end
    if not blocking then
        return true
    end
    local seconds = soonest and soonest - clock.monotonic()
    if #numbers == 0 then
        if seconds > 0 then
            clock.sleep(seconds)
        end
        return true
    end
    sort(numbers)
    local ended = errors.read(clock.wait(numbers, seconds and (seconds > 0 and seconds or 0)))
    for index = 1, #ended do
        local waiter = outside[ended[index]]
        outside[ended[index]] = nil
        if waiter.abandoned then
            -- Nobody wants to know, but its number is to be free.
            process.collect(ended[index])
        end
        fibers.wake(waiter)
    end
    return true
end

--- Waits until somebody wakes it; gives what it was woken with.
function fibers.wait(waiter)
    if not waiter.woken and current and running() == current.thread and isyieldable() then
        waiter.fiber, current.waiting = current, waiter
        yield()
    end
    while not waiter.woken do
        if not turn(true) then
            raise_deadlock(waiter)
        end
    end
    return unpack(waiter.values, 1, waiter.values.n)
end

--- Lets the others have their turn.
function fibers.give_way()
    local waiter = fibers.waiter("its turn")
    if current and running() == current.thread and isyieldable() then
        fibers.wake_at(waiter, 0)
        fibers.wait(waiter)
    elseif count > 0 then
        turn(false)
    end
end

--- Lets time pass for this one; the others go on.
function fibers.sleep(seconds)
    if count == 0 then
        clock.sleep(seconds)
        return
    end
    local waiter = fibers.waiter(("sleeping %g s"):format(seconds))
    fibers.wake_at(waiter, clock.monotonic() + seconds)
    fibers.wait(waiter)
end

--- Starts a function. What it gives, or raises, is kept in the fiber until somebody joins it.
function fibers.start(body, ...)
    local arguments = pack(...)
    local fiber = { waiters = {}, location = (frames.location()) }
    fiber.thread = create(function()
        local done, result = errors.catch(body, unpack(arguments, 1, arguments.n))
        finish(fiber, done, result)
    end)
    alive[fiber], count = true, count + 1
    enqueue(fiber)
    return fiber
end

--- Waits for a fiber's end, at most so many seconds. Gives true and its values packed behind a true, or
--- false and a report of why it failed; nil if the time ran out.
function fibers.join(fiber, seconds)
    if not fiber.ended then
        local waiter = fibers.waiter("the end of what was started at " .. (fiber.location or "?"))
        fiber.waiters[#fiber.waiters + 1] = waiter
        if seconds then
            fibers.wake_at(waiter, clock.monotonic() + seconds)
        end
        fibers.wait(waiter)
    end
    if not fiber.ended then
        return nil
    end
    fiber.joined = true
    return fiber.done, fiber.result
end

-- One thing less goes on outside: the next may start.
local function one_less()
    started = started - 1
    while queue[1] and not fibers.wake(remove(queue, 1)) do
    end
end

--- Gives up a fiber: it does not go on any more.
function fibers.drop(fiber)
    if fiber.ended then
        return
    end
    if fiber.give_up then
        outside[fiber.outside] = fiber.give_up(fiber.outside)
        one_less()
    end
    fiber.joined = true
    if fiber.waiting then
        -- What it waited for goes to the next in its place.
        fiber.waiting.woken = true
    end
    finish(fiber, false, { kind = "failed", message = "given up" })
end

-- Does something outside while the others go on, if there are any: `whole` does it, or `start`, and when that
-- has ended `collect`. `give_up` ends it, and gives what still waits for that end.
local function beside(what, request, whole, start, collect, give_up)
    if count == 0 then
        return whole(request)
    end
    -- Further ones wait for their turn.
    while started >= MOST_OUTSIDE do
        local turn_waiter = fibers.waiter("its turn to start " .. what)
        queue[#queue + 1] = turn_waiter
        fibers.wait(turn_waiter)
    end
    local number, problem = start(request)
    if not number then
        return nil, problem
    end
    started = started + 1
    local waiter, fiber = fibers.waiter(what), current
    outside[number] = waiter
    if fiber then
        fiber.outside, fiber.give_up = number, give_up
    end
    fibers.wait(waiter)
    if fiber then
        fiber.give_up = nil
    end
    one_less()
    return collect(number)
end

--- Runs a program while the others go on. Gives what `process.run` gives.
function fibers.run_program(request)
    return beside("a program", request, process.run, process.spawn, process.collect, function(number)
        process.kill(number)
        return { abandoned = true, woken = false }
    end)
end

--- Sends a request while the others go on. Gives what `http.send` gives.
function fibers.send_request(request)
    return beside("a request", request, http.send, http.start, http.collect, function(number)
        http.abandon(number)
    end)
end

--- Lets what was started come to its end: everything but what waits for nothing that can happen. Raises
--- what the first of them raised that nobody joined.
function fibers.settle()
    while count > 0 do
        if not turn(true) then
            raise_deadlock(fibers.waiter("the end of what the task started"))
        end
    end
    for index = 1, #failures do
        local fiber = failures[index]
        if not fiber.joined then
            errors.again(fiber.result)
        end
    end
end

return fibers
