//! Inspect: any object of Pli, shown for people, with what verifies and what was not checked.
//!
//! In: the bytes of a `Signed` (envelope, receipt, grant, invitation, enrolment, session proof), a
//! text that carries one (`pli:invite?…`, `pli:grant?…`, base64url, hexadecimal), a key file or a file of
//! the trust repository. Out: a [`Report`]. Nothing here decides anything: it is for people.

mod key;
mod object;
mod target;
mod text;
mod whose;

use pli_protocol::code::Code;
use pli_protocol::id::Timestamp;
use pli_protocol::trust::Directory;
use pli_trust::legible;

use crate::content_json;

pub use text::decode_text;

/// What an object is, says and proves.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// `envelope`, `receipt`, …
    pub kind: &'static str,
    /// What it says, in order. Remote texts: neutralise before they reach a terminal.
    pub fields: Vec<Field>,
    /// What was checked.
    pub checks: Vec<Check>,
}

/// One thing that an object says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Field {
    /// What.
    pub name: &'static str,
    /// For people.
    pub text: String,
    /// For programs, where that is another: a time to the millisecond.
    pub exact: Option<String>,
}

/// One check and its verdict.
#[derive(Clone, Debug)]
pub struct Check {
    /// What was looked at.
    pub what: &'static str,
    /// What came of it.
    pub verdict: Verdict,
}

/// What came of a check.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// It holds, and by what.
    Holds(String),
    /// It does not hold.
    Fails {
        /// Why.
        reason: String,
        /// The wire code.
        code: Option<Code>,
    },
    /// Nobody could say.
    NotChecked(String),
}

impl Report {
    fn of(kind: &'static str) -> Self {
        Self {
            kind,
            ..Self::default()
        }
    }

    fn field(&mut self, name: &'static str, value: impl ToString) {
        self.fields.push(Field {
            name,
            text: value.to_string(),
            exact: None,
        });
    }

    fn time(&mut self, name: &'static str, at: Timestamp) {
        self.fields.push(Field {
            name,
            text: legible(at),
            exact: Some(content_json::time(at)),
        });
    }

    fn holds(&mut self, what: &'static str, by: impl ToString) {
        self.checks.push(Check {
            what,
            verdict: Verdict::Holds(by.to_string()),
        });
    }

    fn fails(&mut self, what: &'static str, reason: impl ToString, code: Code) {
        let verdict = Verdict::Fails {
            reason: reason.to_string(),
            code: Some(code),
        };
        self.checks.push(Check { what, verdict });
    }

    fn not_checked(&mut self, what: &'static str, why: impl ToString) {
        self.checks.push(Check {
            what,
            verdict: Verdict::NotChecked(why.to_string()),
        });
    }

    /// What it is not, and what it could have been. `found` says what was seen instead.
    fn not_of_pli(found: impl std::fmt::Display) -> Self {
        let mut report = Self::of(UNKNOWN);
        let reason = format!("not a Pli object: {found}; expected one of {KNOWN}");
        let verdict = Verdict::Fails { reason, code: None };
        report.checks.push(Check {
            what: "form",
            verdict,
        });
        report
    }

    /// Whether something that was checked does not hold.
    pub fn has_failed(&self) -> bool {
        self.checks
            .iter()
            .any(|check| matches!(check.verdict, Verdict::Fails { .. }))
    }
}

/// Looks at an object. Without a directory nothing that depends on one is checked, and the report
/// says so.
pub fn inspect(bytes: &[u8], directory: Option<&Directory>, now: Timestamp) -> Report {
    if let Some(report) = key::inspect(bytes).or_else(|| target::inspect(bytes)) {
        return report;
    }
    let decoded = decode_text(bytes);
    let bytes = decoded.as_deref().unwrap_or(bytes);
    object::inspect(bytes, directory, now)
}

/// The kind of what is no object of Pli, or of a type that this version does not know.
pub const UNKNOWN: &str = "unknown";

/// What can be shown.
const KNOWN: &str = "an envelope, a receipt, a grant, an invitation, an enrolment, a session proof, a key, a file of \
the trust repository; as a file, or as text: pli:invite?…, pli:grant?…, hexadecimal, base64url";

#[cfg(test)]
mod tests;
