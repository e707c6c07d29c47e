-- What a workflow or a task says it will do: `{ files = { write = { "/srv/**" } } }`.
local need = ...

local errors, check = need("errors"), need("check")
local type, pairs, next, tostring = type, pairs, next, tostring

local capabilities = {}

local array = need("json").array

-- A list of texts, or such a list by name.
local function scope_of(scope, what)
    if type(scope) ~= "table" or #scope > 0 or next(scope) == nil then
        return array(check.texts(scope, what))
    end
    local lists = {}
    for name, list in pairs(scope) do
        local text = check.text(name, what)
        lists[text] = array(check.texts(list, ("%s.%s"):format(what, text)))
    end
    return lists
end

--- Gives a declaration as the host wants it: every verb true, a list of texts, or such lists by name. Nouns and
--- verbs are judged by the host, which knows them.
function capabilities.read(value, what)
    if type(value) ~= "table" then
        errors.invalid(what .. ': must be a table such as { files = { read = { "/etc/**" } } }')
    end
    local declared = {}
    for noun, verbs in pairs(value) do
        local place = ("%s.%s"):format(what, tostring(noun))
        if type(noun) ~= "string" or type(verbs) ~= "table" then
            errors.invalid(place .. ': must be a table of verbs, such as { read = { "/etc/**" } }')
        end
        declared[noun] = {}
        for verb, scope in pairs(verbs) do
            local inner = ("%s.%s"):format(place, tostring(verb))
            if type(verb) ~= "string" then
                errors.invalid(inner .. ": a verb is a name")
            end
            if scope == true then
                declared[noun][verb] = true
            elseif type(scope) == "string" or type(scope) == "table" then
                declared[noun][verb] = scope_of(scope, inner)
            elseif scope ~= false then
                errors.invalid(inner .. ": must be true or a list of texts")
            end
        end
    end
    return declared
end

return capabilities
