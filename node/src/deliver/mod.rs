//! Deliver: what waits on disk goes to other homes, to devices, and back to senders.
//!
//! | Module | Holds |
//! |---|---|
//! | [`peer`] | one task per destination: its queue, over its connection, with its retries |
//! | [`forward`] | one connection's worth of forwarding |
//! | [`lanes`] | what goes next: priority first, without what must wait |
//! | [`postponed`] | what a home refused for now, and when it is tried again |
//! | [`caution`] | which letter breaks its home |
//! | [`outbox`] | receipts on their way to an origin |
//! | [`evidence`] | what the store keeps to prove a hand-over, and how a receipt is made of it |
//! | [`reports`] | receipts of a home, at the origin |
//! | [`sync`] | a device reads its account and hears of what is new |
//! | [`account`] | enrolment, grants, hand-over |
//! | [`track`] | a service asks what became of its envelopes |
//! | [`expiry`] | what was not delivered in time |
//! | [`undeliverable`] | the signed statement of it |

pub mod account;
pub mod caution;
pub mod dial;
pub mod evidence;
pub mod expiry;
pub mod forward;
pub mod lanes;
pub mod neighbours;
pub mod outbox;
pub mod peer;
pub mod pinned;
pub mod postponed;
pub mod reports;
pub mod sync;
pub mod track;
pub mod undeliverable;
