//! The directory, kept fresh. In: a [`Source`] that fetches and verifies the trust repository. Out:
//! a [`DirectoryWatch`] that the stages ask, alarms before an expiry (cases 18, 19, 78), and word of
//! a change to whoever must cut sessions of the revoked. Beside the configured sources the nodes of the directory
//! are asked, by a call, for what they have ([`Follower`]); they are answered likewise ([`answer`]). Spec:
//! `spec/trust.md`.
//!
//! Past the expiry the directory stays published: it still verifies what was signed before, and
//! refuses all new things by itself (`Directory::in_force`, DIRECTORY_EXPIRED).

pub mod answer;
mod follow;
pub mod gossip;
mod news;
mod peer;
mod refresh;
mod root;
mod source;
mod standing;
mod watch;

pub use follow::{Follower, Hints};
pub use news::News;
pub use peer::Peers;
pub use refresh::{RefreshError, Refresher, Source};
pub use root::OpenError;
pub use source::{Found, Opened, TrustSource, look, open};
pub use standing::{Suspended, standing};
pub use watch::{DirectoryWatch, Publisher, Refreshed};

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;
