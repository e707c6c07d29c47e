//! A systemd for tests: the part of its manager's D-Bus interface that services need, answered on a
//! socket of its own by a machine that exists only here.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use futures_util::StreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use zbus::connection::Builder;
use zbus::connection::socket::{ReadHalf, Socket, Split, WriteHalf};
use zbus::export::async_trait::async_trait;
use zbus::message::{Message, Type};
use zbus::{Connection, MessageStream, OwnedObjectPath, Variant};

const GUID: &str = "0123456789abcdef0123456789abcdef";
const UNITS: &str = "/org/freedesktop/systemd1/unit/";

/// A unit, and how it behaves.
#[derive(Clone, Debug)]
pub(crate) struct Unit {
    pub(crate) load: &'static str,
    pub(crate) active: &'static str,
    pub(crate) file: &'static str,
    pub(crate) outdated: bool,
    /// How a job ends; none is never.
    pub(crate) result: Option<&'static str>,
    /// What it is after it was started.
    pub(crate) started: &'static str,
    pub(crate) conditions: bool,
    /// What it is stopped by and stops, and what it starts: with it, when something happens, and when it fails.
    pub(crate) conflicts: &'static [&'static str],
    pub(crate) wants: &'static [&'static str],
    pub(crate) triggers: &'static [&'static str],
    pub(crate) on_failure: &'static [&'static str],
    /// What ends when it does.
    pub(crate) required_by: &'static [&'static str],
}

/// The machine that the tests' systemd looks after.
#[derive(Debug, Default)]
pub(crate) struct Machine {
    pub(crate) units: BTreeMap<&'static str, Unit>,
    /// Other names of units.
    pub(crate) aliases: BTreeMap<&'static str, &'static str>,
    /// The unit that the runner is in.
    pub(crate) own: Option<&'static str>,
    /// The folder that the files of units lie in; empty is one that is not there.
    pub(crate) files: String,
    /// The account may not do anything.
    pub(crate) forbids: bool,
    /// How often files were read again, and jobs were given up.
    pub(crate) reloads: usize,
    pub(crate) cancelled: usize,
}

impl Default for Unit {
    fn default() -> Self {
        Self {
            load: "loaded",
            active: "inactive",
            file: "disabled",
            outdated: false,
            result: Some("done"),
            started: "active",
            conditions: true,
            conflicts: &[],
            wants: &[],
            triggers: &[],
            on_failure: &[],
            required_by: &[],
        }
    }
}

/// Answers at a socket until the test ends.
pub(crate) fn answer(socket: &Path, machine: Arc<Mutex<Machine>>) {
    let socket: PathBuf = socket.to_owned();
    let (ready, waiting) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let local = tokio::task::LocalSet::new();
        local.block_on(&runtime, async move {
            let listener = UnixListener::bind(socket).unwrap();
            ready.send(()).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                tokio::task::spawn_local(serve(stream, Arc::clone(&machine)));
            }
        });
    });
    waiting.recv().unwrap();
}

async fn serve(mut stream: UnixStream, machine: Arc<Mutex<Machine>>) {
    // What follows BEGIN is the bus's, so bytes are taken one at a time.
    let mut said = Vec::new();
    while !said.ends_with(b"BEGIN\r\n") {
        match stream.read_u8().await {
            Ok(byte) => said.push(byte),
            Err(_) => return,
        }
        if said.ends_with(b"\r\n") && said.starts_with(b"\0AUTH") && !said.contains(&b'!') {
            let line = said.split(|byte| *byte == b'\n').rev().nth(1).unwrap();
            let answer = if line.starts_with(b"NEGOTIATE") {
                "ERROR\r\n".to_owned()
            } else if line.starts_with(b"BEGIN") {
                continue;
            } else {
                format!("OK {GUID}\r\n")
            };
            if stream.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
    }
    let connection = Builder::authenticated_socket(Whole(stream), GUID)
        .build()
        .await
        .unwrap();
    let mut calls = MessageStream::from(&connection);
    while let Some(Ok(call)) = calls.next().await {
        if call.message_type() == Type::MethodCall {
            handle(&connection, &call, &machine).await;
        }
    }
}

#[expect(clippy::too_many_lines, reason = "one arm for each method there is")]
async fn handle(connection: &Connection, call: &Message, machine: &Mutex<Machine>) {
    let header = call.header();
    let body = call.body();
    let member = header.member().unwrap().to_string();
    let path = header.path().unwrap().to_string();
    let first = || -> String {
        body.deserialize::<(String, String)>()
            .map(|(first, _)| first)
            .or_else(|_| body.deserialize::<String>())
            .unwrap()
    };
    let reply = async |answer: Result<Variant<'static>, (&'static str, String)>| match answer {
        Ok(value) => match value {
            Variant::Str(text) => connection.reply(&header, &text.as_str()).await,
            Variant::ObjectPath(path) => connection.reply(&header, &path).await,
            other => connection.reply(&header, &other).await,
        },
        Err((name, words)) => connection.reply_error(&header, name, &words).await,
    };
    let forbidden = machine.lock().unwrap().forbids;
    let done = match member.as_str() {
        "Hello" => connection.reply(&header, &":1.7").await,
        "AddMatch" | "RemoveMatch" | "Subscribe" => connection.reply(&header, &()).await,
        "LoadUnit" => {
            let name = machine.lock().unwrap().real(&first());
            reply(Ok(path_of(&name).into())).await
        }
        "GetUnitByPID" => {
            let own = machine.lock().unwrap().own;
            reply(own.map(|own| path_of(own).into()).ok_or((
                "org.freedesktop.systemd1.NoUnitForPID",
                "no unit".to_owned(),
            )))
            .await
        }
        "GetAll" => {
            let all = machine.lock().unwrap().properties(&name_at(&path));
            connection.reply(&header, &all).await
        }
        "Get" => {
            let (_, wanted): (String, String) = body.deserialize().unwrap();
            let value = machine.lock().unwrap().property(&name_at(&path), &wanted);
            connection.reply(&header, &value).await
        }
        _ if forbidden => {
            reply(Err((
                "org.freedesktop.DBus.Error.AccessDenied",
                "you may not".to_owned(),
            )))
            .await
        }
        "GetUnitFileState" => {
            let state = machine
                .lock()
                .unwrap()
                .units
                .get(first().as_str())
                .map(|unit| unit.file);
            reply(state.map(|state| state.to_owned().into()).ok_or((
                "org.freedesktop.DBus.Error.FileNotFound",
                "no file".to_owned(),
            )))
            .await
        }
        "ListUnits" => {
            let lines = machine.lock().unwrap().lines();
            connection.reply(&header, &lines).await
        }
        "StartUnit" | "StopUnit" | "RestartUnit" | "ReloadUnit" => {
            let result = machine.lock().unwrap().job(&member, &first());
            let job = OwnedObjectPath::try_from("/org/freedesktop/systemd1/job/9").unwrap();
            let told = (9_u32, job.clone(), first(), result.unwrap_or_default());
            // The end of a job can be told before its order is answered.
            if result.is_some() {
                signal(connection, &told).await;
            }
            connection.reply(&header, &job).await
        }
        "Cancel" => {
            machine.lock().unwrap().cancelled += 1;
            connection.reply(&header, &()).await
        }
        "EnableUnitFiles" => {
            let (names, _, _): (Vec<String>, bool, bool) = body.deserialize().unwrap();
            machine.lock().unwrap().switch(&names[0], "enabled");
            connection
                .reply(&header, &(true, Vec::<(String, String, String)>::new()))
                .await
        }
        "DisableUnitFiles" => {
            let (names, _): (Vec<String>, bool) = body.deserialize().unwrap();
            machine.lock().unwrap().switch(&names[0], "disabled");
            connection
                .reply(&header, &Vec::<(String, String, String)>::new())
                .await
        }
        "Reload" => {
            machine.lock().unwrap().reload();
            connection.reply(&header, &()).await
        }
        other => panic!("the tests' systemd does not know {other}"),
    };
    drop(done);
}

async fn signal(connection: &Connection, told: &(u32, OwnedObjectPath, String, &'static str)) {
    let message = Message::signal(
        "/org/freedesktop/systemd1",
        "org.freedesktop.systemd1.Manager",
        "JobRemoved",
    );
    let message = message.build(told).unwrap();
    drop(connection.send(&message).await);
}

impl Machine {
    fn real(&self, name: &str) -> String {
        self.aliases.get(name).map_or(name, |real| *real).to_owned()
    }

    fn properties(&self, name: &str) -> HashMap<&'static str, Variant<'static>> {
        let missing = Unit {
            load: "not-found",
            ..Unit::default()
        };
        let unit = self.units.get(name).unwrap_or(&missing);
        let mut names = vec![name.to_owned()];
        names.extend(
            self.aliases
                .iter()
                .filter(|(_, real)| **real == name)
                .map(|(alias, _)| (*alias).to_owned()),
        );
        HashMap::from([
            ("Id", name.to_owned().into()),
            ("Names", names.into()),
            ("Description", format!("The {name}").into()),
            ("LoadState", unit.load.to_owned().into()),
            ("ActiveState", unit.active.to_owned().into()),
            ("SubState", "dead".to_owned().into()),
            ("FragmentPath", format!("{}/lib/{name}", self.files).into()),
            ("LoadError", (String::new(), "bad line 7".to_owned()).into()),
            ("NeedDaemonReload", unit.outdated.into()),
            ("CanReload", true.into()),
            ("ConditionResult", unit.conditions.into()),
        ])
    }

    fn unit(&self, name: &str) -> Unit {
        self.units.get(name).cloned().unwrap_or_default()
    }

    fn property(&self, name: &str, wanted: &str) -> Variant<'static> {
        match wanted {
            "MainPID" => 42_u32.into(),
            "Result" => "success".to_owned().into(),
            "Conflicts" => named(self.unit(name).conflicts),
            "ConflictedBy" => {
                let against = |(_, unit): &(&&str, &Unit)| unit.conflicts.contains(&name);
                let units = self.units.iter().filter(against);
                named(&units.map(|(name, _)| *name).collect::<Vec<_>>())
            }
            "Wants" => named(self.unit(name).wants),
            "Triggers" => named(self.unit(name).triggers),
            "OnFailure" => named(self.unit(name).on_failure),
            "RequiredBy" => named(self.unit(name).required_by),
            "Requires" | "BindsTo" | "Upholds" | "OnSuccess" | "BoundBy" | "ConsistsOf"
            | "PropagatesStopTo" | "DropInPaths" => named(&[]),
            "ControlGroup" => format!("/system.slice/{name}").into(),
            other => self.properties(name).remove(other).unwrap(),
        }
    }

    #[expect(clippy::type_complexity, reason = "what ListUnits gives")]
    fn lines(
        &self,
    ) -> Vec<(
        String,
        String,
        String,
        String,
        String,
        String,
        OwnedObjectPath,
        u32,
        String,
        OwnedObjectPath,
    )> {
        let none = OwnedObjectPath::try_from("/").unwrap();
        let line = |(name, unit): (&&'static str, &Unit)| {
            (
                (*name).to_owned(),
                format!("The {name}"),
                unit.load.to_owned(),
                unit.active.to_owned(),
                "dead".to_owned(),
                String::new(),
                path_of(name),
                0,
                String::new(),
                none.clone(),
            )
        };
        self.units.iter().map(line).collect()
    }

    fn job(&mut self, method: &str, name: &str) -> Option<&'static str> {
        let unit = self.units.get_mut(name).unwrap();
        if unit.result == Some("done") {
            unit.active = if method == "StopUnit" {
                "inactive"
            } else {
                unit.started
            };
        }
        unit.result
    }

    fn switch(&mut self, name: &str, state: &'static str) {
        self.units.get_mut(name).unwrap().file = state;
    }

    fn reload(&mut self) {
        self.reloads += 1;
        for unit in self.units.values_mut() {
            unit.outdated = false;
        }
    }
}

fn named(units: &[&str]) -> Variant<'static> {
    let units: Vec<String> = units.iter().map(|unit| (*unit).to_owned()).collect();
    units.into()
}

/// Units' paths hold their names as hexadecimal digits.
fn path_of(name: &str) -> OwnedObjectPath {
    let digits = sloth_workflow::value::base16(name.as_bytes());
    OwnedObjectPath::try_from(format!("{UNITS}{digits}")).unwrap()
}

fn name_at(path: &str) -> String {
    let digits = path.strip_prefix(UNITS).unwrap();
    (0..digits.len())
        .step_by(2)
        .map(|at| char::from(u8::from_str_radix(&digits[at..at + 2], 16).unwrap()))
        .collect()
}

/// A socket whose handshake is over.
struct Whole(UnixStream);

#[derive(Debug)]
struct Reader(OwnedReadHalf);

#[derive(Debug)]
struct Writer(OwnedWriteHalf);

impl Socket for Whole {
    type ReadHalf = Reader;
    type WriteHalf = Writer;

    fn split(self) -> Split<Reader, Writer> {
        let (read, write) = self.0.into_split();
        Split::new(Reader(read), Writer(write))
    }
}

#[async_trait]
impl ReadHalf for Reader {
    async fn recvmsg(&mut self, buffer: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
        Ok((self.0.read(buffer).await?, Vec::new()))
    }
}

#[async_trait]
impl WriteHalf for Writer {
    async fn sendmsg(&mut self, buffer: &[u8], _: &[BorrowedFd<'_>]) -> io::Result<usize> {
        self.0.write(buffer).await
    }

    async fn flush(&mut self) -> io::Result<()> {
        self.0.flush().await
    }

    async fn close(&mut self) -> io::Result<()> {
        self.0.shutdown().await
    }
}
