use std::cell::RefCell;
use std::collections::HashSet;

use proptest::prelude::*;

use super::*;
use crate::crypto::contexts::{ENVELOPE, RECEIPT};

fn key() -> SigningKey {
    SigningKey::from_seed(&[42; 32])
}

fn payloads(count: usize) -> Vec<Bytes> {
    (0..count)
        .map(|i| Bytes::from(i.to_be_bytes().to_vec()))
        .collect()
}

#[derive(Default)]
struct Memory {
    roots: RefCell<HashSet<RootCheck>>,
    hits: RefCell<usize>,
}

impl VerifiedRoots for Memory {
    fn contains(&self, check: &RootCheck) -> bool {
        let known = self.roots.borrow().contains(check);
        *self.hits.borrow_mut() += usize::from(known);
        known
    }
    fn insert(&self, check: RootCheck) {
        self.roots.borrow_mut().insert(check);
    }
}

fn change(signed: &Bytes, edit: impl FnOnce(&mut wire::Signed)) -> Bytes {
    let mut wire: wire::Signed = codec::decode_canonical(signed, limits::ENVELOPE_MAX).unwrap();
    edit(&mut wire);
    codec::encode(&wire)
}

#[test]
fn sig_2_each_object_of_a_batch_proves_itself_alone() {
    for signed in sign_batch(ENVELOPE, payloads(1000), &key()).unwrap() {
        Signed::decode(signed, ENVELOPE)
            .unwrap()
            .verify(key().public())
            .unwrap();
    }
}

#[test]
fn sig_3_3_a_batch_has_at_most_4096_objects() {
    assert!(sign_batch(ENVELOPE, payloads(limits::TREE_LEAVES_MAX), &key()).is_some());
    assert!(sign_batch(ENVELOPE, payloads(limits::TREE_LEAVES_MAX + 1), &key()).is_none());
    assert!(sign_batch(ENVELOPE, vec![], &key()).is_none());
}

#[test]
fn sig_2_4_the_id_does_not_depend_on_batch_or_signature() {
    let alone = sign_one(ENVELOPE, Bytes::from_static(b"letter"), &key());
    let other = SigningKey::from_seed(&[43; 32]);
    let batch = vec![
        Bytes::from_static(b"letter"),
        Bytes::from_static(b"another"),
    ];
    let batched = sign_batch(ENVELOPE, batch, &other).unwrap().remove(0);
    let leaf = |signed| *Signed::decode(signed, ENVELOPE).unwrap().leaf();
    assert_eq!(leaf(alone), leaf(batched));
}

#[test]
fn case_13_a_signature_of_another_context_does_not_verify() {
    let signed = sign_one(ENVELOPE, Bytes::from_static(b"letter"), &key());
    let confused = Signed::decode(signed, RECEIPT).unwrap();
    assert_eq!(
        confused.verify(key().public()),
        Err(SignedError::BadSignature {
            key: key().public().id()
        })
    );
}

#[test]
fn case_14_the_algorithm_belongs_to_the_key() {
    // There is no algorithm field to confuse: a signature of another length has no form at all.
    let signed = sign_one(ENVELOPE, Bytes::from_static(b"letter"), &key());
    let longer = change(&signed, |s| s.signatures[0].signature = vec![0; 65].into());
    assert_eq!(
        Signed::decode(longer, ENVELOPE).unwrap_err(),
        SignedError::SignatureForm
    );
}

#[test]
fn sig_5_3_another_key_is_not_enough() {
    let signed = sign_one(ENVELOPE, Bytes::from_static(b"letter"), &key());
    let other = SigningKey::from_seed(&[43; 32]);
    assert_eq!(
        Signed::decode(signed, ENVELOPE)
            .unwrap()
            .verify(other.public()),
        Err(SignedError::NotSignedBy {
            expected: other.public().id()
        })
    );
}

#[test]
fn sig_5_1_no_or_too_many_signatures_are_refused() {
    let signed = sign_one(ENVELOPE, Bytes::from_static(b"letter"), &key());
    let none = change(&signed, |s| s.signatures.clear());
    assert_eq!(
        Signed::decode(none, ENVELOPE).unwrap_err(),
        SignedError::SignatureCount { got: 0 }
    );
    let with = |count: u8| {
        change(&signed, |s| {
            s.signatures = (0..count)
                .map(|i| wire::Signature {
                    key_id: vec![i; 32].into(),
                    signature: vec![0; 64].into(),
                })
                .collect();
        })
    };
    let limit = u8::try_from(limits::SIGNATURES_MAX).unwrap();
    assert!(Signed::decode(with(limit), ENVELOPE).is_ok());
    assert_eq!(
        Signed::decode(with(limit + 1), ENVELOPE).unwrap_err(),
        SignedError::SignatureCount {
            got: usize::from(limit) + 1
        }
    );
}

#[test]
fn sig_5_2_key_ids_ascend_each_once() {
    let signed = sign_one(ENVELOPE, Bytes::from_static(b"letter"), &key());
    let twice = change(&signed, |s| s.signatures.push(s.signatures[0].clone()));
    assert_eq!(
        Signed::decode(twice, ENVELOPE).unwrap_err(),
        SignedError::SignatureForm
    );
}

#[test]
fn sig_3_4_a_wrong_path_is_refused() {
    let batch = sign_batch(ENVELOPE, payloads(5), &key()).unwrap();
    let edits: [fn(&mut wire::Inclusion); 5] = [
        |i| i.index = 5,
        |i| i.tree_size = 0,
        |i| drop(i.path.pop()),
        |i| i.path.push(vec![0; 32].into()),
        |i| i.path[0] = vec![0; 31].into(),
    ];
    for (number, edit) in edits.into_iter().enumerate() {
        let bad = change(&batch[1], |s| edit(s.inclusion.as_mut().unwrap()));
        let refused = Signed::decode(bad, ENVELOPE)
            .map(|_| ())
            .map_err(|e| e.code());
        assert_eq!(refused, Err(Code::BadInclusion), "edit {number}");
    }
    let moved = change(&batch[1], |s| s.inclusion.as_mut().unwrap().index = 0);
    let moved = Signed::decode(moved, ENVELOPE)
        .unwrap()
        .verify(key().public());
    assert_eq!(moved.map_err(|e| e.code()), Err(Code::BadSignature));
}

#[test]
fn sig_5_5_a_remembered_root_spares_the_check_but_not_the_signature() {
    let memory = Memory::default();
    let batch = sign_batch(ENVELOPE, payloads(8), &key()).unwrap();
    for signed in &batch {
        let signed = Signed::decode(signed.clone(), ENVELOPE).unwrap();
        signed.verify_with(key().public(), &memory).unwrap();
    }
    assert_eq!(*memory.hits.borrow(), 7);
    // A garbage signature under the known root is not the check that was remembered.
    let garbage = change(&batch[3], |s| {
        let mut bytes = s.signatures[0].signature.to_vec();
        bytes[5] ^= 1;
        s.signatures[0].signature = bytes.into();
    });
    let garbage = Signed::decode(garbage, ENVELOPE).unwrap();
    assert!(garbage.verify_with(key().public(), &memory).is_err());
}

proptest! {
    /// One flipped bit anywhere is refused, or (in the wrapper) leaves no valid signature.
    #[test]
    fn any_flipped_bit_is_caught(index in 0_usize..5, bit in 0_usize..2400) {
        let signed = sign_batch(ENVELOPE, payloads(5), &key()).unwrap().remove(index);
        let mut bytes = signed.to_vec();
        let bit = bit % (bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        let verdict = Signed::decode(bytes.into(), ENVELOPE).and_then(|s| s.verify(key().public()));
        prop_assert!(verdict.is_err());
    }
}
