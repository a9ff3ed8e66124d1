//! What stopped a citizen's command, in the citizen's words, and how the command then ends.

use std::fmt::Display;
use std::path::Path;

use pli_protocol::code::Code;
use pli_protocol::id::to_hex;
use pli_protocol::trust::TrustRefusal;
use pli_trust::keyfile::KeyFileError;

use super::codes::meaning;
use super::faults;
use crate::call::CallError;
use crate::command::exit::{Exit, Failed, is_a_rule};
use crate::command::words::{Said, Words};
use crate::device::DeviceError;
use crate::device::config::SecretsFileError;
use crate::device::enrol::{EnrolError, EnrolRequest};
use crate::device::evidence::EvidenceError;
use crate::device::grants::GrantsError;
use crate::device::inbox::InboxError;
use crate::directory::{self, DirectoryError, Lack};
use crate::folder::FileError;
use crate::reach::ReachError;
use crate::service::config::ConfigError;

/// What a code means; without one nobody said.
fn reason(code: Option<Code>) -> Words {
    meaning(code.unwrap_or(Code::Internal))
}

impl Failed {
    /// Of a device's file.
    pub(super) fn of_file(error: &FileError) -> Self {
        Self::new(error.to_string()).plainly(file(error))
    }

    fn later(self, may_pass: bool) -> Self {
        match self.code {
            Some(code) if is_a_rule(code) => self.ends(Exit::NotDone),
            _ if may_pass => self.ends(Exit::TryLater),
            _ => self,
        }
    }
}

/// A file of the device, or one that was named on the command line.
pub(super) fn file(error: &FileError) -> Said {
    match error {
        FileError::Readable { path, .. } => readable(path),
        FileError::TooLarge { path, max } => {
            faults::FILE_TOO_LARGE.with(&[("path", &path.display()), ("max", max)])
        }
        FileError::Exists { path } => faults::FILE_EXISTS.with(&[("path", &path.display())]),
        FileError::InUse { path } => faults::IN_USE.with(&[("folder", &path.display())]),
        FileError::Disk { path, .. } => faults::FILE.with(&[("path", &path.display())]),
    }
}

fn readable(path: &Path) -> Said {
    faults::READABLE_SECRET.with(&[("path", &path.display())])
}

fn key(error: &KeyFileError) -> Said {
    match error {
        KeyFileError::Readable { path, .. } => readable(path),
        KeyFileError::Public { path }
        | KeyFileError::NotAKey { path, .. }
        | KeyFileError::Exists { path }
        | KeyFileError::Disk { path, .. } => faults::SECRETS.with(&[("folder", &path.display())]),
        KeyFileError::Random(_) => meaning(Code::Internal).into(),
    }
}

fn secrets(error: &SecretsFileError) -> Said {
    match error {
        SecretsFileError::File(error) => file(error),
        SecretsFileError::Form { path, .. } => faults::SECRETS.with(&[("folder", &path.display())]),
        SecretsFileError::Random(_) => meaning(Code::Internal).into(),
    }
}

fn config(error: &ConfigError) -> Said {
    match error {
        ConfigError::File(error) => file(error),
        ConfigError::Form { .. } => faults::CONFIG.into(),
    }
}

/// What is wrong with the letters that are kept here.
pub(super) fn inbox(error: &InboxError) -> Said {
    match error {
        InboxError::File(error) => file(error),
        InboxError::Damaged { path, .. } => faults::PAGE_DAMAGED.with(&[("path", &path.display())]),
        InboxError::Missing {
            folder,
            first,
            last,
        } => {
            let folder = folder.display();
            let facts: [(&str, &dyn Display); 3] =
                [("folder", &folder), ("first", first), ("last", last)];
            faults::PAGE_MISSING.with(&facts)
        }
    }
}

fn no_answer(error: &DirectoryError) -> Said {
    match (error.may_pass(), error) {
        (true, _) => faults::DIRECTORY_NO_ANSWER.into(),
        (false, DirectoryError::Root(error)) => file(error),
        (false, _) => faults::DIRECTORY.into(),
    }
}

fn with_reason(words: Words, code: Option<Code>) -> Said {
    let Words { fr, en } = reason(code);
    words.with_each(&[("reason", fr, en)])
}

fn reach(error: &ReachError) -> Said {
    match error {
        ReachError::Directory(refusal) => with_reason(faults::NOT_NOW, Some(refusal.code())),
        _ if refuses(error) => with_reason(faults::REFUSED, error.code()),
        _ if error.may_pass() => faults::NO_ANSWER.into(),
        _ => with_reason(faults::REFUSED, error.code()),
    }
}

fn refuses(error: &ReachError) -> bool {
    error.code().is_some_and(is_a_rule)
}

impl From<InboxError> for Failed {
    fn from(error: InboxError) -> Self {
        DeviceError::from(error).into()
    }
}

impl From<DeviceError> for Failed {
    fn from(error: DeviceError) -> Self {
        let failed = Self::coded(error.to_string(), error.code());
        match &error {
            DeviceError::NotEnrolled { folder } => {
                failed.plainly(faults::NOT_ENROLLED.with(&[("folder", folder)]))
            }
            DeviceError::Config(error) => failed.plainly(config(error)),
            DeviceError::File(error) => failed.plainly(file(error)),
            DeviceError::Key(error) => failed.plainly(key(error)),
            DeviceError::Secrets(error) => failed.plainly(secrets(error)),
            DeviceError::Grants(GrantsError::File(error)) => failed.plainly(file(error)),
            DeviceError::Grants(_) => failed.plainly(faults::GRANTS.into()),
            DeviceError::Inbox(error) => failed.plainly(inbox(error)),
            DeviceError::Evidence(EvidenceError::File(error)) => failed.plainly(file(error)),
            DeviceError::Evidence(_) => failed.plainly(faults::EVIDENCE.into()),
            DeviceError::Directory(error) => {
                failed.plainly(no_answer(error)).later(error.may_pass())
            }
            DeviceError::Authority(TrustRefusal::UnknownAuthority { authority }) => failed
                .plainly(faults::UNKNOWN_AUTHORITY.with(&[("authority", authority)]))
                .ends(Exit::NotDone),
            DeviceError::Authority(refusal) => failed
                .plainly(with_reason(faults::NOT_NOW, Some(refusal.code())))
                .ends(Exit::NotDone),
            DeviceError::Reach(error) => failed.plainly(reach(error)).later(error.may_pass()),
            DeviceError::Call(CallError::Refused(refusal)) => {
                failed.plainly(with_reason(faults::REFUSED, refusal.code()))
            }
            DeviceError::Call(error) if error.may_pass() => {
                failed.plainly(faults::BROKEN_OFF.into()).later(true)
            }
            DeviceError::Call(error) => failed.plainly(with_reason(faults::WITHHELD, error.code())),
            DeviceError::Page(fault) => failed
                .plainly(with_reason(faults::WITHHELD, Some(fault.code())))
                .ends(Exit::Misbehaved),
            DeviceError::Spent(_) => failed.plainly(faults::SPENT.into()).ends(Exit::InPart),
            DeviceError::DiskFull { folder, free, min } => {
                let facts: [(&str, &dyn Display); 3] =
                    [("folder", &folder.display()), ("free", free), ("min", min)];
                failed.plainly(faults::DISK_FULL.with(&facts))
            }
        }
    }
}

/// Why a device was not enrolled: what was expected, and whether the invitation is still good.
pub(super) fn of_enrolment(error: EnrolError, request: &EnrolRequest, folder: &Path) -> Failed {
    let failed = Failed::coded(error.to_string(), error.code());
    let home = &request.link.home;
    let place = &request.source;
    let nobody = Failed {
        code: None,
        ..Failed::new(error.to_string())
    };
    // Whatever code stands in the way of it: nobody has been told of it yet.
    let lack = match &error {
        EnrolError::Root { source, .. } => directory::lack(source),
        EnrolError::Directory(DirectoryError::Trust(error)) => directory::lack(error),
        _ => None,
    };
    match lack {
        Some(Lack::NoAnswer) => {
            return nobody
                .plainly(faults::ENROL_NO_ANSWER.with(&[("place", place)]))
                .ends(Exit::TryLater);
        }
        Some(Lack::NotThere) => {
            return nobody.plainly(faults::ENROL_NO_DIRECTORY.with(&[("place", place)]));
        }
        None => {}
    }
    match &error {
        EnrolError::Already { folder, home } => {
            failed.plainly(faults::ALREADY.with(&[("folder", folder), ("home", home)]))
        }
        EnrolError::Config(error) => failed.plainly(config(error)),
        EnrolError::File(error) => failed.plainly(file(error)),
        EnrolError::Key(error) => failed.plainly(key(error)),
        EnrolError::Secrets(error) => failed.plainly(secrets(error)),
        // A mistyped link or place looks the same as a wrong mirror: it is what was given.
        EnrolError::Root { .. } => {
            let root = to_hex(&request.link.root_sha256);
            let facts: [(&str, &dyn Display); 3] =
                [("place", place), ("root", &root), ("home", home)];
            nobody.plainly(faults::ENROL_OTHER_ROOT.with(&facts))
        }
        EnrolError::Place(_) => {
            failed.plainly(faults::ENROL_PLACE.with(&[("place", place), ("home", home)]))
        }
        EnrolError::Directory(error) => failed.plainly(no_answer(error)).later(error.may_pass()),
        EnrolError::Home(TrustRefusal::CannotHost { .. }) => {
            failed.plainly(faults::ENROL_CANNOT_HOST.with(&[("home", home)]))
        }
        EnrolError::Home(TrustRefusal::UnknownAuthority { .. } | TrustRefusal::NoNode { .. }) => {
            failed
                .plainly(faults::ENROL_UNKNOWN_HOME.with(&[("home", home)]))
                .ends(Exit::NotDone)
        }
        EnrolError::Home(refusal) => {
            failed.plainly(with_reason(faults::NOT_NOW, Some(refusal.code())))
        }
        EnrolError::OtherHome { link, invitation } => failed
            .plainly(faults::ENROL_OTHER_HOME.with(&[("link", link), ("invitation", invitation)]))
            .ends(Exit::NotDone),
        EnrolError::Reach(error) if error.may_pass() && !refuses(error) => failed
            .plainly(faults::ENROL_HOME_AWAY.with(&[("home", home)]))
            .later(true),
        EnrolError::Invitation(_)
        | EnrolError::Reach(_)
        | EnrolError::Call(_)
        | EnrolError::Account(_) => {
            let code = failed.code;
            let Words { fr, en } = reason(code);
            let home_name = home.as_str();
            let facts = [("home", home_name, home_name), ("reason", fr, en)];
            match (&error, code) {
                (_, Some(Code::InvitationUsed)) => {
                    failed.plainly(faults::ENROL_USED.with(&[("home", home)]))
                }
                (_, Some(Code::InvitationExpired)) => {
                    failed.plainly(faults::ENROL_EXPIRED.with(&[("home", home)]))
                }
                // What does not verify was mistyped, or made by somebody else: it was given.
                (EnrolError::Invitation(_), _) => failed
                    .plainly(faults::ENROL_INVITATION.with_each(&facts))
                    .ends(Exit::NotDone),
                (error, _) if error.is_undecided() => {
                    let folder = folder.display();
                    let said = faults::ENROL_UNDECIDED.with(&[("home", home), ("folder", &folder)]);
                    let exit = match error {
                        EnrolError::Call(call) if call.may_pass() => Exit::TryLater,
                        _ => failed.exit,
                    };
                    failed.plainly(said).ends(exit)
                }
                _ => failed.plainly(faults::ENROL_REFUSED.with_each(&facts)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::budget::Spent;
    use crate::screen::Lang;

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
        let said = failed.said.expect("for a citizen");
        assert!(said.text(Lang::Fr).contains("Relancez"));
        assert!(said.text(Lang::En).contains("again"));
        let full = DeviceError::DiskFull {
            folder: "inbox".into(),
            free: 1,
            min: 2,
        };
        let failed = Failed::from(full);
        assert_eq!(failed.exit.number(), 1);
        let said = failed.said.expect("for a citizen");
        assert!(said.text(Lang::Fr).contains("inbox : 1 octets"), "{said:?}");
    }
}
