//! Frames on a stream: SES-2.

use pli_protocol::limits::FRAME_MAX;
use serde_json::{Value, json};

use super::annotate::Annotator;
use super::case::{Ask, File};
use super::samples::hex;

pub(super) fn file(_: &Annotator) -> File {
    let mut file = File::new(
        "frames",
        "L0",
        "Length-prefixed frames, as every stream carries them",
    );
    let decode = |id, title, requirements, bytes: &[u8]| Ask {
        id,
        title,
        requirements,
        op: "frame.decode",
        input: json!({ "bytes": hex(bytes) }),
    };
    let parts = |parts: &[(usize, usize, &str)]| -> Value {
        parts
            .iter()
            .map(|(at, length, is)| json!({ "at": at, "length": length, "is": is }))
            .collect()
    };
    file.accepts(
        decode(
            "one",
            "one frame of one byte",
            &["SES-2.1"],
            &[0, 0, 0, 1, 0xaa],
        ),
        json!({ "bodies": ["aa"] }),
    )
    .annotate(
        "bytes",
        parts(&[(0, 4, "length 1, big-endian"), (4, 1, "body")]),
    );
    file.refuses(
        decode("empty", "a length of zero", &["SES-2.3"], &[0; 4]),
        "one",
        "FRAME_EMPTY",
    );
    file.refuses(
        decode(
            "little-endian",
            "the same length, little-endian, is over the limit",
            &["SES-2.1", "SES-2.2"],
            &[1, 0, 0, 0, 0xaa],
        ),
        "one",
        "FRAME_TOO_LARGE",
    );
    for (id, title, end) in [
        ("cut-1", "cut inside the length: 1 byte", 1_usize),
        ("cut-2", "cut inside the length: 2 bytes", 2),
        ("cut-3", "cut inside the length: 3 bytes", 3),
        ("cut-4", "cut before the body", 4),
    ] {
        let whole = [0, 0, 0, 1, 0xaa];
        file.refuses(
            decode(id, title, &["SES-2.4"], &whole[..end]),
            "one",
            "TRUNCATED",
        );
    }
    let two = [0, 0, 0, 2, 1, 2, 0, 0, 0, 1, 3];
    file.accepts(
        decode("two", "two frames follow each other", &["SES-2.1"], &two),
        json!({ "bodies": ["0102", "03"] }),
    )
    .annotate(
        "bytes",
        parts(&[
            (0, 4, "length 2"),
            (4, 2, "body"),
            (6, 4, "length 1"),
            (10, 1, "body"),
        ]),
    );
    file.refuses(
        decode(
            "second-cut",
            "the second frame is cut",
            &["SES-2.4"],
            &two[..10],
        ),
        "two",
        "TRUNCATED",
    );
    file.refuses(
        decode(
            "second-empty",
            "the second frame is empty",
            &["SES-2.3"],
            &[0, 0, 0, 2, 1, 2, 0, 0, 0, 0],
        ),
        "two",
        "FRAME_EMPTY",
    );
    let limit = u32::try_from(FRAME_MAX).expect("FRAME_MAX fits a length");
    let full = [&limit.to_be_bytes()[..], &vec![0x55; FRAME_MAX]].concat();
    file.accepts(
        decode(
            "limit",
            "a frame of exactly FRAME_MAX bytes",
            &["SES-2.2"],
            &full,
        ),
        json!({ "bodies": [hex(vec![0x55; FRAME_MAX])] }),
    );
    file.refuses(
        decode(
            "over",
            "FRAME_MAX and one: refused by the length alone, no body is waited for",
            &["SES-2.2"],
            &(limit + 1).to_be_bytes(),
        ),
        "limit",
        "FRAME_TOO_LARGE",
    );
    file.refuses(
        decode("4-gib", "a length of 2^32 - 1", &["SES-2.2"], &[0xff; 4]),
        "limit",
        "FRAME_TOO_LARGE",
    );
    let encode = |id, title, requirements, body: &[u8]| Ask {
        id,
        title,
        requirements,
        op: "frame.encode",
        input: json!({ "body": hex(body) }),
    };
    file.accepts(
        encode(
            "encode",
            "a body gets its length before it",
            &["SES-2.1"],
            &[7; 3],
        ),
        json!({ "bytes": "00000003070707" }),
    );
    file.refuses(
        encode("encode-empty", "no frame is empty", &["SES-2.3"], &[]),
        "encode",
        "FRAME_EMPTY",
    );
    file
}
