//! The log's bytes on disk, format 1. All integers are little-endian.
//!
//! ```text
//! segment = "PLILOG\0\1"  format u32  number u32  first_group u64  seed u64  xxh3 u64 | group*
//! group   = "PLIGROUP"  group u64  count u32  bytes u32  xxh3 u64 | length u32 * count | record*
//! record  = xxh3 u64  meta_length u16  kind u8  flags u8  body_length u32 | meta | body
//! ```
//!
//! A group is what one fsync covers. Its header names every record's length, so that one damaged
//! record does not hide the next (R20). A record's checksum covers everything of it but itself.
//!
//! Every checksum is keyed with a [`Seed`] of the store. Otherwise a sender could hide a forged group in
//! an envelope's ciphertext, and the search for intact groups after a crash would take it for real (R4).

use bytes::Bytes;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

pub(super) const FORMAT: u32 = 1;
pub(super) const SEGMENT_HEADER: usize = 40;
pub(super) const GROUP_HEADER: usize = 32;
pub(super) const RECORD_HEADER: usize = 16;
pub(super) const GROUP_MAGIC: [u8; 8] = *b"PLIGROUP";
const SEGMENT_MAGIC: [u8; 8] = *b"PLILOG\0\x01";
/// In the flags of a record that compaction moved.
const MOVED: u8 = 1;
/// Bits of a position that number a record within its group.
pub(super) const GROUP_SHIFT: u32 = 13;
/// Records of one group: a full group of envelopes and a few more.
pub(super) const GROUP_RECORDS_MAX: usize = 1 << GROUP_SHIFT;

/// A random secret of the store that keys its checksums.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) struct Seed(pub(super) u64);

impl std::fmt::Debug for Seed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seed")
    }
}

/// Where a record stands. A segment is shorter than 4 GiB.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct Position {
    pub(super) segment: u32,
    pub(super) offset: u32,
    pub(super) length: u32,
}

/// What a record is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub(super) enum Kind {
    Envelope = 1,
    Settlement = 2,
    Account = 3,
    Mailbox = 4,
    Invitation = 5,
    Report = 6,
    ReportsSettled = 7,
    Numbering = 8,
}

impl Kind {
    fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Self::Envelope,
            2 => Self::Settlement,
            3 => Self::Account,
            4 => Self::Mailbox,
            5 => Self::Invitation,
            6 => Self::Report,
            7 => Self::ReportsSettled,
            8 => Self::Numbering,
            _ => return None,
        })
    }
}

/// A record as read, its checksum verified.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) kind: Kind,
    /// Compaction put it here; it was in the log before.
    pub(super) moved: bool,
    pub(super) meta: Bytes,
    pub(super) body: Bytes,
}

impl Record {
    /// `None` when a byte is not as it was written.
    pub(super) fn parse(raw: &Bytes, seed: Seed) -> Option<Self> {
        let header = RecordHeader::parse(raw)?;
        if header.length() != raw.len() {
            return None;
        }
        let meta_end = RECORD_HEADER + header.meta_length;
        if record_checksum(seed, &raw[8..meta_end], &raw[meta_end..]) != header.checksum {
            return None;
        }
        let kind = Kind::from_byte(header.kind)?;
        Some(Self {
            kind,
            moved: header.flags & MOVED != 0,
            meta: raw.slice(RECORD_HEADER..meta_end),
            body: raw.slice(meta_end..),
        })
    }
}

/// The fixed part of a record, not verified.
pub(super) struct RecordHeader {
    checksum: u64,
    meta_length: usize,
    kind: u8,
    flags: u8,
    body_length: usize,
}

impl RecordHeader {
    pub(super) fn parse(raw: &[u8]) -> Option<Self> {
        let head = raw.get(..RECORD_HEADER)?;
        Some(Self {
            checksum: u64_at(head, 0),
            meta_length: usize::from(u16::from_le_bytes([head[8], head[9]])),
            kind: head[10],
            flags: head[11],
            body_length: u32_at(head, 12) as usize,
        })
    }

    /// Could this be one? Cheap, for the search in damaged bytes.
    pub(super) fn is_plausible(&self, record_max: usize) -> bool {
        Kind::from_byte(self.kind).is_some() && self.length() <= record_max
    }

    pub(super) fn length(&self) -> usize {
        RECORD_HEADER + self.meta_length + self.body_length
    }
}

fn record_checksum(seed: Seed, head: &[u8], body: &[u8]) -> u64 {
    xxh3_64_with_seed(body, xxh3_64_with_seed(head, seed.0))
}

/// The header of a group, verified.
#[derive(Clone, Copy, Debug)]
pub(super) struct GroupHeader {
    pub(super) number: u64,
    pub(super) count: usize,
    /// Lengths and records.
    pub(super) bytes: usize,
    checksum: u64,
}

impl GroupHeader {
    pub(super) fn parse(raw: &[u8]) -> Option<Self> {
        let head = raw.get(..GROUP_HEADER)?;
        if head[..8] != GROUP_MAGIC {
            return None;
        }
        let header = Self {
            number: u64_at(head, 8),
            count: u32_at(head, 16) as usize,
            bytes: u32_at(head, 20) as usize,
            checksum: u64_at(head, 24),
        };
        (header.count <= GROUP_RECORDS_MAX && header.count * 4 <= header.bytes).then_some(header)
    }

    /// The records' lengths, when header and lengths are as they were written.
    pub(super) fn lengths(&self, raw_lengths: &[u8], seed: Seed) -> Option<Vec<u32>> {
        let raw = raw_lengths.get(..self.count * 4)?;
        if group_checksum(seed, self.number, self.count, self.bytes, raw) != self.checksum {
            return None;
        }
        let lengths: Vec<u32> = raw.chunks_exact(4).map(|four| u32_at(four, 0)).collect();
        let sum: u64 = lengths.iter().map(|&length| u64::from(length)).sum();
        (sum + raw.len() as u64 == self.bytes as u64).then_some(lengths)
    }
}

fn group_checksum(seed: Seed, number: u64, count: usize, bytes: usize, lengths: &[u8]) -> u64 {
    let mut head = [0; 24];
    head[..8].copy_from_slice(&number.to_le_bytes());
    head[8..16].copy_from_slice(&(count as u64).to_le_bytes());
    head[16..].copy_from_slice(&(bytes as u64).to_le_bytes());
    xxh3_64_with_seed(lengths, xxh3_64_with_seed(&head, seed.0))
}

/// A group being put together.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) number: u64,
    seed: Seed,
    /// Record headers and metas, one after the other.
    heads: Vec<u8>,
    head_ends: Vec<usize>,
    bodies: Vec<Bytes>,
    bytes: usize,
}

impl Group {
    pub(super) fn new(number: u64, seed: Seed, capacity: usize) -> Self {
        const HEAD_EXPECTED: usize = 160;
        Self {
            number,
            seed,
            heads: Vec::with_capacity(capacity * HEAD_EXPECTED),
            head_ends: Vec::with_capacity(capacity),
            bodies: Vec::with_capacity(capacity),
            bytes: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.bodies.len()
    }

    /// The position number that the next record may use as its own: never used before or again.
    pub(super) fn next_position(&self) -> u64 {
        self.number << GROUP_SHIFT | self.len() as u64
    }

    /// Adds a record.
    pub(super) fn push(&mut self, kind: Kind, body: Bytes, meta: impl FnOnce(&mut Vec<u8>)) {
        self.push_with(0, kind, body, meta);
    }

    /// Adds a record that was in the log before.
    pub(super) fn push_moved(&mut self, record: Record) {
        let Record {
            kind, meta, body, ..
        } = record;
        self.push_with(MOVED, kind, body, |out| out.extend_from_slice(&meta));
    }

    fn push_with(&mut self, flags: u8, kind: Kind, body: Bytes, meta: impl FnOnce(&mut Vec<u8>)) {
        let start = self.heads.len();
        self.heads.extend_from_slice(&[0; RECORD_HEADER]);
        meta(&mut self.heads);
        let head = &mut self.heads[start..];
        let meta_length =
            u16::try_from(head.len() - RECORD_HEADER).expect("metas are a few hundred bytes");
        let body_length = u32::try_from(body.len()).expect("bodies are bounded by a group's bytes");
        head[8..10].copy_from_slice(&meta_length.to_le_bytes());
        head[10] = kind as u8;
        head[11] = flags;
        head[12..16].copy_from_slice(&body_length.to_le_bytes());
        let checksum = record_checksum(self.seed, &head[8..], &body);
        head[..8].copy_from_slice(&checksum.to_le_bytes());
        self.bytes += head.len() + body.len();
        self.head_ends.push(self.heads.len());
        self.bodies.push(body);
    }

    /// All bytes of the group.
    pub(super) fn total_bytes(&self) -> usize {
        GROUP_HEADER + self.len() * 4 + self.bytes
    }

    /// The first buffer: group header and lengths. `parts` gives the rest.
    pub(super) fn header(&self) -> Vec<u8> {
        let mut lengths = Vec::with_capacity(self.len() * 4);
        for (head, body) in self.parts() {
            let length = u32::try_from(head.len() + body.len()).expect("a group is below 4 GiB");
            lengths.extend_from_slice(&length.to_le_bytes());
        }
        let bytes = self.bytes + lengths.len();
        let checksum = group_checksum(self.seed, self.number, self.len(), bytes, &lengths);
        let mut header = Vec::with_capacity(GROUP_HEADER + lengths.len());
        header.extend_from_slice(&GROUP_MAGIC);
        header.extend_from_slice(&self.number.to_le_bytes());
        header.extend_from_slice(
            &u32::try_from(self.len())
                .expect("bounded by GROUP_RECORDS_MAX")
                .to_le_bytes(),
        );
        header.extend_from_slice(
            &u32::try_from(bytes)
                .expect("a group is below 4 GiB")
                .to_le_bytes(),
        );
        header.extend_from_slice(&checksum.to_le_bytes());
        header.extend_from_slice(&lengths);
        header
    }

    /// Head and body of each record.
    pub(super) fn parts(&self) -> impl Iterator<Item = (&[u8], &Bytes)> {
        let starts = std::iter::once(0).chain(self.head_ends.iter().copied());
        starts
            .zip(&self.head_ends)
            .zip(&self.bodies)
            .map(|((start, &end), body)| (&self.heads[start..end], body))
    }

    /// The place each record gets when the group is written at `offset`.
    pub(super) fn positions(&self, segment: u32, offset: u32) -> impl Iterator<Item = Position> {
        let fit = "a group is below 4 GiB";
        let first = offset + u32::try_from(GROUP_HEADER + self.len() * 4).expect(fit);
        self.parts().scan(first, move |next, (head, body)| {
            let position = Position {
                segment,
                offset: *next,
                length: u32::try_from(head.len() + body.len()).expect(fit),
            };
            *next += position.length;
            Some(position)
        })
    }

    /// The records as they would be read back.
    pub(super) fn records(
        &self,
        segment: u32,
        offset: u32,
    ) -> impl Iterator<Item = (Position, Record)> {
        self.positions(segment, offset)
            .zip(self.parts())
            .map(|(position, (head, body))| {
                let kind = Kind::from_byte(head[10]).expect("this program wrote it");
                let meta = Bytes::copy_from_slice(&head[RECORD_HEADER..]);
                (
                    position,
                    Record {
                        kind,
                        moved: head[11] & MOVED != 0,
                        meta,
                        body: body.clone(),
                    },
                )
            })
    }
}

/// The header of a segment file.
pub(super) fn segment_header(number: u32, first_group: u64, seed: Seed) -> [u8; SEGMENT_HEADER] {
    let mut header = [0; SEGMENT_HEADER];
    header[..8].copy_from_slice(&SEGMENT_MAGIC);
    header[8..12].copy_from_slice(&FORMAT.to_le_bytes());
    header[12..16].copy_from_slice(&number.to_le_bytes());
    header[16..24].copy_from_slice(&first_group.to_le_bytes());
    // A second copy of what the identity file holds: without it no record could be verified.
    header[24..32].copy_from_slice(&seed.0.to_le_bytes());
    let checksum = xxh3_64(&header[..32]);
    header[32..].copy_from_slice(&checksum.to_le_bytes());
    header
}

/// The first group number of a segment, when its header is intact.
pub(super) fn first_group(header: &[u8; SEGMENT_HEADER]) -> Option<u64> {
    (header[..8] == SEGMENT_MAGIC && xxh3_64(&header[..32]) == u64_at(header, 32))
        .then(|| u64_at(header, 16))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}
