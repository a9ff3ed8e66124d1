//! Why nothing was written. Each says what to do about it.

use std::path::PathBuf;

use pli_protocol::crypto::sign::PublicKey;
use pli_protocol::id::{AuthorityId, Timestamp};
use pli_protocol::trust::{KeyOwner, KeyRole, RecordRefusal, TermError, TrustRole};

use super::keys::Progress;
use crate::error::TrustError;
use crate::keyfile::KeyFileError;
use crate::moment::legible;

/// Why a command of a federation or an authority did nothing.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// TRU-6.1: a threshold of k needs k different key files.
    #[error(
        "{role} needs {} and got {got}: give {} more with --key",
        needed(*.need, *.of), .need.saturating_sub(*.got)
    )]
    TooFewKeys {
        role: String,
        got: usize,
        need: usize,
        of: usize,
    },
    /// TRU-6.1: holders who are elsewhere have not all signed.
    #[error(
        "{} has {}; each further holder runs: pli federation sign --key <own key>",
        .progress.role, .progress
    )]
    Unfinished { progress: Progress },
    /// A key file that none of the roles at hand lists: better said than silently not used.
    #[error(
        "{key} is a key of none of these roles: {roles}; leave it out, or name another key with --key"
    )]
    ForeignKey { key: String, roles: String },
    /// A threshold that no signing could reach, or of none.
    #[error("a threshold of {threshold} with {}", counted(*.keys, "different key"))]
    Threshold { threshold: usize, keys: usize },
    /// So many that nothing would ever be final.
    #[error(
        "{wanted} witnesses for each log: at most {most} can be, one for each other authority; say --witnesses {most} or less, or take in more first"
    )]
    Witnesses { wanted: usize, most: usize },
    /// The directory holds no workspace.
    #[error("{} is no {what}; run: {make}", .dir.display())]
    NoWorkspace {
        dir: PathBuf,
        what: &'static str,
        make: &'static str,
    },
    /// A directory that is no hand-over.
    #[error("{} is no hand-over: it has no {missing}; the authority makes it with: pli authority publish", .dir.display())]
    NoHandover { dir: PathBuf, missing: &'static str },
    /// A service's name, without the authority.
    #[error(
        "{got:?} is no name of a service: expected a lower-case name before the @, such as rdv"
    )]
    ServiceName { got: String },
    /// Never overwritten.
    #[error("{} holds {what} already", .dir.display())]
    Occupied { dir: PathBuf, what: &'static str },
    /// Nothing of this authority is known.
    #[error("{authority} is not in this federation; run: pli federation add-authority")]
    UnknownAuthority { authority: AuthorityId },
    /// It is known already.
    #[error("{authority} is in this federation already; change it with: pli federation grant")]
    KnownAuthority { authority: AuthorityId },
    /// Its files were never taken in.
    #[error("{authority} has handed over nothing yet; it runs: pli authority publish")]
    NothingHandedOver { authority: AuthorityId },
    /// A hand-over that is not newer than what is published.
    #[error("{authority} hands over version {got}, version {published} is published already")]
    OldHandover {
        authority: AuthorityId,
        got: u64,
        published: u64,
    },
    /// Versions never go down, and there is none after the last.
    #[error(
        "{role} is at the last version; rotate the root with a new key for it: pli federation rotate-root"
    )]
    LastVersion { role: String },
    /// Before the first publication there is nothing to rotate.
    #[error("this federation was never published; run: pli federation publish")]
    NeverPublished,
    /// Nothing of that name in the draft.
    #[error("{what} is not in this authority's draft")]
    NotInDraft { what: String },
    /// It is in the draft already.
    #[error("{what} is in this authority's draft already")]
    InDraft { what: String },
    /// More than one key could be meant.
    #[error(
        "{owner} has {} that could be meant: {}; say which with --old-key",
        counted(.keys.len(), "key"), joined(.keys)
    )]
    WhichKey {
        owner: Box<KeyOwner>,
        keys: Vec<PublicKey>,
    },
    /// None of its keys could be meant.
    #[error("{owner} has no key in force; list one with: {}", lists(.owner))]
    NoKeyInForce { owner: Box<KeyOwner> },
    /// TRU-3.3: an end is moved forwards to where a theft was, and never put off.
    #[error(
        "{key} of {owner} has its end already, {}; list another key with: {}",
        legible(*.ended), lists(.owner)
    )]
    EndedAlready {
        key: Box<PublicKey>,
        owner: Box<KeyOwner>,
        ended: Timestamp,
    },
    /// A key that ends before it begins was never valid.
    #[error(
        "{key} of {owner} is valid from {} on and cannot end before, {}",
        legible(*.begins), legible(*.ends)
    )]
    EndsBeforeItBegins {
        key: Box<PublicKey>,
        owner: Box<KeyOwner>,
        begins: Timestamp,
        ends: Timestamp,
    },
    /// TRU-3.5: a key is listed once, and one that has ended does not begin again.
    #[error("{key} is listed for {owner} already; name another key")]
    KeyListed {
        key: Box<PublicKey>,
        owner: Box<KeyOwner>,
    },
    /// What nodes would leave out is not published.
    #[error("nodes would leave out: {}", .refusals.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    LeftOut { refusals: Vec<RecordRefusal> },
    /// A role that would be published expired.
    #[error("{role} has expired; sign it again before publishing")]
    Expired { role: TrustRole },
    /// A word of a record.
    #[error(transparent)]
    Term(#[from] TermError),
    /// A record that is not of its form.
    #[error(transparent)]
    Record(#[from] RecordRefusal),
    /// A key file.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// What was written does not read back as a node would read it.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// A file of the workspace.
    #[error("{}: {problem}", .path.display())]
    File { path: PathBuf, problem: String },
}

impl WriteError {
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |problem| Self::File {
            path,
            problem: problem.to_string(),
        }
    }
}

/// `1 key`, `2 keys`
pub(crate) fn counted(count: usize, noun: &str) -> String {
    match count {
        1 => format!("1 {noun}"),
        _ => format!("{count} {noun}s"),
    }
}

fn needed(need: usize, of: usize) -> String {
    match of {
        1 => "its one key".to_owned(),
        _ => format!("{need} of its {of} keys"),
    }
}

fn joined(keys: &[PublicKey]) -> String {
    let keys: Vec<String> = keys.iter().map(PublicKey::to_string).collect();
    keys.join(", ")
}

/// The command that lists a further key.
fn lists(owner: &KeyOwner) -> String {
    match &owner.role {
        KeyRole::Service(service) => {
            format!(
                "pli authority set-service {} --service-key <file>.key",
                service.name()
            )
        }
        KeyRole::Node => "pli authority set-node --node-key <file>.key".to_owned(),
        KeyRole::Gateway => "pli authority set-node --gateway-key <file>.key".to_owned(),
        KeyRole::Log => "pli authority set-node --log-key <file>.key".to_owned(),
    }
}
