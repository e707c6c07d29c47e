-- Accounts of the node. A name and a table of options, or one table with `username`, is what functions take.
local need, host = ...

local errors, check = need("errors"), need("check")
local group = need("group")
local source = host.users
local type = type

local user = {}

local KNOWN = {
    username = "text",
    name = "text",
    uid = "text",
    gid = "text",
    group = "text",
    groups = "texts",
    append = "boolean",
    home = "text",
    create_home = "boolean",
    no_create_home = "boolean",
    move_home = "boolean",
    shell = "text",
    comment = "text",
    system = "boolean",
    password = "text",
    expiry = "text",
    lock = "boolean",
    unlock = "boolean",
    locked = "boolean",
    state = { "present", "absent" },
    remove_home = "boolean",
}

-- The name and the options of a call.
local function read(what, name, options)
    if type(name) == "table" then
        name, options = name.username or name.name, name
    end
    return check.text(name, what .. ": the name"), check.options(what, options, KNOWN)
end

-- The wish of the contract from the options of a call.
local function wish(what, options)
    local groups = options.groups
    if groups and groups[1] and not groups[2] then
        -- As the system's own tools write them.
        local list = {}
        for name in groups[1]:gmatch("[^,%s]+") do
            list[#list + 1] = name
        end
        groups = list
    end
    local locked = options.locked
    if options.lock then
        locked = true
    elseif options.unlock then
        locked = false
    end
    return {
        uid = options.uid and group.id(options.uid, what .. ": uid"),
        group = options.group or options.gid,
        groups = groups,
        append = options.append,
        home = options.home,
        with_home = options.create_home and not options.no_create_home or options.move_home,
        shell = options.shell,
        comment = options.comment,
        locked = locked,
        password = options.password,
        expires = options.expiry,
        system = options.system,
    }
end

--- user.create(name[, {home=, create_home=, shell=, uid=, gid=, groups=, append=, comment=, system=, password=, expiry=,
--- locked=}]) sees to it that an account is there and so; also with `username` in one table. `password` is a hash as
--- crypt writes it. `users.create`, `users.groups` for groups, `users.ids` for a chosen uid.
function user.create(name, options)
    name, options = read("user.create", name, options)
    if options.state == "absent" then
        return errors.act("user.create", source.remove(name, options.remove_home or false))
    end
    return errors.act("user.create", source.create(name, wish("user.create", options)))
end

--- user.modify(name, {…}) makes an account so, with the options of user.create and `move_home`, `lock`, `unlock`.
--- `users.modify`.
function user.modify(name, options)
    name, options = read("user.modify", name, options)
    return errors.act("user.modify", source.modify(name, wish("user.modify", options)))
end

--- user.delete(name[, remove_home=false]) sees to it that there is no such account; `users.remove`.
function user.delete(name, home)
    if type(home) ~= "table" and type(name) ~= "table" then
        home = { remove_home = home }
    end
    local options
    name, options = read("user.delete", name, home)
    return errors.act("user.delete", source.remove(name, options.remove_home or false))
end

--- user.get_info(name) gives { username, uid, gid, group, groups, home, shell, comment, locked, has_password }, or nil and
--- a message; `users.query`.
function user.get_info(name)
    if type(name) == "table" then
        name = name.username or name.name
    end
    name = check.text(name, "user.get_info: the name")
    local found, problem = errors.read(source.query(name))
    return found, problem or not found and ("there is no account `%s`"):format(name) or nil
end

--- user.exists(name) says whether there is an account; `users.query`.
function user.exists(name)
    return user.get_info(name) ~= nil
end

--- user.list([system_only=false]) gives every account as user.get_info does; `users.query` of all.
function user.list(system_only)
    local all, problem = errors.read(source.list())
    if not all or not system_only then
        return all, problem
    end
    local list = {}
    for index = 1, #all do
        if all[index].uid < 1000 then
            list[#list + 1] = all[index]
        end
    end
    return list
end

-- What an account has of one kind.
local function get(field)
    return function(name)
        local found, problem = user.get_info(name)
        if not found then
            return nil, problem
        end
        return found[field]
    end
end

--- user.get_uid(name) gives an account's number, or nil and a message; `users.query`, as all of these.
user.get_uid = get("uid")
--- user.get_gid(name) gives the number of its primary group.
user.get_gid = get("gid")
--- user.get_groups(name) gives a list of its further groups.
user.get_groups = get("groups")
--- user.get_home(name) gives its folder.
user.get_home = get("home")
--- user.get_shell(name) gives its login shell.
user.get_shell = get("shell")
--- user.get_comment(name) gives what it is for.
user.get_comment = get("comment")
--- user.is_locked(name) says whether its password is locked, nil where the runner may not know.
user.is_locked = get("locked")

--- user.is_system_user(name) says whether an account has an id below 1000.
function user.is_system_user(name)
    local found, problem = user.get_info(name)
    return found ~= nil and found.uid < 1000, problem
end

--- user.is_root(name) says whether an account has the id 0.
function user.is_root(name)
    local found, problem = user.get_info(name)
    return found ~= nil and found.uid == 0, problem
end

-- Functions that set one thing of an account.
local function set(what, make)
    return function(name, value, more)
        if type(name) == "table" then
            errors.invalid(("user.%s: takes a name and what is to be set; user.modify takes a table"):format(what))
        end
        return user.modify(name, make(value, more))
    end
end

--- user.lock(name) locks the password; `users.modify`.
user.lock = set("lock", function()
    return { locked = true }
end)
--- user.unlock(name) unlocks the password.
user.unlock = set("unlock", function()
    return { locked = false }
end)
--- user.set_password(name, hash) sets a password's hash as crypt writes it, never the password itself.
user.set_password = set("set_password", function(hash)
    return { password = check.text(hash, "user.set_password: the hash") }
end)
--- user.set_shell(name, path) sets the login shell.
user.set_shell = set("set_shell", function(path)
    return { shell = check.text(path, "user.set_shell: the shell") }
end)
--- user.set_home(name, path[, move=false]) sets the home folder, and moves what is in it.
user.set_home = set("set_home", function(path, move)
    return { home = check.text(path, "user.set_home: the folder"), move_home = move or false }
end)
--- user.set_comment(name, text) sets what an account is for.
user.set_comment = set("set_comment", function(text)
    return { comment = check.text(text, "user.set_comment: the text") }
end)
--- user.set_primary_group(name, group) sets the primary group; `users.groups` of it.
user.set_primary_group = set("set_primary_group", function(name)
    return { group = check.text(name, "user.set_primary_group: the group") }
end)
--- user.set_expiry(name, "YYYY-MM-DD") sets the last day of an account; "" for none.
user.set_expiry = set("set_expiry", function(date)
    return { expiry = check.text(date, "user.set_expiry: the date") }
end)
--- user.add_to_group(name, group or list) adds an account to groups; `users.groups` of each.
user.add_to_group = set("add_to_group", function(groups)
    return { groups = check.texts(groups, "user.add_to_group: the group"), append = true }
end)

--- user.remove_from_group(name, group) takes an account out of a group; `users.groups` of it.
function user.remove_from_group(name, left)
    left = check.text(left, "user.remove_from_group: the group")
    local found, problem = user.get_info(name)
    if not found then
        return nil, problem
    end
    local groups = {}
    for index = 1, #found.groups do
        if found.groups[index] ~= left then
            groups[#groups + 1] = found.groups[index]
        end
    end
    return errors.act("user.remove_from_group", source.modify(name, { groups = groups }))
end

--- user.validate_username(name) says whether a name may be an account's.
function user.validate_username(name)
    name = check.text(name, "user.validate_username")
    return #name <= 32 and name:find("^[a-z_][a-z0-9_-]*$") ~= nil
end

-- The older spellings of the module `group`.
local groups = group.public

--- user.group_create(name[, {gid=, system=}]) is group.create.
user.group_create = groups.create
--- user.group_delete(name) is group.delete.
user.group_delete = groups.delete
--- user.group_exists(name) is group.exists.
user.group_exists = groups.exists
--- user.group_get_info(name) is group.get_info.
user.group_get_info = groups.get_info
--- user.group_list() is group.list.
user.group_list = groups.list
--- user.group_get_gid(name) is group.get_gid.
user.group_get_gid = groups.get_gid
--- user.group_members(name) is group.members.
user.group_members = groups.members
--- user.group_add_member(name, user) is group.add_member.
user.group_add_member = groups.add_member
--- user.group_remove_member(name, user) is group.remove_member.
user.group_remove_member = groups.remove_member

return need("names").close(user, "user", errors.invalid)
