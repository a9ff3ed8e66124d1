//! Deliver: what waits on disk goes to other homes, to devices, and back to senders.
//!
//! | Module | Holds |
//! |---|---|
//! | [`peer`] | one task per destination: its queue, over its connection, with its retries |
//! | [`forward`] | one connection's worth of forwarding |
//! | [`evidence`] | what the store keeps to prove a hand-over, and how a receipt is made of it |
//! | [`reports`] | receipts from a home back to the origin |
//! | [`sync`] | a device reads its account and hears of what is new |
//! | [`account`] | enrolment, grants, hand-over |
//! | [`track`] | a service asks what became of its envelopes |
//! | [`expiry`] | what was not delivered in time |
//! | [`undeliverable`] | the signed statement of it |

pub mod account;
pub mod evidence;
pub mod expiry;
pub mod forward;
pub mod peer;
pub mod reports;
pub mod sync;
pub mod track;
pub mod undeliverable;
