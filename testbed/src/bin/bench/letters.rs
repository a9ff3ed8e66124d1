//! Letters as a partner's event makes them: sealed for real, signed, and put into frames.
//!
//! A node can open no letter, so a repetition of a measurement takes the same sealed letters with other bytes in
//! the place of the ciphertext: new letters to the node, of the same size and cost, without sealing them again.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use pli_client::clock;
use pli_client::partner::{self, Format};
use pli_client::service::draft::{Draft, Handling, Randomness};
use pli_protocol::codec;
use pli_protocol::content::Content;
use pli_protocol::crypto::contexts::ENVELOPE;
use pli_protocol::crypto::sign::SigningKey;
use pli_protocol::id::{EnvelopeId, ServiceId};
use pli_protocol::limits::{BATCH_ENVELOPES_MAX, FRAME_MAX};
use pli_protocol::signed::{leaf_hash, sign_batch};
use pli_protocol::wire;
use pli_testbed::fixtures;
use prost::Message;

use crate::Anyhow;
use crate::figures::Figures;
use crate::stage::{Recipient, Stage};

/// Sealed for each home: a few seconds of load.
pub(crate) const SEALED: usize = 24 * BATCH;
/// Under one signature, where letters are signed together.
pub(crate) const BATCH: usize = 1_024;
/// What the content of the measure has, in bytes.
const CONTENT_BYTES: usize = 800;
/// What a frame takes besides its envelopes.
const FRAME_OVERHEAD: usize = 16;
const ITEM_OVERHEAD: usize = 4;

/// Sealed letters, not signed.
#[derive(Clone, Debug)]
pub(crate) struct Sealed(Vec<Bytes>);

/// A frame ready to be sent, and what is in it.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) seq: u64,
    pub(crate) body: Bytes,
    pub(crate) ids: Vec<EnvelopeId>,
}

/// The partner's event of the fixture. It is shorter than the 0.8 KiB that the targets speak of, so its body is made
/// longer, by sentences of a real letter's kind.
fn content() -> Result<Content, Anyhow> {
    const SENTENCE: &str = " Vous pouvez suivre son avancement et la compléter à tout moment.";
    let mut event: serde_json::Value = serde_json::from_str(fixtures::EVENT)?;
    loop {
        let content = partner::convert_value(event.clone(), Format::EventV2)?.content;
        if content.encode()?.len() >= CONTENT_BYTES {
            return Ok(content);
        }
        let body = event["content_body"]
            .as_str()
            .ok_or("an event has a body")?;
        event["content_body"] = format!("{body}{SENTENCE}").into();
    }
}

/// Seals letters to the crowd of a home on all cores, and says how fast that went.
pub(crate) async fn seal(
    figures: &mut Figures,
    stage: &Stage,
    home: &str,
) -> Result<Sealed, Anyhow> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let service = stage.service.id().clone();
    let content = content()?;
    let drafts = drafts(stage.crowd(home), &content, SEALED)?;
    let content_bytes = drafts[0].size();
    let started = Instant::now();
    let parts: Vec<Vec<Draft>> = drafts
        .chunks(SEALED.div_ceil(cores))
        .map(<[Draft]>::to_vec)
        .collect();
    let workers: Vec<_> = parts
        .into_iter()
        .map(|part| {
            let service = service.clone();
            tokio::task::spawn_blocking(move || seal_all(&part, &service))
        })
        .collect();
    let mut letters = Vec::with_capacity(SEALED);
    for worker in workers {
        letters.extend(worker.await??);
    }
    if !figures.has("sealed_all_cores") {
        let rate = SEALED as f64 / started.elapsed().as_secs_f64();
        figures.add("content_bytes", content_bytes as f64, "B");
        figures.add("sealed_all_cores", rate, "1/s");
    }
    Ok(Sealed(letters))
}

/// A few letters to one recipient, each signed alone.
pub(crate) fn single(
    stage: &Stage,
    to: &Recipient,
    count: usize,
) -> Result<Vec<(EnvelopeId, Bytes)>, Anyhow> {
    let drafts = drafts(std::slice::from_ref(to), &content()?, count)?;
    let sealed = Sealed(seal_all(&drafts, stage.service.id())?);
    sealed.sign(stage.service.key(), 1)
}

fn drafts(to: &[Recipient], content: &Content, count: usize) -> Result<Vec<Draft>, Anyhow> {
    let handling = Handling::new(clock::now());
    let to = to.iter().cycle().take(count);
    let drafts = to.map(|to| Draft::new(Arc::clone(&to.grant), content, handling));
    Ok(drafts.collect::<Result<_, _>>()?)
}

fn seal_all(drafts: &[Draft], service: &ServiceId) -> Result<Vec<Bytes>, Anyhow> {
    let sealed = drafts
        .iter()
        .map(|draft| draft.seal(service, &Randomness::Fresh));
    Ok(sealed.collect::<Result<_, _>>()?)
}

impl Sealed {
    /// Other letters of the same shape; `salt` once in a run.
    pub(crate) fn vary(&self, salt: u64) -> Result<Self, Anyhow> {
        self.change(salt, |_| Ok(()))
    }

    /// Other letters, created now, that live for so long.
    pub(crate) fn renew(&self, salt: u64, lifetime: Duration) -> Result<Self, Anyhow> {
        let created_ms = clock::now().as_ms();
        let expires_ms = created_ms + u64::try_from(lifetime.as_millis())?;
        self.change(salt, |envelope| {
            let mut header = wire::Header::decode(envelope.header.clone())?;
            (header.created_ms, header.expires_ms) = (created_ms, expires_ms);
            envelope.header = codec::encode(&header);
            Ok(())
        })
    }

    fn change(
        &self,
        salt: u64,
        and: impl Fn(&mut wire::Envelope) -> Result<(), Anyhow>,
    ) -> Result<Self, Anyhow> {
        let change = |(index, payload): (usize, &Bytes)| -> Result<Bytes, Anyhow> {
            let mut envelope = wire::Envelope::decode(payload.clone())?;
            let body = envelope.body.as_mut().ok_or("a sealed body")?;
            let mut ciphertext = body.ciphertext.to_vec();
            ciphertext[..8].copy_from_slice(&salt.to_be_bytes());
            ciphertext[8..16].copy_from_slice(&(index as u64).to_be_bytes());
            body.ciphertext = ciphertext.into();
            and(&mut envelope)?;
            Ok(codec::encode(&envelope))
        };
        let changed = self.0.iter().enumerate().map(change);
        Ok(Self(changed.collect::<Result<_, _>>()?))
    }

    /// The letters from `start` on, around the end, so many.
    pub(crate) fn slice(&self, start: usize, count: usize) -> Self {
        let letters = self.0.iter().cycle().skip(start % self.0.len());
        Self(letters.take(count).cloned().collect())
    }

    /// Signs `batch` letters at a time with one signature.
    pub(crate) fn sign(
        &self,
        key: &SigningKey,
        batch: usize,
    ) -> Result<Vec<(EnvelopeId, Bytes)>, Anyhow> {
        let mut signed = Vec::with_capacity(self.0.len());
        for payloads in self.0.chunks(batch) {
            let ids = payloads
                .iter()
                .map(|payload| EnvelopeId::new(leaf_hash(ENVELOPE, payload)));
            let envelopes = sign_batch(ENVELOPE, payloads.to_vec(), key).ok_or("a tree")?;
            signed.extend(ids.zip(envelopes));
        }
        Ok(signed)
    }
}

/// Fills frames as full as the protocol lets them be, numbered from `first` on, for one stream.
pub(crate) fn frames(first: u64, envelopes: &[(EnvelopeId, Bytes)]) -> Vec<Frame> {
    let mut frames: Vec<Frame> = Vec::new();
    let mut rest = envelopes;
    while !rest.is_empty() {
        let mut size = FRAME_OVERHEAD;
        let fits = |(_, envelope): &&(EnvelopeId, Bytes)| {
            size += envelope.len() + ITEM_OVERHEAD;
            size <= FRAME_MAX
        };
        let count = rest
            .iter()
            .take(BATCH_ENVELOPES_MAX)
            .take_while(fits)
            .count();
        let (now, later) = rest.split_at(count);
        rest = later;
        frames.push(frame(first + frames.len() as u64, now));
    }
    frames
}

/// One frame.
pub(crate) fn frame(seq: u64, envelopes: &[(EnvelopeId, Bytes)]) -> Frame {
    Frame {
        seq,
        body: codec::encode(&wire::EnvelopeBatch {
            seq,
            envelopes: envelopes
                .iter()
                .map(|(_, envelope)| envelope.clone())
                .collect(),
        }),
        ids: envelopes.iter().map(|(id, _)| *id).collect(),
    }
}
