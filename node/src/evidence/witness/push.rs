//! This node's checkpoints, to all other nodes of the directory (EVD-7.5).
//!
//! ```text
//! news of the log ─► the newest checkpoint ─► every witness that is due, at once ─► cosignatures ─► the log, as they come
//! ```
//!
//! All are asked about the same checkpoint, so that enough of them meet on one; it makes room for a newer one when
//! enough have cosigned it, or nobody answers any more. A witness that is slow or dead waits longer each time, alone.

use std::collections::HashMap;
use std::fmt::Debug;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use pli_protocol::evidence::Noted;
use pli_protocol::evidence::note::NoteSignature;
use pli_protocol::id::AuthorityId;
use pli_protocol::limits::{WITNESS_EVERY_MS, WITNESS_TIMEOUT_MS};
use pli_protocol::merkle::Hash;
use pli_transport::PrivateNetworks;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::ask::{Asked, Outcome, Question};
use super::fresh::Witnessed;
use super::http::Http;
use crate::alarm::Alarms;
use crate::clock::Clock;
use crate::federation::DirectoryWatch;
use crate::shutdown::Shutdown;

/// How often it is looked at who is due.
const TICK: Duration = Duration::from_millis(250);
/// A checkpoint that enough have cosigned waits so long for the others.
const OTHERS_WITHIN: Duration = Duration::from_millis(500);
/// The wait after a failure, doubled by each further one up to the second.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// The log of this node, as its witnesses need it.
pub trait OwnLog: Debug + Send + Sync + 'static {
    /// The newest checkpoint, signed by this node; `None` before the first entry.
    fn checkpoint(&self) -> Option<String>;
    /// That the tree of `old` entries is the beginning of that of `new`.
    fn consistency(&self, old: u64, new: u64) -> io::Result<Vec<Hash>>;
    /// A checkpoint with the cosignatures that there are; it comes again with more.
    fn cosigned(&self, note: String) -> io::Result<()>;
    /// The newest checkpoint with cosignatures that was kept, also before this process.
    fn witnessed(&self) -> Option<String>;
    /// A witness has a checkpoint of `size` entries by this node's own key that this log does not lead to (EVD-3.4).
    fn longer_elsewhere(&self, size: u64);
}

/// Asks the witnesses.
#[derive(Debug)]
pub struct Pusher {
    own: Arc<dyn OwnLog>,
    authority: AuthorityId,
    directory: DirectoryWatch,
    witnessed: Arc<Witnessed>,
    clock: Arc<dyn Clock>,
    alarms: Alarms,
    http: Http,
    /// Bounded by the authorities that there are.
    peers: HashMap<AuthorityId, Peer>,
    asking: JoinSet<Answered>,
    current: Option<Current>,
}

#[derive(Debug)]
struct Current {
    noted: Noted,
    began: Instant,
    cosigned: usize,
}

#[derive(Debug, Default)]
struct Peer {
    known: u64,
    failures: u32,
    next_try: Option<Instant>,
    busy: bool,
    /// The text that it cosigned last, and when.
    done: Option<(String, Instant)>,
    said: String,
}

#[derive(Debug)]
struct Answered {
    witness: AuthorityId,
    text: String,
    outcome: Outcome,
    known: u64,
}

impl Pusher {
    /// Around a log; what was cosigned before this process counts (EVD-9.1).
    pub fn new(
        own: Arc<dyn OwnLog>,
        authority: AuthorityId,
        directory: DirectoryWatch,
        witnessed: Arc<Witnessed>,
        networks: PrivateNetworks,
        clock: Arc<dyn Clock>,
        alarms: Alarms,
    ) -> io::Result<Self> {
        let http = Http::new(networks).map_err(io::Error::other)?;
        let listed = directory.current();
        let kept = own.witnessed().and_then(|note| Noted::parse(&note).ok());
        let cosignatures = kept
            .iter()
            .flat_map(|noted| noted.cosignatures(|name| listed.log_keys_ever(name)));
        cosignatures.for_each(|cosignature| witnessed.saw(&cosignature));
        if let Some(noted) = own.checkpoint().and_then(|note| Noted::parse(&note).ok()) {
            // Nobody ever cosigned what was there before this process.
            witnessed.owes(noted.checkpoint().origin.start);
        }
        Ok(Self {
            own,
            authority,
            directory,
            witnessed,
            clock,
            alarms,
            http,
            peers: HashMap::new(),
            asking: JoinSet::new(),
            current: None,
        })
    }

    /// Asks after each news of the log, and again and again, until the stop.
    pub async fn run<T>(mut self, mut news: watch::Receiver<T>, mut shutdown: Shutdown) {
        loop {
            self.turn();
            tokio::select! {
                biased;
                () = shutdown.begun() => return,
                Some(answered) = self.asking.join_next() => {
                    self.answered(answered.expect("a question does not panic and is not cancelled")).await;
                }
                changed = news.changed() => if changed.is_err() { return },
                () = sleep(TICK) => {}
            }
        }
    }

    /// Asks all who are due.
    fn turn(&mut self) {
        let (directory, now) = (self.directory.current(), self.clock.now());
        self.witnessed.look(&directory, &self.alarms, now);
        self.move_on(directory.policy().witnesses.max(1));
        let Some(current) = &self.current else { return };
        let text = current.noted.checkpoint().text();
        let question = Question {
            http: self.http.clone(),
            own: Arc::clone(&self.own),
            clock: Arc::clone(&self.clock),
            noted: current.noted.clone(),
            own_keys: directory.log_keys_ever(&self.authority),
        };
        self.peers.retain(|name, _| directory.node_of(name).is_ok());
        for record in directory.authorities() {
            let witness = &record.authority;
            let bases = directory.http_of(witness);
            let keys = directory.log_keys(witness, now);
            if *witness == self.authority || bases.is_empty() || keys.is_empty() {
                continue;
            }
            let peer = self.peers.entry(witness.clone()).or_default();
            if !peer.is_due(&text) {
                continue;
            }
            peer.busy = true;
            let asked = Asked {
                witness: witness.clone(),
                keys,
                bases,
                known: peer.known,
            };
            let (question, text) = (question.clone(), text.clone());
            self.asking.spawn(async move {
                let (outcome, known) = question.ask(&asked).await;
                let witness = asked.witness;
                Answered {
                    witness,
                    text,
                    outcome,
                    known,
                }
            });
        }
    }

    /// Takes the newest checkpoint for the one that is asked about, if the one before has had its time.
    fn move_on(&mut self, needed: usize) {
        let newest = self
            .own
            .checkpoint()
            .and_then(|note| Noted::parse(&note).ok());
        let Some(newest) = newest else { return };
        self.witnessed.owes(self.clock.now());
        if let Some(current) = &self.current {
            let waited = current.began.elapsed();
            let enough = current.cosigned >= needed && waited >= OTHERS_WITHIN;
            let over =
                self.asking.is_empty() || waited >= Duration::from_millis(WITNESS_TIMEOUT_MS);
            let same = current.noted.checkpoint() == newest.checkpoint();
            if same || !(enough || over) {
                return;
            }
        }
        // The cosignatures that it had before this process stay.
        let kept = self
            .own
            .witnessed()
            .and_then(|note| Noted::parse(&note).ok());
        let kept = kept.filter(|kept| kept.checkpoint() == newest.checkpoint());
        self.current = Some(Current {
            noted: kept.unwrap_or(newest),
            began: Instant::now(),
            cosigned: 0,
        });
    }

    async fn answered(&mut self, answered: Answered) {
        let Answered {
            witness,
            text,
            outcome,
            known,
        } = answered;
        let peer = self.peers.entry(witness.clone()).or_default();
        (peer.busy, peer.known) = (false, known);
        match outcome {
            Outcome::Cosigned(line, cosignature) => {
                peer.worked(&text);
                self.witnessed.saw(&cosignature);
                self.add(&text, line).await;
            }
            Outcome::Not(reason) => peer.failed(&witness, reason),
            Outcome::Longer(size) => {
                peer.failed(
                    &witness,
                    format!("it has a checkpoint of {size} entries by this node's own key"),
                );
                // Others may have said the same: since then the log that was asked about may have been given up.
                if self.is_current(&text) {
                    self.own.longer_elsewhere(size);
                }
            }
        }
    }

    /// Whether the log that a checkpoint is of is still the one that grows.
    fn is_current(&self, text: &str) -> bool {
        let newest = self.own.checkpoint();
        let newest = newest.and_then(|note| Noted::parse(&note).ok());
        newest.is_some_and(|newest| {
            let origin = newest.checkpoint().origin.to_string();
            text.lines().next() == Some(&origin)
        })
    }

    /// Gives the log its checkpoint with one cosignature more. One of a checkpoint that made room is of no use.
    async fn add(&mut self, text: &str, line: NoteSignature) {
        let current = self
            .current
            .as_mut()
            .filter(|current| current.noted.checkpoint().text() == text);
        let Some(current) = current else { return };
        if !current.noted.add(line) {
            return;
        }
        current.cosigned += 1;
        let (own, note) = (Arc::clone(&self.own), current.noted.encode());
        let kept = tokio::task::spawn_blocking(move || own.cosigned(note)).await;
        if let Err(error) = kept.map_err(io::Error::other).flatten() {
            tracing::error!(%error, "a cosigned checkpoint could not be kept");
        }
    }
}

impl Peer {
    fn is_due(&self, text: &str) -> bool {
        let now = Instant::now();
        let every = Duration::from_millis(WITNESS_EVERY_MS);
        let done = |(done, at): &(String, Instant)| done == text && now.duration_since(*at) < every;
        !self.busy
            && self.next_try.is_none_or(|next| next <= now)
            && !self.done.as_ref().is_some_and(done)
    }

    fn worked(&mut self, text: &str) {
        (self.failures, self.next_try) = (0, None);
        self.done = Some((text.to_owned(), Instant::now()));
        self.said.clear();
    }

    fn failed(&mut self, witness: &AuthorityId, reason: String) {
        let (base, most) = RETRY;
        let wait = base.saturating_mul(1 << self.failures.min(16)).min(most);
        self.failures = self.failures.saturating_add(1);
        self.next_try = Some(Instant::now() + wait);
        if self.said != reason {
            tracing::warn!(%witness, reason, "a witness did not cosign; it is asked again");
            self.said = reason;
        }
    }
}
