//! One look at the logs of a node.
//!
//! ```text
//! starts ─► checkpoint, signed ─► new entries, tile by tile ─► tiles ─► the root, from the edge that was kept ─► kept
//! ```

use std::path::Path;

use pli_protocol::crypto::sign::PublicKey;
use pli_protocol::evidence::{Noted, Origin};
use pli_protocol::id::{AuthorityId, Timestamp};

use super::claims::{Claim, Claims};
use super::fetch::{Fetch, Unread};
use super::reading::{Reading, Trouble, found};
use super::state::{Kept, State, StateError};
use super::{Alarm, Finding, Followed, Looked, Seen};

/// Hashes of a tile.
pub(super) const TILE: u64 = 256;
/// Logs of one node.
const STARTS_MAX: usize = 1_024;

/// Follows logs, with what it saw of them on disk.
#[derive(Debug)]
pub struct Monitor<K> {
    fetch: Fetch,
    state: State,
    /// The keys that a witness may use.
    witness_keys: K,
    /// How many witnesses must have cosigned,
    pub needed: usize,
    /// and how long ago at most.
    pub stale_ms: u64,
}

impl<K: Fn(&AuthorityId) -> Vec<PublicKey>> Monitor<K> {
    /// Over a folder, which is made if it is not there.
    pub fn new(
        folder: &Path,
        needed: usize,
        stale_ms: u64,
        witness_keys: K,
    ) -> Result<Self, StateError> {
        let fetch = Fetch::new().map_err(|error| StateError::Folder {
            path: folder.to_owned(),
            error: std::io::Error::other(error),
        })?;
        Ok(Self {
            fetch,
            state: State::new(folder)?,
            witness_keys,
            needed,
            stale_ms,
        })
    }

    /// Looks at all logs of a node, with what bundles prove of them. An error is one of this machine alone.
    pub async fn look(
        &self,
        node: &Followed,
        claims: &mut Claims,
        now: Timestamp,
    ) -> Result<Looked, StateError> {
        let mut looked = Looked::default();
        let finding = |origin: Option<Origin>, alarm, detail| Finding {
            authority: Some(node.authority.clone()),
            origin,
            alarm,
            detail,
        };
        let (base, starts) = match self.starts(node).await {
            Ok(found) => found,
            Err((alarm, detail)) => {
                looked.findings.push(finding(None, alarm, detail));
                return Ok(looked);
            }
        };
        let newest = starts.last().copied();
        if let Some(other) = self.whose(base, newest).await
            && other != node.authority
        {
            let detail = format!("at {base} is the log of {other}: is the address right?");
            looked
                .findings
                .push(finding(None, Alarm::Unreachable, detail));
            return Ok(looked);
        }
        let known = self.state.starts(&node.authority)?;
        let mut all: Vec<Timestamp> = known.iter().chain(&newest).copied().collect();
        all.extend(claims.starts(&node.authority));
        all.sort_unstable();
        all.dedup();
        for start in all {
            let origin = Origin {
                authority: node.authority.clone(),
                start,
            };
            if !starts.contains(&start) {
                let detail = "this log was there and is not listed any more".to_owned();
                looked
                    .findings
                    .push(finding(Some(origin), Alarm::Shrunk, detail));
                continue;
            }
            let open = claims.open(&origin);
            match self.look_at(base, node, &origin, &open, now).await {
                Ok(seen) => {
                    claims.hold(&origin);
                    // A log that was ended is cosigned no more.
                    let fault = self
                        .freshness(&seen, now)
                        .filter(|_| newest == Some(start) && seen.size > 0);
                    if let Some((alarm, detail)) = fault {
                        looked.findings.push(finding(Some(origin), alarm, detail));
                    }
                    looked.seen.push(seen);
                }
                Err(Trouble::Found(alarm, detail)) => {
                    looked.findings.push(finding(Some(origin), alarm, detail))
                }
                Err(Trouble::State(error)) => return Err(error),
            }
        }
        Ok(looked)
    }

    /// The starts of its logs, at the first address that gives them.
    async fn starts<'a>(
        &self,
        node: &'a Followed,
    ) -> Result<(&'a str, Vec<Timestamp>), (Alarm, String)> {
        let mut last = (
            Alarm::Unreachable,
            "it publishes no http address".to_owned(),
        );
        for base in &node.bases {
            let base = base.trim_end_matches('/');
            match self.fetch.get(&format!("{base}/pli/log/starts")).await {
                Ok(bytes) => match starts_of(&bytes) {
                    Some(starts) => return Ok((base, starts)),
                    None => {
                        last = (
                            Alarm::Malformed,
                            "the list of its logs is not one".to_owned(),
                        )
                    }
                },
                Err(problem) => last = (Alarm::Unreachable, problem.detail()),
            }
        }
        Err(last)
    }

    /// Who is named by the newest log at an address. A wrong address is nobody's fault but that of who wrote it down.
    async fn whose(&self, base: &str, newest: Option<Timestamp>) -> Option<AuthorityId> {
        let start = newest?.as_ms();
        let note = self
            .fetch
            .get(&format!("{base}/pli/log/{start}/checkpoint"))
            .await
            .ok()?;
        let noted = Noted::parse(std::str::from_utf8(&note).ok()?).ok()?;
        Some(noted.checkpoint().origin.authority.clone())
    }

    async fn look_at(
        &self,
        base: &str,
        node: &Followed,
        origin: &Origin,
        claims: &[Claim],
        now: Timestamp,
    ) -> Result<Seen, Trouble> {
        let unreachable = |problem: Unread| found(Alarm::Unreachable, problem.detail());
        let prefix = format!("{base}/pli/log/{}", origin.start.as_ms());
        let kept = self.state.read(origin)?;
        let note = match self.fetch.get(&format!("{prefix}/checkpoint")).await {
            // A log has none before its first entry.
            Err(Unread::Missing(_)) if kept.is_none() && claims.is_empty() => {
                return Ok(Seen::nothing(origin));
            }
            note => note.map_err(unreachable)?,
        };
        let note = String::from_utf8(note)
            .map_err(|_| found(Alarm::Malformed, "the checkpoint is not text"))?;
        let noted =
            Noted::parse(&note).map_err(|error| found(Alarm::Malformed, error.to_string()))?;
        if !node.keys.iter().any(|key| noted.verify(key).is_ok()) {
            return Err(found(
                Alarm::NotSigned,
                "the checkpoint is not signed by a key of the log",
            ));
        }
        let checkpoint = noted.checkpoint();
        if checkpoint.origin != *origin {
            return Err(found(
                Alarm::Malformed,
                format!("the checkpoint is of {}", checkpoint.origin),
            ));
        }
        if let Some(kept) = &kept {
            self.not_less(&kept.noted, &noted)?;
        }
        for claim in claims {
            self.not_less(&claim.head, &noted)?;
        }
        let reading = match &kept {
            // What bundles prove may be older than what is read again.
            Some(kept)
                if claims
                    .iter()
                    .any(|claim| claim.begins() <= kept.frontier.size()) =>
            {
                Reading::again(&self.fetch, &prefix, kept, checkpoint.size)?
            }
            kept => Reading::new(&self.fetch, &prefix, kept.as_ref(), checkpoint.size)?,
        };
        let mut read = reading.with(claims).all(now).await?;
        if let Some(kept) = &kept {
            if read.root != checkpoint.root || read.at_kept != Some(kept.noted.checkpoint().root) {
                // Before a log is accused it is read from its beginning: then what was kept has no part in it.
                read = Reading::again(&self.fetch, &prefix, kept, checkpoint.size)?
                    .with(claims)
                    .all(now)
                    .await?;
            }
            if read.root == checkpoint.root && read.at_kept != Some(kept.noted.checkpoint().root) {
                return Err(self.forked(&kept.noted, &noted, "")?);
            }
        }
        if read.root != checkpoint.root {
            let detail = "the entries do not hash to the root of the checkpoint";
            return Err(found(Alarm::TilesDiffer, detail));
        }
        for claim in claims {
            let lost = claim.lost(&read.leaves);
            if lost > 0 || read.roots.get(&claim.size()) != Some(&claim.head.checkpoint().root) {
                let detail =
                    format!(", a bundle says, and {lost} of its proven entries are not in it");
                return Err(self.forked(&claim.head, &noted, &detail)?);
            }
        }
        if let Some(path) = read.differs {
            return Err(found(
                Alarm::TilesDiffer,
                format!("{path} is not what the entries hash to"),
            ));
        }
        if let Some(problem) = read.time {
            return Err(found(Alarm::TimeWentBack, problem));
        }
        let cosignatures = noted.cosignatures(|witness| match *witness == node.authority {
            true => Vec::new(),
            false => (self.witness_keys)(witness),
        });
        let seen = Seen {
            origin: origin.clone(),
            size: checkpoint.size,
            before: kept.as_ref().map(|kept| kept.noted.checkpoint().size),
            last_at: read.last_at,
            witnesses: cosignatures
                .into_iter()
                .map(|one| (one.witness, one.at))
                .collect(),
        };
        self.state.write(&Kept {
            frontier: read.whole,
            last_at: read.last_at,
            noted,
        })?;
        Ok(seen)
    }

    /// Neither shorter than it was, nor another one of the same size.
    fn not_less(&self, seen: &Noted, noted: &Noted) -> Result<(), Trouble> {
        let (before, now) = (seen.checkpoint(), noted.checkpoint());
        if now.size < before.size {
            let detail = format!("{} entries were there, now {}", before.size, now.size);
            return Err(found(Alarm::Shrunk, detail));
        }
        match now.size == before.size && now.root != before.root {
            true => Err(self.forked(seen, noted, "")?),
            false => Ok(()),
        }
    }

    fn forked(&self, before: &Noted, now: &Noted, more: &str) -> Result<Trouble, StateError> {
        let path = self.state.convict(before, now)?;
        let (old, new) = (before.checkpoint().size, now.checkpoint().size);
        let path = path.display();
        let detail = format!(
            "the log of {old} entries that was seen does not lead to that of {new}{more}; both are in {path}"
        );
        Ok(found(Alarm::Forked, detail))
    }

    fn freshness(&self, seen: &Seen, now: Timestamp) -> Option<(Alarm, String)> {
        let mut times: Vec<Timestamp> = seen.witnesses.iter().map(|(_, at)| *at).collect();
        times.sort_unstable_by(|a, b| b.cmp(a));
        let last = match self.needed {
            0 => *times.first()?,
            needed => match times.get(needed - 1) {
                Some(at) => *at,
                None => {
                    let detail = format!("{} of {needed} witnesses have cosigned", times.len());
                    return Some((Alarm::TooFewWitnesses, detail));
                }
            },
        };
        let age_ms = now.since_ms(last);
        let detail = || {
            format!(
                "enough witnesses cosigned last at {last}, {} s ago",
                age_ms / 1_000
            )
        };
        (age_ms > self.stale_ms).then(|| (Alarm::Stale, detail()))
    }
}

fn starts_of(bytes: &[u8]) -> Option<Vec<Timestamp>> {
    let text = std::str::from_utf8(bytes).ok()?;
    let lines = text
        .lines()
        .take(STARTS_MAX + 1)
        .map(|line| line.parse().map(Timestamp::from_ms));
    let starts: Vec<Timestamp> = lines.collect::<Result<_, _>>().ok()?;
    (starts.len() <= STARTS_MAX && starts.is_sorted_by(|a, b| a < b)).then_some(starts)
}
