-- Data as text in one of several formats, by the names that older files use.
local need, host = ...

local errors, check, names = need("errors"), need("check"), need("names")
local json, yaml, toml = need("json"), need("yaml"), need("toml")
local type, pairs, tostring, getmetatable = type, pairs, tostring, getmetatable

local data = {}

local FORMATS = { json = json, yaml = yaml, yml = yaml, toml = toml }

local function format_of(name, what)
    local format = type(name) == "string" and FORMATS[name:lower()]
    if not format then
        errors.invalid(("%s: `%s` is not a format; there are json, yaml and toml"):format(what, tostring(name)))
    end
    return format
end

--- data.decode(format, text) reads "json", "yaml" or "toml"; gives the value, or nil and what is wrong.
function data.decode(format, text)
    return format_of(format, "data.decode").decode(text)
end

--- data.encode(format, value) gives the value's text in "json", "yaml" or "toml".
function data.encode(format, value)
    return format_of(format, "data.encode").encode(value)
end

--- data.parse_json(text) gives the value, or nil and what is wrong.
data.parse_json = json.decode
--- data.json_decode(text) is data.parse_json.
data.json_decode = json.decode
--- data.json_encode(value) gives JSON text on one line.
data.json_encode = json.encode
--- data.to_json(value) gives JSON text, indented.
function data.to_json(value)
    return json.encode(value, { pretty = true })
end
--- data.json_pretty(value) is data.to_json.
data.json_pretty = data.to_json
--- data.json_validate(text) gives true, or false and what is wrong with the text.
function data.json_validate(text)
    local _, problem = json.decode(text)
    return problem == nil, problem
end
--- data.parse_yaml(text) gives the value, or nil and what is wrong.
data.parse_yaml = yaml.decode
--- data.yaml_decode(text) is data.parse_yaml.
data.yaml_decode = yaml.decode
--- data.to_yaml(value) gives YAML text.
data.to_yaml = yaml.encode
--- data.yaml_encode(value) is data.to_yaml.
data.yaml_encode = yaml.encode

local function convert(from, to, text)
    local value, problem = from.decode(text)
    if problem then
        return nil, problem
    end
    return to.encode(value)
end

--- data.yaml_to_json(text) gives the same data as JSON text, or nil and what is wrong.
function data.yaml_to_json(text)
    return convert(yaml, json, text)
end

--- data.json_to_yaml(text) gives the same data as YAML text, or nil and what is wrong.
function data.json_to_yaml(text)
    return convert(json, yaml, text)
end

local function steps(path, separator, what)
    return need("strings").split(check.bytes(path, what), separator or ".")
end

--- data.get_path(table, "a.b.c"[, separator]) gives what stands there, or nil.
function data.get_path(value, path, separator)
    local parts = steps(path, separator, "data.get_path")
    for index = 1, #parts do
        if type(value) ~= "table" then
            return nil
        end
        local key = parts[index]
        local here = value[key]
        value = here == nil and value[math.tointeger(key)] or here
    end
    return value
end

--- data.set_path(table, "a.b.c", value[, separator]) puts a value there, making tables on the way; gives the table.
function data.set_path(value, path, new, separator)
    local parts = steps(path, separator, "data.set_path")
    if type(value) ~= "table" then
        errors.invalid("data.set_path: must be called with a table")
    end
    local here = value
    for index = 1, #parts - 1 do
        if type(here[parts[index]]) ~= "table" then
            here[parts[index]] = {}
        end
        here = here[parts[index]]
    end
    here[parts[#parts]] = new
    return value
end

--- data.flatten(table[, separator="."]) gives one table whose keys are the paths to each value.
function data.flatten(value, separator)
    local flat = {}
    local function walk(part, prefix)
        for key, inner in pairs(part) do
            local path = prefix .. tostring(key)
            if type(inner) == "table" then
                walk(inner, path .. (separator or "."))
            else
                flat[path] = inner
            end
        end
    end
    if type(value) ~= "table" then
        errors.invalid("data.flatten: must be called with a table")
    end
    walk(value, "")
    return flat
end

return names.close(data, "data", errors.invalid)
