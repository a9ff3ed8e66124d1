//! Targets about one object: a frame, a message, a signed object, an envelope.

use std::cell::RefCell;
use std::collections::HashSet;

use bytes::Bytes;
use pli_protocol::account::{Enrolment, Invitation, InvitationId, SignedGrant};
use pli_protocol::codec::{self, FRAME_PREFIX};
use pli_protocol::content::Content;
use pli_protocol::crypto::contexts;
use pli_protocol::custody::Receipt;
use pli_protocol::envelope::{Header, Letter};
use pli_protocol::id::Timestamp;
use pli_protocol::signed::{RootCheck, Signed, VerifiedRoots};
use pli_protocol::{limits, wire};
use prost::{Message, Name};

use crate::bytes_in::Choices;
use crate::seeds;

/// In the middle of the seeds' validity.
const NOW: Timestamp = Timestamp::from_ms(1_800_000_100_000);

/// A stream cut into frames: each accepted length is within the bound, and makes its own prefix again.
pub fn frame(data: &[u8]) {
    let mut stream = data;
    while let Some((prefix, rest)) = stream.split_first_chunk::<FRAME_PREFIX>() {
        let Ok(length) = codec::frame_len(*prefix) else {
            return;
        };
        // SES-2.2: what may be allocated is bounded before it is.
        assert!((1..=limits::FRAME_MAX).contains(&length));
        let Some((body, next)) = rest.split_at_checked(length) else {
            return;
        };
        assert_eq!(codec::frame_prefix(body), Ok(*prefix));
        stream = next;
    }
}

/// What is accepted, typed and encoded again is the same bytes (SIG-1.2, R1).
pub fn canonical(data: &[u8]) {
    let mut choices = Choices::new(data);
    let kind = choices.byte();
    let bytes = Bytes::copy_from_slice(choices.rest());
    match kind % 10 {
        0 => same(
            &bytes,
            Header::decode(&bytes).ok().map(|header| header.encode()),
        ),
        1 => same(
            &bytes,
            Content::decode(&bytes)
                .ok()
                .and_then(|content| content.encode().ok()),
        ),
        2 => again::<wire::Call>(&bytes),
        3 => again::<wire::CallReply>(&bytes),
        4 => again::<wire::EnvelopeBatch>(&bytes),
        5 => again::<wire::SessionProof>(&bytes),
        6 => again::<wire::SessionReply>(&bytes),
        7 => again::<wire::Grant>(&bytes),
        8 => again::<wire::Envelope>(&bytes),
        _ => again::<wire::Receipt>(&bytes),
    }
}

fn again<M: Message + Default + Name>(bytes: &Bytes) {
    let decoded = codec::decode_canonical::<M>(bytes, limits::FRAME_MAX);
    same(bytes, decoded.ok().map(|message| codec::encode(&message)));
}

fn same(bytes: &Bytes, again: Option<Bytes>) {
    if let Some(again) = again {
        assert_eq!(&again, bytes);
    }
}

/// The memory of checked roots never changes an answer (SIG-5, `VerifiedRoots`).
pub fn signed(data: &[u8]) {
    let mut choices = Choices::new(data);
    let context = contexts::ALL[choices.below(contexts::ALL.len())];
    let encoded = Bytes::copy_from_slice(choices.rest());
    let Ok(signed) = Signed::decode(encoded.clone(), context) else {
        return;
    };
    assert_eq!(*signed.encoded(), encoded);
    let ids: Vec<_> = signed.key_ids().collect();
    assert!((1..=limits::SIGNATURES_MAX).contains(&ids.len()) && ids.is_sorted());
    let key = *seeds::signing_key().public();
    let plain = signed.verify(&key);
    let memory = Memory::default();
    assert_eq!(signed.verify_with(&key, &memory), plain);
    assert_eq!(
        signed.verify_with(&key, &memory),
        plain,
        "with the root remembered"
    );
    assert_eq!(
        memory.0.borrow().len(),
        usize::from(plain.is_ok()),
        "only what verified is remembered"
    );
    // Typed readings of the same bytes.
    let _ = (
        SignedGrant::verify(encoded.clone(), NOW),
        Receipt::decode(encoded.clone()),
    );
    let _ = (
        Invitation::read(encoded.clone()),
        Enrolment::verify(encoded, &invitation(), &key, NOW),
    );
}

fn invitation() -> Invitation {
    Invitation {
        id: InvitationId::new([4; limits::INVITATION_ID_LEN]),
        home: "social.gouv.fr".parse().expect("a valid authority"),
        expires: NOW.plus_ms(1_000_000),
    }
}

/// A well-formed letter keeps its bytes and its id; what opens was sealed under this very header.
pub fn envelope(data: &[u8]) {
    let encoded = Bytes::copy_from_slice(data);
    let Ok(letter) = Letter::decode(encoded.clone()) else {
        return;
    };
    assert_eq!(*letter.encoded(), encoded);
    assert_eq!(letter.id().as_bytes(), letter.signed().leaf());
    let header = letter.header();
    assert!(header.expires > header.created);
    assert!(header.expires.since_ms(header.created) <= limits::ENVELOPE_LIFETIME_MAX_MS);
    assert!(
        header.check_time(header.expires).is_err(),
        "at its expiry it is expired"
    );
    if letter
        .signed()
        .verify(seeds::signing_key().public())
        .is_ok()
    {
        let _ = header.check_time(NOW);
    }
    if let Ok(content) = letter.open(&seeds::sealing_key()) {
        let _ = Content::decode(&Bytes::from(content.to_vec()));
    }
}

#[derive(Debug, Default)]
struct Memory(RefCell<HashSet<RootCheck>>);

impl VerifiedRoots for Memory {
    fn contains(&self, check: &RootCheck) -> bool {
        self.0.borrow().contains(check)
    }
    fn insert(&self, check: RootCheck) {
        self.0.borrow_mut().insert(check);
    }
}
