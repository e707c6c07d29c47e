-- The older way to make requests; `http` says more. It needs the same grants.
local need = ...

local errors, http = need("errors"), need("http")
local pairs, type, setmetatable, getmetatable = pairs, type, setmetatable, getmetatable

local net = {}

-- Body, status, headers as lists and no error; or nil, 0, nil and the error.
local function parts(answer, problem)
    if not answer then
        return nil, 0, nil, problem
    end
    local headers = {}
    for name, value in pairs(answer.headers) do
        headers[name] = type(value) == "table" and value or { value }
    end
    return answer.body, answer.status_code or 0, setmetatable(headers, getmetatable(answer.headers)), nil
end

--- net.http_get(url[, headers]) gives the body, the status, the headers (each a list) and an error's message.
function net.http_get(url, headers)
    return parts(http.get(url, headers))
end

--- net.http_post(url[, body[, headers]]) sends a body; gives what net.http_get gives.
function net.http_post(url, body, headers)
    return parts(http.post(url, body, headers))
end

--- net.download(url, dest) puts what is at a URL into a file. Gives nil, or what went wrong.
function net.download(url, dest)
    local _, problem = http.download(url, dest)
    return problem
end

--- net.get(url[, headers[, options]]) is http.get.
net.get = http.get
--- net.post(url[, body[, headers[, options]]]) is http.post.
net.post = http.post
--- net.put(url[, body[, headers[, options]]]) is http.put.
net.put = http.put
--- net.patch(url[, body[, headers[, options]]]) is http.patch.
net.patch = http.patch
--- net.delete(url[, headers[, options]]) is http.delete.
net.delete = http.delete
--- net.request{url=, …} is http.request.
net.request = http.request

return need("names").close(net, "net", errors.invalid)
