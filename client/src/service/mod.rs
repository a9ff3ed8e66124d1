//! A service: an authority's sender.
//!
//! In: contents and the contacts (grants that citizens gave) they are for. Out: envelopes on the
//! authority's own node, and its signed receipts. Spec: envelope.md, custody.md, MBX-4.
//!
//! ```text
//! content ─ draft ─▶ seal ─▶ sign (Merkle batch ≤ 1,024) ─▶ submit (pipelined) ─▶ receipt
//!                    all cores      what is ready             until acknowledged
//! ```
//!
//! | Module | Holds |
//! |---|---|
//! | [`allowed`] | what the directory lets it send |
//! | [`config`] | `service.toml` and the folder beside it |
//! | [`listing`] | whether the directory lists its id and key |
//! | [`contacts`] | grants, checked once and pinned |
//! | [`draft`] | a letter before it is sealed; how it is sealed twice alike |
//! | [`batch`] | sealing on all cores, one signature for what is ready |
//! | [`submit`] | batches in flight, acknowledgements, new connections |
//! | [`campaign`] | a file of any size, resumable |
//! | [`trouble`] | whom to tell that something is tried again |
//! | [`track`] | what became of a letter |

pub mod allowed;
pub mod batch;
pub mod campaign;
pub mod config;
pub mod contacts;
pub mod draft;
pub mod listing;
pub mod stages;
pub mod submit;
pub mod track;
pub mod trouble;

mod open;

pub use open::{PATIENCE, Service, ServiceError, config_of};
