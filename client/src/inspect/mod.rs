//! Inspect: any object of Pli, shown for people, with what verifies and what was not checked.
//!
//! In: the bytes of a `Signed` (envelope, receipt, grant, invitation, enrolment, session proof), a
//! text that carries one (`pli:invite?…`, `pli:grant?…`, base64url, hexadecimal) or a file of the
//! trust repository. Out: a [`Report`]. Nothing here decides anything: it is for people.

mod object;
mod target;
mod text;

use pli_protocol::code::Code;
use pli_protocol::id::Timestamp;
use pli_protocol::trust::Directory;

pub use text::decode_text;

/// What an object is, says and proves.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// `envelope`, `receipt`, …
    pub kind: &'static str,
    /// What it says, in order. Remote texts: neutralise before they reach a terminal.
    pub fields: Vec<(&'static str, String)>,
    /// What was checked.
    pub checks: Vec<Check>,
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
        self.fields.push((name, value.to_string()));
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
    if let Some(report) = target::inspect(bytes) {
        return report;
    }
    let decoded = decode_text(bytes);
    let bytes = decoded.as_deref().unwrap_or(bytes);
    object::inspect(bytes, directory, now)
}

#[cfg(test)]
mod tests;
