//! What the program says of itself, for systemd's journal in its own protocol: a message has its
//! priority, and each field of it a name to search by (`journalctl SLOTH_AGENT=web-01`).

use std::fmt;
use std::io::{self, Write};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// Where the journal listens, on every system that has one.
pub(crate) const SOCKET: &str = "/run/systemd/journal/socket";
/// Most bytes of one value, and of all of them: a datagram that is too large for its socket is lost.
const VALUE: usize = 16 * 1024;
const MESSAGE: usize = 96 * 1024;

/// Hands what is said to the journal.
pub(crate) struct Journald {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Journald {
    /// The journal behind `path`, if somebody listens there.
    pub(crate) fn at(path: &Path) -> io::Result<Self> {
        UnixDatagram::unbound()?.connect(path)?;
        let socket = UnixDatagram::unbound()?;
        // A journal that hangs must not hang the node.
        socket.set_write_timeout(Some(Duration::from_secs(1)))?;
        Ok(Self {
            socket,
            path: path.to_owned(),
        })
    }

    fn send(&self, entry: &Entry) {
        // By its path each time, so that it may be a new one after the journal was started anew.
        if self.socket.send_to(&entry.bytes, &self.path).is_err() {
            let _ = writeln!(io::stderr(), "{}", entry.message);
        }
    }
}

impl<S: Subscriber> Layer<S> for Journald {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut entry = Entry::new(*event.metadata().level());
        event.record(&mut entry);
        self.send(&entry);
    }
}

/// One message in the making.
struct Entry {
    bytes: Vec<u8>,
    message: String,
}

impl Entry {
    fn new(level: Level) -> Self {
        let priority = match level {
            Level::ERROR => "3",
            Level::WARN => "4",
            Level::INFO => "6",
            _ => "7",
        };
        let mut entry = Self {
            bytes: Vec::new(),
            message: String::new(),
        };
        entry.put("PRIORITY", priority);
        entry.put("SYSLOG_IDENTIFIER", "sloth-runner");
        entry
    }

    /// Every value goes with its length before it, so that none can bring fields of its own.
    fn put(&mut self, name: &str, value: &str) {
        let value = &value[..value.floor_char_boundary(VALUE)];
        if self.bytes.len() + name.len() + value.len() > MESSAGE {
            return;
        }
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(b'\n');
        self.bytes
            .extend_from_slice(&(value.len() as u64).to_le_bytes());
        self.bytes.extend_from_slice(value.as_bytes());
        self.bytes.push(b'\n');
    }

    fn record(&mut self, name: &str, value: &str) {
        if name == "message" {
            value.clone_into(&mut self.message);
            self.put("MESSAGE", value);
        } else {
            self.put(&named(name), value);
        }
    }
}

/// A field's name as the journal takes it, and such as nothing of systemd's own has.
fn named(name: &str) -> String {
    let plain = name.chars().map(|letter| {
        if letter.is_ascii_alphanumeric() {
            letter.to_ascii_uppercase()
        } else {
            '_'
        }
    });
    "SLOTH_".chars().chain(plain).take(64).collect()
}

impl Visit for Entry {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record(field.name(), &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record(field.name(), value);
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    /// The fields of an entry, as the journal reads them.
    fn read(mut bytes: &[u8]) -> Vec<(String, String)> {
        let mut fields = Vec::new();
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let name = String::from_utf8(bytes[..end].to_vec()).unwrap();
            let (length, rest) = bytes[end + 1..].split_first_chunk::<8>().unwrap();
            let (value, rest) =
                rest.split_at(usize::try_from(u64::from_le_bytes(*length)).unwrap());
            fields.push((name, String::from_utf8(value.to_vec()).unwrap()));
            assert_eq!(rest[0], b'\n');
            bytes = &rest[1..];
        }
        fields
    }

    fn told(say: impl FnOnce()) -> Vec<(String, String)> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let journal = UnixDatagram::bind(&path).unwrap();
        let layer = Journald::at(&path).unwrap();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), say);
        let mut bytes = vec![0; 2 * MESSAGE];
        let length = journal.recv(&mut bytes).unwrap();
        read(&bytes[..length])
    }

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn a_message_has_its_priority_and_its_fields() {
        let fields = told(|| tracing::warn!(agent = "web-01", after = 3, "it is lost"));
        assert_eq!(fields[0], pair("PRIORITY", "4"));
        for expected in [
            pair("MESSAGE", "it is lost"),
            pair("SLOTH_AGENT", "web-01"),
            pair("SLOTH_AFTER", "3"),
        ] {
            assert!(fields.contains(&expected), "{fields:?}");
        }
    }

    #[test]
    fn a_value_brings_no_fields_of_its_own() {
        let evil = "x\nPRIORITY=0\nMESSAGE=all is well\n";
        let fields = told(|| tracing::info!(_priority = evil, "{evil}"));
        let count = |name| fields.iter().filter(|(own, _)| own == name).count();
        assert_eq!((count("PRIORITY"), count("MESSAGE")), (1, 1));
        assert!(
            fields.contains(&pair("SLOTH__PRIORITY", evil)),
            "{fields:?}"
        );
    }

    #[test]
    fn what_is_too_long_is_cut_and_not_lost() {
        let long = "ä".repeat(MESSAGE);
        let fields = told(|| tracing::error!(a = long, b = long, "{long}"));
        let message = fields.iter().find(|(name, _)| name == "MESSAGE");
        assert_eq!(message.unwrap().1.len(), VALUE);
    }

    #[test]
    fn where_nobody_listens_there_is_no_journal() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Journald::at(&folder.path().join("socket")).is_err());
    }
}
