//! The server's side: from a socket to an authenticated connection.
//!
//! In: addresses, the node's identity, limits. Out: [`Pending`] connections that have a place
//! among the counted ones, and from each an [`AcceptedConnection`](crate::AcceptedConnection)
//! or a refusal. Spec: SES-4, SES-5. Strangers are counted, bounded and on a clock: what they can
//! make this side keep does not grow with their number (R12).

mod admission;
mod config;
mod listener;
mod pending;

pub(crate) use admission::Permit;
pub use admission::{ListenerStats, TurnedAway};
pub use config::{ListenerConfig, ListenerLimits};
pub use listener::Listener;
pub use pending::{Pending, PlainHttp};
