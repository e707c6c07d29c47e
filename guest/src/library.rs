//! The Lua side of the library: its sources, which are in memory only until the snapshot is made.

use std::cell::UnsafeCell;

/// A file's text, kept where it can be wiped: the snapshot holds every byte of memory but zeros.
struct Text<const LENGTH: usize>(UnsafeCell<[u8; LENGTH]>);

#[expect(unsafe_code, reason = "the guest has one thread")]
// SAFETY: there is no second thread that could share it.
unsafe impl<const LENGTH: usize> Sync for Text<LENGTH> {}

/// One file under `lua/`.
pub(crate) struct Source {
    /// The name that other files ask for it by.
    pub(crate) name: &'static str,
    text: *mut [u8],
}

#[expect(unsafe_code, reason = "the guest has one thread")]
// SAFETY: as for `Text`.
unsafe impl Sync for Source {}

impl Source {
    /// A copy of the text; empty once it is wiped.
    pub(crate) fn text(&self) -> Vec<u8> {
        #[expect(unsafe_code, reason = "reads a cell of this file")]
        // SAFETY: it points to a static, and nothing writes while this reads: there is one thread.
        let text = unsafe { &*self.text };
        text.to_vec()
    }
}

/// Wipes every text. What was made of them stays.
pub(crate) fn wipe() {
    for source in LIBRARY {
        #[expect(unsafe_code, reason = "writes a cell of this file")]
        // SAFETY: it points to a static cell, and no reference into it is held: `text` gives copies.
        unsafe {
            (*source.text).fill(0);
        }
    }
}

macro_rules! library {
    ($($name:literal)+) => {
        /// Every file, in an order that changes nothing.
        pub(crate) static LIBRARY: &[Source] = &[$(Source {
            name: $name,
            text: {
                const TEXT: &[u8] = include_bytes!(concat!("../lua/", $name, ".lua"));
                static CELL: Text<{ TEXT.len() }> = Text(UnsafeCell::new(
                    *include_bytes!(concat!("../lua/", $name, ".lua")),
                ));
                CELL.0.get()
            },
        }),+];
    };
}

library! {
    "boot" "frames" "errors" "names" "check" "duration" "fibers" "clock" "channel" "locks" "signals" "context" "flow"
    "goroutine" "parallel" "run_as" "log" "format" "json" "exec" "secret" "fs" "file_ops" "file_lines" "facts" "http"
    "net" "capabilities" "task_keys" "task" "workflow" "import" "stack" "missing" "base" "plan" "step" "strings" "yaml"
    "toml" "data" "template" "crypto" "time" "io" "os_calls" "leftovers" "reliability" "git" "cron" "sysctl"
    "infra_test" "state" "event" "resources" "pkg" "user" "group" "systemd" "plugin"
}
