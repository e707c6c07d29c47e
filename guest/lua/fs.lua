-- Files and folders, call by call. What changes something gives { changed, success, message, diff }, or nil
-- and a message; what only looks gives its answer, or nil and a message.
local need, host = ...

local errors, check = need("errors"), need("check")
local files = host.files

local fs = {}

-- Where the running task works.
local workdir

--- Says in which folder the task works; for the library, not for scripts.
local function enter(path)
    workdir = path
end

local function path_of(value, what)
    return check.text(value, what .. ": the path")
end

-- Permission bits as scripts write them.
local function stat_of(found)
    if found then
        found.mode = ("%04o"):format(found.mode)
        found.type = found.kind
        found.is_dir = found.kind == "directory"
        found.is_file = found.kind == "file"
        found.modified = found.modified // 1000000000
    end
    return found
end

--- fs.read(path) gives the content of a file.
function fs.read(path)
    return errors.read(files.read(path_of(path, "fs.read")))
end

--- fs.write(path, content[, {mode=}]) makes the file's content so, atomically.
function fs.write(path, content, options)
    local given = check.options("fs.write", options, { mode = "mode" })
    path, content = path_of(path, "fs.write"), check.bytes(content, "fs.write: the content")
    return errors.act("fs.write", files.write(path, content, given.mode))
end

--- fs.create(path, content[, {mode=}]) makes a file that must not be there yet.
function fs.create(path, content, options)
    local given = check.options("fs.create", options, { mode = "mode" })
    content = check.bytes(content, "fs.create: the content")
    return errors.act("fs.create", files.create(path_of(path, "fs.create"), content, given.mode))
end

--- fs.append(path, content) adds to the end of a file, made if missing.
function fs.append(path, content)
    path, content = path_of(path, "fs.append"), check.bytes(content, "fs.append: the content")
    return errors.act("fs.append", files.append(path, content))
end

--- fs.exists(path) says whether something is there.
function fs.exists(path)
    local found, problem = errors.read(files.stat(path_of(path, "fs.exists"), true))
    if problem then
        return false, problem
    end
    return found ~= nil
end

--- fs.stat(path[, {follow=false}]) gives { kind, size, mode, uid, gid, owner, group, modified, target, is_dir,
--- is_file }, or nil if nothing is there. `mode` is text in octal digits, `modified` seconds since 1970.
function fs.stat(path, options)
    local given = check.options("fs.stat", options, { follow = "boolean" })
    local found, problem = errors.read(files.stat(path_of(path, "fs.stat"), given.follow ~= false))
    return stat_of(found), problem
end

--- fs.size(path) gives the size of a file in bytes.
function fs.size(path)
    path = path_of(path, "fs.size")
    local found, problem = errors.read(files.stat(path, true))
    if not found then
        return nil, problem or (path .. ": nothing is there")
    end
    return found.size
end

--- fs.ls(path) gives the names in a folder, sorted.
function fs.ls(path)
    local entries, problem = errors.read(files.list(path_of(path, "fs.ls")))
    if not entries then
        return nil, problem
    end
    local list = need("json").array({})
    for index = 1, #entries do
        list[index] = entries[index].name
    end
    return list
end

--- fs.hash(path) gives the SHA-256 of a file in hexadecimal digits.
function fs.hash(path)
    return errors.read(files.hash(path_of(path, "fs.hash")))
end

--- fs.glob(pattern) gives the paths that match (`*`, `?`, `[…]`, `**`), sorted.
function fs.glob(pattern)
    local list, problem = errors.read(files.glob(check.text(pattern, "fs.glob: the pattern")))
    return list and need("json").array(list), problem
end

--- fs.mkdir(path[, {mode=, parents=true}]) makes a folder, and those above it.
function fs.mkdir(path, options)
    local given = check.options("fs.mkdir", options, { mode = "mode", parents = "boolean" })
    return errors.act("fs.mkdir", files.mkdir(path_of(path, "fs.mkdir"), given.parents ~= false, given.mode))
end

--- fs.rm(path) removes a file, a link or an empty folder. Nothing there is no change.
function fs.rm(path)
    return errors.act("fs.rm", files.remove(path_of(path, "fs.rm"), false))
end

--- fs.rmr(path) removes a folder and all in it.
function fs.rmr(path)
    return errors.act("fs.rmr", files.remove(path_of(path, "fs.rmr"), true))
end

--- fs.copy(source, destination[, {mode=}]) copies a file.
function fs.copy(source, destination, options)
    local given = check.options("fs.copy", options, { mode = "mode" })
    source = check.text(source, "fs.copy: the source")
    destination = check.text(destination, "fs.copy: the destination")
    local content, problem = errors.act("fs.copy", files.read(source))
    if not content then
        return nil, problem
    end
    return errors.act("fs.copy", files.write(destination, content, given.mode))
end

--- fs.move(source, destination) renames a file or a folder.
function fs.move(source, destination)
    source = check.text(source, "fs.move: the source")
    destination = check.text(destination, "fs.move: the destination")
    return errors.act("fs.move", files.move(source, destination))
end

--- fs.chmod(path, mode) sets permission bits: "0644".
function fs.chmod(path, mode)
    return errors.act("fs.chmod", files.chmod(path_of(path, "fs.chmod"), check.mode(mode, "fs.chmod: mode")))
end

--- fs.chown(path, owner[, group]) sets owner, group or both, by name or number.
function fs.chown(path, owner, group)
    owner = owner ~= nil and check.text(owner, "fs.chown: the owner") or nil
    group = group ~= nil and check.text(group, "fs.chown: the group") or nil
    if not owner and not group then
        errors.invalid("fs.chown: neither owner nor group is given")
    end
    return errors.act("fs.chown", files.chown(path_of(path, "fs.chown"), owner, group))
end

--- fs.symlink(target, path) makes `path` a link to `target`.
function fs.symlink(target, path)
    target = check.text(target, "fs.symlink: the target")
    return errors.act("fs.symlink", files.link(path_of(path, "fs.symlink"), target))
end

--- fs.tmpname() gives a path in the task's folder where nothing is yet.
function fs.tmpname()
    if not workdir then
        errors.raise("not-while-loading", "fs.tmpname is not answered while the file loads: move this into a task")
    end
    local name = host.random.bytes(12):gsub(".", function(byte)
        return ("%02x"):format(byte:byte())
    end)
    return ("%s/tmp-%s"):format(workdir, name)
end

--- fs.basename(path) gives what follows the last slash.
function fs.basename(path)
    local trimmed = path_of(path, "fs.basename"):gsub("(.)/+$", "%1")
    return trimmed:match("([^/]+)$") or trimmed
end

--- fs.dirname(path) gives what stands before the last slash.
function fs.dirname(path)
    local trimmed = path_of(path, "fs.dirname"):gsub("(.)/+$", "%1")
    local folder = trimmed:match("^(.*)/[^/]*$")
    if not folder then
        return "."
    end
    folder = folder:gsub("/+$", "")
    return folder ~= "" and folder or "/"
end

return { public = fs, enter = enter, stat_of = stat_of }
