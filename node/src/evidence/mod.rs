//! Evidence: what this node did with each envelope, in a log that it cannot alter unseen (EVD).
//!
//! ```text
//! store's log ──▶ recorder ──▶ log (batches, tree) ──▶ checkpoint ──▶ served, cosigned by witnesses
//!                                └──▶ proofs, asked for by the Evidence call
//! ```
//!
//! Evidence flows out and is never read back to decide. What is acknowledged is in the store's log, so what a crash keeps
//! from being recorded is recorded at the next start.

pub mod answer;
pub mod folder;
pub mod log;
pub mod recorder;
pub mod serve;
pub mod start;
pub mod witness;

pub use folder::{Keeper, KeeperError, Look, NO_LOG, look, not_listed};
