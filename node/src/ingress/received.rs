//! `Received`: an envelope whose form is right, and the way it came. Nothing in it is believed yet.

use bytes::Bytes;
use pli_protocol::code::Code;
use pli_protocol::envelope::{Letter, acknowledged_id};
use pli_protocol::id::{AuthorityId, EnvelopeId, ServiceId};

/// By which call an envelope came, and from whom: the peer that the session authenticated.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Way {
    /// A service of this node's authority submits.
    Submit(ServiceId),
    /// The node of another authority forwards.
    Forward(AuthorityId),
}

/// An envelope that a stage did not let through. The rest of its batch goes on (R1).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refused {
    /// Which one; see `acknowledged_id`.
    pub id: EnvelopeId,
    /// Why.
    pub code: Code,
}

/// First token: decoded.
#[derive(Debug)]
pub struct Received {
    letter: Letter,
}

impl Received {
    /// Decodes exact bytes of the wire. ENV-3, ENV-4, ENV-5.
    pub fn decode(encoded: Bytes) -> Result<Self, Refused> {
        match Letter::decode(encoded.clone()) {
            Ok(letter) => Ok(Self { letter }),
            Err(error) => Err(Refused {
                id: acknowledged_id(&encoded),
                code: error.code(),
            }),
        }
    }

    /// What it says of itself.
    pub fn letter(&self) -> &Letter {
        &self.letter
    }

    pub(crate) fn into_letter(self) -> Letter {
        self.letter
    }

    pub(crate) fn refuse(&self, code: Code) -> Refused {
        Refused {
            id: self.letter.id(),
            code,
        }
    }
}
