//! From a value of Lua to one of WIT. What does not fit is refused with its place: `options.smart: expected
//! bool, got text`.

use sloth_workflow::Value;
use sloth_workflow::text::Untrusted;
use wasmtime::component::{ResourceAny, Val};

use super::handles::{self, Handles};
use super::shape::Shape;

/// Converts a value. `place` is what it is called in errors.
pub(crate) fn lower(
    value: Value,
    shape: &Shape,
    place: &str,
    handles: &mut dyn Given,
) -> Result<Val, String> {
    let got = value.kind();
    let wrong = |expected: &str| Err(format!("{place}: expected {expected}, got {got}"));
    Ok(match (shape, value) {
        (Shape::Bool, Value::Bool(truth)) => Val::Bool(truth),
        (Shape::S8, value) => Val::S8(integer(value, place, "s8")?),
        (Shape::U8, value) => Val::U8(integer(value, place, "u8")?),
        (Shape::S16, value) => Val::S16(integer(value, place, "s16")?),
        (Shape::U16, value) => Val::U16(integer(value, place, "u16")?),
        (Shape::S32, value) => Val::S32(integer(value, place, "s32")?),
        (Shape::U32, value) => Val::U32(integer(value, place, "u32")?),
        (Shape::S64, value) => Val::S64(integer(value, place, "s64")?),
        (Shape::U64, value) => Val::U64(integer(value, place, "u64")?),
        (Shape::Float32, value) => Val::Float32(single(value, place)?),
        (Shape::Float64, value) => Val::Float64(float(&value, place, "f64")?),
        (Shape::Char, Value::Text(text)) => {
            let mut chars = text.chars();
            match (chars.next(), chars.next()) {
                (Some(one), None) => Val::Char(one),
                _ => {
                    return Err(format!(
                        "{place}: expected one character, got {} bytes",
                        text.len()
                    ));
                }
            }
        }
        (Shape::String, Value::Text(text)) => Val::String(text),
        (Shape::String, Value::Bytes(_)) => return wrong("text in UTF-8"),
        (Shape::Bytes, Value::Text(text)) => bytes(text.as_bytes(), place, handles)?,
        (Shape::Bytes, Value::Bytes(content)) => bytes(&content, place, handles)?,
        (Shape::Bytes, Value::List(items)) => Val::List(each(items, &Shape::U8, place, handles)?),
        (Shape::List(item), Value::List(items)) => Val::List(each(items, item, place, handles)?),
        // Lua has one empty table for both.
        (Shape::List(_) | Shape::Bytes, Value::Map(entries)) if entries.is_empty() => {
            Val::List(Vec::new())
        }
        (Shape::Map(key, inner), Value::List(items)) if items.is_empty() => {
            let _ = (key, inner);
            Val::Map(Vec::new())
        }
        (Shape::Map(key, inner), Value::Map(entries)) => Val::Map(
            entries
                .into_iter()
                .map(|(name, value)| {
                    let place = beneath(place, &name);
                    let name = key_of(name, key, &place)?;
                    Ok((name, inside(value, inner, &place, handles)?))
                })
                .collect::<Result<_, String>>()?,
        ),
        // A table whose keys are numbers in a row is a list.
        (Shape::Map(key, inner), Value::List(items)) => Val::Map(
            items
                .into_iter()
                .zip(1..)
                .map(|(value, index): (Value, usize)| {
                    let place = format!("{place}[{index}]");
                    let name = key_of(index.to_string(), key, &place)?;
                    Ok((name, inside(value, inner, &place, handles)?))
                })
                .collect::<Result<_, String>>()?,
        ),
        (Shape::Fixed(item, length), Value::List(items)) => {
            if items.len() != *length as usize {
                let found = items.len();
                return Err(format!("{place}: expected {length} items, got {found}"));
            }
            Val::FixedLengthList(each(items, item, place, handles)?)
        }
        (Shape::Record(fields), Value::Map(entries)) => record(entries, fields, place, handles)?,
        (Shape::Record(fields), Value::List(items)) if items.is_empty() => {
            record([].into(), fields, place, handles)?
        }
        (Shape::Tuple(shapes), value) => tuple(value, shapes, place, handles)?,
        (Shape::Variant(cases), value) => variant(value, cases, place, handles)?,
        (Shape::Enum(names), Value::Text(text)) => Val::Enum(named(text, names, place)?),
        (Shape::Flags(names), value) => flags(value, names, place)?,
        (Shape::Option(inner), value) => option(value, inner, place, handles)?,
        (Shape::Result(ok, err), value) => {
            let cases = [
                ("ok".to_owned(), ok.as_deref().cloned()),
                ("err".to_owned(), err.as_deref().cloned()),
            ];
            match variant(value, &cases, place, handles)? {
                Val::Variant(tag, payload) if tag == "ok" => Val::Result(Ok(payload)),
                Val::Variant(_, payload) => Val::Result(Err(payload)),
                other => other,
            }
        }
        (Shape::Own(kind), value) => handle(&value, *kind, place, handles, true)?,
        (Shape::Borrow(kind), value) => handle(&value, *kind, place, handles, false)?,
        (shape, _) => return wrong(word(shape)),
    })
}

/// Where the handles among arguments are looked up.
pub(crate) trait Given {
    /// The resource behind a number, of the kind that is wanted; given away for good if it is to be owned.
    fn given(&mut self, number: i64, kind: usize, own: bool) -> Result<ResourceAny, String>;
    /// Whether the call at hand may carry so many bytes more.
    fn has_room(&mut self, bytes: usize) -> bool;
}

impl Given for Handles {
    fn given(&mut self, number: i64, kind: usize, own: bool) -> Result<ResourceAny, String> {
        self.take(number, kind, own)
    }

    fn has_room(&mut self, bytes: usize) -> bool {
        self.carry(bytes)
    }
}

fn handle(
    value: &Value,
    kind: usize,
    place: &str,
    handles: &mut dyn Given,
    own: bool,
) -> Result<Val, String> {
    let Some(number) = value.get(handles::NUMBER).and_then(Value::as_integer) else {
        return Err(format!(
            "{place}: expected a resource, got {}",
            value.kind()
        ));
    };
    let found = handles.given(number, kind, own);
    Ok(Val::Resource(
        found.map_err(|problem| format!("{place}: {problem}"))?,
    ))
}

/// Each byte takes dozens on the way: many of them are refused before.
fn bytes(content: &[u8], place: &str, handles: &mut dyn Given) -> Result<Val, String> {
    if !handles.has_room(content.len()) {
        let most = handles::MOST_BYTES >> 20;
        return Err(format!(
            "{place}: more than {most} MiB of list<u8> in one call; hand it over in pieces, or as text"
        ));
    }
    Ok(Val::List(content.iter().copied().map(Val::U8).collect()))
}

fn each(
    items: Vec<Value>,
    shape: &Shape,
    place: &str,
    handles: &mut dyn Given,
) -> Result<Vec<Val>, String> {
    let items = items.into_iter().zip(1_usize..);
    items
        .map(|(value, index)| lower(value, shape, &format!("{place}[{index}]"), handles))
        .collect()
}

/// As `lower`, where nil cannot stand for a value, since it leaves no key.
fn inside(
    value: Value,
    shape: &Shape,
    place: &str,
    handles: &mut dyn Given,
) -> Result<Val, String> {
    match shape {
        Shape::Option(inner) => spelled(value, inner, place, handles),
        _ => lower(value, shape, place, handles),
    }
}

fn option(
    value: Value,
    inner: &Shape,
    place: &str,
    handles: &mut dyn Given,
) -> Result<Val, String> {
    match value {
        Value::Null => Ok(Val::Option(None)),
        value => Ok(Val::Option(Some(Box::new(inside(
            value, inner, place, handles,
        )?)))),
    }
}

/// An option that is written out, `{ tag = "some", value = … }` or `"none"`.
fn spelled(
    value: Value,
    inner: &Shape,
    place: &str,
    handles: &mut dyn Given,
) -> Result<Val, String> {
    let cases = [
        ("some".to_owned(), Some(inner.clone())),
        ("none".to_owned(), None),
    ];
    match variant(value, &cases, place, handles)? {
        Val::Variant(_, payload) => Ok(Val::Option(payload)),
        other => Ok(other),
    }
}

fn record(
    mut entries: std::collections::BTreeMap<String, Value>,
    fields: &[(String, Shape)],
    place: &str,
    handles: &mut dyn Given,
) -> Result<Val, String> {
    let mut made = Vec::with_capacity(fields.len());
    for (name, shape) in fields {
        let snake = name.replace('-', "_");
        let both = snake != *name && entries.contains_key(&snake) && entries.contains_key(name);
        if both {
            return Err(format!("{place}: `{name}` is there as `{snake}` as well"));
        }
        let value = entries.remove(name).or_else(|| entries.remove(&snake));
        let place = beneath(place, name);
        let value = match value {
            None if !shape.takes_nil() && !matches!(shape, Shape::Flags(_)) => {
                return Err(format!("{place}: expected {}, got nothing", word(shape)));
            }
            value => value.unwrap_or_default(),
        };
        made.push((name.clone(), lower(value, shape, &place, handles)?));
    }
    if let Some((name, _)) = entries.into_iter().next() {
        let known: Vec<&str> = fields.iter().map(|(name, _)| name.as_str()).collect();
        return Err(format!(
            "{place}: unknown field `{}`; known: {}",
            Untrusted::new(name).escaped(),
            known.join(", ")
        ));
    }
    Ok(Val::Record(made))
}

fn tuple(
    value: Value,
    shapes: &[Shape],
    place: &str,
    handles: &mut dyn Given,
) -> Result<Val, String> {
    let mut items = match value {
        Value::List(items) => items,
        // One with gaps, which Lua does not tell from a table of names.
        Value::Map(mut entries) => {
            let items = (1..=shapes.len())
                .map(|index| entries.remove(&index.to_string()).unwrap_or_default())
                .collect();
            if let Some((name, _)) = entries.into_iter().next() {
                let name = Untrusted::new(name);
                return Err(format!("{place}: unknown item `{}`", name.escaped()));
            }
            items
        }
        other => return Err(format!("{place}: expected a list, got {}", other.kind())),
    };
    // What is missing at the end is nil in Lua.
    while items.len() < shapes.len() && shapes[items.len()].takes_nil() {
        items.push(Value::Null);
    }
    if items.len() != shapes.len() {
        let (wanted, found) = (shapes.len(), items.len());
        return Err(format!("{place}: expected {wanted} items, got {found}"));
    }
    let items = items.into_iter().zip(shapes).zip(1_usize..);
    let items = items
        .map(|((value, shape), index)| lower(value, shape, &format!("{place}[{index}]"), handles));
    Ok(Val::Tuple(items.collect::<Result<_, _>>()?))
}

fn variant(
    value: Value,
    cases: &[(String, Option<Shape>)],
    place: &str,
    handles: &mut dyn Given,
) -> Result<Val, String> {
    let (tag, payload) = match value {
        Value::Text(tag) => (tag, None),
        Value::Map(mut entries) => {
            let Some(Value::Text(tag)) = entries.remove("tag") else {
                return Err(format!("{place}: expected a table with a `tag`"));
            };
            let payload = entries.remove("value");
            if let Some((name, _)) = entries.into_iter().next() {
                let name = Untrusted::new(name);
                return Err(format!(
                    "{place}: unknown field `{}` beside `tag` and `value`",
                    name.escaped()
                ));
            }
            (tag, payload)
        }
        other => {
            let got = other.kind();
            return Err(format!(
                "{place}: expected a name or a table with a `tag`, got {got}"
            ));
        }
    };
    let names: Vec<String> = cases.iter().map(|(name, _)| name.clone()).collect();
    let tag = named(tag, &names, place)?;
    let shape = cases.iter().find(|(name, _)| *name == tag);
    let payload = match (shape.and_then(|(_, shape)| shape.as_ref()), payload) {
        (None, None | Some(Value::Null)) => None,
        (None, Some(_)) => return Err(format!("{place}: `{tag}` has no value")),
        (Some(shape), payload) => {
            let place = beneath(place, &tag);
            if payload.is_none() && !shape.takes_nil() {
                return Err(format!("{place}: expected {}, got nothing", word(shape)));
            }
            let payload = lower(payload.unwrap_or_default(), shape, &place, handles)?;
            Some(Box::new(payload))
        }
    };
    Ok(Val::Variant(tag, payload))
}

/// A name of WIT's, however its hyphens are written.
fn named(text: String, names: &[String], place: &str) -> Result<String, String> {
    let fits = |name: &&String| **name == text || name.replace('-', "_") == text;
    match names.iter().find(fits) {
        Some(name) => Ok(name.clone()),
        None => Err(format!(
            "{place}: unknown name `{}`; known: {}",
            Untrusted::new(text).escaped(),
            names.join(", ")
        )),
    }
}

fn flags(value: Value, names: &[String], place: &str) -> Result<Val, String> {
    let mut set = Vec::new();
    match value {
        Value::Null => {}
        Value::List(items) => {
            for (item, index) in items.into_iter().zip(1..) {
                let Value::Text(text) = item else {
                    return Err(format!(
                        "{place}[{index}]: expected text, got {}",
                        item.kind()
                    ));
                };
                set.push(named(text, names, place)?);
            }
        }
        Value::Map(entries) => {
            for (name, value) in entries {
                let Value::Bool(truth) = value else {
                    let place = beneath(place, &name);
                    return Err(format!("{place}: expected bool, got {}", value.kind()));
                };
                let name = named(name, names, place)?;
                if truth {
                    set.push(name);
                }
            }
        }
        other => {
            let got = other.kind();
            return Err(format!("{place}: expected a set of names, got {got}"));
        }
    }
    // In the order in which WIT has them, each once.
    let set = names.iter().filter(|name| set.contains(name));
    Ok(Val::Flags(set.cloned().collect()))
}

/// A key of a map, which Lua's tables carry as text.
fn key_of(name: String, shape: &Shape, place: &str) -> Result<Val, String> {
    let value = match shape {
        Shape::String | Shape::Char => Value::Text(name),
        Shape::Bool => match name.as_str() {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            _ => return Err(format!("{place}: its key is not `true` or `false`")),
        },
        _ => match name.parse() {
            Ok(number) => Value::Integer(number),
            Err(_) => return Err(format!("{place}: its key is no number")),
        },
    };
    lower(value, shape, place, &mut NoHandles)
}

/// For where no handle can be.
struct NoHandles;

impl Given for NoHandles {
    fn given(&mut self, _: i64, _: usize, _: bool) -> Result<ResourceAny, String> {
        Err("a resource is no key".to_owned())
    }

    fn has_room(&mut self, _: usize) -> bool {
        false
    }
}

fn integer<T: TryFrom<i128>>(value: Value, place: &str, word: &str) -> Result<T, String> {
    let number = match value {
        Value::Integer(number) => i128::from(number),
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a whole number of at most 2^64"
        )]
        Value::Float(number)
            if number.fract() == 0.0 && number.abs() <= 18_446_744_073_709_551_616.0 =>
        {
            number as i128
        }
        other => return Err(format!("{place}: expected {word}, got {}", other.kind())),
    };
    T::try_from(number).map_err(|_| format!("{place}: {number} does not fit {word}"))
}

fn float(value: &Value, place: &str, word: &str) -> Result<f64, String> {
    match value {
        #[expect(clippy::cast_precision_loss, reason = "as Lua itself does")]
        Value::Integer(number) => Ok(*number as f64),
        Value::Float(number) => Ok(*number),
        other => Err(format!("{place}: expected {word}, got {}", other.kind())),
    }
}

fn single(value: Value, place: &str) -> Result<f32, String> {
    let number = float(&value, place, "f32")?;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "what is rounded is meant to be"
    )]
    let single = number as f32;
    if single.is_infinite() && number.is_finite() {
        return Err(format!("{place}: {number} does not fit f32"));
    }
    Ok(single)
}

/// The place of a part: `options.smart`, or `smart` where the whole has no name.
fn beneath(place: &str, name: &str) -> String {
    let name = Untrusted::new(name);
    if place.is_empty() {
        name.escaped()
    } else {
        format!("{place}.{}", name.escaped())
    }
}

/// A type in one word, for errors.
pub(crate) fn word(shape: &Shape) -> &'static str {
    match shape {
        Shape::Bool => "bool",
        Shape::S8 => "s8",
        Shape::U8 => "u8",
        Shape::S16 => "s16",
        Shape::U16 => "u16",
        Shape::S32 => "s32",
        Shape::U32 => "u32",
        Shape::S64 => "s64",
        Shape::U64 => "u64",
        Shape::Float32 => "f32",
        Shape::Float64 => "f64",
        Shape::Char => "a character",
        Shape::String => "string",
        Shape::Bytes => "bytes",
        Shape::List(_) | Shape::Fixed(..) => "a list",
        Shape::Map(..) => "a map",
        Shape::Record(_) => "a table of fields",
        Shape::Tuple(_) => "a tuple",
        Shape::Variant(_) => "a variant",
        Shape::Enum(_) => "a name",
        Shape::Option(_) => "an option",
        Shape::Result(..) => "a result",
        Shape::Flags(_) => "a set of names",
        Shape::Own(_) | Shape::Borrow(_) => "a resource",
    }
}
