//! Base-128 varints of the protobuf encoding. In: bytes and a position. Out: the value and whether
//! it was written in the fewest bytes.

use super::Fault;

/// A 64-bit value needs at most ten groups of seven bits.
const VARINT_BYTES_MAX: usize = 10;

/// A varint that was read: `minimal` is false when a shorter spelling exists.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Varint {
    pub value: u64,
    pub len: usize,
    pub minimal: bool,
}

/// Reads one varint at `at`.
pub fn read(bytes: &[u8], at: usize) -> Result<Varint, Fault> {
    let mut value = 0u64;
    for len in 1..=VARINT_BYTES_MAX {
        let Some(&byte) = bytes.get(at + len - 1) else {
            return Err(Fault::Malformed {
                at,
                why: "varint cut short",
            });
        };
        // The tenth group holds bit 63 alone.
        if len == VARINT_BYTES_MAX && byte > 1 {
            return Err(Fault::Malformed {
                at,
                why: "varint over 64 bits",
            });
        }
        value |= u64::from(byte & 0x7f) << (7 * (len - 1));
        if byte & 0x80 == 0 {
            return Ok(Varint {
                value,
                len,
                minimal: len == 1 || byte != 0,
            });
        }
    }
    Err(Fault::Malformed {
        at,
        why: "varint over 64 bits",
    })
}

/// Appends `value` in the fewest bytes.
pub fn write(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value as u8 & 0x7f) | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protobuf_documentation_example_150() {
        // developers.google.com/protocol-buffers/docs/encoding: 150 is 96 01.
        let mut out = Vec::new();
        write(&mut out, 150);
        assert_eq!(out, [0x96, 0x01]);
        assert_eq!(
            read(&out, 0),
            Ok(Varint {
                value: 150,
                len: 2,
                minimal: true
            })
        );
    }

    #[test]
    fn case_10_integers_at_the_edges_come_back() {
        for value in [
            0,
            1,
            127,
            128,
            (1 << 53) - 1,
            1 << 53,
            (1 << 63) - 1,
            1 << 63,
            u64::MAX,
        ] {
            let mut out = Vec::new();
            write(&mut out, value);
            let got = read(&out, 0).expect("just written");
            assert_eq!((got.value, got.minimal, got.len), (value, true, out.len()));
        }
    }

    #[test]
    fn case_04_overlong_varint_is_seen() {
        assert!(!read(&[0x96, 0x81, 0x00], 0).expect("readable").minimal);
        assert!(!read(&[0x80, 0x00], 0).expect("readable").minimal);
    }

    #[test]
    fn case_02_cut_or_too_long_is_malformed() {
        assert!(read(&[], 0).is_err());
        assert!(read(&[0x80], 0).is_err());
        let mut eleven = vec![0xff; 10];
        eleven.push(0x01);
        assert!(read(&eleven, 0).is_err());
        let mut over = vec![0xff; 9];
        over.push(0x02);
        assert!(read(&over, 0).is_err());
    }
}
