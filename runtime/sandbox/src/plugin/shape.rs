//! The types of WIT as this crate keeps them: read once from a component, then converted by.

use std::fmt::{self, Write as _};

use wasmtime::component::ResourceType;
use wasmtime::component::types::Type;

/// Most parts of all the types of one plugin together.
const MOST_PARTS: usize = 100_000;
/// How deep types may nest: no deeper than the values that cross.
const DEEPEST: usize = 48;

/// A value type of WIT.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Shape {
    Bool,
    S8,
    U8,
    S16,
    U16,
    S32,
    U32,
    S64,
    U64,
    Float32,
    Float64,
    Char,
    String,
    /// `list<u8>`, which is bytes and not a list of numbers.
    Bytes,
    List(Box<Shape>),
    Map(Box<Shape>, Box<Shape>),
    /// With how many there are of it.
    Fixed(Box<Shape>, u32),
    Record(Vec<(String, Shape)>),
    Tuple(Vec<Shape>),
    Variant(Vec<(String, Option<Shape>)>),
    Enum(Vec<String>),
    Option(Box<Shape>),
    Result(Option<Box<Shape>>, Option<Box<Shape>>),
    Flags(Vec<String>),
    /// By the index of the resource among those of the plugin.
    Own(usize),
    Borrow(usize),
}

/// Reads types, with the resources that are known so far.
pub(crate) struct Reader<'a> {
    pub(crate) resources: &'a [Resource],
    pub(crate) parts: usize,
}

/// A resource that a plugin exports.
#[derive(Clone, Debug)]
pub(crate) struct Resource {
    /// `api.document`, or `document` outside of any interface.
    pub(crate) label: String,
    pub(crate) kind: ResourceType,
}

impl Reader<'_> {
    /// Reads a type. The error says why no value of it can cross.
    pub(crate) fn read(&mut self, kind: &Type) -> Result<Shape, String> {
        self.within(kind, 0)
    }

    fn within(&mut self, kind: &Type, depth: usize) -> Result<Shape, String> {
        self.parts += 1;
        if depth > DEEPEST {
            return Err(format!("its types nest deeper than {DEEPEST} levels"));
        }
        if self.parts > MOST_PARTS {
            return Err(format!("its types have more than {MOST_PARTS} parts"));
        }
        let mut inner = |kind: &Type| self.within(kind, depth + 1);
        Ok(match kind {
            Type::Bool => Shape::Bool,
            Type::S8 => Shape::S8,
            Type::U8 => Shape::U8,
            Type::S16 => Shape::S16,
            Type::U16 => Shape::U16,
            Type::S32 => Shape::S32,
            Type::U32 => Shape::U32,
            Type::S64 => Shape::S64,
            Type::U64 => Shape::U64,
            Type::Float32 => Shape::Float32,
            Type::Float64 => Shape::Float64,
            Type::Char => Shape::Char,
            Type::String => Shape::String,
            Type::List(list) => match inner(&list.ty())? {
                Shape::U8 => Shape::Bytes,
                item => Shape::List(item.into()),
            },
            Type::Map(map) => Shape::Map(inner(&map.key())?.into(), inner(&map.value())?.into()),
            Type::FixedLengthList(list) => Shape::Fixed(inner(&list.ty())?.into(), list.len()),
            Type::Record(record) => Shape::Record(
                record
                    .fields()
                    .map(|field| Ok((field.name.to_owned(), inner(&field.ty)?)))
                    .collect::<Result<_, String>>()?,
            ),
            Type::Tuple(tuple) => Shape::Tuple(
                tuple
                    .types()
                    .map(|kind| inner(&kind))
                    .collect::<Result<_, _>>()?,
            ),
            Type::Variant(variant) => Shape::Variant(
                variant
                    .cases()
                    .map(|case| {
                        let payload = case.ty.as_ref().map(&mut inner).transpose()?;
                        Ok((case.name.to_owned(), payload))
                    })
                    .collect::<Result<_, String>>()?,
            ),
            Type::Enum(names) => Shape::Enum(names.names().map(str::to_owned).collect()),
            Type::Option(option) => Shape::Option(inner(&option.ty())?.into()),
            Type::Result(result) => Shape::Result(
                result
                    .ok()
                    .map(|kind| inner(&kind))
                    .transpose()?
                    .map(Box::new),
                result
                    .err()
                    .map(|kind| inner(&kind))
                    .transpose()?
                    .map(Box::new),
            ),
            Type::Flags(flags) => Shape::Flags(flags.names().map(str::to_owned).collect()),
            Type::Own(resource) => Shape::Own(self.resource(*resource)?),
            Type::Borrow(resource) => Shape::Borrow(self.resource(*resource)?),
            Type::Future(_) | Type::Stream(_) | Type::ErrorContext => {
                return Err(
                    "it uses futures, streams or error contexts, which cannot cross".into(),
                );
            }
        })
    }

    fn resource(&self, kind: ResourceType) -> Result<usize, String> {
        let found = self.resources.iter().position(|known| known.kind == kind);
        found.ok_or_else(|| "it hands out a resource that it does not export".to_owned())
    }
}

impl Shape {
    /// Whether nil stands for one of its values.
    pub(crate) fn takes_nil(&self) -> bool {
        matches!(self, Self::Option(_))
    }

    /// Whether a handle is in it.
    pub(crate) fn has_handles(&self) -> bool {
        match self {
            Self::Own(_) | Self::Borrow(_) => true,
            Self::List(inner) | Self::Option(inner) | Self::Fixed(inner, _) => inner.has_handles(),
            Self::Map(key, value) => key.has_handles() || value.has_handles(),
            Self::Record(fields) => fields.iter().any(|(_, field)| field.has_handles()),
            Self::Tuple(items) => items.iter().any(Self::has_handles),
            Self::Variant(cases) => cases
                .iter()
                .any(|(_, payload)| payload.as_ref().is_some_and(Self::has_handles)),
            Self::Result(ok, err) => [ok, err]
                .into_iter()
                .flatten()
                .any(|inner| inner.has_handles()),
            _ => false,
        }
    }

    /// As WIT writes it, but for records and the like, whose parts stand where their names would.
    pub(crate) fn text(&self, resources: &[Resource]) -> String {
        let mut text = String::new();
        // Writing into a String does not fail.
        let _ = self.write(&mut text, resources);
        text
    }

    fn write(&self, to: &mut String, resources: &[Resource]) -> fmt::Result {
        let name = |index: &usize| resources.get(*index).map_or("resource", |one| &one.label);
        match self {
            Self::Bool => to.write_str("bool"),
            Self::S8 => to.write_str("s8"),
            Self::U8 => to.write_str("u8"),
            Self::S16 => to.write_str("s16"),
            Self::U16 => to.write_str("u16"),
            Self::S32 => to.write_str("s32"),
            Self::U32 => to.write_str("u32"),
            Self::S64 => to.write_str("s64"),
            Self::U64 => to.write_str("u64"),
            Self::Float32 => to.write_str("f32"),
            Self::Float64 => to.write_str("f64"),
            Self::Char => to.write_str("char"),
            Self::String => to.write_str("string"),
            Self::Bytes => to.write_str("list<u8>"),
            Self::List(item) => wrapped(to, "list", [&**item], resources),
            Self::Map(key, value) => wrapped(to, "map", [&**key, value], resources),
            Self::Fixed(item, length) => {
                let item = item.text(resources);
                write!(to, "list<{item}, {length}>")
            }
            Self::Tuple(items) => wrapped(to, "tuple", items, resources),
            Self::Option(inner) => wrapped(to, "option", [&**inner], resources),
            Self::Result(None, None) => to.write_str("result"),
            Self::Result(ok, err) => {
                let ok = ok.as_ref().map_or("_".to_owned(), |ok| ok.text(resources));
                match err {
                    Some(err) => write!(to, "result<{ok}, {}>", err.text(resources)),
                    None => write!(to, "result<{ok}>"),
                }
            }
            Self::Record(fields) => {
                let fields = fields
                    .iter()
                    .map(|(name, field)| format!("{name}: {}", field.text(resources)));
                braced(to, "record", fields)
            }
            Self::Variant(cases) => {
                let cases = cases.iter().map(|(name, payload)| match payload {
                    Some(payload) => format!("{name}({})", payload.text(resources)),
                    None => name.clone(),
                });
                braced(to, "variant", cases)
            }
            Self::Enum(names) => braced(to, "enum", names.iter().cloned()),
            Self::Flags(names) => braced(to, "flags", names.iter().cloned()),
            Self::Own(index) => to.write_str(name(index)),
            Self::Borrow(index) => write!(to, "borrow<{}>", name(index)),
        }
    }
}

fn wrapped<'a>(
    to: &mut String,
    word: &str,
    inner: impl IntoIterator<Item = &'a Shape>,
    resources: &[Resource],
) -> fmt::Result {
    let inner: Vec<String> = inner.into_iter().map(|one| one.text(resources)).collect();
    write!(to, "{word}<{}>", inner.join(", "))
}

fn braced(to: &mut String, word: &str, parts: impl Iterator<Item = String>) -> fmt::Result {
    let parts: Vec<String> = parts.collect();
    write!(to, "{word} {{ {} }}", parts.join(", "))
}
