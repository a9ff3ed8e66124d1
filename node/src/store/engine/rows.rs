//! The rows of accounts that the writer keeps in memory, bounded.

use std::collections::HashMap;

use pli_protocol::id::AccountId;

use super::index::{self, Change, Space};
use super::values::Row;

/// Rows of one generation. Two are kept, about 20 MiB when full.
const GENERATION_MAX: usize = 65_536;

/// Rows used lately. When the younger generation is full it replaces the older one.
#[derive(Debug, Default)]
pub(super) struct Rows {
    young: HashMap<AccountId, Row>,
    old: HashMap<AccountId, Row>,
}

impl Rows {
    /// The row, from memory or from the index. A changed row must be written to the index by the caller.
    pub(super) fn row(
        &mut self,
        account: &AccountId,
        change: &Change<'_>,
    ) -> index::Result<&mut Row> {
        if !self.young.contains_key(account) {
            let row = match self.old.remove(account) {
                Some(row) => row,
                None => load(account, change)?,
            };
            if self.young.len() >= GENERATION_MAX {
                self.old = std::mem::take(&mut self.young);
            }
            self.young.insert(*account, row);
        }
        Ok(self.young.get_mut(account).expect("inserted above"))
    }
}

fn load(account: &AccountId, change: &Change<'_>) -> index::Result<Row> {
    let value = change.get(Space::Rows, account.as_bytes())?;
    // A row that does not decode was not written by this program: blocks carry checksums.
    Ok(value
        .map(|value| Row::decode(&value).expect("rows decode as they were encoded"))
        .unwrap_or_default())
}
