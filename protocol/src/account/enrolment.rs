//! Enrolment: a device uses an invitation. It signs with its own key, so that an invitation
//! that was overheard cannot enrol a key whose holder never asked.

use bytes::Bytes;

use super::grant::time;
use super::invitation::InvitationId;
use super::{AccountError, Invitation, VERSION};
use crate::codec;
use crate::crypto::contexts::ENROLMENT;
use crate::crypto::sign::{PublicKey, SigningKey};
use crate::id::{AuthorityId, Timestamp};
use crate::limits;
use crate::signed::{Signed, sign_one};
use crate::wire;

/// What an enrolment says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Enrolment {
    /// Which invitation it uses.
    pub invitation: InvitationId,
    /// Where.
    pub home: AuthorityId,
    /// The device.
    pub device: PublicKey,
    /// When.
    pub at: Timestamp,
}

impl Enrolment {
    /// A device uses `invitation`. Returns the exact bytes to send.
    pub fn sign(invitation: &Invitation, device: &SigningKey, now: Timestamp) -> Bytes {
        let payload = wire::Enrolment {
            version: VERSION,
            invitation_id: invitation.id.as_bytes().to_vec().into(),
            home: invitation.home.to_string(),
            device_key: device.public().as_bytes().to_vec().into(),
            at_ms: now.as_ms(),
        };
        sign_one(ENROLMENT, codec::encode(&payload), device)
    }

    /// MBX-2.2. Checks it at `now` against the invitation it came with (itself checked already) and the
    /// device that holds the session.
    pub fn verify(
        encoded: Bytes,
        invitation: &Invitation,
        session: &PublicKey,
        now: Timestamp,
    ) -> Result<Self, AccountError> {
        let signed = Signed::decode(encoded, ENROLMENT)?;
        let payload: wire::Enrolment =
            codec::decode_canonical(signed.payload(), limits::SIGNED_OBJECT_MAX)?;
        if payload.version != VERSION {
            let (got, expected) = (payload.version, VERSION);
            return Err(AccountError::UnsupportedVersion { got, expected });
        }
        let enrolment = Self {
            invitation: InvitationId::from_slice(&payload.invitation_id)?,
            home: AuthorityId::new(&payload.home)?,
            device: PublicKey::from_bytes(&payload.device_key)?,
            at: time(payload.at_ms, "at_ms")?,
        };
        signed.verify(&enrolment.device)?;
        if enrolment.device != *session {
            return Err(AccountError::OtherDevice {
                got: Box::new(*session),
                expected: Box::new(enrolment.device),
            });
        }
        if enrolment.home != invitation.home {
            let expected = invitation.home.clone();
            return Err(AccountError::WrongHome {
                got: enrolment.home,
                expected,
            });
        }
        if enrolment.invitation != invitation.id {
            return Err(AccountError::OtherInvitation);
        }
        let at = enrolment.at;
        if at.since_ms(now) > limits::CLOCK_SKEW_MAX_MS {
            return Err(AccountError::NotYetValid { at, now });
        }
        if now.since_ms(at) > limits::CLOCK_SKEW_MAX_MS {
            return Err(AccountError::TooOld { at, now });
        }
        Ok(enrolment)
    }
}
