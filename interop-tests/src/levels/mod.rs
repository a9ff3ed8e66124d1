//! The levels, and what runs one case: a name, a title, requirements, and a future that says how it went.

pub mod relay;
pub mod session;
pub mod vectors;

use std::future::Future;
use std::time::Duration;

use crate::code;
use crate::dial::{DialError, Ended, Via};
use crate::report::{Answer, Level, Recorder};
use crate::session::Failed;

/// Why a case did not pass.
#[derive(Debug)]
pub enum Stop {
    Fail(String),
    Unsupported(String),
    Harness(String),
}

/// How a case went.
pub type Went = Result<(), Stop>;

pub fn fail<T>(why: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Fail(why.into()))
}

pub fn unsupported<T>(why: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Unsupported(why.into()))
}

impl From<DialError> for Stop {
    fn from(error: DialError) -> Self {
        match error {
            DialError::NotConfigured(_) => Self::Unsupported(error.to_string()),
            DialError::Address(_) => Self::Harness(error.to_string()),
            DialError::Refused { .. } | DialError::TimedOut { .. } => Self::Fail(error.to_string()),
        }
    }
}

impl From<Failed> for Stop {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Dial(error) => error.into(),
            other => Self::Fail(other.to_string()),
        }
    }
}

impl From<Ended> for Stop {
    fn from(ended: Ended) -> Self {
        Self::Fail(ended.to_string())
    }
}

/// Longest time for one case; the longest waits for the server's own patience.
const CASE_MAX: Duration = Duration::from_secs(90);

/// Runs cases one after another.
#[derive(Debug)]
pub struct Run<'a> {
    pub recorder: &'a mut Recorder,
    /// Only cases whose name holds this.
    pub only: Option<&'a str>,
}

impl Run<'_> {
    pub async fn case(
        &mut self,
        level: Level,
        case: &str,
        title: &str,
        requirements: &[&str],
        body: impl Future<Output = Went>,
    ) {
        if self.only.is_some_and(|only| !case.contains(only)) {
            return;
        }
        let begun = self.recorder.begin(level, case);
        let answer = match tokio::time::timeout(CASE_MAX, body).await {
            Ok(Ok(())) => Answer::pass(),
            Ok(Err(Stop::Fail(why))) => Answer::fail(why),
            Ok(Err(Stop::Unsupported(why))) => Answer::unsupported(why),
            Ok(Err(Stop::Harness(why))) => Answer::harness_error(why),
            Err(_) => Answer::harness_error(format!("the case took over {} s", CASE_MAX.as_secs())),
        };
        self.recorder
            .end(level, case, title, requirements, begun, answer);
    }
}

/// The server must refuse with one of these codes: in a refusal, by resetting the stream or by closing the connection
/// (a WebSocket with 4000 + code, SES-8.1). Only a yamux reset carries no code; it will do where nothing else is said.
pub fn refused<T: std::fmt::Debug>(via: Via, got: Result<T, Failed>, codes: &[&str]) -> Went {
    let wanted = codes.join(" or ");
    let failed = match got {
        Ok(done) => return fail(format!("accepted, wanted {wanted}: {done:?}")),
        Err(Failed::Dial(error)) => return Err(error.into()),
        Err(failed) => failed,
    };
    let right = match failed.code() {
        Some(got) => codes
            .iter()
            .any(|name| u64::from(code::number(name)) == got),
        None => via == Via::WebSocket && matches!(failed, Failed::Ended(Ended::Reset { .. })),
    };
    if right {
        Ok(())
    } else {
        fail(format!("{failed}, wanted {wanted}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by_reset(code: u64) -> Result<(), Failed> {
        Err(Failed::Ended(Ended::Reset { code }))
    }

    #[test]
    fn a_refusal_counts_only_with_its_code() {
        let (right, other) = (code::number("EXPIRED"), code::number("DECODE"));
        let by_frame = |code: u32| -> Result<(), Failed> {
            Err(Failed::Refused {
                code: code.into(),
                detail: String::new(),
            })
        };
        for via in Via::BOTH {
            assert!(refused(via, by_frame(right), &["EXPIRED"]).is_ok());
            assert!(refused(via, by_reset(right.into()), &["DECODE", "EXPIRED"]).is_ok());
            for wrong in [by_frame(other), by_reset(other.into()), Ok(())] {
                assert!(matches!(
                    refused(via, wrong, &["EXPIRED"]),
                    Err(Stop::Fail(_))
                ));
            }
        }
    }

    #[test]
    fn only_a_yamux_reset_may_say_nothing() {
        assert!(refused(Via::WebSocket, by_reset(0), &["EXPIRED"]).is_ok());
        assert!(refused(Via::Quic, by_reset(0), &["EXPIRED"]).is_err());
        let closed = || {
            Failed::Ended(Ended::Closed {
                code: 0,
                reason: String::new(),
            })
        };
        let late = || {
            Failed::Ended(Ended::TimedOut {
                within: Duration::ZERO,
            })
        };
        for via in Via::BOTH {
            assert!(refused::<()>(via, Err(closed()), &["EXPIRED"]).is_err());
            assert!(refused::<()>(via, Err(late()), &["EXPIRED"]).is_err());
        }
    }

    #[test]
    fn what_is_not_configured_is_unsupported_and_never_a_failure() {
        let missing = Failed::Dial(DialError::NotConfigured("QUIC"));
        let went = refused::<()>(Via::Quic, Err(missing), &["EXPIRED"]);
        assert!(matches!(went, Err(Stop::Unsupported(_))));
    }
}
