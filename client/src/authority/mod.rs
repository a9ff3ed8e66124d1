//! `pli authority …`: an authority drafts its node and services, signs alone, and hands over (TRU-6).
//!
//! In: arguments and key files. Out: a [`Report`](crate::federation::Report).

mod args;
mod run;
mod which;

pub use args::AuthorityCommand;
pub use run::run;
