//! Letters that no node may take: forged, altered, expired, re-addressed, oversized. Each is as close to a good one
//! as it can be: everything about it is right but one thing.

use std::sync::Arc;

use bytes::Bytes;
use pli_client::clock;
use pli_client::service::Service;
use pli_client::service::batch::Prepared;
use pli_client::service::draft::{Draft, Handling, Randomness};
use pli_protocol::account::Grant;
use pli_protocol::content::Content;
use pli_protocol::crypto::contexts::ENVELOPE;
use pli_protocol::crypto::sign::SigningKey;
use pli_protocol::envelope::acknowledged_id;
use pli_protocol::id::{MailboxAddress, ServiceId};
use pli_protocol::signed::sign_one;
use pli_protocol::{codec, limits, wire};

use crate::Error;

const DAY_MS: u64 = 86_400_000;

/// Makes hostile letters on the base of one that is good.
#[derive(Debug)]
pub struct Hostile {
    service: ServiceId,
    key: Arc<SigningKey>,
    to: Arc<Grant>,
    content: Content,
}

impl Hostile {
    /// Letters like those of `service` to the citizen who gave it this grant.
    pub fn new(service: &Service, to: Arc<Grant>, content: Content) -> Self {
        Self {
            service: service.id().clone(),
            key: service.key().clone(),
            to,
            content,
        }
    }

    /// Nothing is wrong with it.
    pub fn good(&self) -> Result<Bytes, Error> {
        Ok(sign_one(
            ENVELOPE,
            self.payload(&self.service, Handling::new(clock::now()))?,
            &self.key,
        ))
    }

    /// Signed by a key that the directory does not know.
    pub fn forged(&self) -> Result<Bytes, Error> {
        let stranger = SigningKey::from_seed(&fresh());
        Ok(sign_one(
            ENVELOPE,
            self.payload(&self.service, Handling::new(clock::now()))?,
            &stranger,
        ))
    }

    /// One bit of the signature is another.
    pub fn bad_signature(&self) -> Result<Bytes, Error> {
        let mut signed = read(&self.good()?)?;
        let mut signature = signed.signatures[0].signature.to_vec();
        signature[7] ^= 1;
        signed.signatures[0].signature = signature.into();
        Ok(codec::encode(&signed))
    }

    /// In the name of a service that the signer is not.
    pub fn impersonating(&self, other: &ServiceId) -> Result<Bytes, Error> {
        Ok(sign_one(
            ENVELOPE,
            self.payload(other, Handling::new(clock::now()))?,
            &self.key,
        ))
    }

    /// Its time is over.
    pub fn expired(&self) -> Result<Bytes, Error> {
        let now = clock::now();
        let mut handling = Handling::new(now);
        handling.created = pli_protocol::id::Timestamp::from_ms(now.as_ms() - 2 * DAY_MS);
        handling.expires = handling.created.plus_ms(DAY_MS);
        Ok(sign_one(
            ENVELOPE,
            self.payload(&self.service, handling)?,
            &self.key,
        ))
    }

    /// A good letter whose recipient was exchanged on the way; the signature is the good one's.
    pub fn readdressed(&self, to: &MailboxAddress) -> Result<Bytes, Error> {
        let mut signed = read(&self.good()?)?;
        let mut envelope: wire::Envelope = decode(&signed.payload)?;
        let mut header: wire::Header = decode(&envelope.header)?;
        header.recipient = Some(to.to_wire());
        envelope.header = codec::encode(&header);
        signed.payload = codec::encode(&envelope);
        Ok(codec::encode(&signed))
    }

    /// One byte longer than any envelope may be.
    pub fn oversized(&self) -> Result<Bytes, Error> {
        let mut bytes = self.good()?.to_vec();
        bytes.resize(limits::ENVELOPE_MAX + 1, 0);
        Ok(bytes.into())
    }

    fn payload(&self, sender: &ServiceId, handling: Handling) -> Result<Bytes, Error> {
        let draft = Draft::new(self.to.clone(), &self.content, handling);
        let draft = draft.map_err(|error| Error::unexpected("a content", error))?;
        draft
            .seal(sender, &Randomness::Fresh)
            .map_err(|error| Error::unexpected("sealing", error))
    }
}

/// As the submitting machine takes it: with the id by which the node will speak of it.
pub fn prepared<T>(tag: T, envelope: Bytes) -> Prepared<T> {
    Prepared {
        tag,
        id: acknowledged_id(&envelope),
        envelope,
    }
}

fn read(encoded: &Bytes) -> Result<wire::Signed, Error> {
    decode(encoded)
}

fn decode<M: prost::Message + Default + prost::Name>(bytes: &Bytes) -> Result<M, Error> {
    codec::decode_canonical(bytes, limits::FRAME_MAX)
        .map_err(|error| Error::unexpected("our own letter", error))
}

fn fresh() -> [u8; 32] {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).expect("the system's generator works or nothing does");
    seed
}
