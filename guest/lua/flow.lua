-- What flows from channel to channel.
local need = ...

local errors, names, fibers, channel = need("errors"), need("names"), need("fibers"), need("channel")
local type, pcall, error, tostring = type, pcall, error, tostring

local flow = {}

-- How many values wait between two stages.
local BETWEEN = 10

-- Starts so many that take from a channel until it is closed. Calls `after` when all have ended. One that fails takes
-- what still comes, so that who sends does not wait for ever.
local function take(input, workers, each, after)
    local left = workers
    for _ = 1, workers do
        fibers.start(function()
            local done, problem = pcall(input.range, input, each)
            if not done then
                input:range(function() end)
            end
            left = left - 1
            if left == 0 then
                after()
            end
            if not done then
                error(problem, 0)
            end
        end)
    end
end

local function count(value, what)
    if math.type(value) ~= "integer" or value < 1 then
        errors.invalid(("%s: must be a whole number from 1 up, not %s"):format(what, tostring(value)))
    end
    return value
end

--- goroutine.pipeline(channel, stages) hands what comes through a channel from stage to stage; gives the channel of
--- what comes out. A stage is { fn = f(value), workers = 1 }. Close the first channel to end it.
function flow.pipeline(input, stages)
    local what = "goroutine.pipeline"
    if type(stages) ~= "table" or #stages == 0 then
        errors.invalid(what .. ": must be called with a channel and a list of stages, such as { fn = f, workers = 2 }")
    end
    for index = 1, #stages do
        local place = ("%s: stage %d"):format(what, index)
        local stage = need("check").options(place, stages[index], { fn = "function!", workers = "number" })
        local output = channel.make(BETWEEN)
        take(input, count(stage.workers or 1, place .. ": workers"), function(value)
            output:send(stage.fn(value))
        end, function()
            output:close()
        end)
        input = output
    end
    return input
end

--- goroutine.fan_out(channel, n) gives a list of n channels, each of which gets every value.
function flow.fan_out(input, number)
    local outputs = {}
    for index = 1, count(number, "goroutine.fan_out") do
        outputs[index] = channel.make(BETWEEN)
    end
    take(input, 1, function(value)
        for index = 1, number do
            outputs[index]:send(value)
        end
    end, function()
        for index = 1, number do
            outputs[index]:close()
        end
    end)
    return outputs
end

--- goroutine.fan_in(channels) gives one channel that gets what comes through all of a list; closed when they are.
function flow.fan_in(inputs)
    if type(inputs) ~= "table" or #inputs == 0 then
        errors.invalid("goroutine.fan_in: must be called with a list of channels")
    end
    local output, left = channel.make(BETWEEN), #inputs
    for index = 1, #inputs do
        take(inputs[index], 1, function(value)
            output:send(value)
        end, function()
            left = left - 1
            if left == 0 then
                output:close()
            end
        end)
    end
    return output
end

return flow
