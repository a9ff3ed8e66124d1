//! How a command ends: its exit code, and what is told of a failure.

use pli_protocol::code::{Blame, Code};
use pli_protocol::trust::TrustRefusal;

use crate::call::CallError;
use crate::device::DeviceError;
use crate::device::enrol::EnrolError;
use crate::directory::{self, DirectoryError, Lack};
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
    /// The hint says all: the message is for programs and for `-v`.
    pub(super) hint_is_all: bool,
}

impl Failed {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            code: None,
            exit: Exit::NotDone,
            hint: None,
            hint_is_all: false,
        }
    }

    pub(super) fn coded(message: String, code: Option<Code>) -> Self {
        Self {
            message,
            code,
            exit: Exit::of_code(code),
            hint: None,
            hint_is_all: false,
        }
    }

    /// A citizen needs to read no more than this.
    pub(super) fn plainly(mut self, fr: &'static str, en: &'static str) -> Self {
        self.hint = Some((fr, en));
        self.hint_is_all = true;
        self
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
            DeviceError::NotEnrolled { .. } => failed.plainly(
                "Cet appareil n'est rattaché à aucun compte. Demandez une invitation, puis : pli device enrol --directory ADRESSE INVITATION (avec --home si son dossier est ailleurs)",
                "This device has no account yet. Ask for an invitation, then: pli device enrol --directory ADDRESS INVITATION (with --home if its folder is elsewhere)",
            ),
            DeviceError::Directory(lacking) if lacking.may_pass() => {
                let failed = failed.hint(
                    "L'annuaire ne répond pas ; réessayez plus tard.",
                    "The directory does not answer; try again later.",
                );
                Self { exit: Exit::TryLater, ..failed }
            }
            DeviceError::Authority(TrustRefusal::UnknownAuthority { .. }) => {
                // Tomorrow's directory may name it; today the name is wrong.
                let failed = failed.plainly(
                    "L'annuaire ne connaît pas cette administration. Vérifiez son nom, tel que interieur.gouv.fr.",
                    "The directory knows no such authority. Check its name, such as interieur.gouv.fr.",
                );
                Self { exit: Exit::NotDone, ..failed }
            }
            DeviceError::Authority(_) => {
                let failed = failed.hint(
                    "L'annuaire ne permet pas cela en ce moment.",
                    "The directory does not allow this at present.",
                );
                Self { exit: Exit::NotDone, ..failed }
            }
            DeviceError::Page(_) => {
                let failed = failed.hint(
                    "Votre hébergeur ne remet pas vos lettres comme il le doit. Rien n'a été accepté de lui.",
                    "Your home does not hand over your letters as it must. Nothing of it was accepted.",
                );
                Self { exit: Exit::Misbehaved, ..failed }
            }
            DeviceError::Spent(_) => {
                let failed = failed.hint(
                    "Votre hébergeur a plus à remettre que ce qui est pris en une fois. Ce qui est venu est gardé. Relancez la même commande pour la suite ; si cela ne finit pas, ou si presque tout est refusé, parlez-en à l'exploitant.",
                    "Your home has more to hand over than is taken at one time. What came is kept. Run the same command again for the rest; if it never ends, or almost all is refused, tell the operator.",
                );
                Self { exit: Exit::InPart, ..failed }
            }
            DeviceError::DiskFull { .. } => failed.hint(
                "Il n'y a presque plus de place sur cet appareil. Faites de la place, puis relancez la même commande : vos lettres restent chez votre hébergeur.",
                "This device has almost no room left. Make room, then run the same command again: your letters stay at your home.",
            ),
            DeviceError::Reach(reach) if reach.may_pass() => {
                let failed = failed.hint(
                    "Votre hébergeur ne répond pas. Vos lettres y restent ; réessayez plus tard.",
                    "Your home does not answer. Your letters stay there; try again later.",
                );
                Self { exit: Exit::TryLater, ..failed }
            }
            DeviceError::Call(call) if call.may_pass() => {
                let failed = failed.hint(
                    "Votre hébergeur a interrompu l'échange. Vos lettres y restent ; réessayez plus tard.",
                    "Your home broke off. Your letters stay there; try again later.",
                );
                Self { exit: Exit::TryLater, ..failed }
            }
            DeviceError::Call(CallError::Refused(_)) | DeviceError::Reach(_) => failed.hint(
                "Votre hébergeur refuse. Parlez-en à son exploitant.",
                "Your home refuses. Tell its operator.",
            ),
            DeviceError::File(FileError::InUse { .. }) => failed.plainly(
                "Une autre commande pli utilise cet appareil. Attendez qu'elle finisse, ou arrêtez-la.",
                "Another pli command uses this device. Wait for it to end, or stop it.",
            ),
            DeviceError::Key(_) | DeviceError::Secrets(_) => failed.hint(
                "Les secrets de cet appareil ne peuvent pas être utilisés.",
                "The secrets of this device cannot be used.",
            ),
            _ => failed.hint(
                "Cet appareil ne peut pas faire cela maintenant.",
                "This device cannot do that now.",
            ),
        }
    }
}

impl From<EnrolError> for Failed {
    fn from(error: EnrolError) -> Self {
        let failed = Self::coded(error.to_string(), error.code());
        // Whatever code stands in the way of it: nobody has been told of it yet.
        let lack = match &error {
            EnrolError::Root(error) => directory::lack(error),
            EnrolError::Directory(DirectoryError::Trust(error)) => directory::lack(error),
            _ => None,
        };
        match (&error, lack) {
            (_, Some(Lack::NoAnswer)) => {
                let failed = failed.hint(
                    "L'annuaire ne répond pas à l'adresse donnée par --directory. L'invitation reste valable ; vérifiez l'adresse ou réessayez plus tard.",
                    "The directory does not answer at the address given by --directory. The invitation stays good; check the address or try again later.",
                );
                Self { exit: Exit::TryLater, code: None, ..failed }
            }
            (_, Some(Lack::NotThere)) => {
                let failed = failed.hint(
                    "Il n'y a pas d'annuaire à l'endroit donné par --directory ; c'est d'ordinaire l'adresse de l'hébergeur, suivie de /trust. L'invitation reste valable.",
                    "There is no directory at the place given by --directory; it is usually the address of the home, followed by /trust. The invitation stays good.",
                );
                Self { exit: Exit::NotDone, code: None, ..failed }
            }
            (EnrolError::Reach(reach), _) if reach.may_pass() => {
                let failed = failed.hint(
                    "L'hébergeur ne répond pas. L'invitation reste valable ; réessayez plus tard.",
                    "The home does not answer. The invitation stays good; try again later.",
                );
                Self { exit: Exit::TryLater, ..failed }
            }
            (EnrolError::Already { .. }, _) => failed.plainly(
                "Ce dossier est déjà un appareil rattaché à un compte. Pour un autre compte, choisissez un autre dossier avec --home.",
                "This folder is a device of an account already. For another account choose another folder with --home.",
            ),
            (EnrolError::Home(TrustRefusal::CannotHost { .. }), _) => failed.plainly(
                "Cette administration n'est pas autorisée à garder des boîtes aux lettres. Dites-le à qui vous a donné l'invitation.",
                "This authority may not keep mailboxes. Tell whoever gave you the invitation.",
            ),
            _ => match failed.code {
                Some(Code::InvitationUsed) => failed.plainly(
                    "Cette invitation a déjà servi ; demandez-en une nouvelle à l'exploitant de votre hébergeur.",
                    "This invitation was used already; ask the operator of the home for a new one.",
                ),
                Some(Code::InvitationExpired) => failed.plainly(
                    "Cette invitation a expiré ; demandez-en une nouvelle à l'exploitant de votre hébergeur.",
                    "This invitation has expired; ask the operator of the home for a new one.",
                ),
                _ => failed.hint(
                    "L'appareil n'a pas été rattaché.",
                    "The device was not enrolled.",
                ),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::budget::Spent;

    /// MBX-5.8
    #[test]
    fn a_run_that_took_its_most_is_done_in_part_and_says_what_to_do() {
        let spent = Spent::Items {
            got: 65_536,
            more: 1,
            max: 65_536,
        };
        let failed = Failed::from(DeviceError::from(spent));
        assert_eq!(failed.exit.number(), 3);
        assert!(failed.message.contains("65536 came and are kept"));
        let (fr, en) = failed.hint.expect("for a citizen");
        assert!(fr.contains("Relancez") && en.contains("again"));
        let full = DeviceError::DiskFull {
            folder: "inbox".into(),
            free: 1,
            min: 2,
        };
        assert_eq!(Failed::from(full).exit.number(), 1);
    }
}
