//! What the words of Pli mean: types, codec, cryptography, pure state machines.
//!
//! No clock, socket, disk or async here: the time and randomness are arguments.
//!
//! | Module | Spec | Holds |
//! |---|---|---|
//! | [`wire`] | `spec/proto` | the messages as they travel |
//! | [`limits`], [`code`] | `spec/registry` | every bound, every refusal |
//! | [`id`] | ENV-2 | names and addresses, parsed once |
//! | [`codec`] | SIG-1 | canonical protobuf, frames |
//! | [`merkle`], [`signed`] | SIG-2 to SIG-5 | the one signed wrapper |
//! | [`crypto`] | SIG-6, ENV-6 | signing, sealing, separation strings |
//! | [`envelope`], [`content`] | `spec/envelope.md` | a letter, outside and inside |
//! | [`account`] | `spec/mailbox.md` | a citizen's secrets, grants, enrolment |
//! | [`trust`] | `spec/trust.md` | the directory, typed |
//! | [`session`] | `spec/session.md` | who is at the other end |
//! | [`custody`] | `spec/custody.md` | receipts and acknowledgements |
//! | [`evidence`] | `spec/evidence.md` | events, the log's entries, proofs, checkpoints |

pub mod account;
pub mod code;
pub mod codec;
pub mod content;
pub mod crypto;
pub mod custody;
pub mod envelope;
pub mod evidence;
pub mod id;
pub mod limits;
pub mod merkle;
pub mod session;
pub mod signed;
pub mod trust;

/// The messages of `spec/proto/pli/v1`, as `prost` generates them.
#[allow(missing_docs, unreachable_pub)]
pub mod wire {
    include!(concat!(env!("OUT_DIR"), "/pli.v1.rs"));
}
