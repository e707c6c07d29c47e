-- Templates in Jinja's language; `{{ .name }}`, as older files write it, is `{{ name }}`.
local need, host = ...

local errors, check, names = need("errors"), need("check"), need("names")
local files, formats = host.files, host.formats
local type, pairs = type, pairs

local template = {}

local function render(what, name, text, given)
    local context = {}
    for key, value in pairs(_G.values or {}) do
        context[key] = value
    end
    context.values = _G.values
    if given ~= nil and type(given) ~= "table" then
        errors.invalid(what .. ": the values must be a table")
    end
    for key, value in pairs(given or {}) do
        context[key] = value
    end
    text = text:gsub("({{%-?%s*)%.([%a_])", "%1%2")
    local content, problem = formats.render(name, text, context)
    if not content then
        errors.invalid(what .. ": " .. problem)
    end
    return content
end

--- template.render(text[, values]) gives the text with its placeholders filled; the workflow's own values are in
--- reach too. A name that is not defined is an error.
function template.render(text, given)
    text = check.bytes(text, "template.render: the text")
    return render("template.render", "template", text, given)
end

--- template.render_file(path[, values]) does so with a file's text, or gives nil and a message. A relative path is
--- looked for in templates/ beside the workflow first, then from there on.
function template.render_file(path, given)
    path = check.text(path, "template.render_file: the path")
    local text
    if path:sub(1, 1) ~= "/" then
        text = errors.read(files.bundled("templates/" .. path:gsub("^%./", ""))) or errors.read(files.bundled(path))
    end
    if not text then
        local problem
        text, problem = errors.read(files.read(path))
        if not text then
            return nil, problem
        end
    end
    return render("template.render_file", path, text, given)
end

return { public = names.close(template, "template", errors.invalid), render = render }
