-- What the text formats have in common: what cannot be written is the script's mistake, what cannot be read the text's.
local need, host = ...

local errors, check = need("errors"), need("check")
local formats = host.formats

--- Gives a format's two functions, which call it by its name.
return function(name)
    local write, read = formats[name .. "_encode"], formats[name .. "_decode"]
    return function(value, pretty)
        local text, problem = write(value, pretty)
        if problem then
            errors.invalid(("%s.encode: %s"):format(name, problem))
        end
        return text
    end, function(text)
        local value, problem = read(check.bytes(text, name .. ".decode"))
        if problem then
            return nil, ("%s.decode: %s"):format(name, problem)
        end
        return value
    end
end
