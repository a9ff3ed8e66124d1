//! The directory: who is an authority, and which keys are its own. Spec: `spec/trust.md`.
//!
//! In: records that the `trust` crate has read out of a verified TUF repository. Out: answers to
//! the questions a node asks of every envelope and every session, each refusal with its code.
//! Pure: nothing here reads a file, a clock or the network.
//!
//! ```text
//! TUF repository --verify--> records --DirectoryBuilder--> Directory --+-- sender_key(service, key, now)
//!                (trust crate)                                         +-- service_key_at(service, key, then)
//!                                                                      +-- node_key_at, node_of, home, owners
//! ```

mod builder;
mod directory;
mod expiry;
mod logs;
mod owner;
mod published;
mod record;
mod refusal;
mod term;
mod versions;

pub use builder::DirectoryBuilder;
pub use directory::{Directory, Environment, Finding};
pub use expiry::{Alarm, RoleExpiry, TrustRole};
pub use owner::{KeyOwner, KeyRole};
pub use published::is_published;
pub use record::{
    AlertGrant, AuthorityRecord, NodeRecord, Policy, Quotas, ServiceRecord, Standing, ValidKey,
    Validity,
};
pub use refusal::{RecordRefusal, TrustRefusal};
pub use term::{DisplayName, HostPort, HttpBase, LinkHost, TermError, Token, WebSocketUrl};
pub use versions::Versions;

#[cfg(test)]
mod tests;
