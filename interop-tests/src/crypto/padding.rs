//! Plaintext = content ‖ 0x80 ‖ 0x00…, to the next power of two from 256 to 32,768 bytes.
//! Spec: envelope.md, sealing.

pub const PLAINTEXT_MIN: usize = 256;
pub const PLAINTEXT_MAX: usize = 32_768;
const MARK: u8 = 0x80;

/// `None` when the content does not fit.
pub fn pad(content: &[u8]) -> Option<Vec<u8>> {
    let size = (content.len() + 1).next_power_of_two().max(PLAINTEXT_MIN);
    if size > PLAINTEXT_MAX {
        return None;
    }
    let mut out = Vec::with_capacity(size);
    out.extend_from_slice(content);
    out.push(MARK);
    out.resize(size, 0);
    Some(out)
}

/// `None` unless `pad` would have made exactly these bytes.
pub fn unpad(plaintext: &[u8]) -> Option<&[u8]> {
    let end = plaintext.iter().rposition(|byte| *byte != 0)?;
    if plaintext[end] != MARK {
        return None;
    }
    let content = &plaintext[..end];
    (pad(content)?.len() == plaintext.len()).then_some(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_at_every_edge() {
        for (content, padded) in [
            (0, 256),
            (255, 256),
            (256, 512),
            (511, 512),
            (512, 1024),
            (32_767, 32_768),
        ] {
            let bytes = vec![7; content];
            let out = pad(&bytes).expect("fits");
            assert_eq!(out.len(), padded);
            assert_eq!(unpad(&out), Some(&bytes[..]));
        }
        assert_eq!(pad(&vec![7; 32_768]), None);
    }

    #[test]
    fn content_may_end_in_mark_or_zero() {
        for content in [&[0x80][..], &[0x80, 0x80], &[0], &[0, 0x80, 0]] {
            assert_eq!(unpad(&pad(content).expect("fits")), Some(content));
        }
    }

    #[test]
    fn neighbours_are_refused() {
        let good = pad(b"pli").expect("fits");
        for (at, byte) in [(3, 0x81), (3, 0), (255, 1)] {
            let mut bad = good.clone();
            bad[at] = byte;
            assert_eq!(unpad(&bad), None, "byte {at} set to {byte}");
        }
        // A block larger than the content needs, one that is no power of two, one too small, none.
        let mut larger = good.clone();
        larger.resize(512, 0);
        assert_eq!(unpad(&larger), None);
        assert_eq!(unpad(&good[..255]), None);
        assert_eq!(unpad(&good[..128]), None);
        assert_eq!(unpad(&[]), None);
    }
}
