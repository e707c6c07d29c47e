-- import("other.sloth") and require("name"): further files of the workflow's folder, which travel in the
-- bundle, and the library's own modules.
local need, host = ...

local errors, frames, check = need("errors"), need("frames"), need("check")
local bundled = host.files.bundled
local native_load = load

local imports = {
    --- The names of the library's modules.
    modules = {},
    --- The names of those that this version has not. A file of such a name comes first.
    later = {},
    --- The names of the plugins that the file calls.
    plugins = {},
}

-- What each file gave, by its name; those being loaded; and the groups that the file itself assigned.
local loaded, open = {}, {}
local groups, location
local depth, loading = 0, false

--- Forgets the file before: another begins.
function imports.begin(name)
    loaded, open, groups, location, depth, loading = {}, { [name] = true }, nil, nil, 0, true
    imports.plugins = {}
end

--- The file is loaded.
function imports.close()
    loading = false
end

--- Raises an error in a task for what only has a meaning while the file is loaded.
function imports.only_while_loading(what)
    if not loading then
        errors.invalid(what .. ": only while the file is loaded; move this call to the top of the file")
    end
end

--- Gives what was assigned to TaskDefinitions, and where.
function imports.groups()
    return groups, location
end

local function clean(path, what)
    local text = check.text(path, what)
    local parts = {}
    if text == "" or text:sub(1, 1) == "/" or text:find("%z") then
        errors.invalid(("%s: `%s` is not a path beneath the workflow's folder"):format(what, text))
    end
    for part in text:gmatch("[^/]+") do
        if part == ".." then
            errors.invalid(("%s: `%s` leads out of the workflow's folder; `..` is not allowed"):format(what, text))
        elseif part ~= "." then
            parts[#parts + 1] = part
        end
    end
    return table.concat(parts, "/")
end

-- A file that must be there, while files may be asked for.
local function read(path, what)
    imports.only_while_loading(what)
    local name = clean(path, what)
    local source = errors.read(bundled(name))
    if not source then
        errors.invalid(("%s: there is no file `%s` beneath the workflow's folder"):format(what, name))
    end
    return name, source
end

local function run(name, source)
    if open[name] then
        errors.invalid(("`%s` imports itself, directly or through others"):format(name))
    end
    frames.enter(name, source)
    local chunk, problem = native_load(source, "@" .. name, "t")
    if not chunk then
        local place, message = frames.split(problem)
        errors.invalid(message, place)
    end
    open[name] = true
    local outer_groups, outer_location = groups, location
    groups, location = nil, nil
    depth = depth + 1
    local results = table.pack(chunk())
    depth = depth - 1
    -- The oldest form gives its groups by a global.
    if results[1] == nil then
        results = { groups, n = 1 }
    end
    groups, location = outer_groups, outer_location
    open[name] = nil
    return table.unpack(results, 1, results.n)
end

local function find(candidates)
    for index = 1, #candidates do
        local name = candidates[index]
        if loaded[name] then
            return loaded[name]
        end
        local source = errors.read(bundled(name))
        if source then
            local result = run(name, source)
            loaded[name] = { value = result == nil and true or result }
            return loaded[name]
        end
    end
    return nil
end

--- import(path) runs a file beneath the workflow's folder, once, and gives what it returns or, if that is
--- nothing, the TaskDefinitions it sets. For the top of a file: tasks cannot import.
function imports.import(path)
    imports.only_while_loading("import")
    local name = clean(path, "import")
    local found = find({ name })
    if not found then
        errors.invalid(("import: there is no file `%s` beneath the workflow's folder"):format(name))
    end
    return found.value
end

--- loadfile(path[, mode[, environment]]) compiles a file beneath the workflow's folder and gives it as a function; nil
--- and a message if it is no Lua. For the top of a file.
function imports.loadfile(path, mode, ...)
    local name, source = read(path, "loadfile")
    if mode ~= nil and not tostring(mode):find("t", 1, true) then
        return nil, "loadfile: only source text can be loaded"
    end
    frames.enter(name)
    return native_load(source, "@" .. name, "t", ...)
end

--- dofile(path) runs a file beneath the workflow's folder, each time it is called, and gives what it returns. For the
--- top of a file.
function imports.dofile(path)
    local name, source = read(path, "dofile")
    return run(name, source)
end

--- require(name) gives a module of the library, or runs `name.lua`, `name.sloth` or `name/init.lua` beneath
--- the workflow's folder, once; dots in the name stand for slashes.
function imports.require(name)
    local text = check.text(name, "require")
    if imports.modules[text] then
        return _G[text]
    end
    local path = clean((text:gsub("%.", "/")), "require")
    if loaded[path] then
        return loaded[path].value
    end
    local later = imports.later[text] and _G[text]
    if not later then
        imports.only_while_loading("require")
    end
    local found = loading and find({ path .. ".lua", path .. ".sloth", path .. "/init.lua", clean(text, "require") })
    if not found and later then
        return later
    elseif not found then
        errors.invalid(
            ("require: there is no module `%s`, and no file %s.lua beneath the workflow's folder"):format(text, path)
        )
    end
    loaded[path] = found
    return found.value
end

--- Takes what a script assigns to the global TaskDefinitions.
function imports.assign_groups(value)
    groups, location = value, (frames.location())
end

return imports
