//! What a node says over HTTP: to its operator on loopback ([`ops`]), and to the world the trust
//! repository ([`public`]). Both are read-only. Sessions do not pass here.
//!
//! In: the directory, the metrics, the alarms and what the run loop knows ([`Live`]). Out: HTTP/1.1
//! with every read, connection and answer bounded ([`serve`]).

pub mod ops;
pub mod public;
pub mod serve;
pub mod status;

pub use ops::{Live, Ops};
pub use status::{LiveStatus, Status};

#[cfg(test)]
mod tests;
