//! Writes the hand-made seeds of `corpus/`: `cargo run -p pli-fuzz --example seed`. Seeds with a name from here may be
//! written anew when a format changes; files that fuzzing found stay as they are.

use std::fs;
use std::path::Path;

use bytes::Bytes;
use pli_fuzz::seeds;
use pli_protocol::account::{Enrolment, Invitation, InvitationId};
use pli_protocol::crypto::contexts;
use pli_protocol::crypto::seal::{RANDOMNESS_LEN, SealRandomness};
use pli_protocol::custody::{Receipt, Step};
use pli_protocol::envelope::{self, Class, Extension, Header, Importance, Sender, Urgency};
use pli_protocol::id::{EnvelopeId, Timestamp};
use pli_protocol::signed::{sign_batch, sign_one};
use pli_protocol::{codec, limits, wire};

const NOW: Timestamp = Timestamp::from_ms(1_800_000_000_000);

fn main() {
    frames();
    let letters = letters();
    write("envelope", "one", &letters[0]);
    write("envelope", "last-of-five", &letters[4]);
    signed(&letters);
    canonical();
    session();
    custody();
}

fn frames() {
    let frame = |body: &[u8]| [&codec::frame_prefix(body).expect("it fits")[..], body].concat();
    write("frame", "two", &[frame(b"one"), frame(&[0; 300])].concat());
    write("frame", "empty", &[0, 0, 0, 0]);
    write("frame", "over-the-limit", &65_537_u32.to_be_bytes());
    write("frame", "four-gibibytes", &[0xff; 8]);
    write("frame", "truncated", &frame(b"truncated")[..9]);
}

fn header() -> Header {
    Header {
        sender: Sender::Service("rdv@interieur.gouv.fr".parse().expect("valid")),
        recipient: "000102030405060708090a0b0c0d0e0f@social.gouv.fr"
            .parse()
            .expect("valid"),
        created: NOW,
        expires: NOW.plus_ms(600_000),
        class: Class::Message,
        urgency: Urgency::Normal,
        importance: Importance::Action,
        supersedes: Some([7; limits::SUPERSEDES_LEN]),
        extensions: vec![Extension {
            id: 9,
            critical: false,
            value: Bytes::from_static(b"x"),
        }],
    }
}

fn notice() -> Bytes {
    let text = |french: &str| wire::Text {
        translations: vec![wire::Translation {
            language: "fr".into(),
            text: french.into(),
        }],
    };
    let notice = wire::Notice {
        title: Some(text("Votre rendez-vous")),
        body: Some(text("Il est confirmé.")),
        link: Some(wire::Link {
            url: "https://rdv.interieur.gouv.fr/42".into(),
            label: Some(text("Voir")),
        }),
        ..Default::default()
    };
    let kind = Some(wire::content::Kind::Notice(notice));
    codec::encode(&wire::Content {
        version: 1,
        kind,
        ..Default::default()
    })
}

/// A letter alone, then a batch of four.
fn letters() -> Vec<Bytes> {
    let payload = |byte: u8| {
        let randomness = SealRandomness::new([byte; RANDOMNESS_LEN]);
        envelope::seal(
            &header(),
            &seeds::sealing_key().public(),
            1,
            &notice(),
            randomness,
        )
        .expect("it fits")
    };
    let key = seeds::signing_key();
    let mut letters = vec![sign_one(contexts::ENVELOPE, payload(1), &key)];
    let batch = (2..6).map(payload).collect();
    letters.extend(sign_batch(contexts::ENVELOPE, batch, &key).expect("four are not too many"));
    letters
}

/// The first two bytes choose the context, as the target reads them.
fn signed(letters: &[Bytes]) {
    let key = seeds::signing_key();
    let home: pli_protocol::id::AuthorityId = "social.gouv.fr".parse().expect("valid");
    let invitation = Invitation {
        id: InvitationId::new([4; limits::INVITATION_ID_LEN]),
        home: home.clone(),
        expires: NOW.plus_ms(1_000_000),
    };
    let receipt = Receipt {
        step: Step::Stored,
        node: home,
        envelope: EnvelopeId::new([6; 32]),
        at: NOW,
    };
    let objects = [
        ("letter", contexts::ENVELOPE, letters[0].clone()),
        ("batch", contexts::ENVELOPE, letters[2].clone()),
        ("receipt", contexts::RECEIPT, receipt.sign(&key)),
        ("invitation", contexts::INVITATION, invitation.sign(&key)),
        (
            "enrolment",
            contexts::ENROLMENT,
            Enrolment::sign(&invitation, &key, NOW),
        ),
        ("context-mix-up", contexts::GRANT, receipt.sign(&key)),
    ];
    for (name, context, object) in objects {
        let choice = contexts::ALL
            .iter()
            .position(|known| *known == context)
            .expect("a known context");
        write("signed", name, &[&[0, choice as u8], &object[..]].concat());
    }
}

/// The first byte chooses the kind, as the target reads it.
fn canonical() {
    let with = |kind: u8, bytes: Bytes| [&[kind], &bytes[..]].concat();
    write("canonical", "header", &with(0, header().encode()));
    write("canonical", "content", &with(1, notice()));
    let sync = wire::Sync {
        after_seq: 3,
        follow: true,
    };
    let call = wire::Call {
        kind: Some(wire::call::Kind::Sync(sync)),
    };
    write("canonical", "call", &with(2, codec::encode(&call)));
    let batch = wire::EnvelopeBatch {
        seq: 1,
        envelopes: vec![Bytes::from_static(b"letter")],
    };
    write("canonical", "batch", &with(4, codec::encode(&batch)));
    write("canonical", "overlong-varint", &[4, 0x08, 0x81, 0x00]);
    write("canonical", "field-twice", &[4, 0x08, 0x01, 0x08, 0x02]);
    // Case 3: each pair of bytes opens one more nested message.
    let nested = (1..=101_u8).rev().flat_map(|depth| [0x1a, depth * 2 - 2]);
    write(
        "canonical",
        "nested",
        &[1].into_iter().chain(nested).collect::<Vec<_>>(),
    );
}

/// Who dials; then for each step: direction, damage, which frame.
fn session() {
    const TO_SERVER: u8 = 0;
    const TO_DIALLER: u8 = 1;
    let pass = |direction: u8, frame: u8| [direction, 0, 0, frame];
    let good: Vec<u8> = [
        pass(TO_SERVER, 0),
        pass(TO_DIALLER, 1),
        pass(TO_SERVER, 2),
        pass(TO_DIALLER, 3),
    ]
    .concat();
    for (name, who) in [("device", 0), ("service", 1), ("node", 2)] {
        write("session", name, &[&[who], &good[..]].concat());
    }
    write(
        "session",
        "replayed-hello",
        &[&[0], &good[..8], &pass(TO_SERVER, 0), &good[8..]].concat(),
    );
    let flip_in_proof = [TO_SERVER, 2, 0, 2, 0, 40, 3];
    write(
        "session",
        "flipped-proof",
        &[&[1], &good[..8], &flip_in_proof].concat(),
    );
    let cut_proof = [TO_SERVER, 3, 0, 2, 0, 50];
    write(
        "session",
        "cut-proof",
        &[&[2], &good[..8], &cut_proof].concat(),
    );
}

/// What the server granted; then for each step what happens, and its choices.
fn custody() {
    let send = |size: u8| [0, 0, size];
    write(
        "custody",
        "send-and-settle",
        &[&[8], &send(2)[..], &send(3), &[1, 0, 1, 0, 1, 2, 0, 0, 0]].concat(),
    );
    write(
        "custody",
        "over-the-limit",
        &[&[1], &send(4)[..], &send(0), &send(0)].concat(),
    );
    write(
        "custody",
        "wrong-range",
        &[&[4], &send(0)[..], &[2, 1, 2], &[2, 1, 1]].concat(),
    );
    write(
        "custody",
        "all-duplicates",
        &[&[4], &send(1)[..], &[1, 0, 0, 1, 1, 0, 0, 0]].concat(),
    );
}

fn write(target: &str, name: &str, bytes: &[u8]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target);
    fs::create_dir_all(&folder).expect("a writable corpus");
    fs::write(folder.join(name), bytes).expect("a writable corpus");
}
