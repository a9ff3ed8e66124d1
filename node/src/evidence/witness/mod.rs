//! Witnesses: every node cosigns what the logs of the others say, and asks them to cosign its own (EVD-7, EVD-9, EVD-10).
//!
//! ```text
//! other nodes ──add-checkpoint──► serve ──► heads (on disk first) ──► a cosignature
//! own log ──► ask ──add-checkpoint──► other nodes ──► the log, witnessed
//! gossip, requests ──► views ──► two checkpoints that convict
//! ```

mod ask;
pub mod disk;
mod fresh;
mod heads;
mod http;
mod push;
mod serve;
mod views;

pub use fresh::{Stale, Witnessed};
pub use heads::{Heads, NotCosigned};
pub use push::{OwnLog, Pusher};
pub use serve::{ADD_CHECKPOINT, HEAD, Witness};
pub use views::{Verdict, Views};

#[cfg(test)]
mod ask_tests;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod push_tests;
#[cfg(test)]
mod serve_tests;
#[cfg(test)]
mod views_tests;
