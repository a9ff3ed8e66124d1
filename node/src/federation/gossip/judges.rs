//! What this node makes of what it hears, and what it says itself (GOS-3).
//!
//! | Topic | Judged by |
//! |---|---|
//! | trust | fetching from that peer what it announces: it is true once that directory is in force here |
//! | checkpoints, alerts | the signatures, and what the same log said before ([`Views`]) |

use std::future::ready;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use pli_protocol::evidence::SplitView;
use pli_protocol::id::{AuthorityId, Timestamp};
use pli_protocol::limits::{GOSSIP_CHECKPOINT_EVERY_MS, TRUST_TIMESTAMP_MAX};
use pli_protocol::trust::Directory;
use tokio::sync::broadcast;
use tokio::task::spawn_blocking;
use tokio::time::MissedTickBehavior;

use super::{Around, Gossip, Heard, Judge, Judging, Opened, Topic, Verdict};
use crate::clock::Clock;
use crate::evidence::Keeper;
use crate::evidence::witness::{self, Views};
use crate::federation::{DirectoryWatch, Hints};
use crate::shutdown::Shutdown;

/// Where the newest directory announces itself, in a verified copy.
const TIMESTAMP: &str = "metadata/timestamp.json";

/// Judges by what this node knows.
#[derive(Clone, Debug)]
struct Judges {
    /// Who is who.
    directory: DirectoryWatch,
    /// The verified copy that the directory was read from.
    mirror: PathBuf,
    /// Whom to ask for a newer one.
    hints: Hints,
    /// What logs said; `None` where no evidence is kept: then nothing of it is judged here.
    views: Option<Arc<Views>>,
    /// The time.
    clock: Arc<dyn Clock>,
}

impl Judge for Judges {
    fn judge(&self, heard: Heard) -> Judging {
        let judges = self.clone();
        match heard.topic {
            Topic::Trust => Box::pin(async move { judges.trust(heard).await }),
            Topic::Checkpoints => self.log(heard, Views::judge_checkpoint),
            Topic::Alerts => self.log(heard, Views::judge_conviction),
        }
    }
}

/// How one kind of what logs say is judged.
type OfLog = fn(&Views, &[u8], &Directory, Timestamp) -> witness::Verdict;

impl Judges {
    /// GOS-3.4
    async fn trust(mut self, heard: Heard) -> Verdict {
        let Some(announced) = version(&heard.payload) else {
            return Verdict::Reject;
        };
        let mut current = self.directory.current();
        if announced <= current.versions().timestamp {
            return Verdict::Ignore;
        }
        self.hints.hint(&heard.from, announced);
        while current.versions().timestamp < announced {
            match self.directory.changed().await {
                Some(newer) => current = newer,
                None => return Verdict::Ignore,
            }
        }
        // What verified is what was heard, to the byte; an even newer one is announced by itself.
        match timestamp(self.mirror).await {
            Ok(verified) if verified == heard.payload => Verdict::Accept(None),
            _ => Verdict::Ignore,
        }
    }

    /// GOS-3.5, EVD-10.2
    fn log(&self, heard: Heard, judge: OfLog) -> Judging {
        let Some(views) = self.views.clone() else {
            return Box::pin(ready(Verdict::Ignore));
        };
        let (directory, now) = (self.directory.current(), self.clock.now());
        // What convicts a log is written to disk.
        let judged = spawn_blocking(move || judge(&views, &heard.payload, &directory, now));
        Box::pin(async move {
            match judged.await {
                Ok(witness::Verdict::Accept(about)) => Verdict::Accept(Some(about)),
                Ok(witness::Verdict::Reject) => Verdict::Reject,
                Ok(witness::Verdict::Ignore) | Err(_) => Verdict::Ignore,
            }
        })
    }
}

/// Takes part until the stop. `copy`: the verified copy of the directory, and whom to ask for a newer one. `logs`: this
/// node's, and what others said.
pub async fn run(
    authority: AuthorityId,
    opened: Option<Opened>,
    around: Around,
    (mirror, hints): (PathBuf, Hints),
    logs: Option<(Arc<Keeper>, Arc<Views>)>,
    shutdown: Shutdown,
) {
    let Some(opened) = opened else { return };
    let judges = Judges {
        directory: around.directory.clone(),
        mirror: mirror.clone(),
        hints,
        views: logs.as_ref().map(|(_, views)| Arc::clone(views)),
        clock: Arc::clone(&around.clock),
    };
    let announcer = Announcer {
        authority,
        gossip: opened.gossip(),
        directory: around.directory.clone(),
        mirror,
        logs,
    };
    tokio::join!(
        opened.run(around, Arc::new(judges), shutdown.clone()),
        announcer.run(shutdown),
    );
}

/// The version that a timestamp claims; nothing of it is verified.
fn version(timestamp: &[u8]) -> Option<u64> {
    let parsed: serde_json::Value = serde_json::from_slice(timestamp).ok()?;
    let signed = &parsed["signed"];
    (signed["_type"] == "timestamp").then(|| signed["version"].as_u64())?
}

/// Of the verified copy.
async fn timestamp(mirror: PathBuf) -> io::Result<Bytes> {
    let bytes = tokio::fs::read(mirror.join(TIMESTAMP)).await?;
    match bytes.len() as u64 <= TRUST_TIMESTAMP_MAX {
        true => Ok(bytes.into()),
        false => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// Says what this node learns: its own checkpoints, what it convicts, and each newer directory.
#[derive(Debug)]
struct Announcer {
    /// Whose node.
    authority: AuthorityId,
    /// To all.
    gossip: Gossip,
    /// Who is who.
    directory: DirectoryWatch,
    /// Its verified copy.
    mirror: PathBuf,
    /// This node's log, and what others' said.
    logs: Option<(Arc<Keeper>, Arc<Views>)>,
}

impl Announcer {
    /// Runs until the stop.
    async fn run(mut self, mut shutdown: Shutdown) {
        // Heard from now on; those of before are on disk.
        let mut convictions = self.logs.as_ref().map(|(_, views)| views.convictions());
        if let Some((_, views)) = &self.logs {
            let views = Arc::clone(views);
            let kept = spawn_blocking(move || views.kept()).await;
            for view in kept.into_iter().flatten() {
                self.convicted(&view);
            }
        }
        self.trust().await;
        let mut every = tokio::time::interval(Duration::from_millis(GOSSIP_CHECKPOINT_EVERY_MS));
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut said = None;
        loop {
            tokio::select! {
                newer = self.directory.changed() => match newer {
                    Some(_) => self.trust().await,
                    None => return,
                },
                view = next(&mut convictions) => self.convicted(&view),
                _ = every.tick() => self.checkpoint(&mut said),
                () = shutdown.begun() => return,
            }
        }
    }

    async fn trust(&self) {
        match timestamp(self.mirror.clone()).await {
            Ok(timestamp) => self.gossip.publish(Topic::Trust, None, timestamp),
            Err(error) => tracing::warn!(%error, "the directory's timestamp cannot be read"),
        }
    }

    fn convicted(&self, view: &SplitView) {
        let about = Some(view.origin().authority.clone());
        let payload = Bytes::from(view.encode());
        self.gossip.publish(Topic::Alerts, about, payload);
    }

    /// GOS-3.6: the newest that enough witnesses have cosigned, if it is another one.
    fn checkpoint(&self, said: &mut Option<u64>) {
        let Some((keeper, _)) = &self.logs else {
            return;
        };
        let Some(head) = keeper.log().published() else {
            return;
        };
        if said.replace(head.size) != Some(head.size) {
            let about = Some(self.authority.clone());
            self.gossip
                .publish(Topic::Checkpoints, about, head.note.into());
        }
    }
}

/// The next conviction; never where there is no evidence.
async fn next(convictions: &mut Option<broadcast::Receiver<SplitView>>) -> SplitView {
    let Some(receiver) = convictions else {
        return std::future::pending().await;
    };
    loop {
        match receiver.recv().await {
            Ok(view) => return view,
            // They are on disk, and said at the next start.
            Err(broadcast::error::RecvError::Lagged(_)) => {}
            Err(broadcast::error::RecvError::Closed) => return std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_is_read_as_far_as_its_version_and_anything_else_is_not() {
        let good = br#"{"signatures":[],"signed":{"_type":"timestamp","version":7}}"#;
        assert_eq!(version(good), Some(7));
        for bad in [
            &b"{}"[..],
            b"",
            b"[1,2]",
            br#"{"signed":{"_type":"snapshot","version":7}}"#,
            br#"{"signed":{"_type":"timestamp","version":-7}}"#,
        ] {
            assert_eq!(version(bad), None, "{}", String::from_utf8_lossy(bad));
        }
    }
}
