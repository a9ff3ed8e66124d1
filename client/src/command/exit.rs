//! How a command ends: its exit code, and what is told of a failure.

use pli_protocol::code::{Blame, Code};
use pli_protocol::trust::TrustRefusal;

use super::words::Said;
use crate::screen::Lang;
use crate::service::ServiceError;
use crate::service::campaign::CampaignError;
use crate::service::submit::SubmitError;

/// How a command ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Exit {
    Done,
    NotDone,
    InPart,
    TryLater,
    Misbehaved,
}

impl Exit {
    /// 2 is clap's: the command was not understood.
    pub(super) fn number(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::NotDone => 1,
            Self::InPart => 3,
            Self::TryLater => 4,
            Self::Misbehaved => 5,
        }
    }

    pub(super) fn of_code(code: Option<Code>) -> Self {
        match code {
            Some(code) if is_a_rule(code) => Self::NotDone,
            Some(code) if code.retryable() => Self::TryLater,
            Some(code) if code.blame() == Blame::Misbehaved => Self::Misbehaved,
            _ => Self::NotDone,
        }
    }
}

/// Whether somebody's doing alone changes the answer, whatever the wire says of trying again: a newer
/// directory may list what this one does not, and nobody knows when.
pub(super) fn is_a_rule(code: Code) -> bool {
    matches!(code, Code::UnknownService | Code::UnknownAuthority)
}

/// A command that did not do what it was asked.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) message: String,
    pub(super) code: Option<Code>,
    pub(super) exit: Exit,
    /// For a citizen: the same in plain words, in both languages. The message is for programs and `-v`.
    pub(super) said: Option<Said>,
}

impl Failed {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            code: None,
            exit: Exit::NotDone,
            said: None,
        }
    }

    pub(super) fn coded(message: String, code: Option<Code>) -> Self {
        Self {
            message,
            code,
            exit: Exit::of_code(code),
            said: None,
        }
    }

    /// Words that are all there is to say.
    pub(super) fn plain(said: Said) -> Self {
        Self::new(said.text(Lang::En)).plainly(said)
    }

    /// A citizen needs to read no more than this.
    pub(super) fn plainly(mut self, said: Said) -> Self {
        self.said = Some(said);
        self
    }

    pub(super) fn ends(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }

    /// For programs, with the words that people get: whoever wraps this command passes them on.
    pub(super) fn to_json(&self, lang: Lang) -> serde_json::Value {
        serde_json::json!({
            "error": self.message,
            "code": self.code.map(Code::name),
            "exit": self.exit.number(),
            "advice": self.said.as_ref().map(|said| said.text(lang)),
        })
    }
}

impl From<ServiceError> for Failed {
    fn from(error: ServiceError) -> Self {
        let mut failed = Self::coded(error.to_string(), error.code());
        match &error {
            ServiceError::Directory(directory) if directory.may_pass() => {
                failed.exit = Exit::TryLater;
            }
            // A later directory may list it; nothing but an operator's doing makes it so.
            ServiceError::NotListed { refusal, .. }
                if !matches!(**refusal, TrustRefusal::DirectoryExpired { .. }) =>
            {
                failed.exit = Exit::NotDone;
            }
            ServiceError::Reach(reach) if reach.may_pass() => failed.exit = Exit::TryLater,
            ServiceError::Submit(SubmitError::OutOfPatience { .. }) => failed.exit = Exit::TryLater,
            ServiceError::Submit(SubmitError::Order(_) | SubmitError::Ack(_)) => {
                failed.exit = Exit::Misbehaved;
            }
            _ => {}
        }
        if failed.exit == Exit::TryLater && failed.code.is_some_and(is_a_rule) {
            failed.exit = Exit::NotDone;
        }
        failed
    }
}

impl From<CampaignError> for Failed {
    fn from(error: CampaignError) -> Self {
        match error {
            CampaignError::Service(error) => (*error).into(),
            other => Self::new(other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::words::Words;

    #[test]
    fn what_people_are_advised_programs_get_too() {
        let words = Words {
            fr: "Réessayez plus tard.",
            en: "Try again later.",
        };
        let failed = Failed::coded("busy".to_owned(), Some(Code::Overloaded)).plainly(words.into());
        for (lang, advice) in [(Lang::Fr, words.fr), (Lang::En, words.en)] {
            let json = failed.to_json(lang);
            assert_eq!(json["advice"], advice);
            assert_eq!(json["error"], "busy");
            assert_eq!(json["code"], "OVERLOADED");
            assert_eq!(json["exit"], 4);
        }
        assert!(Failed::new("no").to_json(Lang::En)["advice"].is_null());
    }

    #[test]
    fn a_refusal_by_rule_is_final_and_a_busy_node_is_not() {
        for (code, exit) in [
            (Code::UnknownService, 1),
            (Code::UnknownAuthority, 1),
            (Code::UnknownKey, 1),
            (Code::Suspended, 1),
            (Code::Overloaded, 4),
            (Code::ShuttingDown, 4),
            (Code::QuotaExceeded, 4),
            (Code::BadSignature, 5),
        ] {
            assert_eq!(Exit::of_code(Some(code)).number(), exit, "{code}");
        }
        assert_eq!(Exit::of_code(None).number(), 1);
    }
}
