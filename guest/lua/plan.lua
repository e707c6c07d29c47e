-- Loading a file, and the plan that comes of it.
local need, host = ...

local errors, workflow, json, frames = need("errors"), need("workflow"), need("json"), need("frames")
local native_load, string_unpack, randomseed = load, string.unpack, math.randomseed

local plan = {}

local EXAMPLE = [[
a workflow is defined like this:
  workflow.define("hello"):tasks({ task("greet"):command(function() log.info("hello") end) })]]

--- Draws Lua's random state afresh. While a file loads the bytes are the run's own, the same each time.
function plan.seed_random()
    randomseed(string_unpack("<i8i8", host.random.bytes(16)))
end

local function task_plan(spec)
    if spec.command == nil then
        errors.invalid(("task `%s` has no command (line %d)"):format(spec.name, spec.line), spec.location)
    end
    return {
        name = spec.name,
        line = spec.line,
        description = spec.description,
        depends_on = json.array(spec.depends_on),
        timeout = spec.timeout,
        workdir = spec.workdir,
        capabilities = spec.capabilities,
    }
end

local function workflow_plan(spec)
    local tasks = json.array({})
    for index = 1, #spec.tasks do
        tasks[index] = task_plan(spec.tasks[index])
    end
    return {
        name = spec.name,
        line = spec.line,
        description = spec.description,
        version = spec.version,
        config = spec.config,
        capabilities = spec.capabilities,
        tasks = tasks,
    }
end

local function load_file(name, script, values)
    plan.seed_random()
    frames.enter(name)
    _G.values, _G.Values = values, values
    local chunk, problem = native_load(script, "@" .. name, "t")
    if not chunk then
        local location, message = frames.split(problem)
        errors.invalid(message, location)
    end
    chunk()
    local all = workflow.all()
    if #all == 0 then
        errors.invalid(("no workflow is defined in %s; %s"):format(name, EXAMPLE), name .. ":1")
    end
    local workflows = json.array({})
    for index = 1, #all do
        workflows[index] = workflow_plan(all[index])
    end
    return { workflows = workflows }
end

--- Loads a script and gives a report: `success` and `plan`, or what failed.
function plan.load(name, script, values)
    if type(values) ~= "table" then
        values = {}
    end
    local done, result = errors.catch(load_file, name, script, values)
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
