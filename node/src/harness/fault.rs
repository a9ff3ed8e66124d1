//! Why an operation gives no output.

use pli_protocol::code::Code;

/// A verdict, or a request that cannot be judged.
#[derive(Debug)]
pub(super) enum Fault {
    /// The implementation refuses the input.
    Refused(Code),
    /// The request is not understood: never a verdict.
    Request(String),
}

macro_rules! refused {
    ($($error:ty),+ $(,)?) => {
        $(impl From<$error> for Fault {
            fn from(error: $error) -> Self {
                Self::Refused(error.code())
            }
        })+
    };
}

refused!(
    pli_protocol::account::AccountError,
    pli_protocol::codec::CodecError,
    pli_protocol::codec::FrameError,
    pli_protocol::content::ContentError,
    pli_protocol::crypto::seal::SealError,
    pli_protocol::crypto::sign::KeyError,
    pli_protocol::custody::AckError,
    pli_protocol::custody::ReceiptError,
    pli_protocol::custody::handover::HandoverError,
    pli_protocol::envelope::HeaderError,
    pli_protocol::envelope::LetterError,
    pli_protocol::evidence::CheckpointError,
    pli_protocol::evidence::EventError,
    pli_protocol::evidence::ProofError,
    pli_protocol::id::IdError,
    pli_protocol::session::SessionRefusal,
    pli_protocol::signed::SignedError,
    pli_protocol::trust::RecordRefusal,
    pli_protocol::trust::TrustRefusal,
);
