//! From a value of WIT to one of Lua.

use std::collections::BTreeMap;

use sloth_workflow::Value;
use wasmtime::component::{ResourceAny, Val};

use super::handles::{self, Handles};
use super::shape::{Resource, Shape};

/// Where the resources among results get their numbers.
pub(crate) trait Taken {
    /// The number of a handle on a resource.
    fn taken(&mut self, resource: ResourceAny, kind: usize) -> Result<i64, String>;
    /// What the resources are called.
    fn resources(&self) -> &[Resource];
}

impl Taken for Handles {
    fn taken(&mut self, resource: ResourceAny, kind: usize) -> Result<i64, String> {
        self.add(resource, kind)
    }

    fn resources(&self) -> &[Resource] {
        &self.resources
    }
}

/// Converts a value. `place` is what it is called in errors, of which there are few: an integer that Lua
/// has not, more handles than a step may have.
pub(crate) fn lift(
    value: Val,
    shape: &Shape,
    place: &str,
    handles: &mut dyn Taken,
) -> Result<Value, String> {
    Ok(match (value, shape) {
        (Val::Bool(truth), _) => Value::Bool(truth),
        (Val::S8(number), _) => Value::Integer(number.into()),
        (Val::U8(number), _) => Value::Integer(number.into()),
        (Val::S16(number), _) => Value::Integer(number.into()),
        (Val::U16(number), _) => Value::Integer(number.into()),
        (Val::S32(number), _) => Value::Integer(number.into()),
        (Val::U32(number), _) => Value::Integer(number.into()),
        (Val::S64(number), _) => Value::Integer(number),
        (Val::U64(number), _) => match i64::try_from(number) {
            Ok(number) => Value::Integer(number),
            Err(_) => return Err(format!("{place}: {number} is larger than Lua's integers")),
        },
        (Val::Float32(number), _) => Value::Float(number.into()),
        (Val::Float64(number), _) => Value::Float(number),
        (Val::Char(one), _) => Value::Text(one.into()),
        (Val::String(text), _) => Value::Text(text),
        (Val::List(items), Shape::Bytes) => bytes(items),
        (Val::List(items), Shape::List(item))
        | (Val::FixedLengthList(items), Shape::Fixed(item, _)) => {
            let items = items.into_iter().zip(1_usize..);
            let items = items
                .map(|(value, index)| lift(value, item, &format!("{place}[{index}]"), handles));
            Value::List(items.collect::<Result<_, _>>()?)
        }
        (Val::Map(entries), Shape::Map(key, inner)) => {
            let mut map = BTreeMap::new();
            for (name, value) in entries {
                let name = match lift(name, key, place, handles)? {
                    Value::Text(text) => text,
                    Value::Integer(number) => number.to_string(),
                    Value::Bool(truth) => truth.to_string(),
                    other => return Err(format!("{place}: {} is no key", other.kind())),
                };
                let place = format!("{place}.{name}");
                map.insert(name, inside(value, inner, &place, handles)?);
            }
            Value::Map(map)
        }
        (Val::Record(fields), Shape::Record(shapes)) => {
            let fields = fields.into_iter().zip(shapes);
            let fields = fields.map(|((name, value), (_, shape))| {
                let place = format!("{place}.{name}");
                // As Lua writes fields.
                Ok((name.replace('-', "_"), lift(value, shape, &place, handles)?))
            });
            Value::Map(fields.collect::<Result<_, String>>()?)
        }
        (Val::Tuple(items), Shape::Tuple(shapes)) => {
            let items = items.into_iter().zip(shapes).zip(1_usize..);
            let items = items.map(|((value, shape), index)| {
                lift(value, shape, &format!("{place}[{index}]"), handles)
            });
            Value::List(items.collect::<Result<_, _>>()?)
        }
        (Val::Variant(tag, payload), Shape::Variant(cases)) => {
            let shape = cases.iter().find(|(name, _)| *name == tag);
            let shape = shape.and_then(|(_, shape)| shape.as_ref());
            case(tag, payload, shape, place, handles)?
        }
        (Val::Enum(name), _) => Value::Text(name),
        (Val::Option(inner), Shape::Option(shape)) => match inner {
            None => Value::Null,
            Some(value) => inside(*value, shape, place, handles)?,
        },
        (Val::Result(Ok(payload)), Shape::Result(ok, _)) => {
            case("ok".to_owned(), payload, ok.as_deref(), place, handles)?
        }
        (Val::Result(Err(payload)), Shape::Result(_, err)) => {
            case("err".to_owned(), payload, err.as_deref(), place, handles)?
        }
        (Val::Flags(names), _) => Value::Map(
            names
                .into_iter()
                .map(|name| (name, Value::Bool(true)))
                .collect(),
        ),
        (Val::Resource(resource), Shape::Own(kind) | Shape::Borrow(kind)) => {
            let number = handles.taken(resource, *kind);
            let number = number.map_err(|problem| format!("{place}: {problem}"))?;
            let label = handles.resources()[*kind].label.clone();
            Value::Map(BTreeMap::from([
                (handles::NUMBER.to_owned(), Value::Integer(number)),
                ("resource".to_owned(), Value::Text(label)),
            ]))
        }
        (_, shape) => {
            let wanted = super::lower::word(shape);
            return Err(format!("{place}: what came is not {wanted}"));
        }
    })
}

/// As `lift`, where nil cannot stand for a value, since it leaves no key or is another's.
fn inside(
    value: Val,
    shape: &Shape,
    place: &str,
    handles: &mut dyn Taken,
) -> Result<Value, String> {
    match (value, shape) {
        (Val::Option(payload), Shape::Option(inner)) => {
            let tag = if payload.is_some() { "some" } else { "none" };
            case(tag.to_owned(), payload, Some(inner), place, handles)
        }
        (value, shape) => lift(value, shape, place, handles),
    }
}

/// A bare name where there is no value, else `{ tag = …, value = … }`.
fn case(
    tag: String,
    payload: Option<Box<Val>>,
    shape: Option<&Shape>,
    place: &str,
    handles: &mut dyn Taken,
) -> Result<Value, String> {
    let (Some(payload), Some(shape)) = (payload, shape) else {
        return Ok(Value::Text(tag));
    };
    let place = format!("{place}.{tag}");
    let payload = lift(*payload, shape, &place, handles)?;
    Ok(Value::Map(BTreeMap::from([
        ("tag".to_owned(), Value::Text(tag)),
        ("value".to_owned(), payload),
    ])))
}

fn bytes(items: Vec<Val>) -> Value {
    let content = items.into_iter().filter_map(|item| match item {
        Val::U8(byte) => Some(byte),
        _ => None,
    });
    Value::Bytes(content.collect())
}
