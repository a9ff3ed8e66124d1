//! Invitation: a home's one-time permission to enrol a device, signed by its node key (MBX-1).
//!
//! The operator hands it over as a link, which also names the federation's root, so that a new
//! device trusts the right one from its first step.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;

use super::grant::time;
use super::{AccountError, VERSION};
use crate::codec;
use crate::crypto::contexts::INVITATION;
use crate::crypto::sign::{PublicKey, SigningKey};
use crate::id::{AuthorityId, IdError, KeyId, Timestamp, from_hex, to_hex};
use crate::limits;
use crate::signed::{Signed, sign_one};
use crate::wire;

/// Names an invitation, so that the home can remember that it was used: 16 random bytes.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct InvitationId([u8; limits::INVITATION_ID_LEN]);

impl InvitationId {
    /// From fresh random bytes.
    pub const fn new(bytes: [u8; limits::INVITATION_ID_LEN]) -> Self {
        Self(bytes)
    }

    /// Its exact bytes.
    pub const fn as_bytes(&self) -> &[u8; limits::INVITATION_ID_LEN] {
        &self.0
    }

    pub(super) fn from_slice(bytes: &[u8]) -> Result<Self, AccountError> {
        let got = bytes.len();
        let expected = limits::INVITATION_ID_LEN;
        let exact = bytes.try_into().map_err(|_| IdError::Length {
            what: "an invitation id",
            got,
            expected,
        })?;
        Ok(Self(exact))
    }
}

impl fmt::Display for InvitationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&to_hex(&self.0))
    }
}

/// What an invitation says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Invitation {
    /// Which one; works once.
    pub id: InvitationId,
    /// The home that gives it.
    pub home: AuthorityId,
    /// Until when it may be used.
    pub expires: Timestamp,
}

impl Invitation {
    /// Signs it with the home's node key.
    pub fn sign(&self, node: &SigningKey) -> Bytes {
        let payload = wire::Invitation {
            version: VERSION,
            id: self.id.0.to_vec().into(),
            home: self.home.to_string(),
            expires_ms: self.expires.as_ms(),
        };
        sign_one(INVITATION, codec::encode(&payload), node)
    }

    /// MBX-1.1. Reads it without checking who signed it: what a device can do before it has a directory.
    pub fn read(encoded: Bytes) -> Result<(Self, Signed), AccountError> {
        let signed = Signed::decode(encoded, INVITATION)?;
        let payload: wire::Invitation =
            codec::decode_canonical(signed.payload(), limits::SIGNED_OBJECT_MAX)?;
        if payload.version != VERSION {
            let (got, expected) = (payload.version, VERSION);
            return Err(AccountError::UnsupportedVersion { got, expected });
        }
        let invitation = Self {
            id: InvitationId::from_slice(&payload.id)?,
            home: AuthorityId::new(&payload.home)?,
            expires: time(payload.expires_ms, "expires_ms")?,
        };
        Ok((invitation, signed))
    }

    /// MBX-1.2. Checks it at `now`: made by one of `node_keys`, the keys of `home`'s node that are
    /// valid now, for that home, and still in its time. That it was not used before is for
    /// the home's store to say.
    pub fn verify(
        encoded: Bytes,
        home: &AuthorityId,
        node_keys: &[PublicKey],
        now: Timestamp,
    ) -> Result<Self, AccountError> {
        let (invitation, signed) = Self::read(encoded)?;
        if invitation.home != *home {
            let got = invitation.home;
            return Err(AccountError::WrongHome {
                got,
                expected: home.clone(),
            });
        }
        signed.verify(signer(&signed, node_keys, home)?)?;
        if now >= invitation.expires {
            return Err(AccountError::InvitationExpired {
                expires: invitation.expires,
                now,
            });
        }
        if invitation.expires.since_ms(now) > limits::INVITATION_LIFETIME_MAX_MS {
            return Err(AccountError::LifetimeTooLong {
                expires: invitation.expires,
                now,
            });
        }
        Ok(invitation)
    }
}

/// The key among `keys` that `signed` claims to be signed by.
fn signer<'a>(
    signed: &Signed,
    keys: &'a [PublicKey],
    authority: &AuthorityId,
) -> Result<&'a PublicKey, AccountError> {
    let claimed: Vec<KeyId> = signed.key_ids().collect();
    keys.iter()
        .find(|key| claimed.contains(&key.id()))
        .ok_or_else(|| {
            let got = *claimed
                .first()
                .expect("a Signed has at least one signature");
            AccountError::UnknownSigner {
                got,
                authority: authority.clone(),
            }
        })
}

/// `pli:invite?home=<authority>&root=<hex sha256 of root.json>&i=<base64url Signed>` (MBX-1.3).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InvitationLink {
    /// Where to enrol.
    pub home: AuthorityId,
    /// SHA-256 of the federation's first `root.json`: the device trusts no other one.
    pub root_sha256: [u8; limits::HASH_LEN],
    /// The exact bytes of the signed invitation.
    pub invitation: Bytes,
}

impl fmt::Display for InvitationLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let invitation = BASE64_URL_SAFE_NO_PAD.encode(&self.invitation);
        write!(
            f,
            "{SCHEME}home={}&root={}&i={invitation}",
            self.home,
            to_hex(&self.root_sha256)
        )
    }
}

/// Why a text is not an invitation link.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum LinkError {
    /// Another text, or a part of the link is missing or out of order.
    #[error(
        "expected pli:invite?home=<authority>&root=<64 hexadecimal digits>&i=<invitation>; copy the whole link"
    )]
    Form,
    /// The home is not an authority.
    #[error(transparent)]
    Home(#[from] IdError),
}

impl FromStr for InvitationLink {
    type Err = LinkError;

    fn from_str(text: &str) -> Result<Self, LinkError> {
        let parts: Vec<&str> = text
            .trim()
            .strip_prefix(SCHEME)
            .ok_or(LinkError::Form)?
            .splitn(3, '&')
            .collect();
        let [home, root, invitation] = parts[..] else {
            return Err(LinkError::Form);
        };
        let value = |part: &'_ str, name: &str| {
            part.strip_prefix(name)
                .map(str::to_owned)
                .ok_or(LinkError::Form)
        };
        let invitation = value(invitation, "i=")?;
        // A base64 text is a third longer than its bytes.
        if invitation.len() > limits::SIGNED_OBJECT_MAX * 4 / 3 + 1 {
            return Err(LinkError::Form);
        }
        Ok(Self {
            home: AuthorityId::new(&value(home, "home=")?)?,
            root_sha256: from_hex(&value(root, "root=")?).map_err(|_| LinkError::Form)?,
            invitation: BASE64_URL_SAFE_NO_PAD
                .decode(invitation)
                .map_err(|_| LinkError::Form)?
                .into(),
        })
    }
}

const SCHEME: &str = "pli:invite?";
