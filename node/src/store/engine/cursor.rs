//! Reading and writing the fields of metas, keys' values and bodies. Little-endian; texts and lists carry their length.

use pli_protocol::id::Timestamp;

use super::format::Position;

/// Writes fields one after the other.
pub(super) trait Put {
    fn put(&mut self, bytes: &[u8]);

    fn put_u8(&mut self, value: u8) {
        self.put(&[value]);
    }
    fn put_u32(&mut self, value: u32) {
        self.put(&value.to_le_bytes());
    }
    fn put_u64(&mut self, value: u64) {
        self.put(&value.to_le_bytes());
    }
    fn put_time(&mut self, time: Timestamp) {
        self.put_u64(time.as_ms());
    }
    fn put_text(&mut self, text: &str) {
        self.put(
            &u16::try_from(text.len())
                .expect("names are bounded by the protocol")
                .to_le_bytes(),
        );
        self.put(text.as_bytes());
    }
    fn put_position(&mut self, at: Position) {
        self.put_u32(at.segment);
        self.put_u32(at.offset);
        self.put_u32(at.length);
    }
}

impl Put for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// Reads fields one after the other; `None` where they are not all there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(length)?;
        self.0 = tail;
        Some(head)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(super) fn time(&mut self) -> Option<Timestamp> {
        self.u64().map(Timestamp::from_ms)
    }

    pub(super) fn text(&mut self) -> Option<&'a str> {
        let length = self.array().map(u16::from_le_bytes)?;
        std::str::from_utf8(self.take(usize::from(length))?).ok()
    }

    pub(super) fn position(&mut self) -> Option<Position> {
        Some(Position {
            segment: self.u32()?,
            offset: self.u32()?,
            length: self.u32()?,
        })
    }
}
