-- JSON text.
local need, host = ...

local errors, check = need("errors"), need("check")
local formats = host.formats

local json = {}

--- json.null stands where a list read from JSON has a null; in maps a null leaves no key.
json.null = formats.null

--- json.encode(value[, {pretty=true}]) gives the JSON text of plain data. An empty table is `{}`, unless
--- it came from an empty list or was marked with json.array.
function json.encode(value, options)
    local given = check.options("json.encode", options, { pretty = "boolean" })
    local text, problem = formats.encode(value, given.pretty or false)
    if problem then
        errors.invalid("json.encode: " .. problem)
    end
    return text
end

--- json.decode(text) gives the value, or nil and what is wrong with the text.
function json.decode(text)
    local value, problem = formats.decode(check.bytes(text, "json.decode"))
    if problem then
        return nil, "json.decode: " .. problem
    end
    return value
end

--- json.array(list) marks a table as a list, so that it stays one when it is empty; gives it back.
function json.array(list)
    return setmetatable(list or {}, formats.list_mark)
end

return json
