//! Plain data: what crosses between Lua, CBOR, JSON and templates.
//!
//! One walk over Lua values serves all three formats, so that each refuses the same things with the
//! same words.

use mlua::{Lua, Table, Value};

/// How deep lists and maps may nest. Enough for any real document, little enough for the stack.
pub(crate) const DEEPEST: usize = 100;

/// The name under which the metatable that marks a list is kept in Lua's registry.
const LIST_MARK: &str = "sloth.list";

/// A value without behaviour. Keys of a map are `Text`, or `Bytes` where they are not UTF-8.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Data {
    Nil,
    Boolean(bool),
    Integer(i64),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
    List(Vec<Data>),
    Map(Vec<(Data, Data)>),
}

impl Data {
    /// Text if the bytes are UTF-8, else bytes.
    pub(crate) fn of_bytes(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Bytes(bytes.to_vec()),
        }
    }

    /// Reads a Lua value. `path` names it in errors: `outputs`, then `outputs.hosts[2]`.
    ///
    /// # Errors
    /// A sentence that names the path, for functions and the like, cycles, and too deep nesting.
    pub(crate) fn of_lua(lua: &Lua, value: &Value, path: &str) -> Result<Self, String> {
        let mark = list_mark(lua).map_err(|error| error.to_string())?;
        Reader {
            mark,
            open: Vec::new(),
        }
        .read(value, path)
    }

    /// Makes the Lua value. A list carries a mark, so that an empty one stays a list. A missing value
    /// leaves no key in a map, and holds its place in a list as `json.null`.
    pub(crate) fn into_lua(self, lua: &Lua) -> mlua::Result<Value> {
        let mark = list_mark(lua)?;
        self.build(lua, &mark)
    }

    fn build(self, lua: &Lua, mark: &Table) -> mlua::Result<Value> {
        Ok(match self {
            Self::Nil => Value::Nil,
            Self::Boolean(value) => Value::Boolean(value),
            Self::Integer(value) => Value::Integer(value),
            Self::Float(value) => Value::Number(value),
            Self::Text(text) => Value::String(lua.create_string(text)?),
            Self::Bytes(bytes) => Value::String(lua.create_string(bytes)?),
            Self::List(items) => {
                let table = lua.create_table_with_capacity(items.len(), 0)?;
                for (index, item) in items.into_iter().enumerate() {
                    let value = match item {
                        Self::Nil => Value::NULL,
                        other => other.build(lua, mark)?,
                    };
                    table.raw_set(index + 1, value)?;
                }
                table.set_metatable(Some(mark.clone()))?;
                Value::Table(table)
            }
            Self::Map(entries) => {
                let table = lua.create_table_with_capacity(0, entries.len())?;
                for (key, value) in entries {
                    if value != Self::Nil {
                        table.raw_set(key.build(lua, mark)?, value.build(lua, mark)?)?;
                    }
                }
                Value::Table(table)
            }
        })
    }
}

/// The metatable that marks a table as a list.
pub(crate) fn list_mark(lua: &Lua) -> mlua::Result<Table> {
    if let Some(mark) = lua.named_registry_value::<Option<Table>>(LIST_MARK)? {
        return Ok(mark);
    }
    let mark = lua.create_table()?;
    mark.raw_set("__name", "list")?;
    lua.set_named_registry_value(LIST_MARK, &mark)?;
    Ok(mark)
}

/// One walk over a Lua value.
struct Reader {
    mark: Table,
    /// The tables being walked, outermost first: one met again is a cycle.
    open: Vec<*const std::ffi::c_void>,
}

impl Reader {
    fn read(&mut self, value: &Value, path: &str) -> Result<Data, String> {
        match value {
            Value::Nil => Ok(Data::Nil),
            Value::Boolean(value) => Ok(Data::Boolean(*value)),
            Value::Integer(value) => Ok(Data::Integer(*value)),
            Value::Number(value) => Ok(Data::Float(*value)),
            Value::String(text) => Ok(Data::of_bytes(&text.as_bytes())),
            Value::LightUserData(address) if address.0.is_null() => Ok(Data::Nil),
            Value::Table(table) => self.read_table(table, path),
            other => Err(format!("{path}: a {} cannot be carried", other.type_name())),
        }
    }

    fn read_table(&mut self, table: &Table, path: &str) -> Result<Data, String> {
        if self.open.contains(&table.to_pointer()) {
            return Err(format!(
                "{path}: a table that contains itself cannot be carried"
            ));
        }
        if self.open.len() >= DEEPEST {
            return Err(format!("{path}: nested deeper than {DEEPEST} levels"));
        }
        self.open.push(table.to_pointer());
        let entries = table
            .pairs::<Value, Value>()
            .collect::<mlua::Result<Vec<_>>>()
            .map_err(|error| error.to_string())?;
        if entries.is_empty() && is_secret(table) {
            return Err(format!(
                "{path}: a secret cannot be carried; secret.reveal gives its value"
            ));
        }
        let data = match self.list_length(table, &entries) {
            Some(length) => self.read_list(table, length, path),
            None => self.read_map(entries, path),
        };
        self.open.pop();
        data
    }

    /// How long the list is, if the keys are 1 to n and nothing else.
    fn list_length(&self, table: &Table, entries: &[(Value, Value)]) -> Option<i64> {
        let length = i64::try_from(entries.len()).ok()?;
        if length == 0 {
            return (table.metatable().as_ref() == Some(&self.mark)).then_some(0);
        }
        let numbered = entries
            .iter()
            .all(|(key, _)| matches!(key, Value::Integer(index) if (1..=length).contains(index)));
        numbered.then_some(length)
    }

    fn read_list(&mut self, table: &Table, length: i64, path: &str) -> Result<Data, String> {
        let mut items = Vec::new();
        for index in 1..=length {
            let value: Value = table.raw_get(index).map_err(|error| error.to_string())?;
            items.push(self.read(&value, &format!("{path}[{index}]"))?);
        }
        Ok(Data::List(items))
    }

    fn read_map(&mut self, entries: Vec<(Value, Value)>, path: &str) -> Result<Data, String> {
        let mut map = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            let key = match key {
                Value::String(text) => text.as_bytes().to_vec(),
                Value::Integer(number) => number.to_string().into_bytes(),
                Value::Number(number) => number.to_string().into_bytes(),
                other => {
                    return Err(format!("{path}: a {} cannot be a key", other.type_name()));
                }
            };
            let inner = format!("{path}.{}", String::from_utf8_lossy(&key));
            map.push((key, self.read(&value, &inner)?));
        }
        // Lua's own order depends on how the table grew; sorted, equal tables give equal bytes.
        map.sort_by(|(left, _), (right, _)| left.cmp(right));
        Ok(Data::Map(
            map.into_iter()
                .map(|(key, value)| (Data::of_bytes(&key), value))
                .collect(),
        ))
    }
}

/// Whether a table is a handle of `lua/secret.lua`, which alone names its metatable so.
fn is_secret(table: &Table) -> bool {
    let name = table
        .metatable()
        .and_then(|meta| meta.raw_get::<Option<String>>("__name").ok()?);
    name.is_some_and(|name| name.starts_with("secret;"))
}

/// An empty table that is a list however long it becomes.
pub(crate) fn new_list(lua: &Lua) -> mlua::Result<Table> {
    let list = lua.create_table()?;
    list.set_metatable(Some(list_mark(lua)?))?;
    Ok(list)
}
