//! Join tokens and API keys: `sloth_SECRET_FINGERPRINT` and `slothkey_SECRET_FINGERPRINT`.
//!
//! The secret is 32 random bytes in base64url, the fingerprint the SHA-256 of the authority's certificate. So whoever
//! has a token knows whom to give it to, and gives it to nobody else.

use std::fmt;

use base64ct::{Base64UrlUnpadded, Encoding};
use zeroize::{Zeroize, Zeroizing};

use super::digest::Digest;
use super::error::Error;
use super::moment::random;

/// 32 bytes in base64url.
const SECRET: usize = 43;

/// What a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Is spent for a certificate.
    Join,
    /// Is sent with each call.
    Key,
}

impl Kind {
    const fn prefix(self) -> &'static str {
        match self {
            Self::Join => "sloth_",
            Self::Key => "slothkey_",
        }
    }

    /// With an article.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Join => "a join token",
            Self::Key => "an API key",
        }
    }
}

/// A token, which is shown to nobody but whom it was made for.
#[derive(Clone)]
pub struct Token {
    kind: Kind,
    secret: Zeroizing<[u8; 32]>,
    authority: Digest,
}

impl Token {
    /// A fresh one, for whoever trusts this authority.
    pub fn draw(kind: Kind, authority: Digest) -> Result<Self, Error> {
        let secret = Zeroizing::new(random()?);
        Ok(Self {
            kind,
            secret,
            authority,
        })
    }

    /// Reads one of the kind that is asked for. No error repeats any of it.
    pub fn parse(text: &str, kind: Kind) -> Result<Self, Error> {
        let wrong = |why: String| Err(Error::Token(why));
        let text = text.trim_ascii();
        let wanted = kind.as_str();
        let other = if kind == Kind::Join {
            Kind::Key
        } else {
            Kind::Join
        };
        if text.is_empty() {
            return wrong(format!(
                "{wanted} is empty; make one with sloth-runner token create"
            ));
        }
        if text.starts_with(other.prefix()) {
            let remedy = match kind {
                Kind::Join => {
                    "an API key is set as SLOTH_RUNNER_API_KEY; make a join token with sloth-runner token create"
                }
                Kind::Key => {
                    "a join token is spent with sloth-runner login; make an API key with sloth-runner token create --key"
                }
            };
            return wrong(format!(
                "this is {}, not {wanted}; {remedy}",
                other.as_str()
            ));
        }
        let Some(rest) = text.strip_prefix(kind.prefix()) else {
            return wrong(format!(
                "this is not {wanted}, which begins with {}",
                kind.prefix()
            ));
        };
        let whole = kind.prefix().len() + SECRET + 1 + 64;
        if text.len() != whole {
            let how = if text.len() < whole {
                "cut short"
            } else {
                "too long"
            };
            return wrong(format!(
                "{wanted} is {how}: it has {} characters of {whole}; copy it whole",
                text.len()
            ));
        }
        let damaged = || Error::Token(format!("{wanted} is damaged; copy it again, whole"));
        let (secret, fingerprint) = rest
            .split_at_checked(SECRET)
            .and_then(|(secret, rest)| Some((secret, rest.strip_prefix('_')?)))
            .ok_or_else(damaged)?;
        Ok(Self {
            kind,
            secret: secret_of(secret).ok_or_else(damaged)?,
            authority: fingerprint.parse().map_err(|_| damaged())?,
        })
    }

    /// What it is for.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Whom it is for: the SHA-256 of the authority's certificate.
    pub const fn authority(&self) -> Digest {
        self.authority
    }

    /// By what the store knows it.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.secret[..])
    }

    /// The part that is sent to spend it.
    pub fn secret(&self) -> Zeroizing<String> {
        Zeroizing::new(Base64UrlUnpadded::encode_string(&self.secret[..]))
    }

    /// The whole, for whom it was made.
    pub fn reveal(&self) -> Zeroizing<String> {
        let secret = self.secret();
        Zeroizing::new(format!(
            "{}{}_{}",
            self.kind.prefix(),
            *secret,
            self.authority
        ))
    }
}

/// By what the store knows a secret that was sent; none if it is no secret at all.
pub fn digest_of(secret: &str) -> Option<Digest> {
    secret_of(secret).map(|secret| Digest::of(&secret[..]))
}

fn secret_of(text: &str) -> Option<Zeroizing<[u8; 32]>> {
    if text.len() != SECRET {
        return None;
    }
    let mut secret = Zeroizing::new([0; 32]);
    let decoded = Base64UrlUnpadded::decode(text, &mut secret[..]).map(<[u8]>::len);
    if decoded != Ok(32) {
        secret.zeroize();
        return None;
    }
    Some(secret)
}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Token({}, …)", self.kind.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_as_it_was_made() {
        for kind in [Kind::Join, Kind::Key] {
            let token = Token::draw(kind, Digest::of(b"authority")).unwrap();
            let read = Token::parse(&format!(" {}\n", *token.reveal()), kind).unwrap();
            assert_eq!(read.digest(), token.digest());
            assert_eq!(read.authority(), token.authority());
            assert_eq!(digest_of(&token.secret()), Some(token.digest()));
            assert!(!format!("{token:?}").contains(&**token.secret()));
        }
    }

    #[test]
    fn what_is_no_token_is_refused_by_what_it_is_and_never_repeated() {
        let token = Token::draw(Kind::Join, Digest::of(b"authority")).unwrap();
        let key = Token::draw(Kind::Key, Digest::of(b"authority")).unwrap();
        let whole = token.reveal();
        let spoilt = |from: usize, with: &str| {
            let mut text = whole.to_string();
            text.replace_range(from..from + with.len(), with);
            text
        };
        for (given, told) in [
            (String::new(), "is empty"),
            (
                key.reveal().to_string(),
                "this is an API key, not a join token",
            ),
            ("hunter2".to_owned(), "begins with sloth_"),
            (
                whole[..60].to_owned(),
                "cut short: it has 60 characters of 114",
            ),
            (format!("{}0", *whole), "too long"),
            (spoilt(10, "*"), "damaged"),
            (spoilt(49, "x"), "damaged"),
            (spoilt(100, "G"), "damaged"),
            (spoilt(100, "A"), "damaged"),
            // A character of several bytes, where the parts meet.
            (spoilt(48, "é"), "damaged"),
            // The last of 43 digits has two bits to spare, which must be none.
            (spoilt(48, "_"), "damaged"),
        ] {
            let error = Token::parse(&given, Kind::Join).unwrap_err().to_string();
            assert!(error.contains(told), "{given}: {error}");
            assert!(
                given.len() < 20 || !error.contains(&given[8..20]),
                "{error}"
            );
        }
        let error = Token::parse(&whole, Kind::Key).unwrap_err().to_string();
        assert!(
            error.contains("this is a join token, not an API key"),
            "{error}"
        );
    }
}
