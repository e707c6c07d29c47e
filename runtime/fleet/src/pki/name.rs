//! Names and roles.

use std::fmt;
use std::str::FromStr;

use super::error::Error;

/// A certificate's common name may be one longer (X.520, upper bound of commonName), a part of a host's name not.
const LONGEST: usize = 63;

/// What an agent, or a person, is known by: `web-01`, `web-01.example.com`, `ana@laptop`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(String);

impl Name {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FromStr for Name {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let shown = || {
            text.chars()
                .take(80)
                .collect::<String>()
                .escape_debug()
                .to_string()
        };
        if text.is_empty() || text.len() > LONGEST {
            return Err(Error::Name(format!(
                "a name has 1 to {LONGEST} characters, and `{}` has {}",
                shown(),
                text.chars().count()
            )));
        }
        let within = |letter: u8| letter.is_ascii_alphanumeric() || b"-_.@".contains(&letter);
        let bytes = text.as_bytes();
        if !bytes.iter().copied().all(within) || !bytes[0].is_ascii_alphanumeric() {
            return Err(Error::Name(format!(
                "`{}` is no name: it has letters, digits and - _ . @, a letter or digit first",
                shown()
            )));
        }
        // `local` is the operator's own machine, and the others are words of selectors.
        if matches!(text, "local" | "and" | "or" | "not") {
            return Err(Error::Name(format!(
                "`{text}` has a meaning of its own; choose another name"
            )));
        }
        Ok(Self(text.to_owned()))
    }
}

/// What somebody may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Takes work; speaks for its own name only.
    Agent,
    /// Reads.
    Viewer,
    /// Runs, besides.
    Operator,
    /// Manages, besides.
    Admin,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Agent, Self::Viewer, Self::Operator, Self::Admin];

    /// As certificates and people spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }

    /// Whether it may do what the other may. Agents are no people: they may nothing that people may, and the other
    /// way round.
    pub const fn includes(self, other: Self) -> bool {
        match other {
            Self::Agent => matches!(self, Self::Agent),
            Self::Viewer => matches!(self, Self::Viewer | Self::Operator | Self::Admin),
            Self::Operator => matches!(self, Self::Operator | Self::Admin),
            Self::Admin => matches!(self, Self::Admin),
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| {
                Error::Name(format!(
                    "`{}` is no role; roles are agent, viewer, operator and admin",
                    text.chars().take(80).collect::<String>().escape_debug()
                ))
            })
    }
}

/// Of whom a certificate speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The common name.
    pub name: Name,
    /// The organisational unit.
    pub role: Role,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_hosts_and_people_are_called() {
        for name in ["a", "web-01", "Web_01.example.com", "ana@laptop", "7"] {
            assert_eq!(name.parse::<Name>().unwrap().as_str(), name);
        }
        let long = "a".repeat(64);
        for name in [
            "",
            "-a",
            "a b",
            "a/b",
            "a=b",
            "*",
            "é",
            "a\n",
            "a\0",
            "local",
            "not",
            long.as_str(),
        ] {
            assert!(name.parse::<Name>().is_err(), "{name:?}");
        }
    }

    #[test]
    fn an_agent_may_nothing_that_people_may_and_people_nothing_that_agents_may() {
        for role in Role::ALL {
            assert_eq!(role.as_str().parse::<Role>().unwrap(), role);
            assert_eq!(Role::Agent.includes(role), role == Role::Agent);
            assert_eq!(role.includes(Role::Agent), role == Role::Agent);
            assert!(role.includes(role));
        }
        assert!(Role::Admin.includes(Role::Operator) && Role::Operator.includes(Role::Viewer));
        assert!(!Role::Viewer.includes(Role::Operator) && !Role::Operator.includes(Role::Admin));
    }
}
