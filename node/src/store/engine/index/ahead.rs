//! Rows that are read before the writer is taken, so that others may write meanwhile.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;

use super::{Index, Result, SPACES, Space};

/// Keys that were written since a [`Reading`] began; `None` while there is none.
pub(super) type Written = Option<HashSet<(Space, Vec<u8>)>>;

/// Rows that are as they were read.
pub(in super::super) type Ahead = [HashMap<Vec<u8>, Option<Bytes>>; SPACES.len()];

/// Reads rows while others write. There is one at a time: a later one takes its place.
pub(in super::super) struct Reading<'a> {
    index: &'a Index,
    rows: Ahead,
}

impl Index {
    /// The writer must be held: what somebody is about to write would not be noticed.
    pub(in super::super) fn read_ahead(&self) -> Reading<'_> {
        *self.written() = Some(HashSet::new());
        Reading {
            index: self,
            rows: Ahead::default(),
        }
    }
}

impl Reading<'_> {
    /// The row of now. It need not be the one of [`finish`](Self::finish).
    pub(in super::super) fn get(&mut self, space: Space, key: &[u8]) -> Result<Option<Bytes>> {
        let row = self.index.get(space, key)?;
        self.rows[space as usize].insert(key.to_vec(), row.clone());
        Ok(row)
    }

    /// What nobody has written meanwhile. The writer must be held, and is held for as long as that is believed.
    pub(in super::super) fn finish(mut self) -> Ahead {
        for (space, key) in self.index.written().take().into_iter().flatten() {
            self.rows[space as usize].remove(&key);
        }
        std::mem::take(&mut self.rows)
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        *self.index.written() = None;
    }
}
