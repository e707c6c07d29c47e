-- Running one task: what it gets, and what its returned values mean.
local need, host = ...

local errors, workflow, plan = need("errors"), need("workflow"), need("plan")
local exec, fs = need("exec"), need("fs")
local files = host.files
local type, pairs, tostring = type, pairs, tostring

local step = {}

--- this.workdir: the folder a task works in. Dot and colon both work.
local function workdir_of(path)
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
    return setmetatable(workdir, {
        __tostring = workdir.get,
        __concat = function(left, right)
            return tostring(left) .. tostring(right)
        end,
    })
end

local function arguments(spec, workflow_name, workdir)
    local this = {
        --- this.name() gives the task's name.
        name = function()
            return spec.name
        end,
        workdir = workdir_of(workdir),
    }
    local params = {}
    for key, value in pairs(spec.params) do
        params[key] = value
    end
    params.workdir, params.task_name, params.workflow_name = workdir, spec.name, workflow_name
    return this, params
end

local function failed(message, outputs)
    local text = message ~= nil and tostring(message) or "the task returned false"
    return { success = false, kind = "failed", message = text, outputs = outputs }
end

local function succeeded(message, outputs)
    return { success = true, message = message ~= nil and tostring(message) or nil, outputs = outputs }
end

-- What a command line leaves behind, like a function that returns the same.
local function judge_process(result)
    local outputs = { exit_code = result.exit_code, stdout = result.stdout }
    -- Long output belongs to the log, which has it already.
    if #result.stdout > 64 * 1024 then
        outputs.stdout = nil
    end
    if result.success then
        return succeeded(result.message, outputs)
    end
    return failed(result.message, outputs)
end

local function judge(count, first, message, outputs)
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

local function run(spec, workflow_name, deps, workdir)
    if type(spec.command) == "string" then
        return judge_process((exec.run(spec.command)))
    end
    local this, params = arguments(spec, workflow_name, workdir)
    local results = table.pack(spec.command(this, params, deps))
    return judge(results.n, results[1], results[2], results[3])
end

--- Runs a task and gives a report: `success`, `message` and `outputs`, or what failed.
function step.run(workflow_name, task_name, deps, workdir)
    local spec = workflow.find(workflow_name, task_name)
    if not spec then
        return {
            success = false,
            kind = "not-deterministic",
            message = ("task `%s` of workflow `%s` was planned, but the file did not define it when it was loaded again")
                :format(task_name, workflow_name),
        }
    end
    plan.seed_random()
    fs.enter(workdir)
    local done, result = errors.catch(run, spec, workflow_name, deps, workdir)
    if done then
        return result[2]
    end
    -- The file was valid when it was planned; from here on it is the task that fails.
    if result.kind ~= "denied" then
        result.kind = "failed"
    end
    return result
end

return step
