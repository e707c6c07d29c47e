-- Channels: values handed from one that runs to another, and choosing among several.
local need = ...

local errors, names, fibers = need("errors"), need("names"), need("fibers")
local type, setmetatable, tostring, remove = type, setmetatable, tostring, table.remove
local monotonic = need("clock").monotonic

local channel = {}

local methods = {}
channel.methods = methods
local meta = { __name = "channel", __index = methods }

-- Who waits at a channel: a list of { waiter, value, case }, oldest first.
local function next_of(queue)
    while queue[1] do
        local entry = remove(queue, 1)
        if not entry.waiter.woken then
            return entry
        end
    end
end

--- goroutine.channel([capacity[, direction]]) makes a channel that holds so many values (default 0: who sends
--- waits for who receives). With the direction "send" or "receive" the other use is an error. Methods: send,
--- receive, try_send, try_receive, close, len, cap, is_closed, range.
function channel.make(capacity, direction)
    capacity = capacity or 0
    if math.type(capacity) ~= "integer" or capacity < 0 then
        errors.invalid("goroutine.channel: the capacity must be a whole number from 0 up")
    elseif direction ~= nil and direction ~= "send" and direction ~= "receive" and direction ~= "bidirectional" then
        errors.invalid('goroutine.channel: the direction must be "send", "receive" or "bidirectional"')
    end
    return setmetatable({
        capacity = capacity,
        direction = direction or "bidirectional",
        buffer = {},
        first = 1,
        count = 0,
        senders = {},
        receivers = {},
        closed = false,
        -- When it counts as closed, by itself.
        ends = false,
    }, meta)
end

local function put(self, value)
    self.buffer[self.first + self.count] = value
    self.count = self.count + 1
end

local function take(self)
    local value = self.buffer[self.first]
    self.buffer[self.first] = nil
    self.first, self.count = self.first + 1, self.count - 1
    return value
end

-- Gives whether the value went, and why not if it never will.
local function offer(self, value)
    if self.closed then
        return false, "the channel is closed"
    end
    local receiver = next_of(self.receivers)
    if receiver then
        fibers.wake(receiver.waiter, receiver.case or true, value, true)
        return true
    elseif self.count < self.capacity then
        put(self, value)
        return true
    end
    return false
end

-- Gives whether there was something, and then the value and whether the channel was open.
local function accept(self)
    if self.count > 0 then
        local value = take(self)
        local sender = next_of(self.senders)
        if sender then
            put(self, sender.value)
            fibers.wake(sender.waiter, sender.case or true)
        end
        return true, value, true
    end
    local sender = next_of(self.senders)
    if sender then
        fibers.wake(sender.waiter, sender.case or true)
        return true, sender.value, true
    elseif self.closed or self.ends and monotonic() >= self.ends then
        return true, nil, false
    end
    return false
end

local function check(self, use)
    if self.direction ~= "bidirectional" and self.direction ~= use then
        errors.invalid(("this channel is only for %s"):format(self.direction == "send" and "sending" or "receiving"))
    end
end

--- channel:send(value) hands a value over, and waits until there is room. Gives true, or false and why not.
function methods:send(value)
    check(self, "send")
    local done, problem = offer(self, value)
    if done or problem then
        return done, problem
    end
    local waiter = fibers.waiter("sending on a channel")
    self.senders[#self.senders + 1] = { waiter = waiter, value = value }
    if fibers.wait(waiter) then
        return true
    end
    return false, "the channel is closed"
end

--- channel:receive() waits for a value. Gives it and true; nil and false when the channel is closed and empty.
function methods:receive()
    check(self, "receive")
    local done, value, open = accept(self)
    if done then
        return value, open
    end
    local waiter = fibers.waiter("receiving from a channel")
    self.receivers[#self.receivers + 1] = { waiter = waiter }
    if self.ends then
        fibers.wake_at(waiter, self.ends, true, nil, false)
    end
    local _, received, ok = fibers.wait(waiter)
    return received, ok or false
end

--- channel:try_send(value) is send without waiting: false if it would have to.
function methods:try_send(value)
    check(self, "send")
    return (offer(self, value))
end

--- channel:try_receive() is receive without waiting: nil and false if it would have to.
function methods:try_receive()
    check(self, "receive")
    local done, value, open = accept(self)
    return value, done and open or false
end

--- channel:close() lets receivers have what is left, and then know that no more comes.
function methods:close()
    if self.closed then
        return false, "the channel is closed already"
    end
    self.closed = true
    local entry = next_of(self.receivers)
    while entry do
        fibers.wake(entry.waiter, entry.case or true, nil, false)
        entry = next_of(self.receivers)
    end
    entry = next_of(self.senders)
    while entry do
        fibers.wake(entry.waiter, false)
        entry = next_of(self.senders)
    end
    return true
end

--- channel:len() gives how many values wait in it.
function methods:len()
    return self.count
end

--- channel:cap() gives how many values it can hold.
function methods:cap()
    return self.capacity
end

--- channel:is_closed() says whether it was closed.
function methods:is_closed()
    return self.closed
end

--- channel:range(handler) calls a function with every value until the channel is closed.
function methods:range(handler)
    while true do
        local value, open = self:receive()
        if not open then
            return
        end
        handler(value)
    end
end

names.close(methods, "channel", errors.invalid)

local CASE = { channel = true, receive = true, send = true, default = true, handler = true }

local function read_cases(cases, what)
    local list, default = {}, nil
    if type(cases) ~= "table" or #cases == 0 then
        errors.invalid(what .. ": must be called with a list of cases, such as { channel = c, receive = true }")
    end
    for index = 1, #cases do
        local case = cases[index]
        for key in pairs(type(case) == "table" and case or { case }) do
            if not CASE[key] then
                errors.invalid(("%s: case %d: unknown key `%s`%s"):format(what, index, tostring(key), names.suggest(tostring(key), CASE)))
            end
        end
        if case.default then
            default = case
        elseif type(case.channel) ~= "table" or not case.channel.senders then
            errors.invalid(("%s: case %d: `channel` must be a channel"):format(what, index))
        else
            list[#list + 1] = case
        end
    end
    return list, default
end

local function handle(case, ...)
    if case.handler then
        return case.handler(...)
    end
    return ...
end

-- Gives the case that was chosen, and for a receiving one the value and whether the channel was open; nil if
-- the time ran out.
local function choose(cases, default, seconds)
    for index = 1, #cases do
        local case = cases[index]
        if case.receive then
            local done, value, open = accept(case.channel)
            if done then
                return case, value, open
            end
        elseif offer(case.channel, case.send) then
            return case
        end
    end
    if default then
        return default
    end
    local waiter = fibers.waiter("choosing among channels")
    for index = 1, #cases do
        local case = cases[index]
        local queue = case.receive and case.channel.receivers or case.channel.senders
        queue[#queue + 1] = { waiter = waiter, value = case.send, case = case }
    end
    -- The first of the moments at which something ends.
    local ends, ended = seconds and monotonic() + seconds, nil
    for index = 1, #cases do
        local moment = cases[index].receive and cases[index].channel.ends
        if moment and (not ends or moment < ends) then
            ends, ended = moment, cases[index]
        end
    end
    if ends then
        fibers.wake_at(waiter, ends, ended, nil, false)
    end
    return fibers.wait(waiter)
end

--- goroutine.select(cases) waits for the first of several channels and calls that case's handler, whose values
--- it gives. Cases: { channel = c, receive = true, handler = f(value, ok) }, { channel = c, send = value,
--- handler = f() } and { default = true, handler = f() } for when none is ready.
function channel.select(cases)
    local list, default = read_cases(cases, "goroutine.select")
    local case, value, open = choose(list, default)
    if not case then
        return nil, "the channel is closed"
    end
    return handle(case, value, open)
end

--- goroutine.select_timeout(milliseconds, cases) is select with an end: gives true if the time ran out, else
--- false and the handler's values.
function channel.select_timeout(milliseconds, cases)
    local list, default = read_cases(cases, "goroutine.select_timeout")
    local case, value, open = choose(list, default, milliseconds / 1000)
    if not case then
        return true, "timeout exceeded"
    end
    return false, handle(case, value, open)
end

return channel
