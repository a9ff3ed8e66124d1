//! Ingress: sessions come in, calls come out, envelopes become [`received::Received`].
//!
//! | Module | Holds |
//! |---|---|
//! | [`received`] | the first token, and the refusal that any stage may give |
//! | [`sessions`] | who may open a session; its end when the directory says so |
//! | [`calls`] | which call a stream is, and whether the peer's role may make it |
//! | [`batches`] | a stream of envelopes through all stages |
//! | `retry` | when to come back after a refusal |
//! | [`acknowledge`] | what a batch came to, and one signature for many |

pub mod acknowledge;
pub mod batches;
pub mod calls;
pub mod received;
mod retry;
pub mod sessions;
