//! Hands letters to a service's own node and waits until each is settled.

use std::time::Duration;

use pli_client::service::Service;
use pli_client::service::batch::Prepared;
use pli_client::service::draft::{Draft, Randomness};
use pli_client::service::submit::{self, Settled};
use tokio::sync::mpsc;

use crate::Error;

/// Long enough for a node that is killed and started again.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// Letters between two tasks.
const QUEUED: usize = 1_024;

/// Seals and signs drafts, with one signature for each batch.
pub async fn prepare<T: Send + 'static>(
    service: &Service,
    drafts: Vec<(T, Draft)>,
) -> Result<Vec<Prepared<T>>, Error> {
    let letters = service.sealer(Randomness::Fresh).batch(drafts).await;
    letters.map_err(|error| Error::unexpected("sealing", error))
}

/// Submits letters on one connection, in order. Everything is settled when it returns.
pub async fn submit_all<T: Send + 'static>(
    service: &Service,
    letters: Vec<Prepared<T>>,
) -> Result<Vec<Settled<T>>, Error> {
    let count = letters.len();
    let (outgoing, to_submit) = mpsc::channel(QUEUED);
    let (settled, mut answers) = mpsc::channel(QUEUED);
    let origin = service.origin(PATIENCE);
    let feed = async move {
        for letter in letters {
            if outgoing.send(letter).await.is_err() {
                // The submission ended early; its error says why.
                return;
            }
        }
    };
    let collect = async move {
        let mut collected = Vec::with_capacity(count);
        while let Some(one) = answers.recv().await {
            collected.push(one);
        }
        collected
    };
    let ((), submitted, collected) =
        tokio::join!(feed, submit::submit(&origin, to_submit, settled), collect);
    submitted.map_err(|error| Error::unexpected("submitting", error))?;
    Ok(collected)
}
