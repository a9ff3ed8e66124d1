//! An envelope: what travels (`spec/envelope.md`).
//!
//! ```text
//! Signed "pli/1/envelope"
//! ├── payload = Envelope
//! │   ├── header  exact bytes of a Header: who, to whom, until when, how urgent
//! │   └── body    Sealed: only the citizen's devices open it; bound to the header
//! ├── inclusion   where the payload stands in the signed Merkle tree
//! └── signatures
//! ```
//!
//! A sender turns a [`Header`] and content into an envelope's payload with [`seal`], and signs
//! it with [`crate::signed`]. A relay turns bytes into a [`Letter`] with [`Letter::decode`],
//! then checks it against time and the directory; it never opens the body. A device opens it.

mod header;
mod letter;

pub use header::{Class, Extension, Header, HeaderError, Importance, Sender, Urgency};
pub use letter::{Letter, LetterError, acknowledged_id, seal};

/// The version that this implementation writes and reads.
pub const VERSION: u32 = 1;
