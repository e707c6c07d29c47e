-- JSON text.
local need, host = ...

local check = need("check")
local formats = host.formats

local json = {}

--- json.null stands where a list read from JSON has a null; in maps a null leaves no key.
json.null = formats.null

local encode, decode = need("format")("json")

--- json.encode(value[, {pretty=true}]) gives the JSON text of plain data. An empty table is `{}`, unless
--- it came from an empty list or was marked with json.array.
function json.encode(value, options)
    return encode(value, check.options("json.encode", options, { pretty = "boolean" }).pretty)
end

--- json.decode(text) gives the value, or nil and what is wrong with the text.
json.decode = decode

--- json.array(list) marks a table as a list, so that it stays one when it is empty; gives it back.
function json.array(list)
    return setmetatable(list or {}, formats.list_mark)
end

return json
