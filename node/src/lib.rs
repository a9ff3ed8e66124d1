//! The relay daemon of a ministry. An envelope walks one way through these rooms (CUS-1.1):
//!
//! ```text
//! ingress ▶ verify ▶ admit ▶ commit (store) ▶ route ▶ deliver
//! Received  Verified Admitted Stored
//! ```
//!
//! Each room takes only the token of the one before it, so an envelope that nobody verified
//! cannot be stored, and what is not on disk cannot be acknowledged.

// The way of an envelope.
pub mod admit;
pub mod commit;
pub mod deliver;
pub mod evidence;
pub mod ingress;
pub mod route;
pub mod store;
pub mod verify;

// What the rooms stand on.
pub mod alarm;
pub mod api;
pub mod check;
pub mod clock;
pub mod config;
pub mod fatal;
pub mod federation;
pub mod foundation;
pub mod harness;
pub mod invite;
pub mod keys;
pub mod live;
pub mod metrics;
pub mod recent;
pub mod relay;
pub mod run;
pub mod shutdown;
pub mod telemetry;
