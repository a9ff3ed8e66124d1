//! Why submitting stopped, whether it is worth another try, and when. Spec: CUS-3.4, SES-3.6.

use std::time::Duration;

use pli_protocol::code::Code;
use pli_protocol::custody::AckError;
use pli_protocol::custody::pipeline::PipelineError;

use crate::call::CallError;
use crate::reach::ReachError;

/// Why submitting stopped. What was not settled can be submitted again.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// The node was not reached, and waiting will not help.
    #[error(transparent)]
    Reach(#[from] ReachError),
    /// The node refused the call, or broke the protocol.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The node acknowledged what was never sent, or twice: do not believe it.
    #[error("the node's acknowledgement: {0}; tell its operator")]
    Order(#[from] PipelineError),
    /// The node's acknowledgement is not signed by its key, or does not fit: do not believe it.
    #[error("the node's acknowledgement: {0}; tell its operator")]
    Ack(#[from] AckError),
    /// Nothing moved for too long.
    #[error("no progress for {} s; the last reason: {last}. Nothing that was acknowledged is lost: start again later", .patience.as_secs())]
    OutOfPatience {
        patience: Duration,
        last: Box<SubmitError>,
    },
}

impl SubmitError {
    /// The code, where somebody gave one.
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::Reach(error) => error.code(),
            Self::Call(error) => error.code(),
            Self::Order(error) => Some(error.code()),
            Self::Ack(error) => Some(error.code()),
            Self::OutOfPatience { last, .. } => last.code(),
        }
    }

    /// Whether the same may succeed a little later.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Reach(error) => error.may_pass(),
            Self::Call(error) => error.may_pass(),
            Self::Order(_) | Self::Ack(_) | Self::OutOfPatience { .. } => false,
        }
    }

    /// How long the node asks to be left alone (SES-3.6).
    pub(super) fn retry_after(&self) -> Duration {
        let refusal = match self {
            Self::Call(CallError::Refused(refusal)) => Some(refusal.as_ref()),
            Self::Reach(error) => error.refusal(),
            _ => None,
        };
        refusal.map_or(Duration::ZERO, |refusal| {
            Duration::from_millis(refusal.retry_after())
        })
    }
}
