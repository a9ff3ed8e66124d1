//! The fallback where UDP is blocked: yamux over one binary WebSocket over TLS over TCP.
//!
//! In: a byte stream on which the WebSocket handshake is done. Out: `Mux`, whose streams carry
//! the same frames as QUIC streams do. Spec: SES-6.
//!
//! ```text
//!   call stream   frames, ended by an empty frame
//!   yamux         one stream a call
//!   WebSocket     binary messages, no meaning in their bounds; ping, close with 4000 + code
//!   TLS 1.3       the same pinned key as over QUIC
//! ```

mod bytes;
mod mux;
mod stream;
mod upgrade;

pub(crate) use mux::{CLOSE_TIME, Mux};
pub(crate) use stream::MuxStream;
pub use upgrade::Io;
pub(crate) use upgrade::{Rewound, Wanted, accept, dial, from_upgraded, not_found};
pub use upgrade::{WEBSOCKET_PATH, WEBSOCKET_PROTOCOL};
