//! `pli-interop`: a conformance suite that knows an implementation of Pli only by its ports and by
//! its harness command. It imports no `pli-*` crate.
//!
//! The map, in the order a run walks it:
//! - [`codec`], [`crypto`], [`validator`]: the suite's own reading of `spec/`, the second one in this repository.

pub mod code;
pub mod codec;
pub mod crypto;
pub mod dial;
pub mod differential;
pub mod harness;
pub mod report;
pub mod validator;
