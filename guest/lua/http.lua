-- Requests over HTTP. Each needs `http.send` of its URL and, where the host is not on the internet,
-- `http.addresses` of it. An answer is { success, changed, message, status_code, status, headers, body, url,
-- json }: `success` says whether the status is 200 to 299, `status` is text such as "200 OK". Names of `headers`
-- are found in any case; one that came several times is a list. `json` gives the fields of a JSON body, and
-- called, `response:json()`, the whole of it or nil and what is wrong. Where there is no answer, nil and a message.
-- A header sent is a text, a list of texts, or a secret; the answer does not tell the secret's value.
local need = ...

local errors, check, json, fibers = need("errors"), need("check"), need("json"), need("fibers")
local name_of = need("secret").name_of
local type, pairs, setmetatable, rawget = type, pairs, setmetatable, rawget
local sort = table.sort

local http = {}

local OPTIONS = { timeout = "duration", redirects = "count", limit = "count" }
local FILE = { mode = "mode", sha256 = "text", headers = "table" }
local WHOLE = { method = "text", url = "text!", headers = "table" }
for name, kind in pairs(OPTIONS) do
    FILE[name], WHOLE[name] = kind, kind
end
-- Checked here.
WHOLE.body = "any"

-- Names with their texts, and with the name of the secret that follows the text, sorted, so that equal tables make equal requests.
local function pairs_of(headers, what)
    local list = {}
    for name, value in pairs(headers or {}) do
        name = check.text(name, what .. ": a header's name")
        local hidden, before = name_of(value)
        local values = hidden and { before } or check.texts(value, ("%s: the header %s"):format(what, name))
        for index = 1, #values do
            list[#list + 1] = { name, values[index], index, hidden }
        end
    end
    sort(list, function(left, right)
        if left[1] ~= right[1] then
            return left[1] < right[1]
        end
        return left[3] < right[3]
    end)
    return list
end

local function names(list, wanted)
    for index = 1, #list do
        if list[index][1]:lower() == wanted then
            return true
        end
    end
    return false
end

local found = {
    __index = function(headers, name)
        return type(name) == "string" and rawget(headers, name:lower()) or nil
    end,
}

local function headers_of(fields)
    local headers = setmetatable({}, found)
    for index = 1, #fields do
        local name, value = fields[index][1], fields[index][2]
        local before = rawget(headers, name)
        if type(before) == "table" then
            before[#before + 1] = value
        else
            headers[name] = before and { before, value } or value
        end
    end
    return headers
end

-- The body as JSON, read when it is first asked for.
local function reader_of(body)
    local value, problem, read
    local function decoded()
        if not read then
            value, problem = json.decode(body)
            read = true
        end
        return value, problem
    end
    local function fields()
        local all = decoded()
        return type(all) == "table" and all or {}
    end
    return setmetatable({}, {
        __call = decoded,
        __index = function(_, key)
            return fields()[key]
        end,
        __len = function()
            return #fields()
        end,
        __pairs = function()
            return pairs(fields())
        end,
    })
end

local READING = { GET = true, HEAD = true, OPTIONS = true }

local function send(what, request)
    local settle = (request.dest or not READING[request.method]) and errors.act or function(_, ...)
        return errors.read(...)
    end
    local answer, problem = settle(what, fibers.send_request(request))
    if not answer then
        return nil, problem
    end
    local code = answer.status_code
    answer.status = code and ("%d %s"):format(code, answer.reason)
    -- Nothing was requested in check mode, or because a file is as it should be.
    answer.success = not code or code >= 200 and code < 300
    answer.headers = headers_of(answer.fields)
    answer.json = reader_of(answer.body)
    answer.fields, answer.reason = nil, nil
    return answer
end

-- A request of its parts. A table as the body is sent as JSON, and text that is JSON is said to be.
local function request(what, method, url, body, headers, options)
    local asked = check.options(what, options, OPTIONS)
    if headers ~= nil and type(headers) ~= "table" then
        errors.invalid(what .. ": the headers must be a table")
    end
    asked.method, asked.url = method, check.text(url, what .. ": the URL")
    asked.headers = pairs_of(headers, what)
    if body ~= nil then
        local is_json = type(body) == "table"
        asked.body = is_json and json.encode(body) or check.bytes(body, what .. ": the body")
        if not names(asked.headers, "content-type") and asked.body ~= "" then
            is_json = is_json or json.decode(asked.body) ~= nil
            asked.headers[#asked.headers + 1] = { "content-type", is_json and "application/json" or "text/plain" }
        end
    end
    return send(what, asked)
end

--- http.get(url[, headers[, options]]) asks for what is at a URL. Options, here and below: `timeout` for all of
--- it ("30s"), `redirects` that are followed (10), `limit` of the body in bytes (16 MiB).
function http.get(url, headers, options)
    return request("http.get", "GET", url, nil, headers, options)
end

--- http.delete(url[, headers[, options]]) asks to delete what is at a URL.
function http.delete(url, headers, options)
    return request("http.delete", "DELETE", url, nil, headers, options)
end

--- http.post(url[, body[, headers[, options]]]) sends a body; a table is sent as JSON.
function http.post(url, body, headers, options)
    return request("http.post", "POST", url, body or "", headers, options)
end

--- http.put(url[, body[, headers[, options]]]) sends what is to be at a URL.
function http.put(url, body, headers, options)
    return request("http.put", "PUT", url, body or "", headers, options)
end

--- http.patch(url[, body[, headers[, options]]]) sends a change of what is at a URL.
function http.patch(url, body, headers, options)
    return request("http.patch", "PATCH", url, body or "", headers, options)
end

--- http.request{url=, method="GET", body=, headers=, timeout=, redirects=, limit=} sends any request.
function http.request(given)
    local what = "http.request"
    local asked = check.options(what, given, WHOLE)
    local options = { timeout = given.timeout, redirects = asked.redirects, limit = asked.limit }
    local method = (asked.method or "GET"):upper()
    return request(what, method, asked.url, asked.body, asked.headers, options)
end

--- http.download(url, dest[, {sha256=, mode=, headers=, timeout=, redirects=, limit=}]) makes the file `dest` hold
--- what is at a URL; `files.write`. With `sha256`, a body of another digest is refused, and a file that has it is
--- not asked for again. Another status than 200 to 299 is nil and a message. http.download{url=, dest=, …} is the same.
function http.download(url, dest, options)
    local what = "http.download"
    if type(url) == "table" then
        options = {}
        for key, value in pairs(url) do
            options[key] = value
        end
        url, dest = options.url, options.dest
        options.url, options.dest = nil, nil
    end
    local asked = check.options(what, options, FILE)
    asked.method, asked.url = "GET", check.text(url, what .. ": the URL")
    asked.dest, asked.headers = check.text(dest, what .. ": the destination"), pairs_of(asked.headers, what)
    local answer, problem = send(what, asked)
    if answer and not answer.success then
        return errors.act(what, nil, { kind = "failed", message = answer.message })
    end
    return answer, problem
end

return need("names").close(http, "http", errors.invalid)
