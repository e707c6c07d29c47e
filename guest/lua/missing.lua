-- Modules of the language that this version has not. Naming one is harmless, so that `if pkg then` works;
-- using one says what is the matter.
local need = ...

local errors = need("errors")
local setmetatable = setmetatable

local missing = {}

missing.modules = [[firewall docker incus nixos terraform stow]]

--- Gives a value whose every use raises that `name` is not available.
function missing.placeholder(name)
    local function raise()
        errors.not_available(name)
    end
    return setmetatable({}, {
        __name = name,
        __index = raise,
        __newindex = raise,
        __call = raise,
        __len = raise,
        __pairs = raise,
        __tostring = function()
            return name .. " (not available in this version of sloth-runner)"
        end,
    })
end

return missing
