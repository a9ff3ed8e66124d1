//! Why nothing was written. Each says what to do about it.

use std::path::PathBuf;

use pli_protocol::id::AuthorityId;
use pli_protocol::trust::{RecordRefusal, TermError, TrustRole};

use crate::error::TrustError;
use crate::keyfile::KeyFileError;

/// Why a command of a federation or an authority did nothing.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// TRU-6.1: a threshold of k needs k different key files.
    #[error(
        "{role} needs {need} of its {of} keys and got {got}: give {} more with --key",
        .need.saturating_sub(*.got)
    )]
    TooFewKeys {
        role: String,
        got: usize,
        need: usize,
        of: usize,
    },
    /// TRU-6.1: holders who are elsewhere have not all signed.
    #[error(
        "{role} has {got} of {need} signatures; each further holder runs: \
         pli federation sign --key <own key>"
    )]
    Unfinished {
        role: String,
        got: usize,
        need: usize,
    },
    /// A key file that none of the roles at hand lists: better said than silently not used.
    #[error(
        "{key} is a key of none of these roles: {roles}; leave it out, or name another key with --key"
    )]
    ForeignKey { key: String, roles: String },
    /// A threshold that no signing could reach, or of none.
    #[error("a threshold of {threshold} with {keys} keys")]
    Threshold { threshold: usize, keys: usize },
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
    #[error("{} holds a {what} already", .dir.display())]
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
    #[error("{what} has {keys} keys in force; say which with --key-id")]
    WhichKey { what: String, keys: usize },
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
