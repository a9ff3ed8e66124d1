use proptest::prelude::*;

use super::*;
use crate::wire;

fn decode(bytes: &[u8]) -> Result<wire::Extension, CodecError> {
    decode_canonical(&Bytes::copy_from_slice(bytes), 64)
}

#[test]
fn sig_1_2_canonical_bytes_come_back_the_same() {
    let bytes = [0x08, 0x07, 0x10, 0x01, 0x1a, 0x02, 0xaa, 0xbb];
    let extension = decode(&bytes).unwrap();
    assert_eq!(
        (extension.id, extension.critical, &extension.value[..]),
        (7, true, &[0xaa, 0xbb][..])
    );
    assert_eq!(encode(&extension)[..], bytes);
}

#[test]
fn case_04_what_is_not_canonical_is_refused() {
    let cases: [(&str, &[u8]); 6] = [
        ("duplicate singular field", &[0x08, 0x07, 0x08, 0x07]),
        ("overlong varint", &[0x08, 0x87, 0x00]),
        ("unknown field", &[0x08, 0x07, 0x78, 0x01]),
        ("descending fields", &[0x10, 0x01, 0x08, 0x07]),
        ("explicit default", &[0x08, 0x00]),
        ("bool of two", &[0x10, 0x02]),
    ];
    for (name, bytes) in cases {
        assert_eq!(
            decode(bytes).map_err(|e| e.code()),
            Err(Code::NotCanonical),
            "{name}"
        );
    }
}

#[test]
fn case_02_truncated_at_every_byte() {
    let bytes = encode(&wire::Signature {
        key_id: vec![1; 32].into(),
        signature: vec![2; 64].into(),
    });
    for end in 1..bytes.len() {
        let cut = decode_canonical::<wire::Signature>(&bytes.slice(..end), 256);
        // A cut at a field boundary is a shorter message, canonical in itself.
        let at_boundary = end == 34;
        assert_eq!(cut.is_ok(), at_boundary, "cut at {end}");
    }
}

#[test]
fn case_03_nesting_of_101_is_a_decode_error() {
    // Groups are the only way to nest without a schema: 101 start-group tags of field 15.
    let deep = [0x7b; 101];
    assert_eq!(
        decode_canonical::<wire::Extension>(&Bytes::copy_from_slice(&deep), 256)
            .map_err(|e| e.code()),
        Err(Code::Decode)
    );
}

#[test]
fn case_09_trailing_bytes_are_refused() {
    assert!(decode(&[0x08, 0x07, 0x00]).is_err());
}

#[test]
fn case_10_integers_at_the_edges_survive() {
    for value in [
        1,
        (1 << 53) - 1,
        1 << 53,
        (1 << 53) + 1,
        (1 << 63) - 1,
        1 << 63,
        u64::MAX,
    ] {
        let bytes = encode(&wire::EnvelopeBatch {
            seq: value,
            envelopes: vec![],
        });
        assert_eq!(
            decode_canonical::<wire::EnvelopeBatch>(&bytes, 64)
                .unwrap()
                .seq,
            value
        );
    }
    // A negative int32 in an enum takes ten bytes and names no value; it is kept as a number.
    let negative = encode(&wire::Receipt {
        step: -1,
        ..Default::default()
    });
    assert!(
        wire::Step::try_from(
            decode_canonical::<wire::Receipt>(&negative, 64)
                .unwrap()
                .step
        )
        .is_err()
    );
}

#[test]
fn sig_1_3_one_byte_over_the_limit_is_refused() {
    let bytes = encode(&wire::Extension {
        id: 0,
        critical: false,
        value: vec![1; 62].into(),
    });
    assert_eq!(bytes.len(), 64);
    assert!(decode(&bytes).is_ok());
    let over = encode(&wire::Extension {
        id: 0,
        critical: false,
        value: vec![1; 63].into(),
    });
    assert_eq!(decode(&over).map_err(|e| e.code()), Err(Code::TooLong));
}

#[test]
fn case_01_a_frame_over_the_limit_is_refused_before_allocating() {
    let limit = u32::try_from(limits::FRAME_MAX).unwrap();
    assert_eq!(frame_len(limit.to_be_bytes()), Ok(limits::FRAME_MAX));
    assert_eq!(
        frame_len((limit + 1).to_be_bytes()),
        Err(FrameError::TooLarge { got: limit + 1 })
    );
    assert_eq!(
        frame_len([0xff; 4]),
        Err(FrameError::TooLarge { got: u32::MAX })
    );
    assert_eq!(frame_len([0; 4]), Err(FrameError::Empty));
}

proptest! {
    /// R1: whatever is accepted comes out as it went in.
    #[test]
    fn r1_accepted_bytes_encode_to_themselves(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let bytes = Bytes::from(bytes);
        if let Ok(signed) = decode_canonical::<wire::Signed>(&bytes, 64) {
            prop_assert_eq!(encode(&signed), bytes);
        }
    }
}
