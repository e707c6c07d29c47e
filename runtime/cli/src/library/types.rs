//! The library as annotations that editors read (`LuaLS`). What is put together by chained calls is
//! written by hand in `prelude.lua`; the rest comes from the comments.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::comments::Kind;
use super::modules::{Function, Module, Status};
use super::shape::{Parameter, parameters};

const PRELUDE: &str = include_str!("prelude.lua");

/// What is known of parameters by their name.
const PARAMETERS: &[(&str, &str)] = &[
    ("callback", "function"),
    ("destination", "string"),
    ("function_", "function"),
    ("key", "string"),
    ("list", "table"),
    ("mode", "string|integer"),
    ("name", "string"),
    ("options", "table"),
    ("path", "string"),
    ("pattern", "string"),
    ("source", "string"),
    ("target", "string"),
    ("text", "string"),
];

/// What functions give, by the beginning of their name; the first that fits counts. Empty is nothing.
const RETURNS: &[(&str, &str)] = &[
    ("debug.getinfo", "table"),
    ("debug.traceback", "string"),
    ("exec.", "sloth.ProcessResult"),
    ("facts.get_all", "table"),
    ("facts.hostname", "string?"),
    ("facts.uptime", "number?"),
    ("facts.", "table?"),
    ("file_ops.stat", "sloth.Stat?"),
    ("file_ops.", "sloth.Result?"),
    ("fs.append", "sloth.Result?"),
    ("fs.basename", "string"),
    ("fs.chmod", "sloth.Result?"),
    ("fs.chown", "sloth.Result?"),
    ("fs.copy", "sloth.Result?"),
    ("fs.create", "sloth.Result?"),
    ("fs.dirname", "string"),
    ("fs.exists", "boolean"),
    ("fs.glob", "string[]?"),
    ("fs.hash", "string?"),
    ("fs.ls", "string[]?"),
    ("fs.mkdir", "sloth.Result?"),
    ("fs.move", "sloth.Result?"),
    ("fs.read", "string?"),
    ("fs.rm", "sloth.Result?"),
    ("fs.size", "integer?"),
    ("fs.stat", "sloth.Stat?"),
    ("fs.symlink", "sloth.Result?"),
    ("fs.tmpname", "string"),
    ("fs.write", "sloth.Result?"),
    ("json.encode", "string"),
    ("json.array", "table"),
    ("load", "function?"),
    ("log.", ""),
    ("os.clock", "number"),
    ("os.date", "string|table"),
    ("os.difftime", "number"),
    ("os.getenv", "string?"),
    ("os.time", "integer"),
    ("print", ""),
    ("stack.get_name", "string"),
    ("stack.get_outputs", "table"),
    ("stack.set_output", "boolean"),
    ("this.attempt", "integer"),
    ("this.name", "string"),
    ("this.workdir.exists", "boolean"),
    ("this.workdir.get", "string"),
    ("this.workdir.", "sloth.Result?"),
];

/// Tables that editors know already, and whose functions are only added to.
const KNOWN: &[&str] = &["debug", "io", "os"];

/// The annotations of all modules.
pub(crate) fn types(modules: &[Module]) -> String {
    let mut text = PRELUDE.to_owned();
    for module in modules {
        if module.functions.is_empty() || module.status == Status::Later {
            continue;
        }
        let mut tables = BTreeSet::new();
        if module.status == Status::Lua || KNOWN.contains(&module.name.as_str()) {
            tables.insert(module.name.clone());
        }
        for function in &module.functions {
            if !PRELUDE.contains(&format!("\nfunction {}(", function.name))
                && !PRELUDE.contains(&format!("\n{} = ", function.name))
            {
                declare_tables(&mut text, module, function, &mut tables);
                stub(&mut text, function);
            }
        }
        for alias in &module.aliases {
            let _ = writeln!(text, "\n{alias} = {}", module.name);
        }
    }
    text
}

/// Writes the tables a name leads through, each once.
fn declare_tables(
    text: &mut String,
    module: &Module,
    function: &Function,
    tables: &mut BTreeSet<String>,
) {
    for (end, _) in function.name.match_indices(['.', ':']) {
        let table = &function.name[..end];
        if !tables.insert(table.to_owned()) || PRELUDE.contains(&format!("\n{table} = ")) {
            continue;
        }
        let (class, local) = match (table, function.kind) {
            ("this", _) => ("sloth.This".to_owned(), "local "),
            (_, Kind::Method) => (format!("sloth.{table}"), "local "),
            _ => (format!("sloth.{table}"), ""),
        };
        let about = if table == module.name {
            module.about.as_str()
        } else {
            ""
        };
        text.push('\n');
        if !about.is_empty() {
            let _ = writeln!(text, "--- {about}");
        }
        let _ = writeln!(text, "---@class {class}\n{local}{table} = {{}}");
    }
}

fn stub(text: &mut String, function: &Function) {
    let Function {
        name,
        call,
        description,
        ..
    } = function;
    let _ = writeln!(text, "\n--- `{call}` {description}");
    if function.kind == Kind::Value {
        let _ = writeln!(text, "---@type any\n{name} = nil");
        return;
    }
    let parameters = parameters(call);
    for parameter in &parameters {
        let optional = if parameter.optional { "?" } else { "" };
        let _ = writeln!(
            text,
            "---@param {}{optional} {}",
            parameter.name,
            kind_of(parameter)
        );
    }
    let returned = RETURNS
        .iter()
        .find(|(start, _)| name.starts_with(start))
        .map_or("any", |(_, returned)| *returned);
    if !returned.is_empty() {
        let _ = writeln!(text, "---@return {returned}");
    }
    if returned == "any" || returned == "sloth.ProcessResult" || returned.ends_with('?') {
        text.push_str("---@return string? problem\n");
    }
    let names: Vec<&str> = parameters
        .iter()
        .map(|parameter| parameter.name.as_str())
        .collect();
    let _ = writeln!(text, "function {name}({}) end", names.join(", "));
}

fn kind_of(parameter: &Parameter) -> &'static str {
    if parameter.table {
        return "table";
    }
    PARAMETERS
        .iter()
        .find(|(name, _)| *name == parameter.name)
        .map_or("any", |(_, kind)| *kind)
}
