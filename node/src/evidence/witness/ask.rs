//! One question to one witness: will it cosign this checkpoint? (C2SP tlog-witness, as its client; EVD-7.5.)
//!
//! Nothing that a witness answers is believed for who says it: a cosignature is checked, and a longer log of this
//! node's is one only if this node's own key signed it. So a witness that lies can refuse, and nothing else.

use std::io;
use std::sync::Arc;

use pli_protocol::crypto::sign::PublicKey;
use pli_protocol::evidence::note::NoteSignature;
use pli_protocol::evidence::submission::{AddCheckpoint, conflicting_size, cosignature_lines};
use pli_protocol::evidence::tree::is_consistent;
use pli_protocol::evidence::{Cosignature, Noted};
use pli_protocol::id::AuthorityId;
use pli_protocol::limits::CLOCK_SKEW_MAX_MS;
use pli_protocol::merkle::Hash;

use super::http::{Answer, Http};
use super::{ADD_CHECKPOINT, HEAD, OwnLog};
use crate::clock::Clock;

/// How often one question may start again from the size that the witness names.
const TRIES: usize = 3;

/// Whom to ask, and where.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) witness: AuthorityId,
    /// Its keys that are valid now.
    pub(super) keys: Vec<PublicKey>,
    /// In the order to try.
    pub(super) bases: Vec<String>,
    /// Entries of the checkpoint that it cosigned last, as far as is known.
    pub(super) known: u64,
}

/// What came of it.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It cosigned.
    Cosigned(NoteSignature, Box<Cosignature>),
    /// It did not, for this reason.
    Not(String),
    /// It has a checkpoint by this node's own key that is not of this log: entries were lost here.
    Longer(u64),
}

/// What one question needs.
#[derive(Clone, Debug)]
pub(super) struct Question {
    pub(super) http: Http,
    pub(super) own: Arc<dyn OwnLog>,
    pub(super) clock: Arc<dyn Clock>,
    /// What is to be cosigned.
    pub(super) noted: Noted,
    /// The keys that may have signed this node's checkpoints.
    pub(super) own_keys: Vec<PublicKey>,
}

impl Question {
    /// Asks until there is an answer. Gives also the size to begin with the next time.
    pub(super) async fn ask(&self, asked: &Asked) -> (Outcome, u64) {
        let mut last = Outcome::Not("no address".to_owned());
        for base in &asked.bases {
            match self.ask_at(base.trim_end_matches('/'), asked).await {
                Ok(answered) => return answered,
                Err(unreached) => last = Outcome::Not(unreached),
            }
        }
        (last, asked.known)
    }

    /// `Err` if nobody answers at this address.
    async fn ask_at(&self, base: &str, asked: &Asked) -> Result<(Outcome, u64), String> {
        let size = self.noted.checkpoint().size;
        let mut known = asked.known.min(size);
        for _ in 0..TRIES {
            let proof = match self.proof(known, size).await {
                Ok(proof) => proof,
                Err(error) => return Ok((Outcome::Not(error.to_string()), known)),
            };
            let request = AddCheckpoint {
                old: known,
                proof,
                noted: self.noted.clone(),
            };
            let url = format!("{base}{ADD_CHECKPOINT}");
            let Answer { status, body } = self.http.post(&url, request.encode()).await?;
            let named = conflicting_size(&body);
            match (status, named) {
                (200, _) => {
                    return Ok(match self.checked(asked, &body) {
                        Some((line, cosignature)) => {
                            (Outcome::Cosigned(line, cosignature.into()), size)
                        }
                        None => (
                            Outcome::Not(
                                "what it answered is no fresh cosignature of its".to_owned(),
                            ),
                            known,
                        ),
                    });
                }
                (409, Some(named)) if named < size && named != known => known = named,
                // It knows another head of this log, or says so.
                (409, _) | (422, _) => {
                    return Ok((self.compare(base, status).await, named.unwrap_or(known)));
                }
                _ => {
                    return Ok((
                        Outcome::Not(format!("HTTP {status}: {}", first_line(&body))),
                        known,
                    ));
                }
            }
        }
        Ok((
            Outcome::Not("it names another size each time".to_owned()),
            known,
        ))
    }

    async fn proof(&self, old: u64, new: u64) -> io::Result<Vec<Hash>> {
        if old == 0 || old == new {
            return Ok(Vec::new());
        }
        let own = Arc::clone(&self.own);
        let reading = tokio::task::spawn_blocking(move || own.consistency(old, new));
        reading.await.map_err(io::Error::other)?
    }

    /// The line that is this witness's, of this checkpoint, and new.
    fn checked(&self, asked: &Asked, body: &str) -> Option<(NoteSignature, Cosignature)> {
        let now = self.clock.now();
        let fresh = |at| now.since_ms(at).max(at.since_ms(now)) <= CLOCK_SKEW_MAX_MS;
        let lines = cosignature_lines(body)?;
        lines.into_iter().find_map(|line| {
            let mut keys = asked.keys.iter();
            let cosignature =
                keys.find_map(|key| self.noted.cosignature(&line, &asked.witness, key))?;
            fresh(cosignature.at).then_some((line, cosignature))
        })
    }

    /// EVD-7.6: what the witness knows of this log, if this node's own key signed it, beside what this log is now.
    async fn compare(&self, base: &str, status: u16) -> Outcome {
        let origin = &self.noted.checkpoint().origin;
        let url = format!("{base}{HEAD}/{}/{}", origin.authority, origin.start.as_ms());
        let refused = Outcome::Not(format!(
            "HTTP {status}, without a checkpoint by this node's key that would say why"
        ));
        let Ok(Answer { status: 200, body }) = self.http.get(&url).await else {
            return refused;
        };
        let noted = Noted::parse(&body).ok();
        let signed =
            noted.and_then(|noted| self.own_keys.iter().find_map(|key| noted.signed_by(key)));
        let Some(theirs) = signed.filter(|theirs| theirs.checkpoint().origin == *origin) else {
            return refused;
        };
        // The log may have grown meanwhile.
        let newest = self
            .own
            .checkpoint()
            .and_then(|note| Noted::parse(&note).ok());
        let Some(newest) = newest else { return refused };
        let (theirs, ours) = (theirs.checkpoint(), newest.checkpoint());
        if theirs.size > ours.size {
            return Outcome::Longer(theirs.size);
        }
        let Ok(proof) = self.proof(theirs.size, ours.size).await else {
            return refused;
        };
        match is_consistent((theirs.size, &theirs.root), (ours.size, &ours.root), &proof) {
            true => Outcome::Not(format!(
                "HTTP {status}, though its checkpoint is one of this log"
            )),
            false => Outcome::Longer(theirs.size),
        }
    }
}

/// What an answer says, as far as it fits a line of the log.
fn first_line(body: &str) -> String {
    let line = body.lines().next().unwrap_or_default();
    line.chars().filter(|c| !c.is_control()).take(120).collect()
}
