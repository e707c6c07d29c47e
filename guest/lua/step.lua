-- Running one part of a task or of a workflow: what it gets, and what its returned values mean.
local need, host = ...

local errors, workflow, plan, stack = need("errors"), need("workflow"), need("plan"), need("stack")
local exec, fs, fibers, run_as = need("exec"), need("fs"), need("fibers"), need("run_as")
local leftovers = need("leftovers")
local files = host.files
local type, pairs, tostring = type, pairs, tostring
local getmetatable, setmetatable = getmetatable, setmetatable
local getinfo, getlocal = debug.getinfo, debug.getlocal

local step = {}

-- The folder a task works in. Its functions are called with a dot or a colon, so they cannot be told whose
-- they are: it is that of the step that runs.
local path

local workdir = {}

--- this.workdir.get() gives the path.
function workdir.get()
    return path
end

--- this.workdir.exists() says whether the folder is there.
function workdir.exists()
    return errors.read(files.stat(path, true)) ~= nil
end

--- this.workdir.ensure() makes the folder if it is missing.
function workdir.ensure()
    return errors.act("this.workdir.ensure", files.mkdir(path, true, nil))
end

--- this.workdir.cleanup() removes the folder and all in it.
function workdir.cleanup()
    return errors.act("this.workdir.cleanup", files.remove(path, true))
end

--- this.workdir.recreate() leaves an empty folder.
function workdir.recreate()
    local removed, message = workdir.cleanup()
    if not removed then
        return nil, message
    end
    return workdir.ensure()
end

local workdir_meta = {
    __index = workdir,
    __tostring = workdir.get,
    __concat = function(left, right)
        return tostring(left) .. tostring(right)
    end,
}

local function this_of(spec, attempt)
    return {
        --- this.name() gives the task's name.
        name = function()
            return spec.name
        end,
        --- this.attempt() gives which attempt this is, from 1.
        attempt = function()
            return attempt
        end,
        workdir = setmetatable({}, workdir_meta),
    }
end

local function params_of(spec, workflow_name)
    local params = { workdir = path, task_name = spec.name, workflow_name = workflow_name }
    for key, value in pairs(spec.params or {}) do
        if params[key] == nil then
            params[key] = value
        end
    end
    return params
end

-- The older way to write a function of a task leaves `this` out: f(params, deps). It is told by what its
-- parameters are called.
local THIS = { this = true, self = true, task = true, ctx = true, _this = true }
local PARAMS = { params = true, parameters = true, p = true }
local THIRD = {}
for name in ("deps dependencies d output outputs result why reason err error"):gmatch("%S+") do
    THIRD[name] = true
end

local function call(body, this, params, third)
    local info = getinfo(body, "u")
    if not info.isvararg and (info.nparams == 1 or info.nparams == 2) then
        local first, second = getlocal(body, 1), info.nparams == 2 and getlocal(body, 2)
        if PARAMS[first] or THIRD[second] then
            return body(THIS[first] and this or params, third)
        end
    end
    return body(this, params, third)
end

local function failed(message, outputs)
    local text = message ~= nil and tostring(message) or "the task returned false"
    return { success = false, kind = "failed", message = text, outputs = outputs }
end

local function succeeded(message, outputs)
    return { success = true, message = message ~= nil and tostring(message) or nil, outputs = outputs }
end

-- Most bytes of a command line's output among its outputs.
local LONGEST = 64 * 1024

-- What a command line leaves behind, like a function that returns the same.
local function judge_process(result)
    local outputs = { exit_code = result.exit_code, stdout = result.stdout }
    -- Long output belongs to the log, which has it already.
    if outputs.stdout and #outputs.stdout > LONGEST then
        outputs.stdout, outputs.truncated = outputs.stdout:sub(1, LONGEST), true
    end
    if result.success then
        return succeeded(result.message, outputs)
    end
    return failed(result.message, outputs)
end

-- Who leaves the message out may give the outputs in its place.
local function second_value(message, outputs)
    local meta = type(message) == "table" and (getmetatable(message) or {})
    if not meta or meta.__tostring then
        return message, outputs
    elseif outputs == nil then
        return nil, message
    end
    errors.invalid("the task returned a table where its message stands; it returns true, a message, and outputs")
end

local function judge(count, first, message, outputs)
    if type(first) == "boolean" then
        message, outputs = second_value(message, outputs)
    end
    if count == 0 or first == nil then
        -- `return nil, message` is how a soft failure is handed on.
        if message ~= nil then
            return failed(message, outputs)
        end
        return succeeded(nil, nil)
    elseif first == true then
        return succeeded(message, outputs)
    elseif first == false then
        return failed(message, outputs)
    elseif type(first) == "table" then
        local fields = {}
        for key, value in pairs(first) do
            if key ~= "success" and key ~= "message" then
                fields[key] = value
            end
        end
        if first.success == false then
            return failed(first.message or message, fields)
        end
        return succeeded(first.message or message, fields)
    end
    return failed(("the task returned a %s; it must return true or false, nothing, or a table"):format(type(first)))
end

local function results_of(...)
    return judge(select("#", ...), ...)
end

local parts = {}

function parts.command(spec, given)
    if type(spec.command) == "string" then
        return judge_process((exec.run(spec.command)))
    end
    return results_of(call(spec.command, given.this, given.params, given.deps))
end

local function condition(key)
    return function(spec, given)
        local answer
        if type(spec[key]) == "string" then
            -- A question changes nothing, and is asked in check mode too.
            answer = exec.run(spec[key], { check = true }).success
        else
            answer = call(spec[key], given.this, given.params, given.deps)
        end
        return { success = true, answer = answer and true or false }
    end
end

parts["run-if"], parts["abort-if"] = condition("run_if"), condition("abort_if")

parts["pre-hook"] = function(spec, given)
    return results_of(call(spec.pre_hook, given.this, given.params, given.deps))
end

-- What a task left, with its message, as its hooks get it.
local function output_of(about)
    local output = {}
    for key, value in pairs(type(about.outputs) == "table" and about.outputs or {}) do
        output[key] = value
    end
    if output.message == nil then
        output.message = about.message
    end
    return output
end

local function after(key, third)
    return function(spec, given)
        return results_of(call(spec[key], given.this, given.params, third(given.about)))
    end
end

-- Why a task failed. Some functions take it for text, others for a table with `error`.
local reason_meta = {
    __tostring = function(self)
        return self.error
    end,
    __concat = function(left, right)
        return tostring(left) .. tostring(right)
    end,
    __index = function(self, key)
        local method = string[key]
        return method and function(_, ...)
            return method(self.error, ...)
        end
    end,
}

local function message_of(about)
    local text = about.message or ""
    return setmetatable({ error = text, message = text, outcome = about.outcome }, reason_meta)
end

parts["post-hook"] = after("post_hook", output_of)
parts["on-success"] = after("on_success", output_of)
parts["on-failure"] = after("on_failure", message_of)
parts["on-timeout"] = after("on_timeout", message_of)

parts["on-start"] = function(spec)
    if spec.create_workdir_before_run then
        local made, message = errors.act("create_workdir_before_run", files.mkdir(spec.workdir, true, nil))
        if not made then
            return failed(message)
        end
    end
    if spec.on_start then
        return results_of(spec.on_start())
    end
    return succeeded()
end

parts["on-complete"] = function(spec, given)
    local about = given.about
    local result = succeeded()
    if spec.on_complete then
        result = results_of(spec.on_complete(about.success, about.results))
    end
    local clean = spec.clean_workdir_after_run
    if type(clean) == "function" then
        clean = clean({ success = about.success, results = about.results })
    end
    if clean and spec.workdir then
        local removed, message = errors.act("clean_workdir_after_run", files.remove(spec.workdir, true))
        if not removed then
            return failed(message)
        end
    end
    return result
end

local function run(spec, workflow_name, part, deps, about, attempt)
    local result = parts[part](spec, {
        this = this_of(spec, attempt),
        params = params_of(spec, workflow_name),
        deps = deps,
        about = about,
    })
    -- What was started beside the task belongs to it.
    if fibers.any() then
        fibers.settle()
    end
    if leftovers.close then
        leftovers.close()
    end
    return result
end

--- Runs one part and gives a report: `success`, `message`, `answer`, `outputs` and `stack`, or what failed.
function step.run(workflow_name, task_name, part, deps, stack_name, stack_outputs, about, folder, attempt)
    local owner, spec = workflow.find(workflow_name, task_name)
    if task_name == nil then
        spec = owner
    end
    if not spec then
        return {
            success = false,
            kind = "not-deterministic",
            message = ("the file is not deterministic: task `%s` was declared when it was planned and is not now; "
                .. "declare the same tasks at every load"):format(task_name or workflow_name),
        }
    end
    path = folder
    plan.seed_random()
    fs.enter(folder)
    run_as.user, run_as.env = spec.user, spec.env
    stack.enter(stack_name, stack_outputs)
    if fibers.any() then
        fibers.reset()
    end
    local done, result = errors.catch(run, spec, workflow_name, part, deps, about, attempt)
    if done then
        result = result[2]
    elseif result.kind ~= "denied" then
        -- The file was valid when it was planned; from here on it is the task that fails.
        result.kind = "failed"
    end
    result.stack = stack.leave()
    return result
end

return step
