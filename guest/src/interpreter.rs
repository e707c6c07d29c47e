//! The Lua state and the two questions asked of it.
//!
//! Everything a script sees is written in Lua, under `lua/`; this file loads it, hands over values,
//! and turns what comes back into the contract's types.

use mlua::{Function, Lua, LuaOptions, LuaString, StdLib, Table, Value};

use crate::bind;
use crate::cbor;
use crate::data::Data;
use crate::library::{self, LIBRARY};
use crate::sloth::host::types::Denial;
use crate::{Bundle, Completion, Failure, FailureKind, Part, Step};

/// Outputs of a task, encoded, are at most this many bytes.
const LARGEST_OUTPUTS: usize = 1024 * 1024;

/// Code that is run later takes this much at most, unpacked.
const LARGEST_CODE: usize = 256 * 1024;

/// The CBOR of an empty map.
const EMPTY: &[u8] = &[0xa0];

/// A Lua state with the library loaded.
pub(crate) struct Interpreter {
    lua: Lua,
    plan: Function,
    run_step: Function,
}

impl Interpreter {
    /// Creates the state. Called once, while the snapshot is made: no host is there yet.
    pub(crate) fn new() -> mlua::Result<Self> {
        let libraries = StdLib::TABLE
            | StdLib::STRING
            | StdLib::UTF8
            | StdLib::MATH
            | StdLib::COROUTINE
            | StdLib::OS
            | StdLib::DEBUG;
        // A panic is a trap here, so there is none to catch. The option is what leaves Lua's own pcall in
        // place, which a coroutine can yield through; the other one looks for panics and cannot.
        let options = LuaOptions::new().catch_rust_panics(true);
        #[expect(unsafe_code, reason = "mlua counts the debug library as unsafe")]
        // SAFETY: lua/base.lua takes away all of the debug library but two harmless functions before
        // any script is loaded, and lets no bytecode in.
        let lua = unsafe { Lua::unsafe_new_with(libraries, options) };
        // The true limit is the host's, and met in memory/guard.c. That there is one makes mlua expect
        // any of its calls to run out of memory.
        lua.set_memory_limit(isize::MAX.unsigned_abs())?;
        let sources = lua.create_table()?;
        let mut boot = Vec::new();
        for source in LIBRARY {
            if source.name == "boot" {
                boot = source.text();
                continue;
            }
            sources.raw_set(source.name, lua.create_string(source.text())?)?;
            sources.raw_push(source.name)?;
        }
        let host = bind::install(&lua)?;
        let boot: Function = lua.load(boot).set_name("=sloth:boot").into_function()?;
        host.raw_set(
            "unpack",
            lua.create_function(|lua, code| unpack(lua, &code))?,
        )?;
        let (plan, run_step, code): (_, _, Table) = boot.call((sources, host))?;
        pack(&lua, &code)?;
        drop((boot, code));
        library::wipe();
        // The second time collects what the first one finalised. What is left goes into the snapshot.
        lua.gc_collect()?;
        lua.gc_collect()?;
        Ok(Self {
            lua,
            plan,
            run_step,
        })
    }

    /// Loads the script; gives the plan as CBOR, or nothing if it is known.
    pub(crate) fn plan(&self, bundle: &Bundle) -> Result<Vec<u8>, Failure> {
        let values = self.value_of(&bundle.values).map_err(|message| {
            plain_failure(
                FailureKind::Invalid,
                format!("the values cannot be read: {message}"),
            )
        })?;
        let report = self
            .lua
            .create_string(&bundle.script)
            .and_then(|script| {
                self.plan
                    .call::<Table>((bundle.name.as_str(), script, values, bundle.planned))
            })
            .map_err(|error| plain_failure(FailureKind::Invalid, error.to_string()))?;
        self.judge(&report)?;
        if bundle.planned {
            return Ok(Vec::new());
        }
        let plan: Value = report.raw_get("plan").unwrap_or(Value::Nil);
        let plan = Data::of_lua(&self.lua, &plan, "plan")
            .map_err(|message| plain_failure(FailureKind::Invalid, message))?;
        Ok(cbor::encode(&plan))
    }

    /// Runs one task of the loaded script.
    pub(crate) fn run_step(&self, step: &Step) -> Result<Completion, Failure> {
        let failed = |message: String| plain_failure(FailureKind::Failed, message);
        let deps = self.value_of(&step.deps).map_err(failed)?;
        let stack = self.value_of(&step.stack).map_err(failed)?;
        let about = self.value_of(&step.about).map_err(failed)?;
        let report = self
            .run_step
            .call::<Table>((
                step.workflow.as_str(),
                step.task.as_deref(),
                part_name(step.part),
                deps,
                step.stack_name.as_str(),
                stack,
                about,
                step.workdir.as_str(),
                step.attempt,
            ))
            .map_err(|error| failed(error.to_string()))?;
        self.judge(&report)?;
        Ok(Completion {
            message: text_of(&report, "message"),
            answer: report.raw_get("answer").unwrap_or(false),
            outputs: self.map_of(&report, "outputs").map_err(failed)?,
            stack: self.map_of(&report, "stack").map_err(failed)?,
        })
    }

    fn value_of(&self, bytes: &[u8]) -> Result<Value, String> {
        // Most are empty maps.
        if bytes == EMPTY {
            return self
                .lua
                .create_table()
                .map(Value::Table)
                .map_err(|error| error.to_string());
        }
        cbor::decode(bytes)?
            .into_lua(&self.lua)
            .map_err(|error| error.to_string())
    }

    /// `Err` if the report tells of a failure.
    fn judge(&self, report: &Table) -> Result<(), Failure> {
        if report.raw_get("success").unwrap_or(false) {
            return Ok(());
        }
        let kind = match text_of(report, "kind").as_deref() {
            Some("invalid") => FailureKind::Invalid,
            Some("denied") => FailureKind::Denied,
            Some("not-deterministic") => FailureKind::NotDeterministic,
            _ => FailureKind::Failed,
        };
        let message = text_of(report, "message").unwrap_or_default();
        let outputs = match report.raw_get("outputs") {
            Ok(Value::Nil) | Err(_) => None,
            // Outputs that cannot be carried must not hide why the task failed.
            Ok(_) => self.map_of(report, "outputs").ok(),
        };
        Err(Failure {
            kind,
            location: text_of(report, "location"),
            traceback: text_of(report, "traceback"),
            denial: (kind == FailureKind::Denied).then(|| Denial {
                capability: text_of(report, "capability").unwrap_or_default(),
                subject: text_of(report, "subject").unwrap_or_default(),
                layer: bind::layer_named(&text_of(report, "layer").unwrap_or_default()),
                message: message.clone(),
                remedy: text_of(report, "remedy"),
            }),
            outputs,
            // Neither must what cannot be carried of the stack.
            stack: self.map_of(report, "stack").unwrap_or(EMPTY.to_vec()),
            message,
        })
    }

    /// A field that is a table of names, as CBOR.
    fn map_of(&self, report: &Table, field: &str) -> Result<Vec<u8>, String> {
        let value: Value = report.raw_get(field).unwrap_or(Value::Nil);
        if value.is_nil() {
            return Ok(EMPTY.to_vec());
        }
        let data = match Data::of_lua(&self.lua, &value, field)? {
            Data::Nil => Data::Map(Vec::new()),
            // An empty table, whatever marks it, is an empty map at this level.
            Data::List(items) if items.is_empty() => Data::Map(Vec::new()),
            data @ Data::Map(_) => data,
            _ => return Err(format!("{field}: must be a table with names as keys")),
        };
        let bytes = cbor::encode(&data);
        if bytes.len() > LARGEST_OUTPUTS {
            return Err(format!(
                "{field}: {} bytes are too many, at most {LARGEST_OUTPUTS} can be carried",
                bytes.len()
            ));
        }
        Ok(bytes)
    }
}

/// Packs the values of a table of code. Only while the snapshot is made.
fn pack(lua: &Lua, code: &Table) -> mlua::Result<()> {
    let names: Vec<LuaString> = code
        .pairs::<LuaString, Value>()
        .map(|pair| pair.map(|(name, _)| name))
        .collect::<mlua::Result<_>>()?;
    for name in names {
        let plain: LuaString = code.raw_get(&name)?;
        let packed = miniz_oxide::deflate::compress_to_vec(&plain.as_bytes(), 10);
        code.raw_set(name, lua.create_string(packed)?)?;
    }
    Ok(())
}

/// Code as it was before it was packed.
fn unpack(lua: &Lua, code: &LuaString) -> mlua::Result<LuaString> {
    let plain = miniz_oxide::inflate::decompress_to_vec_with_limit(&code.as_bytes(), LARGEST_CODE);
    let plain = plain.map_err(|error| mlua::Error::runtime(format!("the library: {error}")))?;
    lua.create_string(plain)
}

/// A part as the contract and `lua/step.lua` name it.
fn part_name(part: Part) -> &'static str {
    match part {
        Part::RunIf => "run-if",
        Part::AbortIf => "abort-if",
        Part::PreHook => "pre-hook",
        Part::Command => "command",
        Part::PostHook => "post-hook",
        Part::OnSuccess => "on-success",
        Part::OnFailure => "on-failure",
        Part::OnTimeout => "on-timeout",
        Part::OnStart => "on-start",
        Part::OnComplete => "on-complete",
    }
}

/// A failure that only has a message.
pub(crate) fn plain_failure(kind: FailureKind, message: impl Into<String>) -> Failure {
    Failure {
        kind,
        message: message.into(),
        location: None,
        traceback: None,
        denial: None,
        outputs: None,
        stack: EMPTY.to_vec(),
    }
}

/// A field as text; bytes that are not UTF-8 become replacement characters.
fn text_of(report: &Table, field: &str) -> Option<String> {
    match report.raw_get(field) {
        Ok(Value::String(text)) => Some(String::from_utf8_lossy(&text.as_bytes()).into_owned()),
        _ => None,
    }
}
