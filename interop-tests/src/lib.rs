//! `pli-interop`: a conformance suite that knows an implementation of Pli only by its ports and by
//! its harness command. It imports no `pli-*` crate.
//!
//! The map, in the order a run walks it:
//! - [`config`]: what the run knows of the implementation.
//! - [`codec`], [`crypto`], [`validator`]: the suite's own reading of `spec/`, the second one in this repository.
//! - [`harness`]: the questions of `spec/vectors`, asked of a command, and the suite's own answers.
//! - [`dial`], [`session`]: the way in, right or wrong as a case asks.
//! - [`levels`]: the cases. [`differential`]: two validators on generated envelopes (R3).
//! - [`report`]: the table, JSON, JUnit XML and the HTML matrix.

pub mod clock;
pub mod code;
pub mod codec;
pub mod config;
pub mod crypto;
pub mod dial;
pub mod differential;
pub mod harness;
pub mod levels;
pub mod report;
pub mod session;
pub mod validator;
