-- Groups of the node.
local need, host = ...

local errors, check = need("errors"), need("check")
local source = host.users
local type, tonumber, tointeger = type, tonumber, math.tointeger

local group, public = {}, {}

--- Gives an id as a number; it may be written as text.
function group.id(value, what)
    local id = tointeger(tonumber(value))
    if not id or id < 0 or id >= 2 ^ 32 - 1 then
        errors.invalid(what .. ": must be a number")
    end
    return id
end

-- The name and the options of a call.
local function read(what, name, options, known)
    if type(name) == "table" then
        name, options = name.name or name.group or name.groupname, name
    end
    known.name, known.group, known.groupname = "text", "text", "text"
    options = check.options(what, options, known)
    options.gid = options.gid and group.id(options.gid, what .. ": gid")
    return check.text(name, what .. ": the name"), options
end

--- group.create(name[, {gid=, system=}]) sees to it that a group is there; `users.create`, `users.ids` of the gid.
function public.create(name, options)
    name, options = read("group.create", name, options, { gid = "text", system = "boolean" })
    return errors.act("group.create", source.create_group(name, options.gid, options.system or false))
end

--- group.modify(name, {gid=, members=}) gives a group this id and exactly these further members; `users.modify`,
--- `users.groups`, `users.ids`.
function public.modify(name, options)
    name, options = read("group.modify", name, options, { gid = "text", members = "texts" })
    return errors.act("group.modify", source.modify_group(name, options.gid, options.members))
end

--- group.delete(name) sees to it that there is no such group; `users.remove`.
function public.delete(name)
    name = read("group.delete", name, nil, {})
    return errors.act("group.delete", source.remove_group(name))
end

--- group.get_info(name) gives { name, gid, members }, or nil and a message; `users.query`.
function public.get_info(name)
    name = read("group.get_info", name, nil, {})
    local found, problem = errors.read(source.query_group(name))
    return found, problem or not found and ("there is no group `%s`"):format(name) or nil
end

--- group.exists(name) says whether there is a group; `users.query`.
function public.exists(name)
    return public.get_info(name) ~= nil
end

--- group.list() gives every group; `users.query` of all.
function public.list()
    return errors.read(source.list_groups())
end

--- group.get_gid(name) gives a group's number, or nil and a message.
function public.get_gid(name)
    local found, problem = public.get_info(name)
    return found and found.gid, problem
end

--- group.members(name) gives the accounts that have a group as a further one, or nil and a message.
function public.members(name)
    local found, problem = public.get_info(name)
    return found and found.members, problem
end

--- group.add_member(name, user) adds an account to a group; `users.modify` of the account, `users.groups` of the group.
function public.add_member(name, member)
    name = check.text(name, "group.add_member: the group")
    member = check.text(member, "group.add_member: the account")
    return errors.act("group.add_member", source.modify(member, { groups = { name }, append = true }))
end

--- group.add_to_group(name, user) is group.add_member.
public.add_to_group = public.add_member

--- group.remove_member(name, user) takes an account out of a group; needs the same, and `users.query` of the account.
function public.remove_member(name, member)
    return need("user").remove_from_group(member, name)
end

group.public = need("names").close(public, "group", errors.invalid)
return group
