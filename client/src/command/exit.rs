//! How a command ends: its exit code, and what is told of a failure.

use pli_protocol::code::{Blame, Code};

use crate::device::DeviceError;
use crate::device::enrol::EnrolError;
use crate::folder::FileError;
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

    fn of_code(code: Option<Code>) -> Self {
        match code {
            Some(code) if code.retryable() => Self::TryLater,
            Some(code) if code.blame() == Blame::Misbehaved => Self::Misbehaved,
            _ => Self::NotDone,
        }
    }
}

/// A command that did not do what it was asked.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) message: String,
    pub(super) code: Option<Code>,
    pub(super) exit: Exit,
    /// For a citizen: the same in plain words, French and English.
    pub(super) hint: Option<(&'static str, &'static str)>,
}

impl Failed {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            code: None,
            exit: Exit::NotDone,
            hint: None,
        }
    }

    fn coded(message: String, code: Option<Code>) -> Self {
        Self {
            message,
            code,
            exit: Exit::of_code(code),
            hint: None,
        }
    }

    fn hint(mut self, fr: &'static str, en: &'static str) -> Self {
        self.hint = Some((fr, en));
        self
    }
}

impl From<ServiceError> for Failed {
    fn from(error: ServiceError) -> Self {
        let mut failed = Self::coded(error.to_string(), error.code());
        match &error {
            ServiceError::Reach(reach) if reach.may_pass() => failed.exit = Exit::TryLater,
            ServiceError::Submit(SubmitError::OutOfPatience { .. }) => failed.exit = Exit::TryLater,
            ServiceError::Submit(SubmitError::Order(_) | SubmitError::Ack(_)) => {
                failed.exit = Exit::Misbehaved;
            }
            _ => {}
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

impl From<DeviceError> for Failed {
    fn from(error: DeviceError) -> Self {
        let failed = Self::coded(error.to_string(), error.code());
        match &error {
            DeviceError::NotEnrolled { .. } => failed.hint(
                "Cet appareil n'est rattaché à aucun compte. Demandez une invitation, puis : pli device enrol INVITATION",
                "This device has no account yet. Ask for an invitation, then: pli device enrol INVITATION",
            ),
            // Tomorrow's directory may name it; today the name is wrong.
            DeviceError::Authority(_) => Self { exit: Exit::NotDone, ..failed },
            DeviceError::Page(_) => {
                let failed = failed.hint(
                    "Votre hébergeur ne remet pas vos lettres comme il le doit. Rien n'a été accepté de lui.",
                    "Your home does not hand over your letters as it must. Nothing of it was accepted.",
                );
                Self { exit: Exit::Misbehaved, ..failed }
            }
            DeviceError::Reach(reach) if reach.may_pass() => {
                let failed = failed.hint(
                    "Votre hébergeur ne répond pas. Vos lettres y restent ; réessayez plus tard.",
                    "Your home does not answer. Your letters stay there; try again later.",
                );
                Self { exit: Exit::TryLater, ..failed }
            }
            DeviceError::File(FileError::InUse { .. }) => failed.hint(
                "Une autre commande pli utilise cet appareil. Attendez qu'elle finisse, ou arrêtez-la.",
                "Another pli command uses this device. Wait for it to end, or stop it.",
            ),
            DeviceError::Key(_) | DeviceError::Secrets(_) => failed.hint(
                "Les secrets de cet appareil ne peuvent pas être utilisés.",
                "The secrets of this device cannot be used.",
            ),
            _ => failed,
        }
    }
}

impl From<EnrolError> for Failed {
    fn from(error: EnrolError) -> Self {
        let failed = Self::coded(error.to_string(), error.code());
        match &error {
            EnrolError::Reach(reach) if reach.may_pass() => {
                let failed = failed.hint(
                    "L'hébergeur ne répond pas. L'invitation reste valable ; réessayez plus tard.",
                    "The home does not answer. The invitation stays good; try again later.",
                );
                Self {
                    exit: Exit::TryLater,
                    ..failed
                }
            }
            _ => failed.hint(
                "L'appareil n'a pas été rattaché.",
                "The device was not enrolled.",
            ),
        }
    }
}
