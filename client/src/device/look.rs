//! Look: what the inbox holds, verified and opened again, a page at a time.
//!
//! In: the pages on disk. Out: [`Shown`], in the order of the numbers. However many letters there are,
//! one page of them is in memory, and of the others eight bytes each, by which those are found that
//! repeat or replace one another. Spec: MBX-5.5, MBX-5.9.

use std::sync::Arc;

use pli_protocol::id::Timestamp;
use pli_protocol::trust::{Directory, TrustRefusal, Versions};

use super::cursor::Body;
use super::evidence;
use super::inbox::{Entry, InboxError};
use super::open::Device;
use super::relations::Relations;
use super::verify::{LetterRefusal, VerifiedLetter, Verifier, verify};
use crate::clock;

/// A number of the account as the citizen may see it.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The number and how it came.
    pub entry: Entry,
    /// The letter, or why it is not shown; `None` where the home says that there is none any more.
    pub letter: Option<Result<VerifiedLetter, LetterRefusal>>,
    /// MBX-5.9: when the key ended that signed it, where that was before this device received it. Then
    /// only the signer's and the home's word say that it was written in time.
    pub key_ended: Option<Timestamp>,
    /// The number that holds the same letter already: a home that repeats it does not make it two.
    pub repeats: Option<u64>,
    /// The number of a later letter of the same sender that replaces this one.
    pub superseded_by: Option<u64>,
}

impl Shown {
    /// The letter, if it is shown.
    pub fn verified(&self) -> Option<&VerifiedLetter> {
        self.letter.as_ref()?.as_ref().ok()
    }
}

/// Of what the directory says today: who revokes a key may date its end back.
fn ended_before(
    directory: &Directory,
    letter: &VerifiedLetter,
    received: Timestamp,
) -> Option<Timestamp> {
    match directory.service_key_at(letter.sender(), &letter.signer(), received) {
        Err(TrustRefusal::KeyNotValid { not_after, .. }) => {
            not_after.filter(|ended| *ended <= received)
        }
        _ => None,
    }
}

/// The directory of one day. Letters of a day stand together, and a home that gives thousands of
/// letters by nobody must not make this device read a directory for each.
#[derive(Debug, Default)]
struct Day(Option<(Versions, Option<Arc<Directory>>)>);

impl Device {
    /// Verifies and opens what is behind some numbers, again from the exact bytes.
    pub async fn look(&self, entries: Vec<Entry>) -> Vec<Shown> {
        self.look_on(entries, &mut Day::default()).await
    }

    /// The whole inbox, page by page, in the order of the numbers. A letter that the home gives twice
    /// under two numbers is one letter, and a letter that was replaced says by which.
    pub async fn look_through(&self) -> Pages<'_> {
        Pages {
            device: self,
            next: 0,
            day: Day::default(),
            relations: self.relations().await,
        }
    }

    /// One number, as [`look_through`](Self::look_through) shows it.
    pub async fn look_at(&self, seq: u64) -> Result<Option<Shown>, InboxError> {
        let Some(entry) = self.inbox().entry(seq)? else {
            return Ok(None);
        };
        let mut shown = self.look(vec![entry]).await;
        self.relations().await.tell(&mut shown);
        Ok(shown.pop())
    }

    /// What cannot be read is said by whoever shows it.
    async fn relations(&self) -> Relations {
        let mut day = Day::default();
        let suspects = Relations::suspects(self.inbox());
        let mut relations = Relations::default();
        if suspects.is_empty() {
            return relations;
        }
        for page in 0..self.inbox().parts() {
            let mut entries = self.inbox().part(page).unwrap_or_default();
            entries.retain(|entry| suspects.contains(entry));
            for shown in self.look_on(entries, &mut day).await {
                relations.learn(&shown);
            }
        }
        relations
    }

    async fn look_on(&self, entries: Vec<Entry>, day: &mut Day) -> Vec<Shown> {
        let directory = self.directory().current();
        let mut looked = Vec::with_capacity(entries.len());
        for entry in entries {
            let Body::Envelope { encoded, stored } = &entry.numbered.body else {
                looked.push(Shown {
                    entry,
                    letter: None,
                    key_ended: None,
                    repeats: None,
                    superseded_by: None,
                });
                continue;
            };
            let with = Verifier {
                directory: &directory,
                grants: self.grants(),
                secrets: self.secrets(),
                now: clock::now(),
                roots: self.roots(),
            };
            let mut letter = verify(encoded.clone(), *stored, with);
            if letter.as_ref().is_err_and(LetterRefusal::is_of_directory) {
                // The sender may have left the directory since: the day's own is the judge.
                let then = entry.arrival.directory;
                if day.0.as_ref().is_none_or(|(versions, _)| *versions != then) {
                    day.0 = Some((then, self.directory_of(then).await));
                }
                if let Some((_, Some(then))) = &day.0 {
                    let with = Verifier {
                        directory: then,
                        ..with
                    };
                    letter = verify(encoded.clone(), *stored, with);
                }
            }
            let key_ended = letter
                .as_ref()
                .ok()
                .and_then(|letter| ended_before(&directory, letter, entry.arrival.received));
            looked.push(Shown {
                entry,
                letter: Some(letter),
                key_ended,
                repeats: None,
                superseded_by: None,
            });
        }
        looked
    }

    async fn directory_of(&self, day: Versions) -> Option<Arc<Directory>> {
        if day == self.directory().current().versions() {
            return None;
        }
        let opened =
            evidence::open(&self.paths().evidence(), self.place(), day, clock::now()).await;
        opened
            .inspect_err(|error| tracing::warn!(%error, "no directory of the day it came"))
            .ok()
    }
}

/// The inbox, page by page; see [`Device::look_through`].
#[derive(Debug)]
pub struct Pages<'a> {
    device: &'a Device,
    next: usize,
    day: Day,
    relations: Relations,
}

impl Pages<'_> {
    /// The next page; a damaged one and a gap are errors of their own and the next one follows. `None` at the end.
    pub async fn next(&mut self) -> Option<Result<Vec<Shown>, InboxError>> {
        let inbox = self.device.inbox();
        let entries = loop {
            if self.next == inbox.parts() {
                return None;
            }
            let part = inbox.part(self.next);
            self.next += 1;
            match part {
                Ok(entries) if entries.is_empty() => {}
                Ok(entries) => break entries,
                Err(error) => return Some(Err(error)),
            }
        };
        let mut shown = self.device.look_on(entries, &mut self.day).await;
        self.relations.tell(&mut shown);
        Some(Ok(shown))
    }
}
