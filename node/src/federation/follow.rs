//! The task that follows other nodes (TRU-5.6). In: the directory in force, hints of who has a newer one. Out: what a
//! peer gave and what then verified, published; an alarm for what did not.
//!
//! Each peer is asked by itself, so that one that is slow or lies holds up nobody. A hint is believed no further than
//! that its peer is asked, and that no more often than [`HINT_EVERY`]; one that does not show what it hints at waits
//! longer each time.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use pli_protocol::id::AuthorityId;
use pli_protocol::trust::Directory;
use pli_trust::{Changed, TrustError};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::{DirectoryWatch, Peers, Publisher, RefreshError, TrustSource};
use crate::alarm::Alarms;
use crate::clock::Clock;
use crate::metrics::AlarmKind;
use crate::shutdown::Shutdown;

/// Peers that are asked at a time.
const ASKED_AT_ONCE: usize = 8;
/// Of a round: so many answer, whatever they have.
const ROUND: usize = 3;
/// A round gives up when so many did not answer.
const ROUND_TRIES: usize = 24;
/// While the configured sources fail, or the directory has expired, a round comes at least this often.
const ROUND_WITHIN: Duration = Duration::from_secs(30);
/// Between two questions to one peer because of its hints.
const HINT_EVERY: Duration = Duration::from_secs(1);
/// The longest that a peer is left alone which does not show what it hints at.
const HINT_WAIT_MAX: Duration = Duration::from_secs(600);
/// Hints that are on their way to the task; those that find no room are lost.
const HINTS_MAX: usize = 256;
/// Refusals that an alarm tells.
const REFUSALS_TOLD: usize = 4;

/// Where hints go. Clones are the same place.
#[derive(Clone, Debug)]
pub struct Hints(mpsc::Sender<(AuthorityId, u64)>);

impl Hints {
    /// `peer` is said to have a directory whose timestamp has this version: it is asked soon, if it is newer.
    pub fn hint(&self, peer: &AuthorityId, timestamp: u64) {
        drop(self.0.try_send((peer.clone(), timestamp)));
    }
}

/// Follows the nodes of the directory.
#[derive(Debug)]
pub struct Follower {
    source: TrustSource,
    peers: Peers,
    publisher: Publisher,
    watch: DirectoryWatch,
    every: Duration,
    clock: Arc<dyn Clock>,
    alarms: Alarms,
    hints: mpsc::Receiver<(AuthorityId, u64)>,
    /// Bounded by the authorities of the directory.
    heard: HashMap<AuthorityId, Heard>,
    /// What is offered that does not verify.
    refused: BTreeMap<AuthorityId, String>,
    round: Round,
}

/// What a peer hints at, and how it has kept its word.
#[derive(Debug)]
struct Heard {
    asked: bool,
    /// The version that it is to have; `None` once it was shown or came from elsewhere.
    wanted: Option<u64>,
    not_before: Instant,
    failures: u32,
}

/// Some peers that are asked without a hint.
#[derive(Debug, Default)]
struct Round {
    /// Those that were not asked yet.
    left: Vec<AuthorityId>,
    /// How many answers are still wanted.
    answers: usize,
}

type Ended = (AuthorityId, Option<Result<Changed, TrustError>>);

impl Follower {
    /// A follower, and where its hints go.
    pub fn new(
        source: TrustSource,
        peers: Peers,
        (publisher, watch): (Publisher, DirectoryWatch),
        every: Duration,
        clock: Arc<dyn Clock>,
        alarms: Alarms,
    ) -> (Self, Hints) {
        let (sender, hints) = mpsc::channel(HINTS_MAX);
        let follower = Self {
            source,
            peers,
            publisher,
            watch,
            every,
            clock,
            alarms,
            hints,
            heard: HashMap::new(),
            refused: BTreeMap::new(),
            round: Round::default(),
        };
        (follower, Hints(sender))
    }

    /// Asks some peers at once and then regularly, and those that hint as they do, until the stop.
    pub async fn run(mut self, mut shutdown: Shutdown) {
        let mut asking: JoinSet<Ended> = JoinSet::new();
        let mut round = Instant::now();
        loop {
            if Instant::now() >= round {
                self.begin_round();
                round = Instant::now() + self.until_next_round();
            }
            self.ask(&mut asking);
            let next = self
                .next_hint(asking.len())
                .map_or(round, |at| at.min(round));
            tokio::select! {
                biased;
                () = shutdown.begun() => return,
                Some(ended) = asking.join_next() => {
                    if let Ok((peer, outcome)) = ended {
                        self.ended(&peer, outcome);
                    }
                }
                Some((peer, version)) = self.hints.recv() => self.heard(peer, version),
                () = sleep_until(next) => {}
            }
            // The sources may have begun to fail meanwhile.
            round = round.min(Instant::now() + self.until_next_round());
        }
    }

    fn until_next_round(&self) -> Duration {
        let failing = self.watch.refreshed().error.is_some();
        if failing || self.watch.current().in_force(self.clock.now()).is_err() {
            self.every.min(ROUND_WITHIN)
        } else {
            self.every
        }
    }

    fn begin_round(&mut self) {
        let now = self.clock.now();
        let mut all = self.peers.all(&self.watch.current(), now);
        self.heard.retain(|peer, _| all.binary_search(peer).is_ok());
        self.refused
            .retain(|peer, _| all.binary_search(peer).is_ok());
        self.alarm();
        // Other peers each time.
        let first = now.as_ms() / 1_000 % all.len().max(1) as u64;
        all.rotate_left(usize::try_from(first).unwrap_or_default());
        all.truncate(ROUND_TRIES);
        self.round = Round {
            left: all,
            answers: ROUND,
        };
    }

    /// Begins the questions that are due.
    fn ask(&mut self, asking: &mut JoinSet<Ended>) {
        let directory = self.watch.current();
        let (now, in_force) = (Instant::now(), directory.versions().timestamp);
        for heard in self.heard.values_mut() {
            heard.wanted = heard.wanted.filter(|wanted| *wanted > in_force);
        }
        let due = |heard: &Heard| !heard.asked && heard.wanted.is_some() && heard.not_before <= now;
        let mut hinted: Vec<_> = self.heard.iter().filter(|(_, heard)| due(heard)).collect();
        // Whoever has kept its word before goes first.
        hinted.sort_by_key(|(_, heard)| (heard.failures, heard.not_before));
        let hinted: Vec<_> = hinted.into_iter().map(|(peer, _)| peer.clone()).collect();
        for peer in hinted {
            if asking.len() < ASKED_AT_ONCE {
                self.begin(asking, &directory, peer);
            }
        }
        while self.round.answers > 0 && asking.len() < ASKED_AT_ONCE {
            let Some(peer) = self.round.left.pop() else {
                return;
            };
            if self.heard.get(&peer).is_none_or(|heard| !heard.asked) {
                self.round.answers -= 1;
                self.begin(asking, &directory, peer);
            }
        }
    }

    fn begin(&mut self, asking: &mut JoinSet<Ended>, directory: &Directory, peer: AuthorityId) {
        let source = self.peers.source(directory, &peer, self.clock.now());
        self.of(&peer).asked = true;
        let (trust, now) = (self.source.clone(), self.clock.now());
        asking.spawn(async move {
            let Some(source) = source else {
                return (peer, None);
            };
            let followed = trust.follow(&source, now).await;
            (peer, Some(followed.map(|followed| followed.changed)))
        });
    }

    fn of(&mut self, peer: &AuthorityId) -> &mut Heard {
        self.heard.entry(peer.clone()).or_insert_with(|| Heard {
            asked: false,
            wanted: None,
            not_before: Instant::now(),
            failures: 0,
        })
    }

    fn heard(&mut self, peer: AuthorityId, version: u64) {
        let directory = self.watch.current();
        let listed = directory.authority(&peer).is_ok() && peer != self.peers.own;
        if listed && version > directory.versions().timestamp {
            let heard = self.of(&peer);
            heard.wanted = heard.wanted.max(Some(version));
        }
    }

    /// When the next peer that hinted may be asked.
    fn next_hint(&self, asking: usize) -> Option<Instant> {
        if asking >= ASKED_AT_ONCE {
            return None;
        }
        let waiting = |heard: &&Heard| heard.wanted.is_some() && !heard.asked;
        let waiting = self.heard.values().filter(waiting);
        waiting.map(|heard| heard.not_before).min()
    }

    fn ended(&mut self, peer: &AuthorityId, outcome: Option<Result<Changed, TrustError>>) {
        let now = self.clock.now();
        if let Some(Ok(Changed::Yes)) = &outcome {
            // Whatever is newest by now: another task may have been quicker.
            let directory = self.source.directory();
            let versions = directory.versions();
            tracing::info!(%peer, root = versions.root, timestamp = versions.timestamp, "a newer directory, from a peer");
            self.publisher.publish_followed(directory, now);
        }
        let in_force = self.watch.current().versions().timestamp;
        let heard = self.of(peer);
        heard.asked = false;
        let shown = heard.wanted.is_none_or(|wanted| wanted <= in_force);
        let good = matches!(outcome, Some(Ok(_))) && shown;
        heard.failures = if good { 0 } else { heard.failures + 1 };
        heard.not_before = Instant::now() + wait(heard.failures);
        match outcome {
            Some(Ok(_)) => drop(self.refused.remove(peer)),
            None => {}
            Some(Err(error)) => {
                if matches!(error, TrustError::Unreachable { .. }) {
                    tracing::debug!(%peer, %error, "this peer gives no directory");
                    // It says nothing about the directory; another peer is asked.
                    self.round.answers += usize::from(!self.round.left.is_empty());
                } else {
                    self.refuse(peer, error);
                }
            }
        }
        self.alarm();
    }

    fn refuse(&mut self, peer: &AuthorityId, error: TrustError) {
        tracing::warn!(%peer, code = %error.code(), %error, "the directory of this peer is refused");
        self.refused.insert(peer.clone(), error.to_string());
        if let RefreshError::Equivocation(detail) = RefreshError::from(error) {
            let detail = format!("the node of {peer}: {detail}");
            let now = self.clock.now();
            self.alarms
                .raise(AlarmKind::DirectoryEquivocation, now, detail);
        }
    }

    fn alarm(&self) {
        let told = self.refused.iter().take(REFUSALS_TOLD);
        let told: Vec<_> = told
            .map(|(peer, why)| {
                format!("the node of {peer} offers a directory that is refused: {why}")
            })
            .collect();
        let detail = (!told.is_empty()).then(|| told.join("; "));
        self.alarms
            .set(AlarmKind::DirectoryPeerRefused, self.clock.now(), detail);
    }
}

/// How long a peer is left alone that failed so often.
fn wait(failures: u32) -> Duration {
    let doubled = HINT_EVERY.saturating_mul(1 << failures.min(16));
    match failures {
        0 => HINT_EVERY,
        _ => doubled.min(HINT_WAIT_MAX),
    }
}
