//! The other side: a federation and its authorities sign and publish (TRU-1, TRU-6).
//!
//! ```text
//! authority's machine            federation, offline                federation, online
//! draft/ --publish--> handover/ --add_authority, grant, suspend--> staged/ --publish--> repository/
//!        role key(s)              targets keys (k of n)                    snapshot, timestamp keys
//! ```
//!
//! Nothing here is believed later: before `repository/` changes, the new state is read by the same
//! code as a node's, from the first root on, and refused if anything in it would be left out.

mod authority;
mod change;
mod cosign;
mod draft;
mod error;
mod federation;
mod handover;
mod keys;
mod metadata;
mod policy;
mod publish;
mod state;
mod workspace;

pub use authority::Authority;
pub use change::{GrantChange, NewFederation, Overview, RootChange, Suspension};
pub use draft::{HandedOver, NewAuthority, NodeChange, Revoked, ServiceChange};
pub use error::WriteError;
pub use federation::Federation;
pub use keys::{KeyRing, Progress, RoleKeys};
pub use publish::Published;
pub use state::Lifetimes;
