//! The files of the library whose functions workflow files see. A new one is a line here.

/// One file of the library.
pub(super) struct Source {
    /// The file's name without its ending.
    pub(super) name: &'static str,
    pub(super) text: &'static str,
}

macro_rules! sources {
    ($($name:literal),* $(,)?) => {
        &[$(Source {
            name: $name,
            text: include_str!(concat!("../../../../guest/lua/", $name, ".lua")),
        }),*]
    };
}

/// The library's files, in the order in which their functions are shown.
pub(super) const SOURCES: &[Source] = sources![
    "base",
    "channel",
    "context",
    "cron",
    "crypto",
    "data",
    "event",
    "exec",
    "facts",
    "file_ops",
    "file_lines",
    "flow",
    "fs",
    "git",
    "goroutine",
    "group",
    "http",
    "import",
    "infra_test",
    "io",
    "json",
    "locks",
    "log",
    "net",
    "os_calls",
    "parallel",
    "pkg",
    "plugin",
    "reliability",
    "secret",
    "signals",
    "stack",
    "state",
    "step",
    "strings",
    "sysctl",
    "systemd",
    "task",
    "template",
    "time",
    "toml",
    "user",
    "workflow",
    "yaml",
];

/// What Lua itself or the host brings, which no file of the library describes. Where one does, that
/// one counts.
pub(super) const OWN: Source = Source {
    name: "own",
    text: include_str!("own.lua"),
};

/// The names that come in a later version.
pub(super) fn later() -> impl Iterator<Item = &'static str> {
    const MISSING: &str = include_str!("../../../../guest/lua/missing.lua");
    MISSING
        .split_once("missing.modules = [[")
        .and_then(|(_, rest)| rest.split_once("]]"))
        .map_or("", |(names, _)| names)
        .split_whitespace()
}
