//! Frames of a stream: `u32` big-endian length, then the body. Spec: session.md.

/// The longest body, in bytes.
pub const FRAME_MAX: usize = 65_536;
/// Bytes of the length prefix.
pub const PREFIX_LEN: usize = 4;

/// What a reader says of the bytes it has so far.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Reading<'a> {
    /// A whole frame; `rest` is what follows it.
    Whole { body: &'a [u8], rest: &'a [u8] },
    /// More bytes are needed.
    Short,
    /// Length 0.
    Empty,
    /// Length over [`FRAME_MAX`]; refused before anything is allocated.
    TooLarge { length: u32 },
}

/// Looks at the head of `bytes`.
pub fn read(bytes: &[u8]) -> Reading<'_> {
    let Some((prefix, rest)) = bytes.split_first_chunk::<PREFIX_LEN>() else {
        return Reading::Short;
    };
    let length = u32::from_be_bytes(*prefix);
    match length as usize {
        0 => Reading::Empty,
        n if n > FRAME_MAX => Reading::TooLarge { length },
        n if rest.len() < n => Reading::Short,
        n => {
            let (body, rest) = rest.split_at(n);
            Reading::Whole { body, rest }
        }
    }
}

/// Writes one frame. The body's length is the caller's business: the suite also sends wrong ones.
pub fn write(body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).expect("the suite builds no frame over 4 GiB");
    let mut out = Vec::with_capacity(PREFIX_LEN + body.len());
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(body);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hand_computed_frame() {
        assert_eq!(write(b"pli"), [0, 0, 0, 3, b'p', b'l', b'i']);
        assert_eq!(
            read(&[0, 0, 0, 1, 7, 9]),
            Reading::Whole {
                body: &[7],
                rest: &[9]
            }
        );
    }

    #[test]
    fn case_01_length_over_limit_is_seen_from_four_bytes() {
        assert_eq!(read(&[0xff; 4]), Reading::TooLarge { length: u32::MAX });
        assert_eq!(read(&[0, 1, 0, 1]), Reading::TooLarge { length: 65_537 });
        assert_eq!(read(&[0, 1, 0, 0]), Reading::Short);
    }

    #[test]
    fn case_02_truncated_at_every_byte_is_short() {
        let whole = write(b"abc");
        for cut in 0..whole.len() {
            assert_eq!(read(&whole[..cut]), Reading::Short, "cut at {cut}");
        }
        assert_eq!(read(&[0; 4]), Reading::Empty);
    }
}
