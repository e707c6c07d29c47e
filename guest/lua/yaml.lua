-- YAML 1.2 text.
local need, host = ...

local errors, names = need("errors"), need("names")
local null = host.formats.null

local yaml = {}

local encode, decode_all = need("format")("yaml")

--- yaml.encode(value) gives the YAML text of plain data; keys are sorted.
function yaml.encode(value)
    return encode(value)
end

--- yaml.decode_all(text) gives a list of the documents of a text, or nil and what is wrong with it.
yaml.decode_all = decode_all

--- yaml.decode(text) gives the value of a text's one document, or nil and what is wrong with the text. Keys are
--- text always; a null in a list is json.null, in a map it leaves no key.
function yaml.decode(text)
    local documents, problem = decode_all(text)
    if not documents then
        return nil, problem
    elseif #documents > 1 then
        return nil, ("yaml.decode: the text holds %d documents; use yaml.decode_all"):format(#documents)
    elseif documents[1] == null then
        return nil
    end
    return documents[1]
end

--- yaml.parse(text) is yaml.decode.
yaml.parse = yaml.decode
--- yaml.stringify(value) is yaml.encode.
yaml.stringify = yaml.encode

return names.close(yaml, "yaml", errors.invalid)
