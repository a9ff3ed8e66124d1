//! Sealing and padding: ENV-6.

use std::convert::Infallible;

use bytes::Bytes;
use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::XWing;
use hpke::rand_core::{TryCryptoRng, TryRng};
use hpke::{Deserializable, Kem, OpModeS, Serializable};
use pli_protocol::crypto::seal::{self, SealRandomness, SealingPublicKey};
use pli_protocol::limits::{CONTENT_MAX, PLAINTEXT_MIN};
use pli_protocol::{codec, wire};
use serde_json::json;

use super::annotate::Annotator;
use super::case::{Ask, File};
use super::samples::{RANDOMNESS, SEALING_SEED, content, flipped, header, hex, sealing_key, unhex};

pub(super) fn file(annotator: &Annotator) -> File {
    let mut file = File::new("sealing", "L1", "HPKE with X-Wing, and the padding in it");
    padding(&mut file);
    reference(&mut file);
    let header = header().encode();
    let public = sealing_key().public();
    let sealed = seal_with(&public, &header, &content());
    let bytes = codec::encode(&sealed);
    let ask = Ask {
        id: "seal",
        title: "with fixed randomness the outcome is fixed",
        requirements: &["ENV-6.1", "ENV-6.2", "ENV-6.3"],
        op: "seal.seal",
        input: json!({
            "public_key": hex(public.to_bytes()), "epoch": 1, "header": hex(&header),
            "content": hex(content()), "randomness": hex(RANDOMNESS),
        }),
    };
    file.accepts(ask, json!({ "sealed": hex(&bytes) }));
    for (id, title, key, code) in [
        (
            "public-short",
            "a public key of 1,215 bytes",
            public.to_bytes().slice(1..),
            "FIELD_INVALID",
        ),
        (
            "public-empty",
            "no public key",
            Bytes::new(),
            "FIELD_INVALID",
        ),
    ] {
        let ask = Ask {
            id,
            title,
            requirements: &["ENV-6.4"],
            op: "seal.seal",
            input: json!({
                "public_key": hex(key), "epoch": 1, "header": hex(&header),
                "content": hex(content()), "randomness": hex(RANDOMNESS),
            }),
        };
        file.refuses(ask, "seal", code);
    }
    let open = |id, title, requirements, header: &[u8], sealed: &wire::Sealed| Ask {
        id,
        title,
        requirements,
        op: "seal.open",
        input: json!({ "secret": hex(SEALING_SEED), "header": hex(header), "sealed": hex(codec::encode(sealed)) }),
    };
    file.accepts(
        open(
            "open",
            "opens with the key and the header",
            &["ENV-6.1", "ENV-6.3", "ENV-6.7"],
            &header,
            &sealed,
        ),
        json!({ "content": hex(content()) }),
    )
    .annotate("sealed", annotator.message("Sealed", "", &bytes));
    let other = Ask {
        id: "other-key",
        title: "another secret key",
        requirements: &["ENV-6.6"],
        op: "seal.open",
        input: json!({ "secret": hex([7; 32]), "header": hex(&header), "sealed": hex(&bytes) }),
    };
    file.refuses(other, "open", "OPEN_FAILED");
    file.refuses(
        open(
            "other-header",
            "one bit of the header is wrong",
            &["ENV-4.10", "ENV-6.3", "ENV-6.6"],
            &flipped(&header, header.len() - 1),
            &sealed,
        ),
        "open",
        "OPEN_FAILED",
    );
    file.refuses(
        open(
            "no-header",
            "no header",
            &["ENV-6.3", "ENV-6.6"],
            &[],
            &sealed,
        ),
        "open",
        "OPEN_FAILED",
    );
    for (id, title, requirements, bend, code) in BENDS {
        let mut bent = sealed.clone();
        bend(&mut bent);
        file.refuses(open(id, title, requirements, &header, &bent), "open", code)
            .annotate(
                "sealed",
                annotator.message("Sealed", "", &codec::encode(&bent)),
            );
    }
    // The same plaintext, sealed rightly but padded wrongly.
    for (id, title, plaintext) in [
        (
            "padded-wide",
            "padded to 1,024 where 512 do",
            [&content()[..], &[0x80], &vec![0; 1023 - content().len()]].concat(),
        ),
        ("not-padded", "not padded at all", content().to_vec()),
        (
            "padded-zeros",
            "zeros without the mark",
            vec![0; PLAINTEXT_MIN],
        ),
    ] {
        let sealed = seal_raw(&header, &plaintext);
        file.refuses(
            open(id, title, &["ENV-6.7"], &header, &sealed),
            "open",
            "BAD_PADDING",
        );
    }
    file
}

fn seal_with(public: &SealingPublicKey, header: &[u8], content: &[u8]) -> wire::Sealed {
    seal::seal(public, 1, header, content, SealRandomness::new(RANDOMNESS)).expect("fits")
}

/// HPKE alone, without our padding, to show that a device checks it.
fn seal_raw(header: &[u8], plaintext: &[u8]) -> wire::Sealed {
    let key = <XWing as Kem>::PublicKey::from_bytes(&sealing_key().public().to_bytes())
        .expect("a good key");
    let mut drawn = Drawn(&RANDOMNESS);
    let (encapsulated, mut sealer) = hpke::setup_sender_with_rng::<
        ChaCha20Poly1305,
        HkdfSha256,
        XWing,
    >(&OpModeS::Base, &key, b"pli/1/seal", &mut drawn)
    .expect("a good key");
    let ciphertext = sealer.seal(plaintext, header).expect("the first message");
    wire::Sealed {
        suite: 1,
        epoch: 1,
        encapsulated_key: encapsulated.to_bytes().to_vec().into(),
        ciphertext: ciphertext.into(),
    }
}

/// Fixed bytes in place of a generator.
struct Drawn<'a>(&'a [u8]);

impl TryRng for Drawn<'_> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        unreachable!("the KEM draws bytes")
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        unreachable!("the KEM draws bytes")
    }

    fn try_fill_bytes(&mut self, into: &mut [u8]) -> Result<(), Infallible> {
        let (drawn, rest) = self.0.split_at(into.len());
        into.copy_from_slice(drawn);
        self.0 = rest;
        Ok(())
    }
}

impl TryCryptoRng for Drawn<'_> {}

fn padding(file: &mut File) {
    let pad = |id, title, content: &[u8]| Ask {
        id,
        title,
        requirements: &["ENV-6.5"],
        op: "seal.pad",
        input: json!({ "content": hex(content) }),
    };
    let padded = |content: &[u8], size: usize| {
        let mut padded = content.to_vec();
        padded.push(0x80);
        padded.resize(size, 0);
        padded
    };
    for (id, title, length, size) in [
        ("pad-0", "nothing: 256 bytes", 0_usize, 256_usize),
        ("pad-255", "255 bytes and the mark: 256", 255, 256),
        ("pad-256", "256 bytes and the mark: 512", 256, 512),
        ("pad-1000", "1,000 bytes: 1,024", 1000, 1024),
    ] {
        let content = vec![0xcc; length];
        file.accepts(
            pad(id, title, &content),
            json!({ "plaintext": hex(padded(&content, size)) }),
        );
    }
    let over = vec![0xcc; CONTENT_MAX + 1];
    file.refuses(
        pad("pad-over", "one byte more than CONTENT_MAX", &over),
        "pad-0",
        "TOO_LONG",
    );
    let unpad = |id, title, plaintext: &[u8]| Ask {
        id,
        title,
        requirements: &["ENV-6.5", "ENV-6.7"],
        op: "seal.unpad",
        input: json!({ "plaintext": hex(plaintext) }),
    };
    let content = b"abc";
    file.accepts(
        unpad(
            "unpad",
            "the mark and zeros come off",
            &padded(content, 256),
        ),
        json!({ "content": hex(content) }),
    );
    file.accepts(
        unpad(
            "unpad-80",
            "content that ends like padding stays whole",
            &padded(&[1, 0x80, 0], 256),
        ),
        json!({ "content": "018000" }),
    );
    let mut other_mark = padded(content, 256);
    other_mark[3] = 0x81;
    let mut tail = padded(content, 256);
    tail[255] = 1;
    #[rustfmt::skip]
    let cases: [(&'static str, &'static str, &'static str, Vec<u8>); 7] = [
        ("unpad-wide", "512 where 256 do", "unpad", padded(content, 512)),
        ("unpad-255", "255 bytes", "unpad", padded(content, 255)),
        ("unpad-mark", "another mark", "unpad", other_mark),
        ("unpad-tail", "something after the zeros", "unpad", tail),
        ("unpad-zeros", "zeros only", "unpad", vec![0; 256]),
        ("unpad-empty", "nothing", "unpad", Vec::new()),
        ("unpad-80-wide", "1,024 where 256 do", "unpad-80", padded(&[1, 0x80, 0], 1024)),
    ];
    for (id, title, neighbour, plaintext) in cases {
        file.refuses(unpad(id, title, &plaintext), neighbour, "BAD_PADDING");
    }
    for (id, neighbour, length, size) in [
        ("pad-255-wide", "pad-255", 255, 512),
        ("pad-256-wide", "pad-256", 256, 1024),
        ("pad-1000-wide", "pad-1000", 1000, 2048),
    ] {
        let plaintext = padded(&vec![0xcc; length], size);
        file.refuses(
            unpad(id, "the same content, padded wider", &plaintext),
            neighbour,
            "BAD_PADDING",
        );
    }
}

fn reference(file: &mut File) {
    for (id, secret, public) in X_WING {
        let ask = Ask {
            id,
            title: "draft-connolly-cfrg-xwing-kem, appendix C: the public key of a seed",
            requirements: &["ENV-6.1", "ENV-6.4"],
            op: "seal.public",
            input: json!({ "secret": secret }),
        };
        file.accepts(ask, json!({ "public_key": public }));
        let ask = Ask {
            id: format!("{id}-long").leak(),
            title: "the same key with a byte more",
            requirements: &["ENV-6.4"],
            op: "seal.seal",
            input: json!({
                "public_key": format!("{public}00"), "epoch": 1, "header": "", "content": "",
                "randomness": X_WING_RANDOMNESS,
            }),
        };
        file.refuses(ask, id, "FIELD_INVALID");
    }
    let (_, _, public) = X_WING[0];
    let key = SealingPublicKey::from_bytes(&unhex(public)).expect("a key of the draft");
    let randomness = unhex(X_WING_RANDOMNESS).try_into().expect("64 bytes");
    let sealed = seal::seal(&key, 1, b"", b"", SealRandomness::new(randomness)).expect("fits");
    assert_eq!(
        sealed.encapsulated_key[..],
        unhex(X_WING_ENCAPSULATED),
        "the draft's ciphertext"
    );
    let ask = |id, title, public_key: String, content: &str| Ask {
        id,
        title,
        requirements: &["ENV-6.1", "ENV-6.2", "ENV-6.4"],
        op: "seal.seal",
        input: json!({
            "public_key": public_key, "epoch": 1, "header": "", "content": content,
            "randomness": X_WING_RANDOMNESS,
        }),
    };
    let title = "draft-connolly-cfrg-xwing-kem, appendix C, test 1: encapsulated_key is the draft's ciphertext";
    file.accepts(
        ask("x-wing-encapsulated", title, public.into(), ""),
        json!({ "sealed": hex(codec::encode(&sealed)) }),
    );
    let title = "a public key whose ML-KEM half is out of range";
    let bad = format!("{}{}", "ff".repeat(1184), &public[2368..]);
    file.refuses(
        ask("x-wing-range", title, bad, ""),
        "x-wing-encapsulated",
        "FIELD_INVALID",
    );
}

type Bend = fn(&mut wire::Sealed);

#[rustfmt::skip]
const BENDS: &[(&str, &str, &[&str], Bend, &str)] = &[
    ("suite-0", "no suite", &["ENV-6.1"], |s| s.suite = 0, "UNKNOWN_SUITE"),
    ("suite-2", "an unknown suite", &["ENV-6.1"], |s| s.suite = 2, "UNKNOWN_SUITE"),
    ("encapsulated-short", "an encapsulated key of 1,119 bytes", &["ENV-6.4"], |s| s.encapsulated_key.truncate(1119), "FIELD_INVALID"),
    ("encapsulated-bit-kem", "one bit of the ML-KEM half is wrong", &["ENV-6.6"], |s| s.encapsulated_key = flipped(&s.encapsulated_key, 0), "OPEN_FAILED"),
    ("encapsulated-bit-dh", "one bit of the X25519 half is wrong", &["ENV-6.6"], |s| s.encapsulated_key = flipped(&s.encapsulated_key, 1100), "OPEN_FAILED"),
    ("encapsulated-zero-dh", "an X25519 half of zeros", &["ENV-6.6"], zero_dh, "OPEN_FAILED"),
    ("ciphertext-bit", "one bit of the ciphertext is wrong", &["ENV-6.6"], |s| s.ciphertext = flipped(&s.ciphertext, 9), "OPEN_FAILED"),
    ("tag-bit", "one bit of the tag is wrong", &["ENV-6.6"], |s| s.ciphertext = flipped(&s.ciphertext, s.ciphertext.len() - 1), "OPEN_FAILED"),
    ("ciphertext-cut", "the last byte is missing", &["ENV-6.6"], |s| s.ciphertext.truncate(s.ciphertext.len() - 1), "OPEN_FAILED"),
    ("ciphertext-none", "no ciphertext", &["ENV-6.6"], |s| s.ciphertext.clear(), "OPEN_FAILED"),
];

fn zero_dh(sealed: &mut wire::Sealed) {
    let mut bytes = sealed.encapsulated_key.to_vec();
    bytes[1088..].fill(0);
    sealed.encapsulated_key = bytes.into();
}

include!("seal_reference.rs");
