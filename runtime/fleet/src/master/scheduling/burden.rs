//! How much can be given to a step: more than a frame holds would end its agent's session, each time anew.

use prost::Message;

use crate::wire::assign::MAX_ARTIFACTS;
use crate::wire::generated::Assign;

/// Most bytes of all that a step is given: a frame has 16 MiB at most.
const HEAVIEST: usize = (16 << 20) - (64 << 10);

/// Why a call cannot be given out whatever the agent does, if it cannot.
pub(super) fn of(assign: &Assign) -> Option<String> {
    let artifacts = assign.artifacts.len();
    if artifacts > MAX_ARTIFACTS {
        return Some(format!(
            "earlier tasks left {artifacts} files as artifacts for this one, and a step is given {MAX_ARTIFACTS} at \
             most; leave fewer, such as one archive of them"
        ));
    }
    too_heavy(assign.encoded_len())
}

/// The same, of bytes.
pub(super) fn too_heavy(weight: usize) -> Option<String> {
    (weight > HEAVIEST).then(|| {
        format!(
            "what earlier steps left for this one takes {} MiB with its secrets, and a step is given less than 16; \
             leave less, or leave files as artifacts",
            weight.div_ceil(1 << 20)
        )
    })
}

#[cfg(test)]
mod tests {
    use sloth_workflow::Artifact;

    use super::*;

    fn with(artifacts: usize, deps: usize) -> Option<String> {
        let artifact = Artifact {
            name: "files/a".into(),
            size: 1,
            digest: "0".repeat(64),
            executable: false,
        };
        of(&Assign {
            artifacts: vec![(&artifact).into(); artifacts],
            deps: vec![0; deps],
            ..Assign::default()
        })
    }

    #[test]
    fn what_no_frame_has_room_for_is_not_given_out() {
        assert_eq!(with(MAX_ARTIFACTS, 8 << 20), None);
        let many = with(MAX_ARTIFACTS + 1, 0).unwrap();
        assert!(many.contains("10001 files as artifacts"), "{many}");
        let heavy = with(MAX_ARTIFACTS, 15 << 20).unwrap();
        assert!(heavy.contains("takes 17 MiB"), "{heavy}");
    }
}
