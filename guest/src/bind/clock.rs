//! `clock`: time. Wall-clock time reaches Lua's `os.time` and `os.date` through `wasi.rs`.

use mlua::{Lua, Table};

use super::answer::give;
use crate::sloth::host::clock;

/// `now()`: seconds since 1970. `monotonic()`: seconds since the step began. `sleep(seconds)`,
/// `wait(numbers[, seconds])`.
pub(super) fn bind(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.raw_set(
        "now",
        lua.create_function(|_, ()| {
            let now = clock::now();
            #[expect(
                clippy::cast_precision_loss,
                reason = "a float has room for these seconds"
            )]
            Ok(now.seconds as f64 + f64::from(now.nanoseconds) / 1e9)
        })?,
    )?;
    table.raw_set(
        "monotonic",
        lua.create_function(|_, ()| {
            Ok(std::time::Duration::from_nanos(clock::monotonic()).as_secs_f64())
        })?,
    )?;
    table.raw_set(
        "sleep",
        lua.create_function(|_, seconds: f64| {
            clock::sleep(milliseconds(seconds));
            Ok(())
        })?,
    )?;
    table.raw_set(
        "wait",
        lua.create_function(|lua, (numbers, seconds): (Vec<u32>, Option<f64>)| {
            give(lua, clock::wait(&numbers, seconds.map(milliseconds)))
        })?,
    )?;
    Ok(table)
}

/// Rounded up, so that nobody wakes too early; what is less than nothing is none.
fn milliseconds(seconds: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a cast from float to integer saturates"
    )]
    let milliseconds = (seconds * 1000.0).ceil() as u64;
    milliseconds
}
