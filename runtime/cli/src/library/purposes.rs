//! What is said of a module that has no file of its own to say it.

/// Names that mean the same module.
pub(super) const ALIASES: &[(&str, &str)] = &[
    ("cmd", "exec"),
    ("file", "file_ops"),
    ("service", "systemd"),
];

/// The module of functions that stand in none.
pub(super) const GLOBALS: &str = "globals";

/// Lua's own libraries; what the library adds to them is told with them.
pub(super) const LUA: &[&str] = &["coroutine", "math", "string", "table", "utf8"];

/// What a module is for, unless a file of its name says it. Empty for a name that is not known.
pub(super) fn purpose(name: &str) -> &'static str {
    match name {
        "coroutine" => "Coroutines, as in Lua 5.4.",
        "math" => "Numbers, as in Lua 5.4; also the older math.pow.",
        "string" => "Text, as in Lua 5.4.",
        "table" => "Lists and maps, as in Lua 5.4; also the older table.getn and table.maxn.",
        "utf8" => "Characters of UTF-8 text, as in Lua 5.4.",
        "debug" => "What Lua knows of the calls that led here.",
        GLOBALS => "Functions and values that stand in no module.",
        "os" => "Time, and the runner's environment.",
        "this" => "The running task: what its function gets first.",
        "async" | "await" | "await_all" => "Work that runs beside the task.",
        "cron" => "Entries of cron tables.",
        "crypto" => "Hashes, random bytes and encodings.",
        "data" => "JSON, YAML and TOML.",
        "docker" => "Containers and images of Docker.",
        "firewall" => "Rules of the firewall.",
        "git" => "Repositories: clone, pull, commit, push.",
        "goroutine" => "Work that runs beside the task: channels, locks, pools.",
        "group" => "Groups of the node.",
        "http" | "net" => "Requests over HTTP, and downloads.",
        "incus" => "Containers and virtual machines of Incus.",
        "infra_test" => "Assertions on files, ports, services, packages and processes.",
        "io" => "Files as Lua's io library has them.",
        "nixos" => "The node's NixOS configuration.",
        "parallel" => "Functions that run beside each other.",
        "pkg" => "Packages of the node, whatever its package manager.",
        "plugin" => "Functions that plugins add.",
        "reliability" => "Retries, circuit breakers, time limits.",
        "secret" => "Secrets, by name.",
        "service" | "systemd" => "Services of the node.",
        "stow" => "Links to the files of a folder.",
        "strings" => "Helpers for text.",
        "sysctl" => "Parameters of the kernel.",
        "template" => "Text from Jinja templates.",
        "terraform" => "Infrastructure that Terraform describes.",
        "time" => "Moments, and how they are written.",
        "toml" => "TOML text.",
        "user" => "Users of the node.",
        "yaml" => "YAML text.",
        _ => "",
    }
}
