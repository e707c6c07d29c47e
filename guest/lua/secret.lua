-- Secrets: handles on values that a workflow hands on and does not see.
local need, host = ...

local errors, check, names = need("errors"), need("check"), need("names")
local type, setmetatable, tostring = type, setmetatable, tostring

-- What each handle stands for. A handle is nothing but a name: what is done with it is granted or not.
local known = setmetatable({}, { __mode = "k" })
-- The text before each.
local before = setmetatable({}, { __mode = "k" })

local secret = {}

-- Lua's own functions put the name of what they got into their errors.
local meta = { __name = "secret; secret.reveal gives its value" }

local function handle_of(name, text)
    local handle = setmetatable({}, meta)
    known[handle], before[handle] = name, text
    return handle
end

function meta.__tostring(self)
    return ("%s<secret %s>"):format(before[self], known[self])
end

function meta.__concat(left, right)
    return tostring(left) .. tostring(right)
end

function meta.__index(self, key)
    if key == "reveal" or key == "after" then
        return secret[key]
    end
    errors.invalid(("%s is no text; secret.reveal gives its value"):format(tostring(self)))
end

meta.__newindex = meta.__index

--- secret.reveal(given) gives the value itself to the workflow; `secrets.reveal` of its name. Takes a name too; a
--- secret has it as a method: secret("name"):reveal().
function secret.reveal(given)
    local value, problem = host.secrets.reveal(known[given] or check.text(given, "secret.reveal"))
    if problem then
        -- There is nothing that a workflow could go on with.
        problem.kind = problem.kind == "failed" and "invalid" or problem.kind
    end
    return errors.read(value and (before[given] or "") .. value, problem)
end

--- secret.after(given, text) gives the secret with a text before it, for a request's header:
--- { Authorization = secret("api-key"):after("Bearer ") }.
function secret.after(given, text)
    local name = known[given] or check.text(given, "secret.after")
    return handle_of(name, check.text(text, "secret.after: the text") .. (before[given] or ""))
end

--- Gives the name that a handle stands for and the text before it, or nil for what is none.
local function name_of(value)
    if type(value) == "table" then
        return known[value], before[value]
    end
end

names.close(secret, "secret", errors.invalid)
--- secret(name) gives a secret of the node by its name: to stand in a program's `env`, where `secrets.env` lets it,
--- or in a request's headers, where `secrets.header` does. As text it reads `<secret name>`.
getmetatable(secret).__call = function(_, name)
    return handle_of(check.text(name, "secret"), "")
end

return { public = secret, name_of = name_of }
