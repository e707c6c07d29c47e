//! Events with their place in a run, as messages and as the bytes they are kept as.

use std::time::SystemTime;

use prost::Message;
use sloth_workflow::{Event, Record};

use super::{Malformed, generated, value};

impl From<&Record> for generated::Record {
    fn from(record: &Record) -> Self {
        Self {
            number: record.number,
            time: Some(record.time.into()),
            event: Some((&record.event).into()),
            target: record.target.clone().unwrap_or_default(),
        }
    }
}

impl TryFrom<generated::Record> for Record {
    type Error = Malformed;

    fn try_from(record: generated::Record) -> Result<Self, Malformed> {
        Ok(Self {
            number: record.number,
            time: value::moment("the event's time", record.time)?,
            event: record
                .event
                .ok_or(Malformed::Missing("the event"))?
                .try_into()?,
            target: Some(record.target).filter(|target| !target.is_empty()),
        })
    }
}

/// The bytes of a record that has no number yet. The number is given by whoever keeps it, and written behind them.
pub fn encoded(event: &Event, time: SystemTime, target: Option<&str>) -> Vec<u8> {
    let record = generated::Record {
        number: 0,
        time: Some(time.into()),
        event: Some(event.into()),
        target: target.unwrap_or_default().to_owned(),
    };
    record.encode_to_vec()
}

/// The record that bytes of [`encoded`] are, under its number.
pub fn numbered(bytes: &[u8], number: u64) -> Result<generated::Record, Malformed> {
    let mut record = generated::Record::decode(bytes).map_err(|error| Malformed::Bytes {
        what: "the event",
        error,
    })?;
    record.number = number;
    Ok(record)
}

/// As [`numbered`], and in the words of the program.
pub fn decoded(bytes: &[u8], number: u64) -> Result<Record, Malformed> {
    numbered(bytes, number)?.try_into()
}
