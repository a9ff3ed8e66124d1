//! Why lines failed, counted by code: what a person needs to see of a million results at the end.

use std::collections::BTreeMap;

use pli_protocol::custody::Disposition;
use serde::{Deserialize, Serialize};

use super::results::Outcome;

/// Lines that are named of each fault.
const LINES_MAX: usize = 5;
/// Characters of a reason that are kept of each fault.
const REASON_MAX: usize = 160;

/// What failed in one way.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// How many lines.
    pub count: u64,
    /// The first of them.
    pub lines: Vec<u64>,
    /// Of the first line, where there is more to say than the code.
    pub reason: Option<String>,
}

/// Faults by their code: the node's for a refused line, the kind of [`LineError`] for an invalid one.
///
/// [`LineError`]: super::line::LineError
pub type Faults = BTreeMap<String, Fault>;

/// Counts a line, if it failed.
pub(super) fn count(faults: &mut Faults, line: u64, outcome: &Outcome) {
    let (code, reason) = match outcome {
        Outcome::Invalid { kind, reason } => (*kind, Some(reason)),
        Outcome::Sent {
            disposition: Disposition::Refused(code),
            ..
        } => (code.name(), None),
        Outcome::Sent { .. } | Outcome::Blank => return,
    };
    let fault = faults.entry(code.to_owned()).or_default();
    fault.count += 1;
    if fault.lines.len() < LINES_MAX {
        fault.lines.push(line);
    }
    if fault.reason.is_none() {
        fault.reason = reason.map(|reason| reason.chars().take(REASON_MAX).collect());
    }
}
