//! Why the store did not do what it was asked.

use sloth_sandbox::ports::Problem;
use sloth_workflow::Untrusted;

/// Why the store did not do what it was asked. Nothing of the request was kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The file or its disk. Says what to do; the store goes on as soon as that is done.
    #[error("{0}")]
    Unusable(Problem),
    #[error("there is no run {}; sloth-runner runs list shows those that are kept", .0.escaped())]
    NoRun(Untrusted),
    #[error("the run {} has no call {call}", .run.escaped())]
    NoCall { run: Untrusted, call: u64 },
    /// An end was kept already.
    #[error("the call {call} of the run {} has ended", .run.escaped())]
    CallEnded { run: Untrusted, call: u64 },
    /// One key for two different submissions.
    #[error(
        "the idempotency key `{}` is that of another submission, of {stack} / {workflow}: choose another key",
        .key.escaped()
    )]
    KeyTaken {
        key: Untrusted,
        stack: String,
        workflow: String,
    },
    /// A delivery is missing between what is kept and what came.
    #[error(
        "deliveries are kept up to {kept}, and the next that came is {came}: those between are missing"
    )]
    Gap { kept: u64, came: u64 },
    #[error("there is no agent `{}`; sloth-runner agent list shows those there are", .0.escaped())]
    NoAgent(Untrusted),
    #[error("{0}")]
    Token(TokenRefused),
    /// A certificate for the name lives.
    #[error("the name `{}` is taken by an agent whose certificate is valid: choose another, or remove that agent", .0.escaped())]
    NameTaken(Untrusted),
    #[error("the content sha256:{0} is not kept here: upload it first")]
    NoContent(String),
    /// What came is not what was announced.
    #[error("the content {digest} came as something else: {problem}; send it again")]
    Torn {
        digest: String,
        problem: &'static str,
    },
    #[error("the run {} has ended, and takes in nothing more", .0.escaped())]
    RunEnded(Untrusted),
    #[error("a content may have {limit} bytes at most, and this one has {size}")]
    TooLarge { size: u64, limit: u64 },
    /// A defect of this program, in a request that was rolled back.
    #[error("the store failed in {0}; this is a defect of sloth-runner")]
    Defect(&'static str),
}

/// Why a token is not good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenRefused {
    #[error("the token is not known here: make one with sloth-runner token create")]
    Unknown,
    #[error("the token has expired: make another with sloth-runner token create")]
    Expired,
    #[error("the token was revoked: ask who runs the master for another")]
    Revoked,
    #[error("the token has been spent: make another with sloth-runner token create")]
    Spent,
    #[error("this is an API key, which is sent with each call, and not a join token")]
    IsKey,
    #[error("this is a join token, which is spent for a certificate, and not an API key")]
    IsToken,
}

/// Why a request failed, before the file's name is put to it.
#[derive(Debug)]
pub(super) enum Failure {
    Sql(rusqlite::Error),
    Said(Error),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Said(error)
    }
}

impl From<TokenRefused> for Failure {
    fn from(refused: TokenRefused) -> Self {
        Self::Said(Error::Token(refused))
    }
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        Self::Unusable(problem)
    }
}
