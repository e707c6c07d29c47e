-- TOML 1 text.
local need, host = ...

local errors, check, names = need("errors"), need("check"), need("names")
local formats = host.formats

local toml = {}

--- toml.encode(value) gives the TOML text of a table with names as keys; keys are sorted.
function toml.encode(value)
    local text, problem = formats.toml_encode(value)
    if problem then
        errors.invalid("toml.encode: " .. problem)
    end
    return text
end

--- toml.decode(text) gives the table, or nil and what is wrong with the text. Dates and times become text.
function toml.decode(text)
    local value, problem = formats.toml_decode(check.bytes(text, "toml.decode"))
    if problem then
        return nil, "toml.decode: " .. problem
    end
    return value
end

toml.parse, toml.stringify = toml.decode, toml.encode

return names.close(toml, "toml", errors.invalid)
