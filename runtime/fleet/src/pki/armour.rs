//! Certificates and keys as text (RFC 7468), in files and for the libraries that take nothing else.

use base64ct::{Base64, Encoding};
use tokio_rustls::rustls::pki_types::pem::{PemObject, SectionKind};
use zeroize::Zeroizing;

/// One block of text.
pub(super) fn wrap(label: &str, der: &[u8]) -> Zeroizing<String> {
    let body = Zeroizing::new(Base64::encode_string(der));
    let mut text = Zeroizing::new(String::with_capacity(body.len() * 66 / 64 + 80));
    text.extend(["-----BEGIN ", label, "-----\n"]);
    for line in body.as_bytes().chunks(64) {
        text.push_str(str::from_utf8(line).expect("base64 is ASCII"));
        text.push('\n');
    }
    text.extend(["-----END ", label, "-----\n"]);
    text
}

/// What a file holds.
#[derive(Default)]
pub(super) struct Blocks {
    pub(super) certificates: Vec<Vec<u8>>,
    pub(super) key: Option<Zeroizing<Vec<u8>>>,
}

/// Reads certificates and at most one key.
pub(super) fn read(text: &str) -> Result<Blocks, String> {
    let mut blocks = Blocks::default();
    for block in <(SectionKind, Vec<u8>)>::pem_slice_iter(text.as_bytes()) {
        match block.map_err(|error| error.to_string())? {
            (SectionKind::Certificate, der) => blocks.certificates.push(der),
            (SectionKind::PrivateKey, der) if blocks.key.is_none() => {
                blocks.key = Some(Zeroizing::new(der));
            }
            (SectionKind::PrivateKey, _) => return Err("it has several keys".to_owned()),
            _ => return Err("it has something else than certificates and a key".to_owned()),
        }
    }
    Ok(blocks)
}
