//! How calls end, and the files that they leave.

use prost::Message;
use sloth_workflow::{Artifact, Finished, Untrusted, cbor};

use super::{Malformed, generated, value, words};

impl From<&Finished> for generated::Finished {
    fn from(finished: &Finished) -> Self {
        let text = |text: &Untrusted| text.raw().to_owned();
        Self {
            outcome: words::outcome_number(finished.outcome),
            message: text(&finished.message),
            location: finished.location.as_ref().map(text),
            traceback: finished.traceback.as_ref().map(text),
            outputs: cbor::encode(&finished.outputs),
            answer: finished.answer,
            stack: cbor::encode(&finished.stack),
            artifacts: finished.artifacts.iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<generated::Finished> for Finished {
    type Error = Malformed;

    fn try_from(finished: generated::Finished) -> Result<Self, Malformed> {
        Ok(Self {
            outcome: words::outcome(finished.outcome)?,
            message: finished.message.into(),
            location: finished.location.map(Untrusted::from),
            traceback: finished.traceback.map(Untrusted::from),
            outputs: value::map("the outputs", &finished.outputs, value::DATA)?,
            answer: finished.answer,
            stack: value::map("the stack", &finished.stack, value::DATA)?,
            artifacts: finished
                .artifacts
                .into_iter()
                .map(Artifact::try_from)
                .collect::<Result<_, _>>()?,
        })
    }
}

impl From<&Artifact> for generated::Artifact {
    fn from(artifact: &Artifact) -> Self {
        Self {
            name: artifact.name.clone(),
            digest: value::named(&artifact.digest),
            size: artifact.size,
            executable: artifact.executable,
        }
    }
}

impl TryFrom<generated::Artifact> for Artifact {
    type Error = Malformed;

    fn try_from(artifact: generated::Artifact) -> Result<Self, Malformed> {
        if artifact.name.is_empty() {
            return Err(Malformed::Missing("the artifact's name"));
        }
        Ok(Self {
            name: artifact.name,
            digest: value::digits(artifact.digest)?,
            size: artifact.size,
            executable: artifact.executable,
        })
    }
}

/// The bytes that an end is kept as.
pub fn encoded(finished: &Finished) -> Vec<u8> {
    generated::Finished::from(finished).encode_to_vec()
}

/// The end that bytes of [`encoded`] are.
pub fn decoded(bytes: &[u8]) -> Result<Finished, Malformed> {
    let finished = generated::Finished::decode(bytes).map_err(|error| Malformed::Bytes {
        what: "the end of a call",
        error,
    })?;
    finished.try_into()
}
