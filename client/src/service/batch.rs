//! From drafts to signed envelopes: sealed on all cores, signed together.
//!
//! One signature covers whatever is ready, from a single letter up to [`BATCH_MAX`]: a lone letter
//! does not wait for others, and under load the batches fill by themselves. Spec: SIG-3.

use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use pli_protocol::crypto::contexts::ENVELOPE;
use pli_protocol::crypto::seal::SealError;
use pli_protocol::crypto::sign::SigningKey;
use pli_protocol::id::{EnvelopeId, ServiceId};
use pli_protocol::signed::{leaf_hash, sign_batch};
use tokio::sync::mpsc;

use super::draft::{Draft, Randomness};
use crate::folder::{self, FileError, Secrecy};

/// Letters under one signature. More would save nothing: the signature is then a ninth of a
/// per cent of the work, and every letter's path grows.
pub const BATCH_MAX: usize = 1_024;

/// A letter on its way, and whatever the caller knows it by.
#[derive(Clone, Debug)]
pub struct Prepared<T> {
    /// The caller's.
    pub tag: T,
    /// The letter's.
    pub id: EnvelopeId,
    /// The exact bytes of the `Signed`.
    pub envelope: Bytes,
}

/// Why nothing can be handed over.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// Sealing.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// Keeping what was sealed.
    #[error(transparent)]
    Keep(#[from] FileError),
}

/// Who seals and signs.
#[derive(Clone, Debug)]
pub struct Sealer {
    /// Stands in every header.
    pub service: ServiceId,
    /// Signs every batch.
    pub key: Arc<SigningKey>,
    /// Of the sealings.
    pub randomness: Randomness,
    /// The folder in which each letter is kept as it leaves, if it is (see [`letter_file`]).
    pub keep: Option<Arc<Path>>,
}

/// Where a sealed letter is kept, for its evidence.
pub fn letter_file(folder: &Path, id: EnvelopeId) -> PathBuf {
    folder.join(format!("{id}.letter"))
}

impl Sealer {
    /// Seals and signs what comes in, in the same order, until no more comes or nobody takes it.
    pub async fn run<T: Send + 'static>(
        self,
        mut drafts: mpsc::Receiver<(T, Draft)>,
        prepared: mpsc::Sender<Prepared<T>>,
    ) -> Result<(), PrepareError> {
        let mut ready = Vec::new();
        while drafts.recv_many(&mut ready, BATCH_MAX).await > 0 {
            for letter in self.batch(std::mem::take(&mut ready)).await? {
                if prepared.send(letter).await.is_err() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Seals and signs 1 to [`BATCH_MAX`] drafts.
    pub async fn batch<T: Send + 'static>(
        &self,
        drafts: Vec<(T, Draft)>,
    ) -> Result<Vec<Prepared<T>>, PrepareError> {
        let share = drafts.len().div_ceil(cores()).max(1);
        let (tags, drafts): (Vec<T>, Vec<Draft>) = drafts.into_iter().unzip();
        let mut drafts = drafts.into_iter().peekable();
        let mut sealing = Vec::new();
        while drafts.peek().is_some() {
            let part: Vec<Draft> = drafts.by_ref().take(share).collect();
            let sealer = self.clone();
            sealing.push(tokio::task::spawn_blocking(move || sealer.seal(&part)));
        }
        let mut payloads = Vec::with_capacity(tags.len());
        for part in sealing {
            payloads.extend(part.await.expect("sealing does not panic")?);
        }
        let ids: Vec<EnvelopeId> = payloads
            .iter()
            .map(|payload| EnvelopeId::new(leaf_hash(ENVELOPE, payload)))
            .collect();
        let envelopes = sign_batch(ENVELOPE, payloads, &self.key).expect("1 to 1,024 are a tree");
        if let Some(folder) = self.keep.clone() {
            let letters = ids.iter().copied().zip(envelopes.iter().cloned());
            let letters: Vec<(EnvelopeId, Bytes)> = letters.collect();
            let kept = tokio::task::spawn_blocking(move || keep(&folder, &letters));
            kept.await.expect("writing does not panic")?;
        }
        let letters = tags.into_iter().zip(ids).zip(envelopes);
        Ok(letters
            .map(|((tag, id), envelope)| Prepared { tag, id, envelope })
            .collect())
    }

    fn seal(&self, drafts: &[Draft]) -> Result<Vec<Bytes>, SealError> {
        drafts
            .iter()
            .map(|draft| draft.seal(&self.service, &self.randomness))
            .collect()
    }
}

/// Before they leave: what is on its way is kept.
fn keep(folder: &Path, letters: &[(EnvelopeId, Bytes)]) -> Result<(), FileError> {
    for (id, envelope) in letters {
        folder::write(&letter_file(folder, *id), envelope, Secrecy::Owner)?;
    }
    Ok(())
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}
