-- Git checkouts, through the program `git`. What only looks counts as no change and runs in check mode too.
local need, host = ...

local errors, check, names = need("errors"), need("check"), need("names")
local exec, files, log = need("exec"), host.files, need("log")
local type, pairs = type, pairs

local git = {}

local function options_of(what, given, known)
    if type(given) == "string" then
        given = { path = given }
    end
    local options = check.options(what, given, known)
    for key, value in pairs(options) do
        -- It would be taken for an option of git.
        if type(value) == "string" and key ~= "message" and value:sub(1, 1) == "-" then
            errors.invalid(("%s: %s: must not begin with a hyphen"):format(what, key))
        end
    end
    return options
end

local function words_of(path, ...)
    if path then
        return { "git", "-C", path, ... }
    end
    return { "git", ... }
end

-- Gives the output of a call that only looks, or nil and why it failed.
local function look(path, ...)
    local result = exec.run(words_of(path, ...), { check = true })
    if result.success then
        return (result.stdout:gsub("%s+$", ""))
    end
    return nil, result.message
end

local function done(changed, message, more)
    local result = more or {}
    result.changed, result.success, result.message = changed, true, message
    return result
end

local function act(what, path, ...)
    local result = exec.run(words_of(path, ...))
    if result.success then
        return true
    end
    local message = ("%s: %s"):format(what, result.message)
    log.warn(message)
    return nil, message
end

-- Where a name of a version leads, as a commit.
local function commit_of(path, name)
    return look(path, "rev-parse", "--verify", "--quiet", name .. "^{commit}")
end

--- git.is_repo{path=} says whether a folder is in a checkout.
function git.is_repo(given)
    local options = options_of("git.is_repo", given, { path = "text!" })
    return look(options.path, "rev-parse", "--git-dir") ~= nil
end

--- git.current_commit{path=} gives the full name of the commit that is checked out, or nil and a message.
function git.current_commit(given)
    return look(options_of("git.current_commit", given, { path = "text!" }).path, "rev-parse", "--verify", "--quiet", "HEAD")
end

--- git.current_branch{path=} gives the branch that is checked out ("HEAD" if none is), or nil and a message.
function git.current_branch(given)
    local path = options_of("git.current_branch", given, { path = "text!" }).path
    return look(path, "rev-parse", "--abbrev-ref", "HEAD")
end

--- git.status{path=} gives what differs as git's short lines; "" if nothing does, nil and a message on failure.
function git.status(given)
    local options = options_of("git.status", given, { path = "text!" })
    local result = exec.run(words_of(options.path, "status", "--porcelain"), { check = true })
    if result.success then
        return result.stdout
    end
    return nil, "git.status: " .. result.message
end

-- Whether this branch or commit is what is checked out.
local function is_at(path, version)
    local wanted, head = commit_of(path, version), commit_of(path, "HEAD")
    if not wanted or wanted ~= head then
        return false
    end
    local branch = look(path, "symbolic-ref", "--quiet", "--short", "HEAD")
    return branch == version or look(path, "show-ref", "--verify", "refs/heads/" .. version) == nil
end

--- git.checkout{path=, branch=, create=} checks out a branch, tag or commit; `create` makes the branch if it is not
--- there.
function git.checkout(given)
    local what = "git.checkout"
    local options = options_of(what, given, { path = "text!", branch = "text!", create = "boolean" })
    local path, branch = options.path, options.branch
    if is_at(path, branch) then
        return done(false, branch .. " is checked out already")
    end
    local fine, problem
    if options.create and not commit_of(path, branch) and not commit_of(path, "origin/" .. branch) then
        fine, problem = act(what, path, "checkout", "-b", branch)
    else
        fine, problem = act(what, path, "checkout", branch, "--")
    end
    if not fine then
        return nil, problem
    end
    return done(true, "checked out " .. branch)
end

--- git.clone{url=, local_path=, branch=, depth=, clean=} makes a folder a checkout of a repository, at a branch, tag or
--- commit if one is named. A checkout of the same repository and version stays as it is; of another version, that one is
--- fetched. A folder that is something else fails, or is removed first with `clean`. Gives { path, url, commit, exists, … }.
function git.clone(given)
    local what = "git.clone"
    local options = options_of(what, given, {
        url = "text!",
        local_path = "text",
        path = "text",
        branch = "text",
        version = "text",
        depth = "text",
        clean = "boolean",
    })
    local path, version = options.local_path or options.path, options.branch or options.version
    if not path then
        errors.invalid(what .. ": the option `local_path` is missing")
    end
    local more = { path = path, url = options.url, exists = false }
    local function finish(changed, message)
        more.commit = look(path, "rev-parse", "--verify", "--quiet", "HEAD")
        return done(changed, message, more)
    end
    local found, unread = errors.read(files.stat(path, true))
    if unread then
        return nil, unread
    end
    if found and look(path, "rev-parse", "--show-prefix") == "" then
        local origin = look(path, "remote", "get-url", "origin")
        more.exists = true
        if origin == options.url then
            if not version or is_at(path, version) then
                return finish(false, path .. " is a checkout of it already")
            end
            local fine, problem = act(what, path, "fetch", "--tags", "origin")
            if fine then
                fine, problem = act(what, path, "checkout", version, "--")
            end
            if not fine then
                return nil, problem
            end
            return finish(true, ("checked out %s in %s"):format(version, path))
        elseif not options.clean then
            return nil, ("%s: %s is a checkout of %s; `clean = true` replaces it"):format(what, path, origin or "nothing")
        end
    end
    if found and options.clean then
        local removed, problem = errors.act(what, files.remove(path, true))
        if not removed then
            return nil, problem
        end
        more.exists = false
    end
    local words = words_of(nil, "clone")
    if options.depth then
        words[#words + 1], words[#words + 2] = "--depth", options.depth
    end
    words[#words + 1], words[#words + 2], words[#words + 3] = "--", options.url, path
    local result = exec.run(words)
    local problem = result.message
    if result.success and version then
        result.success, problem = act(what, path, "checkout", version, "--")
    end
    if not result.success then
        return nil, ("%s: %s"):format(what, problem)
    end
    return finish(true, ("cloned %s to %s"):format(options.url, path))
end

-- The commit of a branch of a remote, without fetching it.
local function remote_commit(path, remote, branch)
    local line, problem = look(path, "ls-remote", remote, "refs/heads/" .. branch)
    return line and (line:match("^%x+") or ""), problem
end

-- What pull and push are about, and where the remote's branch is now; or nil and why that is not known.
local function remote_branch(what, given)
    local options = options_of(what, given, { path = "text!", remote = "text", branch = "text" })
    local path, remote = options.path, options.remote or "origin"
    local branch = options.branch or look(path, "rev-parse", "--abbrev-ref", "HEAD")
    local there, problem = remote_commit(path, remote, branch or "HEAD")
    if not there then
        return nil, ("%s: %s"):format(what, problem)
    end
    return { path = path, remote = remote, branch = branch, there = there }
end

--- git.pull{path=, remote="origin", branch=} brings a checkout up to its remote branch, if that needs no merge.
function git.pull(given)
    local what = "git.pull"
    local about, problem = remote_branch(what, given)
    if not about then
        return nil, problem
    end
    local path, there = about.path, about.there
    if there ~= "" and look(path, "merge-base", "--is-ancestor", there, "HEAD") then
        return done(false, path .. " is up to date")
    end
    local fine
    fine, problem = act(what, path, "pull", "--ff-only", about.remote, about.branch)
    if not fine then
        return nil, problem
    end
    return done(true, "pulled " .. path, { commit = commit_of(path, "HEAD") })
end

--- git.commit{path=, message=, add_all=} commits what is staged, or everything with `add_all`. Nothing to commit is no
--- change.
function git.commit(given)
    local what = "git.commit"
    local options = options_of(what, given, { path = "text!", message = "text!", add_all = "boolean" })
    local path = options.path
    local differs, problem = look(path, "status", "--porcelain")
    if not differs then
        return nil, ("%s: %s"):format(what, problem)
    elseif differs == "" or not options.add_all and look(path, "diff", "--cached", "--quiet") then
        return done(false, "nothing to commit")
    end
    local fine = true
    if options.add_all then
        fine, problem = act(what, path, "add", "--all", "--", ".")
    end
    if fine then
        fine, problem = act(what, path, "commit", "--message", options.message)
    end
    if not fine then
        return nil, problem
    end
    return done(true, "committed", { commit = commit_of(path, "HEAD") })
end

--- git.push{path=, remote="origin", branch=} brings the remote branch up to this one, by default the one checked out.
function git.push(given)
    local what = "git.push"
    local about, problem = remote_branch(what, given)
    if not about then
        return nil, problem
    end
    local path, branch, there = about.path, about.branch, about.there
    if there ~= "" and there == commit_of(path, branch) then
        return done(false, branch .. " is there already")
    end
    local fine
    fine, problem = act(what, path, "push", about.remote, branch)
    if not fine then
        return nil, problem
    end
    return done(true, ("pushed %s to %s"):format(branch, about.remote))
end

--- git.ensure_clean{path=} removes a folder and all in it, so that it can be cloned afresh.
function git.ensure_clean(given)
    local options = options_of("git.ensure_clean", given, { path = "text!" })
    return errors.act("git.ensure_clean", files.remove(options.path, true))
end

return names.close(git, "git", errors.invalid)
