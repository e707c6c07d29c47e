-- task("name"): one node of a workflow, put together by chained calls or written as a table.
local need = ...

local errors, names, check = need("errors"), need("names"), need("check")
local duration, capabilities, frames = need("duration"), need("capabilities"), need("frames")
local type, pairs, tostring, setmetatable, getmetatable = type, pairs, tostring, setmetatable, getmetatable

local task = {}

-- What each key stores. Both forms go through these, so both accept and refuse the same.
local keys = {}

function keys.description(spec, value)
    spec.description = check.text(value, "description of task `" .. spec.name .. "`")
end

function keys.command(spec, value)
    if type(value) ~= "function" and type(value) ~= "string" then
        errors.invalid(
            ("command of task `%s`: must be a function or a command line, not a %s"):format(spec.name, type(value)),
            spec.location
        )
    end
    spec.command = value
end

keys.run = keys.command

function keys.timeout(spec, value)
    spec.timeout = duration.parse(value, "timeout of task `" .. spec.name .. "`")
end

function keys.workdir(spec, value)
    local workdir = check.text(value, "workdir of task `" .. spec.name .. "`")
    -- Empty means what leaving it out means: the step's own folder.
    spec.workdir = workdir ~= "" and workdir or nil
end

function keys.params(spec, value)
    if type(value) ~= "table" then
        errors.invalid(("params of task `%s`: must be a table"):format(spec.name))
    end
    spec.params = value
end

function keys.capabilities(spec, value)
    spec.capabilities = capabilities.read(value, "capabilities of task `" .. spec.name .. "`")
end

function keys.depends_on(spec, value)
    local list = value
    if type(value) ~= "table" or task.of(value) then
        list = { value }
    end
    for index = 1, #list do
        local other = task.of(list[index])
        spec.depends_on[#spec.depends_on + 1] = other and other.name
            or check.text(list[index], "depends_on of task `" .. spec.name .. "`")
    end
end

-- Names the language has and this version has not.
local LATER = {}
for name in
    ([[retries run_if abort_if pre_hook pre_exec post_hook post_exec on_success on_failure on_fail on_timeout
    artifacts consumes async next_if_fail uses user env delegate_to]]):gmatch("%S+")
do
    LATER[name] = true
end

local function refuse(what, key, spec)
    local owner = spec and ("task `%s`"):format(spec.name) or "task"
    if LATER[key] then
        errors.not_available(key)
    end
    errors.invalid(("unknown %s `%s` of %s%s"):format(what, tostring(key), owner, names.suggest(tostring(key), keys)))
end

-- The record behind each builder, kept apart so that a script sees only methods.
local specs = setmetatable({}, { __mode = "k" })

local methods = {}

for name, store in pairs(keys) do
    methods[name] = function(self, ...)
        local spec = specs[self]
        if not spec then
            errors.invalid(("`%s` of task: call it with a colon, as in task(\"name\"):%s(…)"):format(name, name))
        end
        if select("#", ...) == 0 then
            errors.invalid(("`%s` of task `%s`: a value is missing"):format(name, spec.name))
        end
        store(spec, (...))
        if name == "depends_on" then
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
    return { name = name, line = line, location = location, depends_on = {}, params = {} }
end

--- task(name) begins a task: :description :command (or :run) :depends_on :timeout :params :workdir
--- :capabilities, each giving the task back, and :build() at the end.
function task.begin(name)
    if type(name) ~= "string" or name == "" then
        errors.invalid("task: the name is missing, as in task(\"build\")")
    end
    local builder = setmetatable({}, meta)
    specs[builder] = fresh(name, frames.location())
    return builder
end

--- Gives the record behind a builder, or nil.
function task.of(value)
    return type(value) == "table" and getmetatable(value) == meta and specs[value] or nil
end

--- Makes a record of a task written as a table.
function task.read(given, what)
    local name = given.name
    if type(name) ~= "string" or name == "" then
        errors.invalid(what .. ': the name is missing, as in { name = "build", command = … }')
    end
    local location, line = frames.location()
    local command = given.command or given.run
    if type(command) == "function" then
        -- The table itself has no line; where its function stands is nearer than where the workflow does.
        local info = debug.getinfo(command, "S")
        if info.linedefined > 0 and location then
            line = info.linedefined
            location = location:gsub(":%d+$", ":" .. line)
        end
    end
    local spec = fresh(name, location, line)
    for key, value in pairs(given) do
        if key ~= "name" then
            local store = keys[key]
            if not store then
                refuse("key", key, spec)
            end
            store(spec, value)
        end
    end
    return spec
end

return task
