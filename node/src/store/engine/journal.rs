//! A second look at fjall's journals before they are replayed.
//!
//! fjall 3.1 checks the items of a batch, but not the header that gives their sequence number. One flipped
//! bit there would let old rows hide newer ones, and a sequence number of a mailbox could be given twice.
//! The numbers only ever grow, so the order of the headers shows it.
//!
//! ```text
//! start = 1  items u32  seqno u64
//! item  = 2  type u8  compression u8  keyspace u64  key_length u16  length u32  stored_length u32 | key | value
//! end   = 3  xxh3 u64  "FJL\3"
//! clear = 4  keyspace u64
//! ```

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

const START: u8 = 1;
const ITEM: u8 = 2;
const END: u8 = 3;
const CLEAR: u8 = 4;
const BUFFER: usize = 1024 * 1024;

/// Do the batches of all journals follow each other? Bytes that are no batch end a journal: fjall stops there too.
pub(super) fn is_in_order(index: &Path) -> io::Result<bool> {
    let mut journals = Vec::new();
    for entry in fs::read_dir(index)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let number = name.and_then(|name| name.strip_suffix(".jnl")?.parse::<u64>().ok());
        journals.extend(number.map(|number| (number, path)));
    }
    journals.sort();
    let mut last = None;
    for (_, path) in journals {
        let mut journal = BufReader::with_capacity(BUFFER, File::open(path)?);
        while let Some(seqno) = next_start(&mut journal)? {
            if last.is_some_and(|last| seqno <= last) {
                return Ok(false);
            }
            last = Some(seqno);
        }
    }
    Ok(true)
}

/// Reads on to the next batch; `None` at the end of what is one.
fn next_start(journal: &mut impl BufRead) -> io::Result<Option<u64>> {
    loop {
        let read = match field::<1>(journal)? {
            Some([START]) => {
                let header = field::<12>(journal)?;
                let seqno = header.and_then(|header| header.last_chunk().copied());
                return Ok(seqno.map(u64::from_le_bytes));
            }
            Some([ITEM]) => skip_item(journal)?,
            Some([END]) => field::<12>(journal)?.is_some(),
            Some([CLEAR]) => field::<8>(journal)?.is_some(),
            _ => false,
        };
        if !read {
            return Ok(None);
        }
    }
}

fn skip_item(journal: &mut impl BufRead) -> io::Result<bool> {
    let Some(head) = field::<20>(journal)? else {
        return Ok(false);
    };
    let key = u64::from(u16::from_le_bytes([head[10], head[11]]));
    let value = u64::from(u32::from_le_bytes([head[16], head[17], head[18], head[19]]));
    let skipped = io::copy(&mut journal.take(key + value), &mut io::sink())?;
    Ok(skipped == key + value)
}

fn field<const N: usize>(journal: &mut impl BufRead) -> io::Result<Option<[u8; N]>> {
    let mut bytes = [0; N];
    match journal.read_exact(&mut bytes) {
        Ok(()) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(seqno: u64) -> Vec<u8> {
        let mut bytes = vec![START];
        bytes.extend_from_slice(&1_u32.to_le_bytes());
        bytes.extend_from_slice(&seqno.to_le_bytes());
        bytes.extend_from_slice(&[ITEM, 0, 0]);
        bytes.extend_from_slice(&7_u64.to_le_bytes());
        bytes.extend_from_slice(&3_u16.to_le_bytes());
        bytes.extend_from_slice(&5_u32.to_le_bytes());
        bytes.extend_from_slice(&5_u32.to_le_bytes());
        bytes.extend_from_slice(b"keyvalue");
        bytes.push(END);
        bytes.extend_from_slice(&[9; 12]);
        bytes
    }

    fn in_order(journals: &[&[u64]]) -> bool {
        let directory = tempfile::tempdir().unwrap();
        for (number, seqnos) in journals.iter().enumerate() {
            let mut bytes: Vec<u8> = seqnos.iter().flat_map(|seqno| batch(*seqno)).collect();
            bytes.resize(bytes.len() + 4_096, 0);
            // Ten comes after nine.
            fs::write(directory.path().join(format!("{}.jnl", number + 9)), bytes).unwrap();
        }
        is_in_order(directory.path()).unwrap()
    }

    #[test]
    fn r20_a_flipped_bit_in_a_batch_header_is_seen() {
        assert!(in_order(&[&[1, 2, 5], &[6, 9]]));
        assert!(in_order(&[&[], &[]]));
        assert!(!in_order(&[&[1, 2 | 16, 5]]));
        assert!(!in_order(&[&[33, 34 & !32, 35]]));
        assert!(!in_order(&[&[1, 2, 5 | 1 << 40], &[6, 9]]));
    }

    #[test]
    fn these_are_the_journals_that_fjall_writes() {
        let directory = tempfile::tempdir().unwrap();
        let database = fjall::Database::builder(directory.path()).open().unwrap();
        let keyspace = database
            .keyspace("any", fjall::KeyspaceCreateOptions::default)
            .unwrap();
        for key in 0_u8..10 {
            keyspace.insert([key], "value").unwrap();
        }
        database.persist(fjall::PersistMode::SyncAll).unwrap();
        let mut journal = BufReader::new(File::open(directory.path().join("0.jnl")).unwrap());
        let seqnos = std::iter::from_fn(|| next_start(&mut journal).unwrap()).collect::<Vec<_>>();
        assert_eq!(seqnos.len(), 10);
        assert!(seqnos.is_sorted());
    }
}
