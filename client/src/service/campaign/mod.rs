//! A campaign: a file of any size, one letter a line, sent in bounded memory and resumable.
//!
//! ```text
//! file ─▶ lines ─▶ drafts ─▶ sealed, signed ─▶ submitted ─▶ results (file) ─▶ state (file)
//!          └── window: lines that are not settled yet, in order, at most WINDOW_MAX ──┘
//! ```
//!
//! What is recorded as settled is never sent again. After a SIGKILL between an acknowledgement and
//! its record a letter is sealed to the same bytes again ([`Randomness::Campaign`]), so the node
//! answers with the receipt of the first time (case 60).
//!
//! [`Randomness::Campaign`]: super::draft::Randomness::Campaign

mod failed;
mod faults;
mod line;
mod record;
mod results;
mod run;
mod state;
mod window;

pub use faults::{Fault, Faults};
pub(crate) use line::about_content;
pub use line::{LINE_MAX, LineError, Options};
pub use results::Outcome;
pub(crate) use run::BYTE_ORDER_MARK;
pub use run::{Campaign, CampaignError, Progress, Summary, Unlisted, UnlistedLinks};
pub use state::{Counts, State, StateError};
