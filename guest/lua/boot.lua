-- Puts the library together. Called once, while the snapshot is made, with every file's source by name, their
-- names in order, and the host's functions by noun; gives the two functions the component's exports call, and the
-- code of what has not run yet by name.
local sources, host = ...

local load, error, dump, unpack = load, error, string.dump, host.unpack
local loaded, code = {}, {}

-- Without what only a debugger wants (lines, names of locals), of which the snapshot would be full.
local function compile(name)
    local chunk, message = load(sources[name], "=sloth:" .. name, "t")
    if not chunk then
        error(message, 0)
    end
    return dump(chunk, true)
end

--- Gives what the library's file of that name returns; each is run once.
local function need(name)
    local module = loaded[name]
    if module == nil then
        local packed = code[name]
        module = load(packed and unpack(packed) or compile(name), "=sloth:" .. name, "b")(need, host)
        loaded[name], code[name] = module, nil
    end
    return module
end

-- First what keeps Lua's own functions for the library, then what changes the globals.
local plan, step = need("plan"), need("step")
need("base")
-- What nearly every step uses is in the snapshot as it runs. The rest is there as code, which the caller packs,
-- and runs when it is first named.
for index = 1, #sources do
    local name = sources[index]
    if loaded[name] == nil then
        code[name] = compile(name)
    end
end
sources = nil
return plan.load, step.run, code
