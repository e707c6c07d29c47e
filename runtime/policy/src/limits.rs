//! `[limits]`: what one step may use up at most.

use std::ops::RangeInclusive;
use std::time::Duration;

use toml_edit::{Item, Value};

use crate::error::ParseError;
use crate::quantity::{parse_duration, parse_size};
use crate::reader::{Reader, described};

/// Ceilings of a node. A workflow may ask for less.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Linear memory of a step's instance, in bytes. `memory`, 8 MiB to 4 GiB less one 64 KiB page,
    /// which is what 32-bit WebAssembly can address and still count.
    pub memory: u64,
    /// Wall-clock time of one attempt of a step. `step-time`, one second to a day.
    pub step_time: Duration,
    /// What a step may log, and what one of its programs may print, in bytes. `output`, 4 KiB to
    /// 1 GiB.
    pub output: u64,
    /// What a step's scratch folder may hold, in bytes. `scratch`, 1 MiB to 1 TiB.
    pub scratch: u64,
    /// Processes that all programs of a step may have at a time, themselves included. `processes`, 1 to
    /// 4,096. A step has at most 64 programs at a time.
    pub processes: u32,
    /// Open files and other host resources of a step. `handles`, 8 to 65,536.
    pub handles: u32,
    /// Steps at work on the node at a time. `concurrent-steps`, 1 to 1,024.
    pub concurrent_steps: u32,
}

const KEYS: &[&str] = &[
    "memory",
    "step-time",
    "output",
    "scratch",
    "processes",
    "handles",
    "concurrent-steps",
];

const MEMORY: RangeInclusive<u64> = (8 << 20)..=((4 << 30) - (64 << 10));
const OUTPUT: RangeInclusive<u64> = (4 << 10)..=(1 << 30);
const SCRATCH: RangeInclusive<u64> = (1 << 20)..=(1 << 40);
const STEP_TIME: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(24);

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: 64 << 20,
            step_time: Duration::from_mins(10),
            output: 64 << 20,
            scratch: 1 << 30,
            processes: 16,
            handles: 256,
            concurrent_steps: 8,
        }
    }
}

impl Limits {
    /// Reads the table; what it does not name keeps its default.
    pub(crate) fn read(reader: &Reader<'_>, item: &Item) -> Result<Self, ParseError> {
        let table = reader.table(item, "limits")?;
        let mut limits = Self::default();
        for (key, item) in table.iter() {
            match key {
                "memory" => {
                    limits.memory = memory(reader, item)?;
                }
                "output" => {
                    limits.output = size(reader, item, key, OUTPUT, "from `4KiB` to `1GiB`")?;
                }
                "scratch" => {
                    limits.scratch = size(reader, item, key, SCRATCH, "from `1MiB` to `1TiB`")?;
                }
                "step-time" => limits.step_time = duration(reader, item, key)?,
                "processes" => limits.processes = count(reader, item, key, 1..=4_096)?,
                "handles" => limits.handles = count(reader, item, key, 8..=65_536)?,
                "concurrent-steps" => {
                    limits.concurrent_steps = count(reader, item, key, 1..=1_024)?;
                }
                _ => return Err(reader.unknown_key(table, key, "[limits]", KEYS)),
            }
        }
        Ok(limits)
    }
}

/// Reads `memory`, of a step or of a plugin.
pub(crate) fn memory(reader: &Reader<'_>, item: &Item) -> Result<u64, ParseError> {
    size(
        reader,
        item,
        "memory",
        MEMORY,
        "from `8MiB` to `4194240KiB`",
    )
}

fn size(
    reader: &Reader<'_>,
    item: &Item,
    key: &str,
    range: RangeInclusive<u64>,
    bounds: &str,
) -> Result<u64, ParseError> {
    let text = reader.string(item, key, "\"64MiB\"")?;
    let bytes = parse_size(text).map_err(|reason| reader.error(item.span(), reason, None))?;
    within(reader, item, key, bytes, &range, bounds)
}

fn duration(reader: &Reader<'_>, item: &Item, key: &str) -> Result<Duration, ParseError> {
    let text = reader.string(item, key, "\"10m\"")?;
    let time = parse_duration(text).map_err(|reason| reader.error(item.span(), reason, None))?;
    within(reader, item, key, time, &STEP_TIME, "from `1s` to `24h`")
}

fn count(
    reader: &Reader<'_>,
    item: &Item,
    key: &str,
    range: RangeInclusive<u32>,
) -> Result<u32, ParseError> {
    let bounds = format!("from {} to {}", range.start(), range.end());
    let Some(number) = item.as_value().and_then(Value::as_integer) else {
        let message = format!("`{key}` is a whole number, not {}", described(item));
        return Err(reader.error(item.span(), message, Some(format!("it may be {bounds}"))));
    };
    // What does not fit is out of every range.
    let number = u32::try_from(number).unwrap_or(if number < 0 { 0 } else { u32::MAX });
    within(reader, item, key, number, &range, &bounds)
}

fn within<T: PartialOrd>(
    reader: &Reader<'_>,
    item: &Item,
    key: &str,
    value: T,
    range: &RangeInclusive<T>,
    bounds: &str,
) -> Result<T, ParseError> {
    if range.contains(&value) {
        return Ok(value);
    }
    let message = format!("`{key}` is outside its bounds");
    Err(reader.error(item.span(), message, Some(format!("it may be {bounds}"))))
}
