-- Puts the library together. Called once, while the snapshot is made, with every file's source by
-- name and the host's functions by noun; gives the two functions the component's exports call.
local sources, host = ...

local load, error, dump = load, error, string.dump
local loaded = {}

--- Gives what the library's file of that name returns; each is run once.
local function need(name)
    local module = loaded[name]
    if module == nil then
        local chunk, message = load(sources[name], "=sloth:" .. name, "t")
        if not chunk then
            error(message, 0)
        end
        -- Without what only a debugger wants (lines, names of locals), of which the snapshot would be full.
        module = load(dump(chunk, true), "=sloth:" .. name, "b")(need, host)
        loaded[name] = module
    end
    return module
end

-- First what keeps Lua's own functions for the library, then what changes the globals.
local plan, step = need("plan"), need("step")
need("base")
-- Nothing is loaded later, and the snapshot shall not carry the sources.
sources = nil
return plan.load, step.run
