//! The suite's own codec: hand-written protobuf, frames, and what is canonical.
//! In: bytes. Out: a [`Message`], or the first [`Fault`] that refuses it.
//! Spec: signed.md (canonical form), session.md (frames).
//!
//! Nothing here is generated and nothing is shared with an implementation under test: the tables of
//! [`schema`] were typed from `spec/proto` and a test compares them with it.

pub mod frame;
mod message;
mod read;
pub mod schema;
pub mod varint;

pub use message::{Message, Value};

/// Why bytes are not an acceptable message.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Fault {
    /// No protobuf reader could read it.
    #[error("malformed at byte {at}: {why}")]
    Malformed { at: usize, why: &'static str },
    /// A protobuf reader reads it, but would write other bytes.
    #[error("not canonical at byte {at}: {why}")]
    NotCanonical { at: usize, why: &'static str },
}
