-- TOML 1.1 text.
local need = ...

local errors, names = need("errors"), need("names")

local toml = {}

local encode, decode = need("format")("toml")

--- toml.encode(table) gives the TOML text of a table: values first, then tables, both sorted by their names. Text
--- that is a date stays text.
function toml.encode(value)
    return encode(value)
end

--- toml.decode(text) gives the table, or nil and what is wrong with the text, with line and column. Dates and times
--- are text, as they are written: "1979-05-27T07:32:00Z".
toml.decode = decode

--- toml.parse(text) is toml.decode.
toml.parse = decode
--- toml.stringify(table) is toml.encode.
toml.stringify = toml.encode

return names.close(toml, "toml", errors.invalid)
