-- What keeps those that run beside each other apart, and together: mutex, read-write mutex, semaphore, wait
-- group.
local need = ...

local errors, names, fibers = need("errors"), need("names"), need("fibers")
local setmetatable, remove = setmetatable, table.remove

local locks = {}

--- Gives a table for the methods of a kind of thing, and the metatable of each such thing.
function locks.class(name)
    local methods = {}
    return methods, { __name = name, __index = methods }
end

local class = locks.class

--- Wakes who has waited longest in a queue; says whether there was anybody.
function locks.wake_next(queue)
    while queue[1] do
        if fibers.wake(remove(queue, 1)) then
            return true
        end
    end
    return false
end

--- Waits in a queue.
function locks.queue_up(queue, what)
    local waiter = fibers.waiter(what)
    queue[#queue + 1] = waiter
    fibers.wait(waiter)
end

local wake_next, queue_up = locks.wake_next, locks.queue_up

local semaphore, semaphore_meta = class("semaphore")

--- goroutine.semaphore(permits) lets so many in at a time. Methods: acquire, try_acquire, release, available,
--- with(f).
function locks.semaphore(permits)
    if math.type(permits) ~= "integer" or permits < 1 then
        errors.invalid("goroutine.semaphore: must be called with a whole number from 1 up")
    end
    return setmetatable({ free = permits, most = permits, queue = {} }, semaphore_meta)
end

--- semaphore:acquire() waits for a permit.
function semaphore:acquire()
    if self.free > 0 then
        self.free = self.free - 1
    else
        queue_up(self.queue, "a permit of a semaphore")
    end
    return true
end

--- semaphore:try_acquire() takes a permit if one is free; says whether.
function semaphore:try_acquire()
    if self.free == 0 then
        return false
    end
    self.free = self.free - 1
    return true
end

--- semaphore:release() gives a permit back.
function semaphore:release()
    -- A permit goes straight to who has waited longest.
    if not wake_next(self.queue) then
        if self.free == self.most then
            errors.invalid("semaphore:release: more permits would be given back than were taken")
        end
        self.free = self.free + 1
    end
    return true
end

--- semaphore:available() gives how many permits are free.
function semaphore:available()
    return self.free
end

local function guarded(self, body, ...)
    return (function(done, ...)
        self:release()
        if not done then
            error(..., 0)
        end
        return ...
    end)(pcall(body, ...))
end

--- semaphore:with(f) calls a function while holding a permit; gives what it gives.
function semaphore:with(body, ...)
    self:acquire()
    return guarded(self, body, ...)
end

local mutex, mutex_meta = class("mutex")

--- goroutine.mutex() lets one in at a time. Methods: lock, try_lock, unlock, is_locked, with(f).
function locks.mutex()
    return setmetatable({ permit = locks.semaphore(1) }, mutex_meta)
end

--- mutex:lock() waits until it is free, and takes it.
function mutex:lock()
    return self.permit:acquire()
end

--- mutex:try_lock() takes it if it is free; says whether.
function mutex:try_lock()
    return self.permit:try_acquire()
end

--- mutex:unlock() frees it.
function mutex:unlock()
    if self.permit.free == 1 then
        errors.invalid("mutex:unlock: it is not locked")
    end
    return self.permit:release()
end

--- mutex:is_locked() says whether somebody has it.
function mutex:is_locked()
    return self.permit.free == 0
end

--- mutex:with(f) calls a function while holding it; gives what it gives.
function mutex:with(body, ...)
    return self.permit:with(body, ...)
end

local rwmutex, rwmutex_meta = class("rwmutex")

--- goroutine.rwmutex() lets many read or one write. Methods: rlock, try_rlock, runlock, lock, try_lock, unlock.
function locks.rwmutex()
    return setmetatable({ readers = 0, writing = false, queue = {} }, rwmutex_meta)
end

--- rwmutex:lock() waits until nobody reads or writes.
function rwmutex:lock()
    while self.writing or self.readers > 0 do
        queue_up(self.queue, "writing under a read-write mutex")
    end
    self.writing = true
    return true
end

--- rwmutex:try_lock() takes it for writing if nobody reads or writes; says whether.
function rwmutex:try_lock()
    local free = not self.writing and self.readers == 0
    self.writing = self.writing or free
    return free
end

--- rwmutex:rlock() waits until nobody writes.
function rwmutex:rlock()
    while self.writing do
        queue_up(self.queue, "reading under a read-write mutex")
    end
    self.readers = self.readers + 1
    return true
end

--- rwmutex:try_rlock() takes it for reading if nobody writes; says whether.
function rwmutex:try_rlock()
    return not self.writing and self:rlock()
end

local function wake_all(self)
    local queue = self.queue
    self.queue = {}
    while wake_next(queue) do
    end
end

--- rwmutex:unlock() ends writing.
function rwmutex:unlock()
    if not self.writing then
        errors.invalid("rwmutex:unlock: it is not locked")
    end
    self.writing = false
    wake_all(self)
    return true
end

--- rwmutex:runlock() ends reading.
function rwmutex:runlock()
    if self.readers == 0 then
        errors.invalid("rwmutex:runlock: nobody reads")
    end
    self.readers = self.readers - 1
    if self.readers == 0 then
        wake_all(self)
    end
    return true
end

local group, group_meta = class("wait group")

--- goroutine.wait_group() counts what is still to end. Methods: add([n]), done(), wait().
function locks.wait_group()
    return setmetatable({ count = 0, queue = {} }, group_meta)
end

--- wait_group:add([n]) counts n more, 1 by default.
function group:add(delta)
    self.count = self.count + (delta or 1)
    if self.count < 0 then
        errors.invalid("wait_group: more were done than were added")
    end
    if self.count == 0 then
        while wake_next(self.queue) do
        end
    end
    return true
end

--- wait_group:done() counts one less.
function group:done()
    return self:add(-1)
end

--- wait_group:wait() waits until the count is 0.
function group:wait()
    if self.count > 0 then
        queue_up(self.queue, ("a wait group that still counts %d"):format(self.count))
    end
    return true
end

for name, methods in pairs({ semaphore = semaphore, mutex = mutex, rwmutex = rwmutex, wait_group = group }) do
    names.close(methods, name, errors.invalid)
end

return locks
