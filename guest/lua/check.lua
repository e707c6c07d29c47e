-- What the library's functions accept.
local need = ...

local errors, names, duration = need("errors"), need("names"), need("duration")
local type, pairs, tostring, tonumber, getmetatable, rawget = type, pairs, tostring, tonumber, getmetatable, rawget
local utf8_length = utf8.len

local check = {}

local function refuse(what, wanted, value)
    if need("secret").name_of(value) then
        errors.invalid(
            ("%s: must be %s, not a secret: programs get secrets as they are in `env`, servers in headers; secret.reveal gives the value"):format(
                what,
                wanted
            )
        )
    end
    local shown = value == nil and "nothing" or ("a " .. type(value))
    errors.invalid(("%s: must be %s, not %s"):format(what, wanted, shown))
end

-- What a program printed stands for its result.
local function printed(value)
    local meta = type(value) == "table" and getmetatable(value)
    if type(meta) == "table" and meta.__name == "result" then
        return rawget(value, "stdout")
    end
    return value
end

--- Gives text, that is a string of UTF-8, or a number as text.
function check.text(value, what)
    value = printed(value)
    if type(value) == "number" then
        return tostring(value)
    elseif type(value) ~= "string" then
        refuse(what, "text", value)
    elseif not utf8_length(value) then
        errors.invalid(what .. ": is not UTF-8 text")
    end
    return value
end

--- Gives bytes: any string, or a number as text.
function check.bytes(value, what)
    value = printed(value)
    if type(value) == "number" then
        return tostring(value)
    elseif type(value) ~= "string" then
        refuse(what, "a string", value)
    end
    return value
end

--- Gives permission bits as a number. They are written in octal digits: "0644", or 644 without quotes.
function check.mode(value, what)
    local digits = type(value) == "number" and ("%d"):format(value) or value
    if type(digits) ~= "string" or not digits:match("^0?o?[0-7]+$") then
        errors.invalid(what .. ': must be permission bits in octal digits, for example "0644"')
    end
    local bits = tonumber((digits:gsub("^0?o", "")), 8)
    if bits > 4095 then
        errors.invalid(what .. ": has more than the permission bits 0000 to 7777")
    end
    return bits
end

--- Gives a list of texts; a single text stands for a list of one.
function check.texts(value, what)
    value = printed(value)
    if type(value) ~= "table" then
        return { check.text(value, what) }
    end
    local list = {}
    for index = 1, #value do
        list[index] = check.text(value[index], ("%s[%d]"):format(what, index))
    end
    for key in pairs(value) do
        if type(key) ~= "number" then
            errors.invalid(("%s: must be a list, but has the key `%s`"):format(what, tostring(key)))
        end
    end
    return list
end

local function of_type(kind, wanted)
    return function(value, what)
        if type(value) ~= kind then
            refuse(what, wanted, value)
        end
        return value
    end
end

--- Gives true or false.
check.flag = of_type("boolean", "true or false")
--- Gives a function.
check.hook = of_type("function", "a function")
--- Gives a table.
check.table = of_type("table", "a table")

local KINDS = {
    text = check.text,
    bytes = check.bytes,
    mode = check.mode,
    texts = check.texts,
    duration = duration.parse,
    -- Whatever it is, the caller looks at it.
    any = function(value)
        return value
    end,
    count = function(value, what)
        if math.type(value) ~= "integer" or value < 0 then
            refuse(what, "a whole number", value)
        end
        return value
    end,
    boolean = check.flag,
    number = of_type("number", "a number"),
    ["function"] = check.hook,
    table = check.table,
}

--- Gives a copy of an option table, each value checked. `known` maps names to kinds, or to a list of the
--- values allowed; a `!` after the kind says that the option must be given.
function check.options(what, given, known)
    local options = {}
    if given ~= nil and type(given) ~= "table" then
        refuse(what, "called with a table of options", given)
    end
    for key, value in pairs(given or {}) do
        local kind = known[key]
        if not kind then
            errors.invalid(("%s: unknown option `%s`%s"):format(what, tostring(key), names.suggest(tostring(key), known)))
        end
        local option = what .. ": " .. key
        if type(kind) == "table" then
            local allowed = false
            for _, choice in pairs(kind) do
                allowed = allowed or choice == value
            end
            if not allowed then
                errors.invalid(("%s: must be one of %s"):format(option, table.concat(kind, ", ")))
            end
            options[key] = value
        else
            options[key] = KINDS[kind:gsub("!", "")](value, option)
        end
    end
    for key, kind in pairs(known) do
        if type(kind) == "string" and kind:sub(-1) == "!" and options[key] == nil then
            errors.invalid(("%s: the option `%s` is missing"):format(what, key))
        end
    end
    return options
end

return check
