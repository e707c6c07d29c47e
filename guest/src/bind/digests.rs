//! Digests and encodings of bytes, which need no host.

use base64ct::{Base64, Base64UrlUnpadded, Encoding};
use mlua::{IntoLuaMulti, Lua, LuaString, Table};

/// `digest(algorithm, message)`, `hmac(algorithm, key, message)`: bytes, nil for an unknown algorithm.
/// `encode(bytes, for_addresses)`, `decode(text, for_addresses)`: base64; nil for text that is none.
pub(super) fn bind(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.raw_set(
        "digest",
        lua.create_function(|lua, (algorithm, message): (LuaString, LuaString)| {
            let message = message.as_bytes();
            match &*algorithm.as_bytes() {
                b"sha256" => lua
                    .create_string(hmac_sha256::Hash::hash(&message))
                    .map(Some),
                b"sha512" => lua
                    .create_string(hmac_sha512::Hash::hash(&message[..]))
                    .map(Some),
                b"sha1" => lua
                    .create_string(sha1_smol::Sha1::from(&message[..]).digest().bytes())
                    .map(Some),
                b"md5" => lua.create_string(md5::compute(&message[..]).0).map(Some),
                _ => Ok(None),
            }
        })?,
    )?;
    table.raw_set(
        "hmac",
        lua.create_function(
            |lua, (algorithm, key, message): (LuaString, LuaString, LuaString)| {
                let (key, message) = (key.as_bytes(), message.as_bytes());
                match &*algorithm.as_bytes() {
                    b"sha256" => lua
                        .create_string(hmac_sha256::HMAC::mac(&message[..], &key[..]))
                        .map(Some),
                    b"sha512" => lua
                        .create_string(hmac_sha512::HMAC::mac(&message[..], &key[..]))
                        .map(Some),
                    _ => Ok(None),
                }
            },
        )?,
    )?;
    table.raw_set(
        "encode",
        lua.create_function(|_, (bytes, for_addresses): (LuaString, bool)| {
            let encode = if for_addresses {
                Base64UrlUnpadded::encode_string
            } else {
                Base64::encode_string
            };
            Ok(encode(&bytes.as_bytes()))
        })?,
    )?;
    table.raw_set(
        "decode",
        lua.create_function(|lua, (text, for_addresses): (LuaString, bool)| {
            let mut bytes = text.as_bytes().to_vec();
            let decode = if for_addresses {
                Base64UrlUnpadded::decode_in_place
            } else {
                Base64::decode_in_place
            };
            match decode(&mut bytes) {
                Ok(bytes) => lua.create_string(bytes)?.into_lua_multi(lua),
                Err(_) => mlua::Nil.into_lua_multi(lua),
            }
        })?,
    )?;
    Ok(table)
}
