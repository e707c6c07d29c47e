-- workflow.define("name"): the graph of tasks. A workflow is registered by define; what is chained after
-- it still counts.
local need = ...

local errors, names, check, task = need("errors"), need("names"), need("check"), need("task")
local duration, capabilities, frames = need("duration"), need("capabilities"), need("frames")
local type, pairs, tostring, setmetatable = type, pairs, tostring, setmetatable

local workflow = {}

-- Workflows in the order of their definition, and what is public of this file.
local registry, public = {}, {}

local CONFIG = { timeout = true, max_parallel_tasks = true, on_failure = true }
local CONFIG_LATER = { retries = true }

local function later(key)
    errors.not_available(key)
end

-- What each key stores, for both forms.
local keys = {}

function keys.description(spec, value)
    spec.description = check.text(value, "description of workflow `" .. spec.name .. "`")
end

function keys.version(spec, value)
    spec.version = check.text(value, "version of workflow `" .. spec.name .. "`")
end

function keys.tasks(spec, value)
    local what = "tasks of workflow `" .. spec.name .. "`"
    if type(value) ~= "table" or task.of(value) then
        errors.invalid(what .. ": must be a list of tasks")
    end
    for key in pairs(value) do
        if type(key) ~= "number" then
            errors.invalid(("%s: must be a list of tasks, but has the key `%s`"):format(what, tostring(key)))
        end
    end
    for index = 1, #value do
        local item = value[index]
        local place = ("%s[%d]"):format(what, index)
        if type(item) ~= "table" then
            errors.invalid(("%s: must be a task, not a %s"):format(place, type(item)))
        end
        spec.tasks[#spec.tasks + 1] = task.of(item) or task.read(item, place)
    end
end

function keys.config(spec, value)
    local what = "config of workflow `" .. spec.name .. "`"
    if type(value) ~= "table" then
        errors.invalid(what .. ": must be a table")
    end
    local config = spec.config
    for key, setting in pairs(value) do
        if CONFIG_LATER[key] then
            later(key)
        elseif key == "timeout" then
            config.timeout = duration.parse(setting, what .. ": timeout")
        elseif key == "max_parallel_tasks" then
            if math.type(setting) ~= "integer" or setting < 1 then
                errors.invalid(what .. ": max_parallel_tasks must be a whole number from 1 up")
            end
            config.max_parallel_tasks = setting
        elseif key == "on_failure" then
            if setting ~= "stop" and setting ~= "continue" then
                errors.invalid(what .. ': on_failure must be "stop" or "continue"')
            end
            config.on_failure = setting
        else
            errors.invalid(("%s: unknown key `%s`%s"):format(what, tostring(key), names.suggest(tostring(key), CONFIG)))
        end
    end
end

function keys.capabilities(spec, value)
    spec.capabilities = capabilities.read(value, "capabilities of workflow `" .. spec.name .. "`")
end

local LATER = {}
for name in
    ([[workdir create_workdir_before_run clean_workdir_after_run delegate_to on_start on_complete on_success
    on_failure on_fail retries env user]]):gmatch("%S+")
do
    LATER[name] = true
end

local function refuse(what, key, owner)
    if LATER[key] then
        later(key)
    end
    errors.invalid(("unknown %s `%s` of %s%s"):format(what, tostring(key), owner, names.suggest(tostring(key), keys)))
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

--- workflow.define(name[, {description=, version=, tasks=, config=, capabilities=}]) registers a workflow;
--- the same keys are methods of what it gives: :description :version :tasks :config :capabilities :build.
function public.define(name, given)
    if type(name) ~= "string" or name == "" then
        errors.invalid('workflow.define: the name is missing, as in workflow.define("deploy")')
    end
    local location, line = frames.location()
    local spec = { name = name, line = line, location = location, tasks = {}, config = {} }
    if given ~= nil then
        if type(given) ~= "table" then
            errors.invalid("workflow.define: must be called with a name and a table")
        end
        for key, value in pairs(given) do
            if not keys[key] then
                refuse("key", key, ("workflow `%s`"):format(name))
            end
            keys[key](spec, value)
        end
    end
    registry[#registry + 1] = spec
    local builder = setmetatable({}, meta)
    specs[builder] = spec
    return builder
end

--- What scripts see as `workflow`.
workflow.public = setmetatable(public, {
    __index = function(_, key)
        errors.invalid(("unknown function `workflow.%s`%s"):format(tostring(key), names.suggest(tostring(key), public)))
    end,
})

--- Gives every workflow defined so far.
function workflow.all()
    return registry
end

--- Gives a task's record by the names of workflow and task, or nil.
function workflow.find(name, task_name)
    for _, spec in pairs(registry) do
        if spec.name == name then
            for _, candidate in pairs(spec.tasks) do
                if candidate.name == task_name then
                    return candidate
                end
            end
        end
    end
    return nil
end

return workflow
