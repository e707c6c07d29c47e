-- Events of a workflow's own, among those of the run.
local need, host = ...

local errors, check = need("errors"), need("check")
local type = type

local event = {}

-- Gives true, or false and what is wrong.
local function emit(name, kind, data)
    local done, problem = errors.act("event." .. name, host.events.emit(kind, data))
    if not done then
        return false, problem
    end
    return true
end

--- event.dispatch(type[, data]) emits an event, such as "deploy.done", with a table of data; gives true, or false and why not. Needs `events.emit` of the type.
function event.dispatch(kind, data)
    kind = check.text(kind, "event.dispatch: the type")
    if data ~= nil and type(data) ~= "table" then
        errors.invalid("event.dispatch: the data must be a table")
    end
    return emit("dispatch", kind, data or {})
end

--- event.dispatch_custom(name, message) emits an event of type "custom" with { name, message }.
function event.dispatch_custom(name, message)
    return emit("dispatch_custom", "custom", {
        name = check.text(name, "event.dispatch_custom: the name"),
        message = check.text(message, "event.dispatch_custom: the message"),
    })
end

local FILE = { created = true, modified = true, deleted = true }

--- event.dispatch_file(what, path[, watcher]) emits "file.created", "file.modified" or "file.deleted" with { path, watcher }.
function event.dispatch_file(what, path, watcher)
    if not FILE[what] then
        errors.invalid('event.dispatch_file: must be "created", "modified" or "deleted"')
    end
    return emit("dispatch_file", "file." .. what, {
        path = check.text(path, "event.dispatch_file: the path"),
        watcher = watcher ~= nil and check.text(watcher, "event.dispatch_file: the watcher") or nil,
    })
end

return need("names").close(event, "event", errors.invalid)
