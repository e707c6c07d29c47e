//! Signatures over bundles: by which a node knows whose bundle it is. A signature is over the bundle's
//! digest, and so over the script and all it carries.

use std::fmt::Write;

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use sloth_policy::bytes_of;

use crate::value::base16;

const KEY: &str = "sloth-runner signing key 1";
const SIGNATURE: &str = "sloth-runner signature 1";
/// Most signatures of a file that are looked at: each costs the node a verification.
const MOST_LINES: usize = 64;
/// What is signed begins so: a signature for something else is none for a bundle.
const CONTEXT: &str = "sloth-runner bundle 1\n";

/// A key that signs. Whoever has it speaks for its owner.
pub struct Key(SigningKey);

/// Why a text is no key or no signature.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("it is no signing key; `sloth-runner sign --new-key FILE` makes one")]
    NoKey,
    #[error("it is no signature; `sloth-runner sign` writes one")]
    NoSignature,
}

impl Key {
    /// The key of 32 random bytes.
    pub fn of(secret: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(secret))
    }

    /// Reads a key's file.
    pub fn read(text: &str) -> Result<Self, Error> {
        let rest = after_line(KEY, text).ok_or(Error::NoKey)?;
        let secret = bytes_of::<32>(rest.trim()).ok_or(Error::NoKey)?;
        Ok(Self::of(&secret))
    }

    /// The key's file, which nobody else may read.
    pub fn file(&self) -> String {
        format!("{KEY}\n{}\n", base16(self.0.as_bytes()))
    }

    /// What a policy lists under `[keys]`: `ed25519:` and 64 hexadecimal digits.
    pub fn public(&self) -> String {
        format!("ed25519:{}", base16(self.0.verifying_key().as_bytes()))
    }

    /// The file beside a workflow after this key has signed it: `before` with this key's line in place
    /// of an older one.
    pub fn sign(&self, digest: &str, before: Option<&str>) -> Result<String, Error> {
        let public = self.public();
        let mut text = format!("{SIGNATURE}\n");
        for line in before.map(lines).transpose()?.into_iter().flatten() {
            if !line.starts_with(&public) {
                let _ = writeln!(text, "{line}");
            }
        }
        let signature = self.0.sign(&message(digest)).to_bytes();
        let _ = writeln!(text, "{public} {}", base16(&signature));
        Ok(text)
    }
}

/// Whether a signature file holds a signature of the bundle with this digest by this public key.
/// What cannot be read holds none.
pub fn is_signed_by(public: &[u8; 32], digest: &str, file: &str) -> bool {
    let named = format!("ed25519:{} ", base16(public));
    let Ok(key) = VerifyingKey::from_bytes(public) else {
        return false;
    };
    lines(file).is_ok_and(|mut lines| {
        lines.any(|line| {
            line.strip_prefix(&named)
                .and_then(|signature| bytes_of::<64>(signature.trim()))
                .is_some_and(|signature| {
                    let signature = Signature::from_bytes(&signature);
                    key.verify_strict(&message(digest), &signature).is_ok()
                })
        })
    })
}

fn lines(file: &str) -> Result<impl Iterator<Item = &str>, Error> {
    let rest = after_line(SIGNATURE, file).ok_or(Error::NoSignature)?;
    let lines = rest.lines().filter(|line| !line.trim().is_empty());
    Ok(lines.take(MOST_LINES))
}

/// What follows a first line that is exactly this.
fn after_line<'a>(line: &str, text: &'a str) -> Option<&'a str> {
    let rest = text.strip_prefix(line)?;
    rest.strip_prefix("\r\n")
        .or_else(|| rest.strip_prefix('\n'))
}

fn message(digest: &str) -> Vec<u8> {
    format!("{CONTEXT}{digest}").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn public(key: &Key) -> [u8; 32] {
        bytes_of(key.public().strip_prefix("ed25519:").unwrap()).unwrap()
    }

    #[test]
    fn a_signature_holds_for_its_key_and_its_bundle_alone() {
        let (one, other) = (Key::of(&[1; 32]), Key::of(&[2; 32]));
        let file = one.sign("sha256:aa", None).unwrap();
        assert!(is_signed_by(&public(&one), "sha256:aa", &file));
        assert!(!is_signed_by(&public(&one), "sha256:ab", &file));
        assert!(!is_signed_by(&public(&other), "sha256:aa", &file));
        let renamed = file.replace(&one.public(), &other.public());
        assert!(!is_signed_by(&public(&other), "sha256:aa", &renamed));
        assert!(!is_signed_by(
            &public(&one),
            "sha256:aa",
            &file.replace('a', "b")
        ));
    }

    #[test]
    fn several_keys_sign_one_bundle_and_each_has_one_line() {
        let (one, other) = (Key::of(&[1; 32]), Key::of(&[2; 32]));
        let file = one.sign("x", None).unwrap();
        let file = other.sign("x", Some(&file)).unwrap();
        let file = one.sign("x", Some(&file)).unwrap();
        assert_eq!(file.lines().count(), 3);
        assert!(is_signed_by(&public(&one), "x", &file));
        assert!(is_signed_by(&public(&other), "x", &file));
        assert_eq!(one.sign("x", Some("nonsense")), Err(Error::NoSignature));
    }

    #[test]
    fn a_file_of_a_later_form_is_none_and_no_file_is_verified_without_end() {
        let key = Key::of(&[1; 32]);
        let file = key.sign("x", None).unwrap();
        assert!(!is_signed_by(
            &public(&key),
            "x",
            &file.replace("signature 1", "signature 10")
        ));
        assert!(Key::read(&key.file().replace("key 1", "key 12")).is_err());
        let (first, last) = file.split_once('\n').unwrap();
        let bad = format!("{} {}\n", key.public(), "0".repeat(128));
        let long = format!("{first}\n{}{last}", bad.repeat(100_000));
        assert!(!is_signed_by(&public(&key), "x", &long));
        let short = format!("{first}\n{}{last}", bad.repeat(63));
        assert!(is_signed_by(&public(&key), "x", &short));
    }

    #[test]
    fn a_key_is_read_back_and_nothing_else_is_one() {
        let key = Key::of(&[7; 32]);
        assert_eq!(Key::read(&key.file()).unwrap().public(), key.public());
        assert!(Key::read("").is_err());
        assert!(Key::read(&key.file()[..60]).is_err());
    }
}
