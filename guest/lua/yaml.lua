-- YAML 1.2 text.
local need, host = ...

local errors, check, names = need("errors"), need("check"), need("names")
local formats = host.formats

local yaml = {}

--- yaml.encode(value) gives the YAML text of plain data; keys are sorted.
function yaml.encode(value)
    local text, problem = formats.yaml_encode(value)
    if problem then
        errors.invalid("yaml.encode: " .. problem)
    end
    return text
end

--- yaml.decode_all(text) gives a list of the documents of a text, or nil and what is wrong with it.
function yaml.decode_all(text)
    local documents, problem = formats.yaml_decode(check.bytes(text, "yaml.decode_all"))
    if problem then
        return nil, "yaml.decode: " .. problem
    end
    return documents
end

--- yaml.decode(text) gives the value of a text's one document, or nil and what is wrong with the text. Keys are
--- text always; a null in a list is json.null, in a map it leaves no key.
function yaml.decode(text)
    local documents, problem = yaml.decode_all(text)
    if not documents then
        return nil, problem
    elseif #documents > 1 then
        return nil, ("yaml.decode: the text holds %d documents; use yaml.decode_all"):format(#documents)
    elseif documents[1] == formats.null then
        return nil
    end
    return documents[1]
end

--- yaml.parse(text) is yaml.decode.
yaml.parse = yaml.decode
--- yaml.stringify(value) is yaml.encode.
yaml.stringify = yaml.encode

return names.close(yaml, "yaml", errors.invalid)
