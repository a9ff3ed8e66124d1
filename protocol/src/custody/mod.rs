//! Custody: who has an envelope, and the signed statement of it (`spec/custody.md`).
//!
//! | Module | Requirement | Holds |
//! |---|---|---|
//! | [`receipt`] | CUS-2 | what a node says that happened to one envelope |
//! | [`ack`] | CUS-3 | one signature over the receipts of many envelopes, sent without them |
//! | [`pipeline`] | CUS-4 | the two ends of a stream of batches, as state machines |
//! | [`handover`] | CUS-7 | what a device says it has |

pub mod ack;
pub mod handover;
pub mod pipeline;
pub mod receipt;

pub use ack::{AckError, Acknowledged, Disposition};
pub use receipt::{Receipt, ReceiptError, Step};
