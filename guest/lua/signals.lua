-- What those that run beside each other tell one another: that something happened, or how often.
local need = ...

local errors, names, locks = need("errors"), need("names"), need("locks")
local setmetatable, tostring = setmetatable, tostring
local class = locks.class

local signals = {}

local atomic, atomic_meta = class("atomic_int")

local function whole(value, what)
    local number = math.tointeger(value)
    if not number then
        errors.invalid(("%s: must be called with a whole number, not %s"):format(what, tostring(value)))
    end
    return number
end

--- goroutine.atomic_int([value=0]) holds a whole number. Methods: add, load, store, swap, compare_and_swap.
function signals.atomic_int(value)
    return setmetatable({ value = whole(value or 0, "goroutine.atomic_int") }, atomic_meta)
end

--- atomic_int:add(n) adds to it; gives what it is then.
function atomic:add(delta)
    self.value = self.value + whole(delta, "atomic_int:add")
    return self.value
end

--- atomic_int:load() gives what it is.
function atomic:load()
    return self.value
end

--- atomic_int:store(n) sets it.
function atomic:store(value)
    self.value = whole(value, "atomic_int:store")
end

--- atomic_int:swap(n) sets it; gives what it was.
function atomic:swap(value)
    local before = self.value
    self:store(value)
    return before
end

--- atomic_int:compare_and_swap(old, new) sets it if it is `old`; says whether.
function atomic:compare_and_swap(old, new)
    local same = self.value == old
    if same then
        self:store(new)
    end
    return same
end

local once, once_meta = class("once")

--- goroutine.once() calls one function, once. Method: call.
function signals.once()
    return setmetatable({ done = false, lock = locks.mutex() }, once_meta)
end

--- once:call(f) calls a function, unless one was called before; who comes while it runs waits for its end.
function once:call(body)
    self.lock:with(function()
        if not self.done then
            self.done = true
            body()
        end
    end)
end

local cond, cond_meta = class("cond")

--- goroutine.cond() lets some wait until others say that something is so. Methods: get_mutex, wait, signal, broadcast.
function signals.cond()
    return setmetatable({ mutex = locks.mutex(), queue = {} }, cond_meta)
end

--- cond:get_mutex() gives the mutex to be held around wait.
function cond:get_mutex()
    return self.mutex
end

--- cond:wait() gives the mutex up, waits for a signal, and takes the mutex again.
function cond:wait()
    self.mutex:unlock()
    locks.queue_up(self.queue, "a signal of a cond")
    self.mutex:lock()
end

--- cond:signal() wakes who has waited longest.
function cond:signal()
    locks.wake_next(self.queue)
end

--- cond:broadcast() wakes all who wait.
function cond:broadcast()
    while locks.wake_next(self.queue) do
    end
end

names.close(atomic, "atomic_int", errors.invalid)
names.close(once, "once", errors.invalid)
names.close(cond, "cond", errors.invalid)

return signals
