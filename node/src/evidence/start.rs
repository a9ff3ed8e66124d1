//! Puts the parts of evidence together at the start of a node: the recorder, the witness, the one who asks witnesses.

use std::io;
use std::sync::Arc;

use axum::Router;
use pli_protocol::evidence::Noted;
use pli_protocol::id::AuthorityId;
use pli_protocol::merkle::Hash;
use pli_transport::PrivateNetworks;

use super::folder::Keeper;
use super::log::Head;
use super::recorder::{Recorder, Refusals};
use super::serve;
use super::witness::disk::RealDisk;
use super::witness::{Heads, OwnLog, Pusher, Views, Witness, Witnessed};
use crate::alarm::Alarms;
use crate::clock::Clock;
use crate::fatal::Fatal;
use crate::federation::DirectoryWatch;
use crate::metrics::{AlarmKind, Metrics};
use crate::shutdown::Shutdown;
use crate::store::Store;

/// What the parts share.
#[derive(Clone, Debug)]
pub struct Around {
    /// Whose node.
    pub authority: AuthorityId,
    /// The logs.
    pub keeper: Arc<Keeper>,
    /// What is recorded.
    pub store: Arc<dyn Store>,
    /// Who is who.
    pub directory: DirectoryWatch,
    /// When others cosigned.
    pub witnessed: Arc<Witnessed>,
    /// Where witnesses may be dialled.
    pub networks: PrivateNetworks,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// What is wrong.
    pub alarms: Alarms,
}

/// What runs from now on.
#[derive(Debug)]
pub struct Started {
    /// Where refusals become events.
    pub refusals: Refusals,
    /// The log and the witness over HTTP.
    pub router: Router,
    /// To be run beside everything else.
    pub pusher: Pusher,
    /// What other logs said.
    pub views: Arc<Views>,
}

/// Starts recording, and makes ready what serves and asks.
pub fn start(around: &Around, shutdown: &Shutdown) -> Result<Started, Fatal> {
    let Around {
        authority,
        keeper,
        store,
        directory,
        witnessed,
        networks,
        clock,
        metrics,
        alarms,
    } = around.clone();
    let opened = |error: io::Error| Fatal::EvidenceOpen(error.to_string());
    let now = clock.now();
    if let Some(why) = keeper.begun_anew() {
        alarms.raise(AlarmKind::EvidenceAnew, now, begun_anew(why));
    }
    let recorder = Recorder {
        authority: authority.clone(),
        store,
        keeper: Arc::clone(&keeper),
        directory: directory.clone(),
        clock: Arc::clone(&clock),
        metrics,
        alarms: alarms.clone(),
    };
    let (refusals, _thread) = recorder
        .start(shutdown.clone())
        .map_err(|error| Fatal::StoreFailed(error.to_string()))?;
    let folder = keeper.folder();
    let views = Views::open(
        &folder.join("convicted"),
        Arc::new(RealDisk),
        alarms.clone(),
        now,
    );
    let views = Arc::new(views.map_err(opened)?);
    let witness = Witness {
        authority: authority.clone(),
        key: keeper.key().clone(),
        heads: Heads::open(&folder.join("witnessed"), Arc::new(RealDisk)).map_err(opened)?,
        views: Arc::clone(&views),
        directory: directory.clone(),
        clock: Arc::clone(&clock),
    };
    let router = serve::router(Arc::clone(&keeper)).merge(Arc::new(witness).router());
    let own = Arc::new(Own {
        keeper,
        directory: directory.clone(),
        clock: Arc::clone(&clock),
        alarms: alarms.clone(),
    });
    let pusher = Pusher::new(
        own, authority, directory, witnessed, networks, clock, alarms,
    );
    Ok(Started {
        refusals,
        router,
        pusher: pusher.map_err(opened)?,
        views,
    })
}

/// EVD-3.4, case 43: for the operator.
fn begun_anew(why: &str) -> String {
    format!(
        "{why}: a new log was begun. What the one before holds stays provable by whoever has proofs; tell the \
         federation's other operators"
    )
}

/// This node's log, as its witnesses need it.
#[derive(Debug)]
struct Own {
    keeper: Arc<Keeper>,
    directory: DirectoryWatch,
    clock: Arc<dyn Clock>,
    alarms: Alarms,
}

impl OwnLog for Own {
    fn checkpoint(&self) -> Option<String> {
        self.keeper.log().newest().map(|head| head.note)
    }

    fn consistency(&self, old: u64, new: u64) -> io::Result<Vec<Hash>> {
        self.keeper.log().consistency(old, new)
    }

    /// EVD-7.7: it is shown to others once as many have cosigned it as the federation demands.
    fn cosigned(&self, note: String) -> io::Result<()> {
        let noted = Noted::parse(&note).map_err(io::Error::other)?;
        let log = self.keeper.log();
        let checkpoint = noted.checkpoint();
        let cosigned = noted.claimed_witnesses().count();
        if checkpoint.origin != *log.origin()
            || cosigned < self.directory.current().policy().witnesses
        {
            return Ok(());
        }
        log.publish(Head {
            size: checkpoint.size,
            note,
        })
    }

    fn witnessed(&self) -> Option<String> {
        self.keeper.log().published().map(|head| head.note)
    }

    fn longer_elsewhere(&self, size: u64) {
        let now = self.clock.now();
        let ours = self.keeper.log().size();
        let why = format!("a witness has {size} entries of this node's log, and here are {ours}");
        match self.keeper.begin(now) {
            Ok(()) => self
                .alarms
                .raise(AlarmKind::EvidenceAnew, now, begun_anew(&why)),
            Err(error) => tracing::error!(%error, why, "a new log could not be begun"),
        }
    }
}
