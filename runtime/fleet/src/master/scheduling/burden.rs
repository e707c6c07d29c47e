//! How much can be given to a step: more than a frame holds would end its agent's session, each time anew.

use prost::Message;

use crate::wire::assign::{MAX_ARTIFACTS, MAX_LEFT};
use crate::wire::generated::Assign;

/// Most bytes of all that a step is given: a frame has 16 MiB at most.
const HEAVIEST: usize = (16 << 20) - (64 << 10);
/// More than this is not even encoded: it is over [`MAX_LEFT`] in any case.
const LEFT: usize = 2 * MAX_LEFT;

/// Why a call cannot be given out whatever the agent does, if it cannot.
pub(super) fn of(assign: &Assign) -> Option<String> {
    let artifacts = assign.artifacts.len();
    if artifacts > MAX_ARTIFACTS {
        return Some(format!(
            "earlier tasks left {artifacts} files as artifacts for this one, and a step is given {MAX_ARTIFACTS} at \
             most; leave fewer, such as one archive of them"
        ));
    }
    let left = [&assign.deps, &assign.stack, &assign.about];
    if let Some(most) = left.iter().map(|part| part.len()).max()
        && most > MAX_LEFT
    {
        return Some(heavy(most));
    }
    let weight = assign.encoded_len();
    (weight > HEAVIEST).then(|| {
        format!(
            "what earlier steps left for this one takes {} MiB with the names of its artifacts and its secrets, and a \
             step is given less than 16; leave less",
            weight.div_ceil(1 << 20)
        )
    })
}

/// The same, of outputs and the stack.
pub(super) fn too_heavy(left: usize) -> Option<String> {
    (left > LEFT).then(|| heavy(left))
}

fn heavy(left: usize) -> String {
    format!(
        "what earlier steps left for this one takes {} MiB, and a step is given {} MiB at most; leave less, or leave \
         files as artifacts",
        left.div_ceil(1 << 20),
        MAX_LEFT >> 20
    )
}

#[cfg(test)]
mod tests {
    use sloth_workflow::Artifact;

    use super::*;

    fn with(artifacts: usize, part: usize) -> Option<String> {
        let artifact = Artifact {
            name: "files/a".into(),
            size: 1,
            digest: "0".repeat(64),
            executable: false,
        };
        of(&Assign {
            artifacts: vec![(&artifact).into(); artifacts],
            deps: vec![0; part],
            stack: vec![0; part],
            about: vec![0; part],
            secrets: [("a".to_owned(), vec![0; part])].into(),
            ..Assign::default()
        })
    }

    #[test]
    fn what_no_frame_has_room_for_is_not_given_out() {
        assert_eq!(with(MAX_ARTIFACTS, 3 << 20), None);
        let many = with(MAX_ARTIFACTS + 1, 0).unwrap();
        assert!(many.contains("10001 files as artifacts"), "{many}");
        let heavy = with(0, MAX_LEFT + 1).unwrap();
        assert!(heavy.contains("takes 13 MiB"), "{heavy}");
        let heavy = with(MAX_ARTIFACTS, 4 << 20).unwrap();
        assert!(heavy.contains("takes 17 MiB"), "{heavy}");
    }
}
