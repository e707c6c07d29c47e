-- Contexts: whether work is still wanted. Who does it asks from time to time, or waits for the end beside others.
local need = ...

local errors, names, locks, now = need("errors"), need("names"), need("locks"), need("clock").now
local channel, monotonic = need("channel"), need("clock").monotonic
local type, setmetatable = type, setmetatable

local context = {}

local methods, meta = locks.class("context")

local function child(parent, ends)
    if parent and parent.ends and (not ends or parent.ends < ends) then
        ends = parent.ends
    end
    -- What is missing would be taken for an unknown method.
    local made = setmetatable({ parent = parent or false, ends = ends or false, why = false, waiting = {} }, meta)
    return made, function()
        made:cancel()
    end
end

local function milliseconds(value, what)
    if type(value) ~= "number" then
        errors.invalid(what .. ": must be called with a number of milliseconds")
    end
    return value / 1000
end

--- goroutine.context() makes a context; gives it and a function that cancels it. Methods: with_cancel, with_timeout,
--- with_deadline, cancel, is_cancelled, done, err, deadline.
function context.make()
    return child()
end

--- context:with_cancel() makes one that ends with this one or when it is cancelled; gives it and what cancels it.
function methods:with_cancel()
    return child(self)
end

--- context:with_timeout(milliseconds) makes one that also ends after so long; gives it and what cancels it.
function methods:with_timeout(time)
    return child(self, now() + milliseconds(time, "context:with_timeout"))
end

--- context:with_deadline(milliseconds) makes one that also ends at a moment, since 1970; gives it and what cancels it.
function methods:with_deadline(moment)
    return child(self, milliseconds(moment, "context:with_deadline"))
end

--- context:cancel() ends it, and all that were made of it.
function methods:cancel()
    self.why = self.why or self:err() or "context canceled"
    for index = 1, #self.waiting do
        self.waiting[index]:close()
    end
    self.waiting = {}
end

--- context:done() gives a channel that is closed when it ends, for goroutine.select.
function methods:done()
    local made = channel.make(0, "receive")
    if self:err() then
        made:close()
        return made
    end
    made.ends = self.ends and monotonic() + self.ends - now()
    local at = self
    while at do
        at.waiting[#at.waiting + 1] = made
        at = at.parent
    end
    return made
end

--- context:err() gives why it ended: "context canceled" or "context deadline exceeded"; nil if it has not.
function methods:err()
    if not self.why then
        local over = self.ends and now() >= self.ends
        self.why = self.parent and self.parent:err() or over and "context deadline exceeded" or false
    end
    return self.why or nil
end

--- context:is_cancelled() says whether it ended.
function methods:is_cancelled()
    return self:err() ~= nil
end

--- context:deadline() gives when it ends, in milliseconds since 1970, and true; nil and false if at no set time.
function methods:deadline()
    return self.ends and self.ends * 1000 or nil, self.ends ~= false
end

names.close(methods, "context", errors.invalid)

return context
