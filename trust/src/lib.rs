//! The trust directory: a TUF repository, read, checked and written. Spec: `spec/trust.md`.
//!
//! In: a directory or a mirror that nobody has to trust, and one root that was trusted once. Out: an
//! [`pli_protocol::trust::Directory`], and on disk a verified copy that others can be served from.
//!
//! | Module | Does |
//! |---|---|
//! | [`source`], `fetch` | where files come from; every size bounded before the bytes are kept |
//! | `read`, `records` | the TUF client workflow (`tough`), expiries; then whose files, and what they say |
//! | [`mod@format`] | the JSON files that the repository names, strictly |
//! | `sources` | all sources are asked, and the newest directory that verifies is taken |
//! | `follow` | one peer is asked, which holds up nobody else |
//! | `store`, `mirror` | what survives a restart: the memory against rollback, the copy to serve |
//! | [`mod@write`] | the other side: federation and authorities sign and publish |
//! | [`keyfile`] | secret keys in files of mode 0600 |

pub mod error;
mod fetch;
mod follow;
pub mod format;
pub mod keyfile;
mod mirror;
mod moment;
mod pin;
mod read;
mod records;
pub mod source;
mod sources;
mod store;
pub mod write;

pub use error::TrustError;
pub use fetch::{FetchError, file_bound};
pub use moment::{legible, parse_utc, utc};
pub use pin::fetch_pinned_root;
pub use source::{Fetching, Files, Peer, Source};
pub use sources::Unread;
pub use store::{Changed, Refreshed, TrustConfig, TrustStore, read_held};
