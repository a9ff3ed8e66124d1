use super::*;
use crate::crypto::contexts::{ENVELOPE, RECEIPT, SESSION};

fn key() -> SecretKey {
    SecretKey::from_seed([1; 32])
}

fn code(result: Result<impl Sized, Refused>) -> &'static str {
    match result {
        Ok(_) => "accepted",
        Err(refused) => refused.code,
    }
}

fn one() -> Message {
    Message::decode(&SIGNED, &sign_one(RECEIPT, b"payload", &key())).expect("own bytes")
}

#[test]
fn signed_message_by_hand() {
    // "pli/1/receipt", 0x00, size 3 as eight bytes, root of 32 times 0xaa.
    let expected =
        "706c692f312f72656365697074".to_owned() + "00" + "0000000000000003" + &"aa".repeat(32);
    assert_eq!(hex::encode(message(RECEIPT, 3, &[0xaa; 32])), expected);
}

#[test]
fn every_item_of_a_batch_proves_itself_alone() {
    for size in [1usize, 2, 3, 7, 8, 33] {
        let payloads: Vec<Vec<u8>> = (0..size).map(|i| vec![i as u8; i + 1]).collect();
        for (payload, bytes) in payloads.iter().zip(sign_batch(RECEIPT, &payloads, &key())) {
            let signed = Signed::decode(RECEIPT, &bytes).expect("own bytes");
            assert_eq!(&signed.payload, payload);
            assert_eq!(signed.leaf, merkle::leaf(RECEIPT, payload));
            signed.verify(&key().public()).expect("own signature");
        }
    }
}

#[test]
fn case_13_signature_of_another_context_is_bad() {
    let signed = Signed::decode(ENVELOPE, &one().encode()).expect("the form is right");
    assert_eq!(code(signed.verify(&key().public())), "BAD_SIGNATURE");
}

#[test]
fn another_key_is_unknown_and_a_weak_one_is_weak() {
    let signed = Signed::decode(RECEIPT, &one().encode()).expect("own bytes");
    assert_eq!(
        code(signed.verify(&SecretKey::from_seed([2; 32]).public())),
        "UNKNOWN_KEY"
    );
    assert_eq!(code(signed.verify(&PublicKey([0; 32]))), "WEAK_KEY");
}

#[test]
fn a_lie_about_the_tree_is_found() {
    let lie = |index: u32, size: u32, path: Vec<[u8; 32]>| {
        let inclusion = Message::new(&INCLUSION)
            .with("index", index)
            .with("tree_size", size)
            .with_all("path", path);
        one().replacing("inclusion", inclusion).encode()
    };
    assert_eq!(
        code(Signed::decode(RECEIPT, &lie(0, 0, vec![]))),
        "BAD_INCLUSION"
    );
    assert_eq!(
        code(Signed::decode(RECEIPT, &lie(1, 1, vec![]))),
        "BAD_INCLUSION"
    );
    assert_eq!(
        code(Signed::decode(RECEIPT, &lie(0, 2, vec![]))),
        "BAD_INCLUSION"
    );
    assert_eq!(
        code(Signed::decode(RECEIPT, &lie(0, 4_097, vec![[0; 32]; 13]))),
        "BAD_INCLUSION"
    );
    let fits = Signed::decode(RECEIPT, &lie(0, 2, vec![[0; 32]])).expect("it fits");
    assert_eq!(code(fits.verify(&key().public())), "BAD_SIGNATURE");
    assert_eq!(
        code(Signed::decode(
            RECEIPT,
            &one().without("inclusion").encode()
        )),
        "BAD_INCLUSION"
    );
}

#[test]
fn signatures_are_counted_ordered_and_measured() {
    let signature = |id: u8, len: usize| {
        Message::new(&SIGNATURE)
            .with("key_id", [id; 32])
            .with("signature", vec![1; len])
    };
    let with = |signatures: Vec<Message>| {
        one()
            .without("signatures")
            .with_all("signatures", signatures)
            .encode()
    };
    let decode = |bytes: Vec<u8>| code(Signed::decode(SESSION, &bytes));
    assert_eq!(decode(with(vec![])), "SIGNATURE_COUNT");
    assert_eq!(
        decode(with(vec![signature(1, 64), signature(2, 64)])),
        "accepted"
    );
    assert_eq!(
        decode(with(vec![signature(2, 64), signature(1, 64)])),
        "FIELD_INVALID"
    );
    assert_eq!(
        decode(with(vec![signature(1, 64), signature(1, 64)])),
        "FIELD_INVALID"
    );
    assert_eq!(decode(with(vec![signature(1, 63)])), "FIELD_INVALID");
    assert_eq!(
        decode(with((1..=8).map(|id| signature(id, 64)).collect())),
        "accepted"
    );
    assert_eq!(
        decode(with((1..=9).map(|id| signature(id, 64)).collect())),
        "TOO_MANY"
    );
    let two =
        Signed::decode(RECEIPT, &with(vec![signature(1, 64), signature(2, 64)])).expect("form");
    assert_eq!(code(two.only_one()), "SIGNATURE_COUNT");
}

#[test]
fn r15_signed_over_its_limit_is_refused_before_decoding() {
    for (context, limit, beyond) in [
        (ENVELOPE, ENVELOPE_MAX, "ENVELOPE_TOO_LARGE"),
        (RECEIPT, RECEIPT_MAX, "TOO_LONG"),
        (SESSION, SIGNED_OBJECT_MAX, "TOO_LONG"),
    ] {
        assert_eq!(
            code(Signed::decode(context, &vec![0xff; limit + 1])),
            beyond
        );
        assert_eq!(code(Signed::decode(context, &vec![0xff; limit])), "DECODE");
    }
}
