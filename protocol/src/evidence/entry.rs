//! An entry of a node's log: the root of one batch of events (EVD-2).

use sha2::{Digest, Sha256};

use crate::id::Timestamp;
use crate::limits::TREE_LEAVES_MAX;
use crate::merkle::Hash;

/// Opens each entry, and ends with a zero byte like every context.
const PREFIX: &[u8] = b"pli/1/events\0";
/// Bytes of an entry.
pub const ENTRY_LEN: usize = PREFIX.len() + 8 + 8 + 32;

/// One batch of events, as the log holds it: nothing of what happened, or to which letter (EVD-2.3).
///
/// ```text
/// "pli/1/events" 0x00 | at_ms u64 | size u64 | root 32        (big-endian)
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Entry {
    /// When the batch was closed, by the node's clock; never before the entry before it.
    pub at: Timestamp,
    /// How many events: 1 to [`TREE_LEAVES_MAX`].
    pub size: usize,
    /// The root of their tree.
    pub root: Hash,
}

impl Entry {
    /// The exact bytes. EVD-2.2.
    pub fn encode(&self) -> [u8; ENTRY_LEN] {
        let mut bytes = [0; ENTRY_LEN];
        let (prefix, fields) = bytes.split_at_mut(PREFIX.len());
        prefix.copy_from_slice(PREFIX);
        fields[..8].copy_from_slice(&self.at.as_ms().to_be_bytes());
        fields[8..16].copy_from_slice(&(self.size as u64).to_be_bytes());
        fields[16..].copy_from_slice(&self.root);
        bytes
    }

    /// Reads an entry; `None` if these bytes are none.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let fields = bytes.strip_prefix(PREFIX)?;
        let (at, fields) = fields.split_first_chunk()?;
        let (size, root) = fields.split_first_chunk()?;
        let size = usize::try_from(u64::from_be_bytes(*size)).ok()?;
        (1..=TREE_LEAVES_MAX).contains(&size).then_some(Self {
            at: Timestamp::from_ms(u64::from_be_bytes(*at)),
            size,
            root: root.try_into().ok()?,
        })
    }

    /// The leaf of the log's tree: RFC 6962, section 2.1, over the exact bytes.
    pub fn leaf(&self) -> Hash {
        let hasher = Sha256::new().chain_update([0]);
        hasher.chain_update(self.encode()).finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// EVD-2.3: the tree's root is all that it has of its events.
    #[test]
    fn evd_2_3_an_entry_holds_no_byte_of_an_event() {
        let entry = Entry {
            at: Timestamp::from_ms(1),
            size: 1,
            root: [7; 32],
        };
        let fields = 8 + 8 + 32;
        assert_eq!(ENTRY_LEN, PREFIX.len() + fields);
        assert_eq!(entry.encode()[ENTRY_LEN - 32..], [7; 32]);
    }

    #[test]
    fn evd_2_2_an_entry_reads_back_and_nothing_else_does() {
        let entry = Entry {
            at: Timestamp::from_ms(1_800_000_000_000),
            size: TREE_LEAVES_MAX,
            root: [7; 32],
        };
        let bytes = entry.encode();
        assert_eq!(Entry::decode(&bytes), Some(entry));
        assert_eq!(Entry::decode(&bytes[..ENTRY_LEN - 1]), None);
        assert_eq!(Entry::decode(&[&bytes[..], &[0]].concat()), None);
        let mut other = bytes;
        other[0] ^= 1;
        assert_eq!(Entry::decode(&other), None);
        for size in [0, TREE_LEAVES_MAX + 1] {
            assert_eq!(Entry::decode(&Entry { size, ..entry }.encode()), None);
        }
    }
}
