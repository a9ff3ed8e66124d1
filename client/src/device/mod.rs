//! A device: one of a citizen's phones or computers.
//!
//! In: an invitation, and what the home says it holds. Out: letters that this device has itself
//! verified down to the federation's root and opened, and signed statements (grants, hand-overs).
//! Nothing is shown as a message that did not pass [`verify`]. Spec: mailbox.md, TRU-4.6.
//!
//! ```text
//! home ─ pages ─▶ cursor: gap-free ─▶ inbox: exact bytes, fsynced ─▶ verify ─▶ open ─▶ show
//!                  MBX-5.4             MBX-5.7                        MBX-5.5, again each time
//! ```
//!
//! | Module | Holds |
//! |---|---|
//! | [`budget`] | how much one run takes of a home |
//! | [`config`] | `device.toml` and the folder beside it |
//! | [`enrol`] | joining a home with an invitation |
//! | [`grants`] | one mailbox and one set of keys for each authority |
//! | [`cursor`] | whether a page of the home is the one that is due |
//! | [`inbox`] | the pages, as they came |
//! | [`evidence`] | the directory of the day a letter came |
//! | [`verify`] | from bytes to a letter that may be shown |
//! | [`look`] | the inbox, verified again, a page at a time |
//! | [`sync`] | fetching, watching, handing over |

pub mod budget;
pub mod config;
pub mod cursor;
pub mod enrol;
pub mod evidence;
pub mod grants;
pub mod inbox;
pub mod look;
pub mod sync;
pub mod verify;

mod open;
mod relations;
mod traces;

pub use look::Shown;
pub use open::{Device, DeviceError, Standing};
