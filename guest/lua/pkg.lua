-- Packages of the node. A name, a list of names, or a table with `packages` and more is what each function takes.
local need, host = ...

local errors, check = need("errors"), need("check")
local source = host.packages
local type, pairs = type, pairs

local pkg = {}

local KNOWN = { packages = "texts", package = "texts", name = "texts", manager = { "apt", "dnf", "nix" } }

-- Names and options of a call; `more` are options of its own.
local function read(what, given, more)
    if type(given) ~= "table" or given[1] ~= nil then
        given = { packages = given }
    end
    local known = {}
    for _, options in pairs({ KNOWN, more or {} }) do
        for name, kind in pairs(options) do
            known[name] = kind
        end
    end
    local options = check.options(what, given, known)
    return options.packages or options.package or options.name or {}, options
end

local function some(what, given, more)
    local names, options = read(what, given, more)
    if #names == 0 then
        errors.invalid(what .. ": no package is named")
    end
    return names, options
end

local function one(what, given)
    local names, options = some(what, given)
    if names[2] then
        errors.invalid(what .. ": takes one package")
    end
    return names[1], options.manager
end

local function remove(what, names, options)
    return errors.act(what, source.remove(names, options.purge or false, options.manager))
end

--- pkg.install(name or list, or {packages=, version=, state="present"|"latest"|"absent", manager="apt"|"dnf"|"nix"})
--- sees to it that packages are installed. `packages.install` of each; `version` is for one package.
function pkg.install(given)
    local what = "pkg.install"
    local names, options = some(what, given, { version = "text", state = { "present", "installed", "latest", "absent" } })
    if options.state == "absent" then
        return remove(what, names, options)
    elseif options.version and names[2] then
        errors.invalid(what .. ": a version is for one package")
    end
    local wanted = {}
    for index = 1, #names do
        wanted[index] = { name = names[index], version = options.version }
    end
    local result, problem = errors.act(what, source.install(wanted, options.manager))
    if result and options.state == "latest" and not options.version then
        local newer
        newer, problem = pkg.upgrade({ packages = names, manager = options.manager })
        if newer and newer.changed then
            newer.message = result.changed and result.message .. "; " .. newer.message or newer.message
        end
        return newer and (newer.changed and newer or result), problem
    end
    return result, problem
end

--- pkg.remove(name or list, or {packages=, purge=, manager=}) sees to it that packages are not installed;
--- `packages.remove` of each and of what needs them. With `purge` their settings go too.
function pkg.remove(given)
    return remove("pkg.remove", some("pkg.remove", given, { purge = "boolean" }))
end

--- pkg.update([{manager=}]) fetches the lists of packages anew; `packages.refresh`.
function pkg.update(given)
    local _, options = read("pkg.update", given or {})
    return errors.act("pkg.update", source.refresh(options.manager))
end

--- pkg.upgrade([name or list, or {packages=, manager=}]) brings packages to their newest version, all without a name;
--- `packages.upgrade`.
function pkg.upgrade(given)
    local names, options = read("pkg.upgrade", given or {})
    return errors.act("pkg.upgrade", source.upgrade(names, options.manager))
end

--- pkg.search(text or {query=, manager=}) gives a list of { name, summary }; `packages.query` of all.
function pkg.search(given)
    if type(given) ~= "table" then
        given = { query = given }
    end
    local options = check.options("pkg.search", given, { query = "text!", manager = KNOWN.manager })
    return errors.read(source.search(options.query, options.manager))
end

--- pkg.info(name) gives { name, version, architecture, homepage, summary, description }, or nil and a message.
function pkg.info(given)
    return errors.read(source.info(one("pkg.info", given)))
end

--- pkg.list([{manager=}]) gives a list of { name, version, held, summary } of all that is installed.
function pkg.list(given)
    local _, options = read("pkg.list", given or {})
    return errors.read(source.list(options.manager))
end

local function query(what, given)
    local name, manager = one(what, given)
    local found, problem = errors.read(source.query({ name }, manager))
    return found and found[1], problem
end

--- pkg.is_installed(name) says whether a package is installed, and as which version; `packages.query`.
function pkg.is_installed(given)
    local found, problem = query("pkg.is_installed", given)
    return found ~= nil and found.version ~= nil, found and found.version or problem
end

--- pkg.version(name) gives the installed version, or nil; and the version that installing would bring.
function pkg.version(given)
    local found, problem = query("pkg.version", given)
    if not found then
        return nil, problem
    end
    return found.version, found.candidate
end

--- pkg.get_manager() gives "apt", "dnf" or "nix", or nil and a message; `facts.read` of platform.
function pkg.get_manager()
    return errors.read(source.manager())
end

return need("names").close(pkg, "pkg", errors.invalid)
