//! A federation of real processes on this machine, for the demo, the whole-process tests and the bench.
//!
//! | Module | Holds |
//! |---|---|
//! | [`federation`] | a directory, nodes, services and invitations, made by the real commands |
//! | [`binaries`], [`process`], [`ports`] | the programs under test, started and killed |
//! | [`ops`] | what a node says of itself |
//! | [`impair`] | a bad network between real sockets |
//! | [`internet`] | a network namespace for each node, and a network between them that delays, loses and parts |
//! | [`ledger`] | what was promised, and whether it was kept |
//! | [`fixtures`] | real input |
//! | [`citizens`] | accounts with a device each |
//! | [`sending`], [`hostile`] | letters handed to a node: good ones, and such as no node may take |
//! | [`session`] | sessions and calls as whoever holds a key |
//! | [`fork`] | a log that says two things |
//! | [`story`] | what the demo says |

pub mod binaries;
pub mod citizens;
mod error;
pub mod federation;
pub mod fixtures;
pub mod fork;
pub mod hostile;
pub mod impair;
pub mod internet;
pub mod ledger;
pub mod ops;
pub mod ports;
pub mod process;
pub mod sending;
pub mod session;
pub mod story;

pub use error::Error;
pub use federation::Federation;
