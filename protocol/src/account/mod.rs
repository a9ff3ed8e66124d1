//! A citizen's account: its secrets, the grants it gives, and how a device joins its home.
//!
//! Signed bytes come in and typed, checked statements go out, or the reason why not; the other
//! way round, secrets and choices become signed bytes. Spec: mailbox.md; `account.proto`.
//!
//! ```text
//! home's node --Invitation--> citizen's device --Enrolment--> home's node
//! account secrets --Grant (pairwise keys and mailbox)--> one authority, and the home
//! ```

mod enrolment;
mod error;
mod grant;
mod invitation;
mod secrets;

pub use enrolment::Enrolment;
pub use error::AccountError;
pub use grant::{Grant, GrantedSealingKey, SignedGrant};
pub use invitation::{Invitation, InvitationId, InvitationLink, LinkError};
pub use secrets::{AccountSecrets, FIRST_EPOCH, SecretsError};

/// The version that this code writes and reads.
pub const VERSION: u32 = 1;

#[cfg(test)]
mod tests;
