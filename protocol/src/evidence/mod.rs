//! Evidence: what happened to an envelope, in a log that its node cannot alter unseen (EVD).
//!
//! ```text
//! Event ─ leaf ─┐
//! Event ─ leaf ─┼─ tree of a batch ─ Entry ─ leaf ─┐
//! Event ─ leaf ─┘                                  ├─ tree of the log ─ Checkpoint, signed, cosigned
//!                            Entry of a batch ─ leaf ┘
//! ```
//!
//! Bytes and hashes come in, checked statements go out. No disk, clock or socket.

mod bundle;
mod checkpoint;
mod entry;
mod event;
pub mod note;
mod proof;
mod split_view;
pub mod submission;
pub mod tree;

pub use bundle::{Bundle, BundleError};
pub use checkpoint::{Checkpoint, CheckpointError, Cosignature, Noted, Origin};
pub use entry::{ENTRY_LEN, Entry};
pub use event::{Event, EventError, EventKind};
pub use proof::{InLog, ProofError};
pub use split_view::SplitView;
