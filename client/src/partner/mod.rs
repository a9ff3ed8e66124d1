//! Partner events: what administrations already send to the interministerial app becomes a
//! [`Content`](pli_protocol::content::Content), without a change on their side.
//!
//! In: the JSON body of `PUT /api/v2/event` or of the legacy `POST /api/v1/notifications`.
//! Out: a [`PartnerEvent`], or every field that is at fault, each with a message.
//!
//! ```text
//! JSON ── fields ──> strings, dates, flags ── content ──> Procedure (item_* present) or Notice
//!              └── every fault, by field
//! ```

mod content;
mod event;
mod fault;
mod fields;
mod identity;

pub use event::{Adjustment, Format, PartnerEvent, convert, convert_value};
pub use fault::{FieldFaults, PartnerError};
pub use identity::{FcHash, FcIdentity};

#[cfg(test)]
mod tests;
