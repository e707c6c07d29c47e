-- task("name"): one node of a workflow, put together by chained calls or written as a table.
local need = ...

local errors, names, frames, inner = need("errors"), need("names"), need("frames"), need("task_keys")
local keys = inner.keys
local type, pairs, tostring, setmetatable, getmetatable = type, pairs, tostring, setmetatable, getmetatable

local task = {}

local function refuse(what, key, spec)
    local owner = spec and ("task `%s`"):format(spec.name) or "task"
    local place = what == "key" and (frames.near(key) or frames.begins and spec.location) or nil
    errors.invalid(("unknown %s `%s` of %s%s"):format(what, tostring(key), owner, names.suggest(tostring(key), keys)), place)
end

-- The record behind each builder, kept apart so that a script sees only methods.
local specs = setmetatable({}, { __mode = "k" })

local methods = {}

-- Keys whose method takes several values, one beside the other.
local SEVERAL = { depends_on = true, consumes = true, next_if_fail = true }

for name, store in pairs(keys) do
    methods[name] = function(self, ...)
        local spec = specs[self]
        if not spec then
            errors.invalid(("`%s` of task: call it with a colon, as in task(\"name\"):%s(…)"):format(name, name))
        end
        if select("#", ...) == 0 then
            errors.invalid(("`%s` of task `%s`: a value is missing"):format(name, spec.name))
        end
        store(spec, ...)
        if SEVERAL[name] then
            for index = 2, select("#", ...) do
                store(spec, (select(index, ...)))
            end
        end
        return self
    end
end

--- Ends the chain; calls after it still count.
function methods.build(self)
    return self
end

local meta = { __name = "task" }

function meta.__index(self, key)
    local method = methods[key]
    if method then
        return method
    end
    if key == "name" then
        return specs[self].name
    end
    refuse("method", key)
end

function meta.__newindex(_, key)
    errors.invalid(("`%s` of task: set it by calling it, as in :%s(…)"):format(tostring(key), tostring(key)))
end

function meta.__tostring(self)
    return ("task `%s`"):format(specs[self].name)
end

local function fresh(name, location, line)
    return { name = name, line = line, location = location }
end

-- The table itself has no line. Where the first of its functions begins is nearer than where it was handed on.
local function first_function(given)
    local location, line
    for _, value in pairs(given) do
        if type(value) == "function" then
            local place, begins = frames.defined(value)
            if place and (not line or begins < line) then
                location, line = place, begins
            end
        end
    end
    return location, line
end

local function fill(spec, given, begins)
    local owner, before = frames.owner, frames.begins
    frames.owner, frames.begins = spec.location or owner, begins
    for key, value in pairs(given) do
        if key ~= "name" then
            local store = keys[key]
            if not store then
                refuse("key", key, spec)
            end
            store(spec, value)
        end
    end
    frames.owner, frames.begins = owner, before
end

--- task(name[, keys[, command]]) begins a task. Methods, each giving the task back: :description :command (or
--- :run) :depends_on :params :timeout :retries :run_if :abort_if :pre_hook :post_hook :on_success :on_failure
--- :on_timeout :artifacts :consumes :async :next_if_fail :uses :workdir :user :env :capabilities :delegate_to (where
--- it runs: an agent's name, a selector such as "role=web", a list of them, or a function of values that gives one),
--- and :build() at the end.
function task.begin(name, given, command)
    need("import").only_while_loading("task")
    if type(name) ~= "string" or name == "" then
        errors.invalid("task: the name is missing, as in task(\"build\")")
    end
    local spec = fresh(name, frames.location())
    if given ~= nil then
        if type(given) ~= "table" then
            errors.invalid(("task `%s`: what follows the name must be a table of its keys"):format(name))
        end
        fill(spec, given, (select(2, first_function(given))))
    end
    if command ~= nil then
        keys.command(spec, command)
    end
    local builder = setmetatable({}, meta)
    specs[builder] = spec
    return builder
end

--- Gives the record behind a builder, or nil.
function task.of(value)
    return type(value) == "table" and getmetatable(value) == meta and specs[value] or nil
end

--- Makes a record of a task written as a table. `owner` is the record of what it was handed to.
function task.read(given, what, name, owner)
    name = name or given.name
    if type(name) ~= "string" or name == "" then
        errors.invalid(what .. ': the name is missing, as in { name = "build", command = … }')
    end
    local location, line = frames.location()
    if not location and owner then
        location, line = owner.location, owner.line
    end
    local place, begins = first_function(given)
    local spec = fresh(name, place or location, begins or line)
    -- Where it stands among others is known from its functions alone.
    spec.order = begins or math.huge
    fill(spec, given, begins)
    return spec
end

--- Gives a task's record with what it inherits.
function task.whole(spec)
    if not spec.uses then
        return spec
    end
    local base, seen, params = spec.uses, { [spec] = true }, {}
    local whole = {}
    for key, value in pairs(spec) do
        whole[key] = value
    end
    while base do
        if seen[base] then
            errors.invalid(("task `%s` inherits from itself by `uses`"):format(spec.name), spec.location)
        end
        seen[base] = true
        for key, value in pairs(base) do
            if whole[key] == nil then
                whole[key] = value
            end
        end
        params[#params + 1] = base.params
        base = base.uses
    end
    local merged = {}
    for index = #params, 1, -1 do
        for key, value in pairs(params[index]) do
            merged[key] = value
        end
    end
    for key, value in pairs(spec.params or {}) do
        merged[key] = value
    end
    whole.params = merged
    return whole
end

inner.by(task.of)
inner.read = function(given, what)
    return task.read(given, what, given.name or "base", nil)
end

return task
