//! `pli federation …`: who takes part, signed by k of n offline keys, published by online ones (TRU-6).
//!
//! In: arguments and key files. Out: a [`Report`]; the work itself is `pli_trust::write`.

mod args;
mod ceremony;
mod keys;
mod report;
mod run;

pub use args::{FederationCommand, GrantArgs};
pub(crate) use keys::make as make_keys;
pub use keys::{KeyOption, open_keys};
pub use report::{Cell, Failure, Form, Report};
pub use run::run;
pub(crate) use run::time;

#[cfg(test)]
mod tests;
