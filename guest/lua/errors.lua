-- Errors as the library raises them: tables with `kind`, `message`, `location`, and for a refused call
-- `capability`, `subject`, `layer` and `remedy`. They read like Lua's own where a string is wanted.
local need, host = ...

local frames = need("frames")
local log = host.log
local error, setmetatable, getmetatable, type, tostring = error, setmetatable, getmetatable, type, tostring

local errors = {}

local meta = { __name = "error" }

function meta.__tostring(self)
    if self.location then
        return self.location .. ": " .. tostring(self.message)
    end
    return tostring(self.message)
end

function meta.__concat(left, right)
    return tostring(left) .. tostring(right)
end

--- Raises an error of a kind, placed at the user's frame that led here.
function errors.raise(kind, message, location)
    error(setmetatable({ kind = kind, message = message, location = location or frames.location() or frames.owner }, meta), 0)
end

--- Raises an error about how the library is used.
function errors.invalid(message, location)
    errors.raise("invalid", message, location)
end

--- Raises an error about a name that this version does not know yet.
function errors.not_available(name)
    errors.raise("invalid", ("`%s` is not available in this version of sloth-runner"):format(name))
end

-- Kinds that say the script is wrong or may not do this. The others say how the machine is, and the
-- script may want to go on.
local HARD = { denied = true, invalid = true, ["not-while-loading"] = true }

local function settle(action, mutating, value, problem)
    if problem == nil then
        return value
    end
    if HARD[problem.kind] then
        problem.location = frames.location()
        error(setmetatable(problem, meta), 0)
    end
    if mutating then
        log.write("warn", action .. " failed: " .. problem.message)
    end
    return nil, problem.message
end

--- Passes on what a host function gave that reads: raises refusals, gives nil and a message for what
--- the machine could not do.
function errors.read(value, problem)
    return settle(nil, false, value, problem)
end

--- As `errors.read`, for an action: its failure is logged too, so that one nobody looks at is seen.
function errors.act(action, value, problem)
    return settle(action, true, value, problem)
end

--- Raises what `errors.catch` reported, as it was.
function errors.again(report)
    error(setmetatable(report, meta), 0)
end

--- Says whether a value is one of these errors.
function errors.is(value)
    return type(value) == "table" and getmetatable(value) == meta
end

--- Gives the fields of a report for any value that was raised.
function errors.describe(value)
    if errors.is(value) then
        return {
            kind = value.kind,
            message = tostring(value.message),
            location = value.location,
            capability = value.capability,
            subject = value.subject,
            layer = value.layer,
            remedy = value.remedy,
            traceback = value.traceback,
        }
    end
    if type(value) == "string" then
        local location, message = frames.split(value)
        return { kind = "failed", message = message, location = location }
    end
    if type(value) == "table" and (getmetatable(value) or {}).__tostring == nil then
        local message = value.message or value.msg or value.error
        if type(message) == "string" or type(message) == "number" then
            return { kind = "failed", message = tostring(message) }
        end
        local code = value.code
        if type(code) == "string" or type(code) == "number" then
            return { kind = "failed", message = "a table was raised, code " .. tostring(code) }
        end
        return { kind = "failed", message = "a table without a message was raised" }
    end
    return { kind = "failed", message = tostring(value) }
end

--- Calls a function. Gives true and what it returned (packed), or false and a report of the failure with
--- location and traceback.
function errors.catch(body, ...)
    local report
    local result = table.pack(xpcall(body, function(value)
        report = errors.describe(value)
        report.location = report.location or frames.location() or frames.owner
        report.traceback = report.traceback or frames.traceback()
        return value
    end, ...))
    if result[1] then
        return true, result
    end
    -- Lua calls no handler when it runs out of memory, and cuts short one that fails itself.
    report = report or errors.describe(result[2])
    if report.traceback == "" then
        report.traceback = nil
    end
    return false, report
end

return errors
