-- Loading a file, and the plan that comes of it.
local need, host = ...

local errors, workflow, json, frames = need("errors"), need("workflow"), need("json"), need("frames")
local task, imports, delegate = need("task"), need("import"), need("task_keys").delegate
local native_load, string_unpack, randomseed = load, string.unpack, math.randomseed

local plan = {}

local EXAMPLE = [[
a workflow is defined like this:
  workflow.define("hello"):tasks({ task("greet"):command(function() log.info("hello") end) })]]

--- Draws Lua's random state afresh. While a file loads the bytes are the run's own, the same each time.
function plan.seed_random()
    randomseed(string_unpack("<i8i8", host.random.bytes(16)))
end

local function condition(value)
    if value == nil then
        return nil
    elseif type(value) == "string" then
        return { kind = "text", text = value }
    end
    return { kind = "function" }
end

local function hooks(spec, known)
    local present = nil
    for index = 1, #known do
        if spec[known[index]] then
            present = present or json.array({})
            present[#present + 1] = known[index]:gsub("_", "-")
        end
    end
    return present
end

local TASK_HOOKS = { "pre_hook", "post_hook", "on_success", "on_failure", "on_timeout" }

local function list(value)
    return value and json.array(value)
end

-- Where it runs. A function of values says so now; nil leaves it to the operator.
local function where(spec, kind)
    local value = spec.delegate_to
    if type(value) == "function" then
        frames.owner = spec.location
        local place = ("delegate_to of %s `%s`"):format(kind, spec.name)
        value = value(_G.values)
        if type(value) == "function" then
            errors.invalid(place .. ": its function gave another function", spec.location)
        end
        value = value ~= nil and delegate(value, place) or nil
        frames.owner = nil
    end
    return value
end

local function task_plan(own, owner)
    local spec = task.whole(own)
    if spec.command == nil then
        errors.invalid(("task `%s` has no command (line %d)"):format(spec.name, spec.line), spec.location)
    end
    return {
        name = spec.name,
        line = spec.line,
        description = spec.description,
        depends_on = list(spec.depends_on),
        next_if_fail = list(spec.next_if_fail),
        timeout = spec.timeout,
        retries = spec.retries,
        run_if = condition(spec.run_if),
        abort_if = condition(spec.abort_if),
        hooks = hooks(spec, TASK_HOOKS),
        artifacts = list(spec.artifacts),
        consumes = list(spec.consumes),
        ["async"] = spec.async,
        workdir = spec.workdir or owner.workdir,
        user = spec.user,
        delegate_to = where(spec, "task"),
        capabilities = spec.capabilities,
    }
end

local function workflow_hooks(spec)
    local present = json.array({})
    if spec.on_start or spec.create_workdir_before_run then
        present[1] = "on-start"
    end
    if spec.on_complete or spec.clean_workdir_after_run then
        present[#present + 1] = "on-complete"
    end
    return present
end

local function workflow_plan(spec)
    local tasks = json.array({})
    for index = 1, #spec.tasks do
        tasks[index] = task_plan(spec.tasks[index], spec)
    end
    if spec.create_workdir_before_run and not spec.workdir then
        errors.invalid(
            ("workflow `%s`: create_workdir_before_run needs a workdir"):format(spec.name),
            spec.location
        )
    end
    return {
        name = spec.name,
        line = spec.line,
        description = spec.description,
        version = spec.version,
        metadata = spec.metadata,
        config = spec.config,
        workdir = spec.workdir,
        hooks = workflow_hooks(spec),
        delegate_to = where(spec, "workflow"),
        bundle = list(spec.bundle),
        capabilities = spec.capabilities,
        tasks = tasks,
    }
end

local function load_file(name, script, values, planned)
    plan.seed_random()
    frames.enter(name, script)
    _G.values, _G.Values = values, values
    local chunk, problem = native_load(script, "@" .. name, "t")
    if not chunk then
        local location, message = frames.split(problem)
        errors.invalid(message, location)
    end
    imports.begin(name)
    chunk()
    local groups, location = imports.groups()
    if groups ~= nil then
        workflow.define_groups(groups, location)
    end
    imports.close()
    frames.leave()
    if planned then
        return nil
    end
    local all = workflow.all()
    if #all == 0 then
        errors.invalid(("no workflow is defined in %s; %s"):format(name, EXAMPLE), name .. ":1")
    end
    local workflows = json.array({})
    for index = 1, #all do
        workflows[index] = workflow_plan(all[index])
    end
    local plugins = nil
    for plugin in pairs(imports.plugins) do
        plugins = plugins or json.array({})
        plugins[#plugins + 1] = plugin
    end
    if plugins then
        table.sort(plugins)
    end
    return { workflows = workflows, plugins = plugins }
end

--- Loads a script and gives a report: `success` and, unless it is known, `plan`, or what failed.
function plan.load(name, script, values, planned)
    if type(values) ~= "table" then
        values = {}
    end
    local done, result = errors.catch(load_file, name, script, values, planned)
    if done then
        return { success = true, plan = result[2] }
    end
    -- While a file loads there is no task that could fail: whatever happens, the file is at fault.
    if result.kind ~= "denied" then
        result.kind = "invalid"
    end
    return result
end

return plan
