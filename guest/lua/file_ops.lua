-- Files as they should be: each function says what is wanted and changes only what differs. Every one gives
-- { changed, success, message, diff }, or nil and a message.
local need, host = ...

local errors, check, fs = need("errors"), need("check"), need("fs")
local files = host.files
local pairs, concat = pairs, table.concat

local file_ops = {}

-- Several changes told as one.
local function join(changes)
    local all = { changed = false, success = true }
    local messages, diffs = {}, {}
    for index = 1, #changes do
        local change = changes[index]
        -- What changed nothing is worth telling only if nothing changed at all.
        if change.changed or #changes == 1 then
            messages[#messages + 1] = change.message
        end
        diffs[#diffs + 1] = change.diff
        all.changed = all.changed or change.changed
    end
    all.message = #messages > 0 and concat(messages, "; ") or changes[1] and changes[1].message
    all.diff = #diffs > 0 and concat(diffs) or nil
    return all
end

-- Content that the bundle carries, in its own folder for such things or from the workflow's on, or else the node;
-- what is carried needs no grant.
local function source(what, path, folder)
    if path:sub(1, 1) ~= "/" then
        local content = errors.read(files.bundled(folder .. path:gsub("^%./", ""))) or errors.read(files.bundled(path))
        if content then
            return content
        end
    end
    return errors.act(what, files.read(path))
end

-- Where a file goes that is meant for a folder: there, under its own name.
local function within(path, origin)
    return path:gsub("/*$", "/") .. fs.public.basename(origin)
end

local function destination(what, path, origin)
    if path:sub(-1) ~= "/" then
        return path
    end
    if not origin then
        errors.invalid(what .. ": dest is a folder; name the file in it")
    end
    return within(path, origin)
end

-- Makes a file's content, owner and group so. Where a folder turns out to stand, `origin` names the file in it:
-- writing tells, so that nothing needs to be readable.
local function place(what, options, content, path, origin)
    local changes = {}
    local before, unread = nil, nil
    if options.backup then
        before, unread = files.read(path)
        if unread and unread.kind == "wrong-kind" and origin then
            path = within(path, origin)
            before = files.read(path)
        end
    end
    if before and before ~= content then
        local kept, problem = errors.act(what, files.write(path .. ".bak", before, nil))
        if not kept then
            return nil, problem
        end
        changes[#changes + 1] = kept
    end
    local change, failed = files.write(path, content, options.mode)
    if failed and failed.kind == "wrong-kind" and origin then
        path = within(path, origin)
        change, failed = files.write(path, content, options.mode)
    end
    local written, problem = errors.act(what, change, failed)
    if not written then
        return nil, problem
    end
    changes[#changes + 1] = written
    if options.owner or options.group then
        local owned, reason = errors.act(what, files.chown(path, options.owner, options.group))
        if not owned then
            return nil, reason
        end
        changes[#changes + 1] = owned
    end
    return join(changes)
end

-- Exactly one of src and content.
local function content_of(what, options, folder)
    if (options.src == nil) == (options.content == nil) then
        errors.invalid(what .. ": give one of src and content")
    end
    if options.content then
        return options.content
    end
    return source(what, options.src, folder)
end

--- file_ops.copy{src=|content=, dest=, mode=, owner=, group=, backup=} makes `dest` hold what `src` holds. A
--- relative `src` is looked for in files/ beside the workflow first, then from there on; a `dest` that is a folder gets a file of that name.
function file_ops.copy(given)
    local options = check.options("file_ops.copy", given, {
        src = "text",
        content = "bytes",
        dest = "text!",
        mode = "mode",
        owner = "text",
        group = "text",
        backup = "boolean",
    })
    local content, problem = content_of("file_ops.copy", options, "files/")
    if not content then
        return nil, problem
    end
    local path = destination("file_ops.copy", options.dest, options.src)
    return place("file_ops.copy", options, content, path, options.src)
end

--- file_ops.fetch{src=, dest=, mode=} copies a file of the node.
function file_ops.fetch(given)
    local options = check.options("file_ops.fetch", given, { src = "text!", dest = "text!", mode = "mode" })
    local content, problem = errors.act("file_ops.fetch", files.read(options.src))
    if not content then
        return nil, problem
    end
    local path = destination("file_ops.fetch", options.dest, options.src)
    return place("file_ops.fetch", options, content, path, options.src)
end

--- file_ops.template{src=|content=, dest=, vars=, mode=, owner=, group=, backup=} renders a Jinja template with
--- `values` and `vars` in reach, and makes `dest` hold the result. A relative `src` is looked for in templates/ beside
--- the workflow first, then from there on. A variable that is not defined is an error.
function file_ops.template(given)
    local options = check.options("file_ops.template", given, {
        src = "text",
        content = "bytes",
        dest = "text!",
        vars = "table",
        mode = "mode",
        owner = "text",
        group = "text",
        backup = "boolean",
    })
    local text, problem = content_of("file_ops.template", options, "templates/")
    if not text then
        return nil, problem
    end
    local content = need("template").render("file_ops.template", options.src or "template", text, options.vars)
    local path = destination("file_ops.template", options.dest, nil)
    return place("file_ops.template", options, content, path, nil)
end

--- file_ops.stat{path=, follow=} gives what fs.stat gives and `exists`; it is a table even if nothing is there.
function file_ops.stat(given)
    if type(given) == "string" then
        given = { path = given }
    end
    local options = check.options("file_ops.stat", given, { path = "text!", follow = "boolean" })
    local found, problem = errors.read(files.stat(options.path, options.follow ~= false))
    if problem then
        return nil, problem
    end
    local result = fs.stat_of(found) or {}
    result.exists, result.success, result.changed = found ~= nil, true, false
    return result
end

--- file_ops.directory{path=, mode=, owner=, group=, state="present"|"absent"} makes a folder and those above it,
--- or removes it and all in it.
function file_ops.directory(given)
    local what = "file_ops.directory"
    local options = check.options(what, given, {
        path = "text!",
        mode = "mode",
        owner = "text",
        group = "text",
        state = { "present", "absent", "directory" },
    })
    if options.state == "absent" then
        return errors.act(what, files.remove(options.path, true))
    end
    local made, problem = errors.act(what, files.mkdir(options.path, true, options.mode))
    if not made then
        return nil, problem
    end
    local changes = { made }
    -- A folder that was there keeps its mode unless told.
    if options.mode and not made.changed then
        changes[2], problem = errors.act(what, files.chmod(options.path, options.mode))
    end
    if not problem and (options.owner or options.group) then
        changes[#changes + 1], problem = errors.act(what, files.chown(options.path, options.owner, options.group))
    end
    if problem then
        return nil, problem
    end
    return join(changes)
end

--- file_ops.link{src=, dest=, state="present"|"absent"} makes `dest` a link to `src`, or removes it.
function file_ops.link(given)
    local options = check.options("file_ops.link", given, {
        src = "text",
        dest = "text!",
        state = { "present", "absent", "link" },
    })
    if options.state == "absent" then
        return errors.act("file_ops.link", files.remove(options.dest, false))
    elseif not options.src then
        errors.invalid("file_ops.link: the option `src` is missing")
    end
    return errors.act("file_ops.link", files.link(options.dest, options.src))
end

--- file_ops.unarchive{src=, dest=, creates=, strip_components=} unpacks a tar (plain, gzip, zstd) or zip file into the
--- folder `dest`. A relative `src` is looked for in files/ beside the workflow first. `creates` names a path that makes it
--- unnecessary; `strip_components` cuts so many leading folders off each name.
function file_ops.unarchive(given)
    local what = "file_ops.unarchive"
    local options = check.options(what, given, {
        src = "text!",
        dest = "text!",
        creates = "text",
        strip_components = "count",
    })
    if options.creates then
        local found, problem = errors.read(files.stat(options.creates, true))
        if problem then
            return nil, problem
        elseif found then
            return { changed = false, success = true, message = options.creates .. " exists already" }
        end
    end
    return errors.act(what, files.extract(options.src, options.dest, options.strip_components or 0))
end

--- file_ops.absent{path=} removes a file, a link, or a folder and all in it.
function file_ops.absent(given)
    if type(given) == "string" then
        given = { path = given }
    end
    local options = check.options("file_ops.absent", given, { path = "text!" })
    return errors.act("file_ops.absent", files.remove(options.path, true))
end

for name, edit in pairs(need("file_lines")) do
    file_ops[name] = edit
end


return need("names").close(file_ops, "file_ops", errors.invalid)
