-- Texts: what Lua's own `string` leaves to be written again and again. Widths and lengths count characters,
-- letters of other alphabets have no case, and patterns are Lua's.
local need, host = ...

local errors, check, names, array = need("errors"), need("check"), need("names"), need("json").array
local type, tostring, tonumber, pcall = type, tostring, tonumber, pcall
local concat = table.concat
local offset, length_of = utf8.offset, utf8.len

local strings = {}

local function text_of(value, name)
    return check.bytes(value, "strings." .. name)
end

local function count_of(value, name)
    if math.type(value) ~= "integer" or value < 0 then
        errors.invalid(("strings.%s: must be a whole number, not negative"):format(name))
    end
    return value
end

local function characters(text)
    return length_of(text) or #text
end

-- The first so many characters.
local function head(text, count)
    local stop = length_of(text) and offset(text, count + 1) or count + 1
    return text:sub(1, stop - 1)
end

local function matching(text, pattern, name, find)
    local fine, result = pcall(find, text, pattern)
    if not fine then
        errors.invalid(("strings.%s: `%s` is not a Lua pattern"):format(name, pattern))
    end
    return result
end

--- strings.trim(text) takes away space at both ends.
function strings.trim(text)
    return text_of(text, "trim"):match("^%s*(.-)%s*$")
end

--- strings.trim_left(text) takes away space at the beginning.
function strings.trim_left(text)
    return (text_of(text, "trim_left"):gsub("^%s+", ""))
end

--- strings.trim_right(text) takes away space at the end.
function strings.trim_right(text)
    return text_of(text, "trim_right"):match("^(.-)%s*$")
end

--- strings.split(text[, separator[, limit]]) gives a list of the parts, at most `limit`. The separator is taken as
--- it is; without one, the words between space; "" gives the characters.
function strings.split(text, separator, limit)
    text = text_of(text, "split")
    local parts = {}
    if separator == nil then
        for word in text:gmatch("%S+") do
            parts[#parts + 1] = word
        end
    elseif separator == "" then
        for letter in text:gmatch(length_of(text) and utf8.charpattern or ".") do
            parts[#parts + 1] = letter
        end
    else
        separator = text_of(separator, "split")
        local from = 1
        while not limit or #parts + 1 < limit do
            local first, last = text:find(separator, from, true)
            if not first then
                break
            end
            parts[#parts + 1], from = text:sub(from, first - 1), last + 1
        end
        parts[#parts + 1] = text:sub(from)
    end
    return array(parts)
end

--- strings.join(list[, separator]) puts the values of a list together.
function strings.join(list, separator)
    if type(list) ~= "table" then
        errors.invalid("strings.join: must be called with a list")
    end
    local parts = {}
    for index = 1, #list do
        parts[index] = tostring(list[index])
    end
    return concat(parts, separator and text_of(separator, "join") or "")
end

--- strings.lines(text) gives a list of the lines, without their ends.
function strings.lines(text)
    local list = {}
    for line in text_of(text, "lines"):gsub("\r\n", "\n"):gsub("\n$", ""):gmatch("([^\n]*)\n?") do
        list[#list + 1] = line
    end
    return array(text == "" and {} or list)
end

--- strings.contains(text, part) says whether the part is in the text, taken as it is.
function strings.contains(text, part)
    return text_of(text, "contains"):find(text_of(part, "contains"), 1, true) ~= nil
end

--- strings.starts_with(text, prefix) says whether the text begins so.
function strings.starts_with(text, prefix)
    prefix = text_of(prefix, "starts_with")
    return text_of(text, "starts_with"):sub(1, #prefix) == prefix
end

--- strings.ends_with(text, suffix) says whether the text ends so.
function strings.ends_with(text, suffix)
    suffix = text_of(suffix, "ends_with")
    return suffix == "" or text_of(text, "ends_with"):sub(-#suffix) == suffix
end

--- strings.count(text, part) gives how often the part is in the text.
function strings.count(text, part)
    return #strings.split(text, part) - 1
end

--- strings.replace(text, old, new[, count]) puts `new` for each `old`, taken as it is, or for the first so many.
function strings.replace(text, old, new, count)
    text, new = text_of(text, "replace"), text_of(new, "replace")
    if text_of(old, "replace") == "" then
        return text
    end
    local limit = count and count >= 0 and count + 1 or nil
    return concat(strings.split(text, old, limit), new)
end

--- strings.upper(text) makes ASCII letters capital.
function strings.upper(text)
    return text_of(text, "upper"):upper()
end

--- strings.lower(text) makes ASCII letters small.
function strings.lower(text)
    return text_of(text, "lower"):lower()
end

--- strings.title(text) makes the first letter of each word capital.
function strings.title(text)
    return (text_of(text, "title"):gsub("(%S)(%S*)", function(first, rest)
        return first:upper() .. rest
    end))
end

--- strings.rep(text, count[, separator]) repeats a text.
function strings.rep(text, count, separator)
    return text_of(text, "rep"):rep(count_of(count, "rep"), separator)
end
--- strings.repeat_text(text, count[, separator]) is strings.rep.
strings.repeat_text = strings.rep

local function padding(text, width, pad, name)
    local missing = count_of(width, name) - characters(text)
    if missing <= 0 then
        return ""
    end
    pad = pad and text_of(pad, name) or " "
    return pad ~= "" and head(pad:rep(missing // characters(pad) + 1), missing) or ""
end

--- strings.pad_left(text, width[, pad]) fills up at the beginning, with spaces or the pad.
function strings.pad_left(text, width, pad)
    text = text_of(text, "pad_left")
    return padding(text, width, pad, "pad_left") .. text
end

--- strings.pad_right(text, width[, pad]) fills up at the end, with spaces or the pad.
function strings.pad_right(text, width, pad)
    text = text_of(text, "pad_right")
    return text .. padding(text, width, pad, "pad_right")
end

--- strings.truncate(text, length[, suffix="..."]) cuts what is longer; the suffix is within the length.
function strings.truncate(text, length, suffix)
    text, suffix = text_of(text, "truncate"), suffix and text_of(suffix, "truncate") or "..."
    if characters(text) <= count_of(length, "truncate") then
        return text
    end
    local room = length - characters(suffix)
    return room <= 0 and head(suffix, length) or head(text, room) .. suffix
end

--- strings.indent(text, prefix) puts so many spaces, or a text, before each line that is not empty.
function strings.indent(text, prefix)
    prefix = type(prefix) == "number" and (" "):rep(prefix) or text_of(prefix, "indent")
    return (text_of(text, "indent"):gsub("[^\n]+", function(line)
        return prefix .. line
    end))
end

--- strings.dedent(text) takes away the space that every line begins with.
function strings.dedent(text)
    text = text_of(text, "dedent")
    local common
    for line in text:gmatch("[^\n]+") do
        local space = line:match("^([ \t]*)%S")
        while space and common and space:sub(1, #common) ~= common do
            common = common:sub(1, -2)
        end
        common = common or space
    end
    common = common or ""
    return ("\n" .. text):gsub("\n" .. common, "\n"):sub(2)
end

--- strings.slugify(text) gives small letters, digits and single hyphens only, for names of files and hosts.
function strings.slugify(text)
    return (text_of(text, "slugify"):lower():gsub("[^%w]+", "-"):gsub("^%-", ""):gsub("%-$", ""))
end

--- strings.is_empty(text) says whether a text is nil, empty or only space.
function strings.is_empty(text)
    return text == nil or not text_of(text, "is_empty"):find("%S")
end

--- strings.is_numeric(text) says whether a text is a number.
function strings.is_numeric(text)
    return tonumber(text_of(text, "is_numeric")) ~= nil
end

--- strings.is_alpha(text) says whether a text is ASCII letters only.
function strings.is_alpha(text)
    return text_of(text, "is_alpha"):find("^%a+$") ~= nil
end

--- strings.is_alphanumeric(text) says whether a text is ASCII letters and digits only.
function strings.is_alphanumeric(text)
    return text_of(text, "is_alphanumeric"):find("^%w+$") ~= nil
end

--- strings.is_email(text) says whether a text has the form of a mail address.
function strings.is_email(text)
    return text_of(text, "is_email"):find("^[%w._%%+-]+@[%w.-]+%.%a%a+$") ~= nil
end

--- strings.is_url(text) says whether a text has the form of an HTTP address.
function strings.is_url(text)
    return text_of(text, "is_url"):find("^https?://[^%s/$.?#][^%s]+$") ~= nil
end

--- strings.match(text, pattern) gives a list of the first match and its captures, or nil. The pattern is Lua's.
function strings.match(text, pattern)
    text = text_of(text, "match")
    local found = matching(text, text_of(pattern, "match"), "match", function(subject, wanted)
        return table.pack(subject:find(wanted))
    end)
    if not found[1] then
        return nil
    end
    local list = { text:sub(found[1], found[2]) }
    for index = 3, found.n do
        list[#list + 1] = found[index]
    end
    return array(list)
end

--- strings.match_all(text, pattern) gives a list of every match: its captures, or the whole if it has none.
function strings.match_all(text, pattern)
    return matching(text_of(text, "match_all"), text_of(pattern, "match_all"), "match_all", function(subject, wanted)
        local list = {}
        subject:gsub(wanted, function(...)
            list[#list + 1] = array({ ... })
        end)
        return array(list)
    end)
end

--- strings.replace_pattern(text, pattern, new) puts `new` for each match of a Lua pattern; `%1` is its first capture.
function strings.replace_pattern(text, pattern, new)
    text, new = text_of(text, "replace_pattern"), text_of(new, "replace_pattern")
    return matching(text, text_of(pattern, "replace_pattern"), "replace_pattern", function(subject, wanted)
        return (subject:gsub(wanted, new))
    end)
end

--- strings.url_encode(text) writes all but letters, digits and `-._~` as `%XX`.
function strings.url_encode(text)
    return (text_of(text, "url_encode"):gsub("[^%w%-._~]", function(byte)
        return ("%%%02X"):format(byte:byte())
    end))
end

--- strings.url_decode(text) undoes url_encode.
function strings.url_decode(text)
    return (text_of(text, "url_decode"):gsub("%%(%x%x)", function(digits)
        return string.char(tonumber(digits, 16))
    end))
end

local function elsewhere(name)
    return function(...)
        return need("crypto")[name](...)
    end
end

--- strings.base64_encode(data) is crypto.base64_encode.
strings.base64_encode = elsewhere("base64_encode")
--- strings.base64_decode(text) is crypto.base64_decode.
strings.base64_decode = elsewhere("base64_decode")
--- strings.md5(data) is crypto.md5.
strings.md5 = elsewhere("md5")
--- strings.sha1(data) is crypto.sha1.
strings.sha1 = elsewhere("sha1")
--- strings.sha256(data) is crypto.sha256.
strings.sha256 = elsewhere("sha256")

return names.close(strings, "strings", errors.invalid)
