-- workflow.define("name"): the graph of tasks. A workflow is registered by define; what is chained after
-- it still counts.
local need = ...

local errors, names, check, task = need("errors"), need("names"), need("check"), need("task")
local duration, capabilities, frames = need("duration"), need("capabilities"), need("frames")
local retries, delegate = need("task_keys").retries, need("task_keys").delegate
local type, pairs, tostring, setmetatable = type, pairs, tostring, setmetatable

local workflow = {}

-- The tasks of each workflow by their names, once steps run.
local by_name = {}

-- Workflows in the order of their definition, and what is public of this file.
local registry, public = {}, {}

local keys = {}

local function what(spec, key)
    return ("%s of workflow `%s`"):format(key, spec.name)
end

for _, key in pairs({ "description", "version", "workdir" }) do
    keys[key] = function(spec, value)
        spec[key] = check.text(value, what(spec, key))
    end
end

--- Facts about the file for its readers, such as author and tags: shown by `plan`.
function keys.metadata(spec, value)
    spec.metadata = check.table(value, what(spec, "metadata"))
end

-- Names have no order; where functions stand in the file has. What has no function comes last, by its name.
local function by_order(left, right)
    if left.order ~= right.order then
        return left.order < right.order
    end
    return left.name < right.name
end

function keys.tasks(spec, value)
    local place = what(spec, "tasks")
    if type(value) ~= "table" or task.of(value) then
        errors.invalid(place .. ": must be a list of tasks")
    end
    local named = {}
    for key, item in pairs(value) do
        if type(key) == "string" and type(item) == "table" and not task.of(item) then
            named[#named + 1] = task.read(item, ("%s.%s"):format(place, key), key, spec)
        elseif math.type(key) ~= "integer" then
            errors.invalid(("%s: must be a list of tasks, but has the key `%s`"):format(place, tostring(key)))
        end
    end
    for index = 1, #value do
        local item = value[index]
        local inner = ("%s[%d]"):format(place, index)
        if type(item) ~= "table" then
            errors.invalid(("%s: must be a task, not a %s"):format(inner, type(item)))
        end
        spec.tasks[#spec.tasks + 1] = task.of(item) or task.read(item, inner, nil, spec)
    end
    table.sort(named, by_order)
    for index = 1, #named do
        spec.tasks[#spec.tasks + 1] = named[index]
    end
end

local config = {}

function config.timeout(into, value, place)
    into.timeout = duration.parse(value, place)
end

function config.max_parallel_tasks(into, value, place)
    if math.type(value) ~= "integer" or value < 1 then
        errors.invalid(place .. " must be a whole number from 1 up")
    end
    into.max_parallel_tasks = value
end

function config.on_failure(into, value, place)
    if value ~= "stop" and value ~= "continue" then
        errors.invalid(place .. ' must be "stop" or "continue"')
    end
    into.on_failure = value
end

function config.retries(into, value, place)
    into.retries = retries(value, place)
end

function keys.config(spec, value)
    local place = what(spec, "config")
    for key, setting in pairs(check.table(value, place)) do
        local store = config[key]
        if not store then
            local message = ("%s: unknown key `%s`%s"):format(place, tostring(key), names.suggest(tostring(key), config))
            errors.invalid(message, frames.near(key))
        end
        store(spec.config, setting, ("%s: %s"):format(place, key))
    end
end

function config.lock(into, value, place)
    local given = type(value) == "table" and value or { name = value }
    for key in pairs(given) do
        if key ~= "name" and key ~= "wait" then
            errors.invalid(("%s: unknown key `%s`; it takes name and wait"):format(place, tostring(key)), frames.near(key))
        end
    end
    local wait = given.wait or "queue"
    if wait ~= "queue" and wait ~= "skip" and wait ~= "fail" then
        errors.invalid(place .. ': wait must be "queue", "skip" or "fail"')
    end
    into.lock = { name = check.text(given.name, place), wait = wait }
end

function keys.delegate_to(spec, value)
    spec.delegate_to = delegate(value, what(spec, "delegate_to"))
end

function keys.capabilities(spec, value)
    spec.capabilities = capabilities.read(value, what(spec, "capabilities"))
end

function keys.bundle(spec, value)
    spec.bundle = check.texts(value, what(spec, "bundle"))
end

function keys.create_workdir_before_run(spec, value)
    spec.create_workdir_before_run = check.flag(value, what(spec, "create_workdir_before_run"))
end

function keys.clean_workdir_after_run(spec, value)
    if type(value) ~= "boolean" and type(value) ~= "function" then
        errors.invalid(what(spec, "clean_workdir_after_run") .. ": must be true, false or a function of the result")
    end
    spec.clean_workdir_after_run = value
end

for _, key in pairs({ "on_start", "on_complete" }) do
    keys[key] = function(spec, value)
        spec[key] = check.hook(value, what(spec, key))
    end
end

local function refuse(kind, key, owner)
    local place = kind == "key" and frames.near(key) or nil
    errors.invalid(("unknown %s `%s` of %s%s"):format(kind, tostring(key), owner, names.suggest(tostring(key), keys)), place)
end

local specs = setmetatable({}, { __mode = "k" })
local methods = {}

for name, store in pairs(keys) do
    methods[name] = function(self, value)
        local spec = specs[self]
        if not spec then
            errors.invalid(("`%s` of workflow: call it with a colon, as in workflow.define(\"name\"):%s(…)"):format(name, name))
        end
        if value == nil then
            errors.invalid(("`%s` of workflow `%s`: a value is missing"):format(name, spec.name))
        end
        store(spec, value)
        return self
    end
end

--- Ends the chain; calls after it still count.
function methods.build(self)
    return self
end

local meta = { __name = "workflow" }

function meta.__index(self, key)
    if methods[key] then
        return methods[key]
    elseif key == "name" then
        return specs[self].name
    end
    refuse("method", key, "workflow")
end

function meta.__newindex(_, key)
    errors.invalid(("`%s` of workflow: set it by calling it, as in :%s(…)"):format(tostring(key), tostring(key)))
end

function meta.__tostring(self)
    return ("workflow `%s`"):format(specs[self].name)
end

local function register(name, given, location, line)
    local spec = { name = name, line = line, location = location, tasks = {}, config = {} }
    local owner = frames.owner
    frames.owner, frames.from = location, location
    for key, value in pairs(given or {}) do
        if not keys[key] then
            refuse("key", key, ("workflow `%s`"):format(name))
        end
        keys[key](spec, value)
    end
    frames.owner = owner
    registry[#registry + 1] = spec
    return spec
end

--- workflow.define(name[, keys]) registers a workflow; the same keys are methods of what it gives, each
--- giving it back: :description :version :metadata :tasks :config :capabilities :bundle :workdir :delegate_to
--- :create_workdir_before_run :clean_workdir_after_run :on_start :on_complete :build.
function public.define(name, given)
    need("import").only_while_loading("workflow.define")
    if type(name) ~= "string" or name == "" then
        errors.invalid('workflow.define: the name is missing, as in workflow.define("deploy")')
    elseif given ~= nil and type(given) ~= "table" then
        errors.invalid("workflow.define: must be called with a name and a table")
    end
    local builder = setmetatable({}, meta)
    specs[builder] = register(name, given, frames.location())
    return builder
end

--- What scripts see as `workflow`.
workflow.public = names.close(public, "workflow", errors.invalid)
getmetatable(public).__call = function(_, name)
    local shown = type(name) == "string" and ('"%s"'):format(name) or "…"
    errors.invalid(("workflow(%s): a workflow is defined by name, as in workflow.define(%s)"):format(shown, shown))
end

--- Registers the groups of the oldest form, `TaskDefinitions = { group = { tasks = { … } } }`.
function workflow.define_groups(groups, location)
    if type(groups) ~= "table" then
        errors.invalid("TaskDefinitions: must be a table of groups", location)
    end
    local found = {}
    for name, group in pairs(groups) do
        if type(name) ~= "string" or type(group) ~= "table" then
            errors.invalid("TaskDefinitions: must be a table of groups, each with its tasks", location)
        end
        found[#found + 1] = name
    end
    table.sort(found)
    -- It is assigned where it ends, and its keys stand before.
    local file, line = (location or ""):match("^(.*):(%d+)$")
    line = tonumber(line) or 0
    local first = frames.key("TaskDefinitions", file and file .. ":1") or location
    local before, added = #registry, {}
    for index = 1, #found do
        local place, begins = frames.key(found[index], first)
        local spec = register(found[index], groups[found[index]], place or location, begins or line)
        spec.order = math.huge
        for position = 1, #spec.tasks do
            spec.order = math.min(spec.order, spec.tasks[position].order or spec.tasks[position].line)
        end
        added[index] = spec
    end
    table.sort(added, by_order)
    table.move(added, 1, #added, before + 1, registry)
end

--- Gives every workflow defined so far.
function workflow.all()
    return registry
end

--- Gives a workflow's record and, if a task is named, that one's, with what it inherits; or nil.
function workflow.find(name, task_name)
    for index = 1, #registry do
        local spec = registry[index]
        if spec.name == name then
            if not task_name then
                return spec
            end
            local named = by_name[spec]
            if not named then
                named = {}
                for position = #spec.tasks, 1, -1 do
                    named[spec.tasks[position].name] = spec.tasks[position]
                end
                by_name[spec] = named
            end
            local own = named[task_name]
            return own and spec, own and task.whole(own)
        end
    end
    return nil
end

return workflow
