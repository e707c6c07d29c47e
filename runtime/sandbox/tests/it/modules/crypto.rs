//! `crypto`.

use super::holds;
use crate::world::World;

#[test]
fn digests_are_those_of_the_standards() {
    holds(
        &World::new(),
        r#"same(crypto.sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        same(crypto.sha512("abc"), "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f")
        same(crypto.sha1("abc"), "a9993e364706816aba3e25717850c26c9cd0d89d")
        same(crypto.md5("abc"), "900150983cd24fb0d6963f7d28e17f72")
        same(crypto.hash("SHA-256", "abc"), crypto.sha256("abc"))
        same(crypto.hmac_sha256("key", "The quick brown fox jumps over the lazy dog"), "f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8")
        same(crypto.hmac("k", "m"), crypto.hmac_sha256("k", "m"))
        same(crypto.hmac_sha512("key", "The quick brown fox jumps over the lazy dog"), "b42af09057bac1e2d41708e48a902e09b5ff7f12ab428a4fe86653c73dd248fb82f948a549f7b791a5b41915ee4d1ec3935357e4e2317250d0372afa2ebeeb3a")
        same(#crypto.hmac_sha256(("k"):rep(200), "m"), 64)"#,
    );
    let ended = World::new().run("crypto.hash('crc32', 'x')").ended();
    assert!(ended.contains("`crc32` is not one of"), "{ended}");
}

#[test]
fn encodings_go_there_and_back() {
    holds(
        &World::new(),
        r#"local bytes = "\0\255\16é"
        same(crypto.base64("sloth"), "c2xvdGg=") same(crypto.base64_encode("sloth"), "c2xvdGg=") same(crypto.base64_decode("c2xv\ndGg=\n"), "sloth")
        same(crypto.base64_decode(crypto.base64_encode(bytes)), bytes)
        same(crypto.base64url_encode("\255\239"), "_-8") same(crypto.base64url_decode("_-8"), "\255\239")
        same(crypto.hex_encode(bytes), "00ff10c3a9") same(crypto.hex_decode("00FF10c3a9"), bytes)
        local none, why = crypto.base64_decode("!") same(none, nil) assert(why)
        none, why = crypto.hex_decode("abc") same(none, nil) assert(why)"#,
    );
}

#[test]
fn random_values_have_their_form_and_differ() {
    holds(
        &World::new(),
        r#"assert(crypto.uuid():match("^%x+%-%x%x%x%x%-4%x%x%x%-[89ab]%x%x%x%-%x+$")) same(#crypto.uuid_v4(), 36)
        assert(crypto.uuid() ~= crypto.uuid())
        same(#crypto.random_bytes(9, "raw"), 9) same(#crypto.random_bytes(9), 12) same(#crypto.random_bytes(9, "hex"), 18)
        assert(crypto.random_string(300):find("^%w+$")) same(#crypto.random_string(300), 300)
        assert(crypto.random_string(50, "ab"):find("^[ab]+$")) same(crypto.random_string(0), "")
        same(#crypto.generate_password(), 20) assert(crypto.generate_password(64, false):find("^%w+$"))
        assert(crypto.generate_password(64) ~= crypto.generate_password(64))"#,
    );
    for call in [
        "crypto.random_string(-1)",
        "crypto.random_bytes(1.5)",
        "crypto.random_bytes(1 << 20)",
    ] {
        let ended = World::new().run(call).ended();
        assert!(
            ended.contains("the length must be a whole number"),
            "{ended}"
        );
    }
}
