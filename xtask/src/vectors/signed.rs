//! Signed objects: SIG-2, SIG-5, SIG-6.

use bytes::Bytes;
use pli_protocol::crypto::contexts::{ENVELOPE, GRANT, RECEIPT};
use pli_protocol::crypto::sign::{PublicKey, SigningKey};
use pli_protocol::limits::SIGNATURES_MAX;
use pli_protocol::signed;
use pli_protocol::{codec, wire};
use serde_json::{Value, json};

use super::annotate::Annotator;
use super::case::{Ask, Bent, File};
use super::samples::{bent, flipped, hex, hexes, other_key, service_key, sign, unhex};

pub(super) fn file(annotator: &Annotator) -> File {
    let mut file = File::new("signed", "L1", "Leaves, batches and signatures");
    leaves(&mut file);
    let payload = Bytes::from_static(b"a payload; only its type gives it a meaning");
    let alone = sign(ENVELOPE, payload.clone(), &service_key());
    let key = *service_key().public();
    let annotated = |file: &mut File, signed: &Bytes| {
        file.annotate("signed", annotator.message("Signed", "", signed));
    };
    let accepted =
        json!({ "payload": hex(&payload), "leaf": hex(signed::leaf_hash(ENVELOPE, &payload)) });

    file.accepts(
        verify(
            "alone",
            "a tree of one: index 0, size 1, no path",
            &["SIG-2.3", "SIG-3.3", "SIG-5.4"],
            &alone,
            &key,
        ),
        accepted.clone(),
    );
    annotated(&mut file, &alone);
    for (id, title, requirements, bend, code) in BENDS {
        let bent = bent(&alone, bend);
        file.refuses(verify(id, title, requirements, &bent, &key), "alone", code);
        annotated(&mut file, &bent);
    }
    file.refuses(
        verify(
            "other-key",
            "verified by a key that did not sign",
            &["SIG-5.3"],
            &alone,
            other_key().public(),
        ),
        "alone",
        "UNKNOWN_KEY",
    );
    let context = Ask {
        id: "other-context",
        title: "presented as a grant",
        requirements: &["SIG-2.1", "SIG-2.2", "SIG-2.3"],
        op: "signed.verify",
        input: json!({ "context": GRANT.as_str(), "signed": hex(&alone), "key": hex(key.as_bytes()) }),
    };
    file.refuses(context, "alone", "BAD_SIGNATURE");
    let weak = Ask {
        id: "weak-key",
        title: "a key of small order, for which anybody can make signatures",
        requirements: &["SIG-4.3"],
        op: "signed.verify",
        input: json!({ "context": ENVELOPE.as_str(), "signed": hex(&alone), "key": hex(unhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a")) }),
    };
    file.refuses(weak, "alone", "WEAK_KEY");
    let cut = alone.slice(..alone.len() - 1);
    file.refuses(
        verify("cut", "the last byte is missing", &["SIG-1.1"], &cut, &key),
        "alone",
        "DECODE",
    );
    let long = [&alone[..], &[0x20, 0x01]].concat().into();
    file.refuses(
        verify("unknown-field", "a field more", &["SIG-1.2"], &long, &key),
        "alone",
        "NOT_CANONICAL",
    );
    batches(&mut file, annotator, &key);
    many(&mut file, annotator, &alone, &accepted);
    file
}

fn leaves(file: &mut File) {
    let ask = |id, title, payload: &[u8]| Ask {
        id,
        title,
        requirements: &["SIG-2.2"],
        op: "leaf.hash",
        input: json!({ "context": RECEIPT.as_str(), "payload": hex(payload) }),
    };
    // Computed with another program: SHA-256 of 00, "pli/1/receipt", 00, payload.
    file.accepts(
        ask("leaf-empty", "the leaf of an empty payload", b""),
        json!({ "hash": LEAF_EMPTY }),
    );
    file.accepts(
        ask("leaf-abc", "the leaf of abc", b"abc"),
        json!({ "hash": LEAF_ABC }),
    );
    for (id, neighbour, payload) in [
        ("leaf-empty-other", "leaf-empty", &b""[..]),
        ("leaf-abc-other", "leaf-abc", b"abc"),
    ] {
        let ask = Ask {
            id,
            title: "the same payload has another leaf in another context",
            requirements: &["SIG-2.1", "SIG-2.2"],
            op: "merkle.verify",
            input: json!({
                "leaf": hex(signed::leaf_hash(GRANT, payload)), "index": 0, "tree_size": 1, "path": [],
                "root": if payload.is_empty() { LEAF_EMPTY } else { LEAF_ABC },
            }),
        };
        file.refuses(ask, neighbour, "BAD_INCLUSION");
    }
}

fn batches(file: &mut File, annotator: &Annotator, key: &PublicKey) {
    let payloads: Vec<Bytes> = (0_u8..5).map(|n| Bytes::from(vec![n; 4])).collect();
    let batch = signed::sign_batch(ENVELOPE, payloads.clone(), &service_key()).expect("five");
    let ask = Ask {
        id: "batch-sign",
        title: "five payloads, one signature (Ed25519 is deterministic)",
        requirements: &["SIG-2.3", "SIG-3.1", "SIG-3.4"],
        op: "signed.sign",
        input: json!({ "context": ENVELOPE.as_str(), "payloads": hexes(&payloads), "seed": hex([1; 32]) }),
    };
    file.accepts(ask, json!({ "signed": hexes(&batch) }));
    let ask = Ask {
        id: "batch-none",
        title: "nothing to sign",
        requirements: &["SIG-3.3"],
        op: "signed.sign",
        input: json!({ "context": ENVELOPE.as_str(), "payloads": [], "seed": hex([1; 32]) }),
    };
    file.refuses(ask, "batch-sign", "BAD_INCLUSION");
    for (index, id, other) in [
        (0, "batch-0", "batch-0-elsewhere"),
        (3, "batch-3", "batch-3-elsewhere"),
        (4, "batch-4", "batch-4-elsewhere"),
    ] {
        let signed = &batch[index];
        let ok = json!({ "payload": hex(&payloads[index]), "leaf": hex(signed::leaf_hash(ENVELOPE, &payloads[index])) });
        file.accepts(
            verify(
                id,
                "one object of a batch proves itself alone",
                &["SIG-2.3", "SIG-3.4"],
                signed,
                key,
            ),
            ok,
        );
        file.annotate("signed", annotator.message("Signed", "", signed));
        let moved = bent(signed, |s| s.payload = payloads[(index + 1) % 5].clone());
        file.refuses(
            verify(
                other,
                "another payload of the same batch at this place",
                &["SIG-2.2", "SIG-3.4"],
                &moved,
                key,
            ),
            id,
            "BAD_SIGNATURE",
        );
    }
    let inclusion = |edit: fn(&mut wire::Inclusion)| {
        bent(&batch[3], |s| {
            edit(s.inclusion.as_mut().expect("signed in a batch"))
        })
    };
    #[rustfmt::skip]
    let cases: [Bent<wire::Inclusion>; 8] = [
        ("index-2", "its neighbour's index", |i| i.index = 2, "BAD_SIGNATURE"),
        ("index-5", "an index beyond the tree", |i| i.index = 5, "BAD_INCLUSION"),
        ("size-8", "another size with a path as long: the size is signed", |i| i.tree_size = 8, "BAD_SIGNATURE"),
        ("size-0", "a tree without leaves", |i| i.tree_size = 0, "BAD_INCLUSION"),
        ("size-4097", "more leaves than TREE_LEAVES_MAX", |i| i.tree_size = 4097, "BAD_INCLUSION"),
        ("path-short", "a hash is missing", |i| drop(i.path.pop()), "BAD_INCLUSION"),
        ("path-long", "a hash too many", |i| i.path.push(vec![0; 32].into()), "BAD_INCLUSION"),
        ("path-31", "a hash of 31 bytes", |i| i.path[0] = vec![0; 31].into(), "BAD_INCLUSION"),
    ];
    for (id, title, edit, code) in cases {
        let signed = inclusion(edit);
        file.refuses(
            verify(id, title, &["SIG-3.3", "SIG-3.4"], &signed, key),
            "batch-3",
            code,
        );
        file.annotate("signed", annotator.message("Signed", "", &signed));
    }
}

/// Several signatures in one wrapper: form only, which key counts is for the type to say.
fn many(file: &mut File, annotator: &Annotator, alone: &Bytes, accepted: &Value) {
    let both = |descending: bool| {
        bent(alone, |s| {
            let other: wire::Signed =
                codec::decode_canonical(&sign(ENVELOPE, s.payload.clone(), &other_key()), 4096)
                    .expect("signed");
            s.signatures.extend(other.signatures);
            s.signatures.sort_by(|a, b| a.key_id.cmp(&b.key_id));
            if descending {
                s.signatures.reverse();
            }
        })
    };
    let key = *other_key().public();
    file.accepts(
        verify(
            "two",
            "two signatures, ascending by key id; the asked one verifies",
            &["SIG-5.1", "SIG-5.2"],
            &both(false),
            &key,
        ),
        accepted.clone(),
    );
    file.annotate("signed", annotator.message("Signed", "", &both(false)));
    file.refuses(
        verify(
            "two-descending",
            "the same two, descending",
            &["SIG-5.2"],
            &both(true),
            &key,
        ),
        "two",
        "FIELD_INVALID",
    );
    let of = |count: u8| {
        bent(alone, |s| {
            s.signatures = (0..count)
                .map(|n| wire::Signature {
                    key_id: vec![n; 32].into(),
                    signature: vec![n; 64].into(),
                })
                .collect();
        })
    };
    let limit = u8::try_from(SIGNATURES_MAX).expect("few");
    let decode = |id, title, signed: &Bytes| Ask {
        id,
        title,
        requirements: &["SIG-5.1"],
        op: "signed.decode",
        input: json!({ "context": ENVELOPE.as_str(), "signed": hex(signed) }),
    };
    let ids: Value = (0..limit).map(|n| hex([n; 32])).collect();
    file.accepts(
        decode("eight", "SIGNATURES_MAX signatures", &of(limit)),
        json!({ "key_ids": ids }),
    );
    file.refuses(
        decode("nine", "one signature more", &of(limit + 1)),
        "eight",
        "TOO_MANY",
    );
}

fn verify(
    id: &'static str,
    title: &'static str,
    requirements: &'static [&'static str],
    signed: &Bytes,
    key: &PublicKey,
) -> Ask {
    Ask {
        id,
        title,
        requirements,
        op: "signed.verify",
        input: json!({ "context": ENVELOPE.as_str(), "signed": hex(signed), "key": hex(key.as_bytes()) }),
    }
}

type Bend = fn(&mut wire::Signed);

#[rustfmt::skip]
const BENDS: &[(&str, &str, &[&str], Bend, &str)] = &[
    ("payload-bit", "one bit of the payload is wrong", &["SIG-2.2"], |s| s.payload = flipped(&s.payload, 0), "BAD_SIGNATURE"),
    ("r-bit", "one bit of R is wrong", &["SIG-5.4"], |s| bend_signature(s, |b| b[0] ^= 1), "BAD_SIGNATURE"),
    ("s-bit", "one bit of S is wrong", &["SIG-5.4"], |s| bend_signature(s, |b| b[32] ^= 1), "BAD_SIGNATURE"),
    ("s-plus-l", "S + L: the same equation, a second form", &["SIG-4.5"], |s| bend_signature(s, add_order), "BAD_SIGNATURE"),
    ("zeros", "a signature of zeros", &["SIG-4.5"], |s| bend_signature(s, |b| b.fill(0)), "BAD_SIGNATURE"),
    ("none", "no signature", &["SIG-5.1"], |s| s.signatures.clear(), "SIGNATURE_COUNT"),
    ("twice", "the same signature twice", &["SIG-5.2"], |s| s.signatures.push(s.signatures[0].clone()), "FIELD_INVALID"),
    ("signature-63", "a signature of 63 bytes", &["SIG-4.6", "SIG-5.2"], |s| s.signatures[0].signature.truncate(63), "FIELD_INVALID"),
    ("signature-65", "a signature of 65 bytes", &["SIG-4.6", "SIG-5.2"], |s| s.signatures[0].signature = vec![0; 65].into(), "FIELD_INVALID"),
    ("key-id-31", "a key id of 31 bytes", &["SIG-5.2"], |s| s.signatures[0].key_id.truncate(31), "FIELD_INVALID"),
    ("key-id", "the key id of another key", &["SIG-5.3"], |s| s.signatures[0].key_id = other_id(), "UNKNOWN_KEY"),
    ("no-inclusion", "no inclusion", &["SIG-3.3"], |s| s.inclusion = None, "BAD_INCLUSION"),
];

fn other_id() -> Bytes {
    Bytes::copy_from_slice(SigningKey::from_seed(&[2; 32]).public().id().as_bytes())
}

fn bend_signature(signed: &mut wire::Signed, bend: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = signed.signatures[0].signature.to_vec();
    bend(&mut bytes);
    signed.signatures[0].signature = bytes.into();
}

#[expect(clippy::ptr_arg, reason = "one type for all bends")]
fn add_order(signature: &mut Vec<u8>) {
    let order = unhex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
    let mut carry = 0;
    for (byte, order) in signature[32..].iter_mut().zip(order) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        *byte = sum.to_le_bytes()[0];
        carry = sum >> 8;
    }
}

const LEAF_EMPTY: &str = "13d95c0feff69c60bda0669383062fe800a987fb5922f4ab51141550875b26e3";
const LEAF_ABC: &str = "02283b51b9afc4f9e6c1f72603e3703d473d62f74baee44e58535d25182714a6";
