//! Evidence bundles that senders and recipients hand to the auditor: verified, held against each other, and turned into
//! [`Claims`] that the logs are looked at with.
//!
//! ```text
//! files ─► verify (EVD-6) ─► receipts without event, events without receipt ─► findings
//!                       └──► heads and entries of logs ─► Monitor::look
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use pli_protocol::custody::Receipt;
use pli_protocol::evidence::{Event, EventKind};
use pli_protocol::id::{AuthorityId, EnvelopeId, Timestamp};
use pli_protocol::limits::BUNDLE_MAX;
use pli_protocol::trust::Environment;

use super::claims::Claims;
use super::{Alarm, Finding};
use crate::evidence::facts::says_the_same;
use crate::evidence::verify::verify;
use crate::folder;
use crate::names;

/// Files that one auditor takes in.
pub(super) const BUNDLES_MAX: usize = 1_024;

/// The bundles that were read. A file that was one is not read again: bundles are not overwritten.
#[derive(Debug, Default)]
pub struct Bundles {
    files: BTreeMap<PathBuf, Read>,
    /// More files were found than are taken in.
    too_many: bool,
    /// What the logs are looked at with.
    pub claims: Claims,
}

/// What a file is.
#[derive(Debug)]
enum Read {
    Verified(Said),
    /// The part that is not what it claims to be, and why.
    Broken(String),
}

/// What nodes say of one letter, by a bundle.
#[derive(Clone, Debug, Default)]
pub(super) struct Said {
    pub(super) receipts: Vec<Receipt>,
    /// With the times at which the logs took them in.
    pub(super) events: Vec<(Event, Timestamp)>,
}

impl Bundles {
    /// Reads what is new under `paths`: files, or folders of files. `root`: the bytes of the federation's, that the reader trusts.
    pub async fn read(&mut self, paths: &[PathBuf], root: &Bytes, environment: Environment) {
        self.too_many = false;
        // What was no bundle may have been written since.
        self.files
            .retain(|_, read| matches!(read, Read::Verified(_)));
        for path in paths.iter().flat_map(|path| listed(path)) {
            if self.files.contains_key(&path) {
                continue;
            }
            if self.files.len() == BUNDLES_MAX {
                self.too_many = true;
                return;
            }
            let read = self.read_one(&path, root, environment).await;
            self.files.insert(path, read.unwrap_or_else(Read::Broken));
        }
    }

    async fn read_one(
        &mut self,
        path: &Path,
        root: &Bytes,
        environment: Environment,
    ) -> Result<Read, String> {
        let bytes = folder::read(path, BUNDLE_MAX as u64).map_err(|error| error.to_string())?;
        let verified = verify(&Bytes::from(bytes), root, environment).await;
        let verified = verified.map_err(|broken| broken.to_string())?;
        for facts in &verified.events {
            self.claims.add(&facts.head, facts.index, &facts.entry);
        }
        let receipts = verified.receipts.into_iter().map(|facts| facts.receipt);
        let events = verified.events.into_iter();
        Ok(Read::Verified(Said {
            receipts: receipts.collect(),
            events: events.map(|facts| (facts.event, facts.logged)).collect(),
        }))
    }

    /// What is wrong with the bundles, and between them: of nodes that are `followed`, longer ago than `within_ms`.
    pub fn findings(
        &self,
        followed: impl Fn(&AuthorityId) -> bool,
        now: Timestamp,
        within_ms: u64,
    ) -> Vec<Finding> {
        let of_file = |detail| Finding {
            authority: None,
            origin: None,
            alarm: Alarm::BrokenBundle,
            detail,
        };
        let mut findings = Vec::new();
        let mut said = Vec::new();
        for (path, read) in &self.files {
            match read {
                Read::Verified(one) => said.push(one),
                Read::Broken(why) => {
                    findings.push(of_file(format!("{}: {why}", path.display())));
                }
            }
        }
        if self.too_many {
            let detail = format!("more than {BUNDLES_MAX} bundles; the rest is not looked at");
            findings.push(of_file(detail));
        }
        let missing = missing(&said, now, within_ms);
        findings.extend(
            missing
                .into_iter()
                .filter(|one| one.authority.as_ref().is_some_and(&followed)),
        );
        findings
    }
}

/// Ascending; a path that cannot be listed is a file, and reading it says why it is none.
fn listed(path: &Path) -> Vec<PathBuf> {
    let files = || -> io::Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(path)?.take(BUNDLES_MAX + 1) {
            let entry = entry?;
            // Files that are being written begin with a dot until they are whole.
            let hidden = entry.file_name().to_string_lossy().starts_with('.');
            if !hidden && entry.path().is_file() {
                files.push(entry.path());
            }
        }
        files.sort_unstable();
        Ok(files)
    };
    files().unwrap_or_else(|_| vec![path.to_owned()])
}

/// What all bundles say of one letter, by its exact bytes: they say much of it twice.
#[derive(Default)]
struct Told<'a> {
    receipts: BTreeMap<Bytes, &'a Receipt>,
    events: BTreeMap<Bytes, (&'a Event, Timestamp)>,
}

/// What a node signed and no bundle proves in its log, and the other way round (EVD-6.5). What one bundle lacks,
/// another of the same letter may have.
pub(super) fn missing(said: &[&Said], now: Timestamp, within_ms: u64) -> Vec<Finding> {
    let mut letters: BTreeMap<EnvelopeId, Told<'_>> = BTreeMap::new();
    for one in said {
        for receipt in &one.receipts {
            let told = letters.entry(receipt.envelope).or_default();
            told.receipts.insert(receipt.encode(), receipt);
        }
        for (event, logged) in &one.events {
            let told = letters.entry(event.envelope).or_default();
            told.events.insert(event.encode(), (event, *logged));
        }
    }
    letters
        .iter()
        .flat_map(|(id, told)| told.missing(id, |at| now.since_ms(at) > within_ms))
        .collect()
}

impl Told<'_> {
    fn missing(&self, id: &EnvelopeId, late: impl Fn(Timestamp) -> bool) -> Vec<Finding> {
        let finding = |node: &AuthorityId, alarm, detail| Finding {
            authority: Some(node.clone()),
            origin: None,
            alarm,
            detail,
        };
        let mut findings = Vec::new();
        for receipt in self.receipts.values() {
            let mut events = self.events.values();
            let logged = events.any(|(event, _)| says_the_same(receipt, event));
            if !logged && late(receipt.at) {
                let (step, _) = names::step(receipt.step);
                let detail = format!(
                    "{id}: the node signed at {} that it is {step}, and nothing shows that its log says so",
                    receipt.at
                );
                findings.push(finding(&receipt.node, Alarm::MissingEvent, detail));
            }
        }
        for (event, logged) in self.events.values() {
            let mut receipts = self.receipts.values();
            let signed = receipts.any(|receipt| says_the_same(receipt, event));
            if !signed && has_receipt(event.kind) && late(*logged) {
                let (kind, at) = (event.kind.name(), event.at);
                let detail =
                    format!("{id}: the log says {kind} at {at}, and its signed receipt is missing");
                findings.push(finding(&event.node, Alarm::MissingReceipt, detail));
            }
        }
        findings
    }
}

/// Whether the sender has a receipt that says the same (EVD-1.3).
fn has_receipt(kind: EventKind) -> bool {
    matches!(
        kind,
        EventKind::SubmissionAcceptance
            | EventKind::ContentConsignment
            | EventKind::ContentHandover
    )
}
