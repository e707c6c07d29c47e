//! CBOR (RFC 8949) for values that WIT cannot type. Decoding holds strangers' bytes to limits on
//! size, depth and number of entries.

use std::collections::BTreeMap;

use minicbor::data::Type;
use minicbor::{Decoder, Encoder};

use crate::Value;

/// What one decoded value may hold at most.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Bytes of the encoding.
    pub size: usize,
    /// Lists and maps within each other.
    pub depth: usize,
    /// Scalars, lists and maps altogether.
    pub entries: usize,
}

impl Bounds {
    /// Outputs and values: 1 MiB, 64 deep.
    pub const DATA: Self = Self {
        size: 1 << 20,
        depth: 64,
        entries: 100_000,
    };
    /// A plan: 16 MiB, 16 deep.
    pub const PLAN: Self = Self {
        size: 16 << 20,
        depth: 16,
        entries: 1_000_000,
    };
}

/// Why bytes are not a value.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    #[error("{what} is {size} bytes, over the limit of {limit}")]
    TooLarge {
        what: &'static str,
        size: usize,
        limit: usize,
    },
    #[error("data is nested deeper than {0}")]
    TooDeep(usize),
    #[error("data has more than {0} entries")]
    TooMany(usize),
    #[error("malformed data: {0}")]
    Malformed(String),
}

/// Encodes a value. Maps come out in key order, so equal values give equal bytes.
pub fn encode(value: &Value) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new());
    write(&mut encoder, value);
    encoder.into_writer()
}

fn write(encoder: &mut Encoder<Vec<u8>>, value: &Value) {
    const INFALLIBLE: &str = "a Vec takes every write";
    match value {
        Value::Null => drop(encoder.null().expect(INFALLIBLE)),
        Value::Bool(truth) => drop(encoder.bool(*truth).expect(INFALLIBLE)),
        Value::Integer(number) => drop(encoder.i64(*number).expect(INFALLIBLE)),
        Value::Float(number) => drop(encoder.f64(*number).expect(INFALLIBLE)),
        Value::Text(text) => drop(encoder.str(text).expect(INFALLIBLE)),
        Value::Bytes(bytes) => drop(encoder.bytes(bytes).expect(INFALLIBLE)),
        Value::List(items) => {
            encoder.array(items.len() as u64).expect(INFALLIBLE);
            for item in items {
                write(encoder, item);
            }
        }
        Value::Map(entries) => {
            encoder.map(entries.len() as u64).expect(INFALLIBLE);
            for (key, value) in entries {
                encoder.str(key).expect(INFALLIBLE);
                write(encoder, value);
            }
        }
    }
}

/// Decodes exactly one value that fills `bytes`.
pub fn decode(bytes: &[u8], bounds: Bounds) -> Result<Value, Error> {
    if bytes.len() > bounds.size {
        return Err(Error::TooLarge {
            what: "data",
            size: bytes.len(),
            limit: bounds.size,
        });
    }
    let mut reader = Reader {
        decoder: Decoder::new(bytes),
        bounds,
        entries: 0,
    };
    let value = reader.value(0)?;
    if reader.decoder.position() != bytes.len() {
        return Err(Error::Malformed("bytes follow the value".into()));
    }
    Ok(value)
}

struct Reader<'a> {
    decoder: Decoder<'a>,
    bounds: Bounds,
    entries: usize,
}

impl Reader<'_> {
    fn value(&mut self, depth: usize) -> Result<Value, Error> {
        if depth > self.bounds.depth {
            return Err(Error::TooDeep(self.bounds.depth));
        }
        self.entries += 1;
        if self.entries > self.bounds.entries {
            return Err(Error::TooMany(self.bounds.entries));
        }
        match self.decoder.datatype()? {
            Type::Null | Type::Undefined => {
                self.decoder.skip()?;
                Ok(Value::Null)
            }
            Type::Bool => Ok(Value::Bool(self.decoder.bool()?)),
            Type::U8
            | Type::U16
            | Type::U32
            | Type::U64
            | Type::I8
            | Type::I16
            | Type::I32
            | Type::I64
            | Type::Int => Ok(Value::Integer(self.decoder.i64()?)),
            Type::F32 => Ok(Value::Float(f64::from(self.decoder.f32()?))),
            Type::F64 => Ok(Value::Float(self.decoder.f64()?)),
            Type::String => Ok(Value::Text(self.decoder.str()?.to_owned())),
            Type::Bytes => Ok(Value::Bytes(self.decoder.bytes()?.to_vec())),
            Type::Array => self.list(depth),
            Type::Map => self.map(depth),
            other => Err(Error::Malformed(format!("{other} is not used here"))),
        }
    }

    fn list(&mut self, depth: usize) -> Result<Value, Error> {
        let length = self.decoder.array()?.ok_or_else(indefinite)?;
        (0..length)
            .map(|_| self.value(depth + 1))
            .collect::<Result<_, _>>()
            .map(Value::List)
    }

    fn map(&mut self, depth: usize) -> Result<Value, Error> {
        let length = self.decoder.map()?.ok_or_else(indefinite)?;
        let mut entries = BTreeMap::new();
        for _ in 0..length {
            let key = match self.decoder.datatype()? {
                Type::String => self.decoder.str()?.to_owned(),
                other => return Err(Error::Malformed(format!("a key is {other}, not text"))),
            };
            entries.insert(key, self.value(depth + 1)?);
        }
        Ok(Value::Map(entries))
    }
}

fn indefinite() -> Error {
    Error::Malformed("a length is missing".into())
}

impl From<minicbor::decode::Error> for Error {
    fn from(error: minicbor::decode::Error) -> Self {
        Self::Malformed(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::Integer),
            any::<f64>()
                .prop_filter("NaN is not equal to itself", |n| !n.is_nan())
                .prop_map(Value::Float),
            ".{0,8}".prop_map(Value::Text),
            prop::collection::vec(any::<u8>(), 0..8).prop_map(Value::Bytes),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::List),
                prop::collection::btree_map(".{0,4}", inner, 0..6).prop_map(Value::Map),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_encoded_decodes_to_itself(value in any_value()) {
            prop_assert_eq!(decode(&encode(&value), Bounds::DATA), Ok(value));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = decode(&bytes, Bounds::DATA);
        }
    }

    #[test]
    fn a_list_that_claims_billions_of_entries_ends_at_its_bytes() {
        let claim = [0x9b, 0, 0, 0, 255, 255, 255, 255, 255];
        assert!(matches!(
            decode(&claim, Bounds::DATA),
            Err(Error::Malformed(_))
        ));
    }

    #[test]
    fn nesting_beyond_the_bound_is_refused_without_recursion() {
        let deep = vec![0x81; 1000];
        assert_eq!(decode(&deep, Bounds::DATA), Err(Error::TooDeep(64)));
    }

    #[test]
    fn trailing_bytes_are_refused() {
        assert!(matches!(
            decode(&[0xf6, 0xf6], Bounds::DATA),
            Err(Error::Malformed(_))
        ));
    }
}
