//! Where the audit of a node ends.

use std::time::SystemTime;

use sloth_sandbox::ports::audit::Head;

use super::{Malformed, generated};

/// As an agent tells it, without a time; a master tells when it heard of it.
pub fn sent(head: Head, told: Option<SystemTime>) -> generated::AuditHead {
    generated::AuditHead {
        number: head.number,
        hash: head.hash.to_vec(),
        told: told.map(Into::into),
    }
}

/// A record's place and seal.
pub fn read(sent: &generated::AuditHead) -> Result<Head, Malformed> {
    let hash = sent.hash.as_slice().try_into();
    match (sent.number, hash) {
        (number @ 1.., Ok(hash)) => Ok(Head { number, hash }),
        _ => Err(Malformed::Range("the end of an audit")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_the_same_at_the_other_end_and_half_of_one_is_refused() {
        let head = Head {
            number: 7,
            hash: [3; 32],
        };
        let whole = sent(head, None);
        assert_eq!(read(&whole), Ok(head));
        for (number, length) in [(0, 32), (7, 31), (7, 33), (7, 0)] {
            let half = generated::AuditHead {
                number,
                hash: vec![3; length],
                ..whole.clone()
            };
            assert!(read(&half).is_err(), "{number} {length}");
        }
    }
}
