//! Plain data as CBOR (RFC 8949), the form in which the contract carries what WIT cannot type.

use std::convert::Infallible;

use minicbor::data::Type;
use minicbor::{Decoder, Encoder};

use crate::data::{DEEPEST, Data};

/// The bytes of a value.
pub(crate) fn encode(data: &Data) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new());
    write(&mut encoder, data).expect("writing into memory does not fail");
    encoder.into_writer()
}

fn write(
    encoder: &mut Encoder<Vec<u8>>,
    data: &Data,
) -> Result<(), minicbor::encode::Error<Infallible>> {
    match data {
        Data::Nil => encoder.null()?,
        Data::Boolean(value) => encoder.bool(*value)?,
        Data::Integer(value) => encoder.i64(*value)?,
        Data::Float(value) => encoder.f64(*value)?,
        Data::Text(text) => encoder.str(text)?,
        Data::Bytes(bytes) => encoder.bytes(bytes)?,
        Data::List(items) => {
            encoder.array(items.len() as u64)?;
            return items.iter().try_for_each(|item| write(encoder, item));
        }
        Data::Map(entries) => {
            encoder.map(entries.len() as u64)?;
            return entries.iter().try_for_each(|(key, value)| {
                write(encoder, key)?;
                write(encoder, value)
            });
        }
    };
    Ok(())
}

/// Reads one value. No bytes at all stand for an empty map.
///
/// # Errors
/// What is wrong with the bytes.
pub(crate) fn decode(bytes: &[u8]) -> Result<Data, String> {
    if bytes.is_empty() {
        return Ok(Data::Map(Vec::new()));
    }
    let mut decoder = Decoder::new(bytes);
    read(&mut decoder, 0).map_err(|error| error.to_string())
}

fn read(decoder: &mut Decoder<'_>, depth: usize) -> Result<Data, minicbor::decode::Error> {
    if depth > DEEPEST {
        return Err(minicbor::decode::Error::message("nested too deep"));
    }
    Ok(match decoder.datatype()? {
        Type::Null | Type::Undefined => {
            decoder.skip()?;
            Data::Nil
        }
        Type::Bool => Data::Boolean(decoder.bool()?),
        Type::U8
        | Type::U16
        | Type::U32
        | Type::U64
        | Type::I8
        | Type::I16
        | Type::I32
        | Type::I64
        | Type::Int => read_integer(decoder)?,
        Type::F16 => Data::Float(f64::from(decoder.f16()?)),
        Type::F32 => Data::Float(f64::from(decoder.f32()?)),
        Type::F64 => Data::Float(decoder.f64()?),
        Type::String | Type::StringIndef => {
            Data::Text(decoder.str_iter()?.collect::<Result<Vec<_>, _>>()?.concat())
        }
        Type::Bytes | Type::BytesIndef => Data::Bytes(
            decoder
                .bytes_iter()?
                .collect::<Result<Vec<_>, _>>()?
                .concat(),
        ),
        Type::Array | Type::ArrayIndef => {
            let mut items = Vec::new();
            let mut left = decoder.array()?;
            while more(decoder, &mut left)? {
                items.push(read(decoder, depth + 1)?);
            }
            Data::List(items)
        }
        Type::Map | Type::MapIndef => {
            let mut entries = Vec::new();
            let mut left = decoder.map()?;
            while more(decoder, &mut left)? {
                entries.push((read(decoder, depth + 1)?, read(decoder, depth + 1)?));
            }
            Data::Map(entries)
        }
        Type::Tag => {
            decoder.tag()?;
            read(decoder, depth + 1)?
        }
        other => return Err(minicbor::decode::Error::type_mismatch(other)),
    })
}

/// An integer that Lua cannot hold becomes the nearest float, as in Lua's own arithmetic.
fn read_integer(decoder: &mut Decoder<'_>) -> Result<Data, minicbor::decode::Error> {
    let value = i128::from(decoder.int()?);
    #[expect(
        clippy::cast_precision_loss,
        reason = "the nearest float is what is wanted"
    )]
    Ok(i64::try_from(value).map_or(Data::Float(value as f64), Data::Integer))
}

/// Whether another item follows, in a container of known or unknown length.
fn more(
    decoder: &mut Decoder<'_>,
    left: &mut Option<u64>,
) -> Result<bool, minicbor::decode::Error> {
    match left {
        Some(0) => Ok(false),
        Some(count) => {
            *count -= 1;
            Ok(true)
        }
        None if decoder.datatype()? == Type::Break => {
            decoder.skip()?;
            Ok(false)
        }
        None => Ok(true),
    }
}
