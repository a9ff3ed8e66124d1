//! From a configuration to a running node, and back to nothing in order.
//!
//! [`open`] takes everything that can be refused: key, directory, store, addresses. [`Opened::run`]
//! runs until the stop, then drains: no new sessions, calls say their last word, what is on disk
//! is acknowledged, everything else is tried again by the peers.

mod upkeep;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use pli_protocol::id::Timestamp;
use pli_transport::{Dialler, Listener, PlainHttp};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::admit::{QuotaLimits, Quotas};
use crate::alarm::Alarms;
use crate::api::{self, Live};
use crate::clock::sync::ClockWatch;
use crate::clock::{Clock, SystemClock};
use crate::commit::Committer;
use crate::config::Config;
use crate::deliver;
use crate::deliver::neighbours::Neighbours;
use crate::evidence::Keeper;
use crate::evidence::recorder::Refusals;
use crate::evidence::start::{Around, start};
use crate::evidence::witness::Witnessed;
use crate::fatal::Fatal;
use crate::federation::{self, Follower, News, Peers, Publisher, Refreshed, Refresher, gossip};
use crate::foundation;
use crate::ingress::sessions;
use crate::keys::NodeKey;
use crate::live::{Destinations, LiveView, Sessions};
use crate::metrics::{AlarmKind, Metrics};
use crate::relay::{KnownMailboxes, Relay};
use crate::route::Router;
use crate::shutdown::{Shutdown, ShutdownTrigger};
use crate::store::{COPIED, Store, Watched};
use crate::verify::RootMemory;

use upkeep::{upkeep, wake_destinations};

/// Plain HTTP connections that came to the WebSocket's address and wait to be served.
const HANDED_OVER_MAX: usize = 64;

/// A node that may start: nothing about it was refused.
#[derive(Debug)]
pub struct Opened {
    config: Config,
    key: NodeKey,
    directory: federation::Opened,
    dialler: Dialler,
    store: Arc<dyn Store>,
    evidence: Option<Arc<Keeper>>,
    listener: Listener,
    gossip: Option<gossip::Opened>,
    http: TcpListener,
    handed: mpsc::Receiver<PlainHttp>,
    ops: TcpListener,
    clock: Arc<dyn Clock>,
    started: (Instant, Timestamp),
}

/// Loads, opens and binds everything.
pub async fn open(config: Config) -> Result<Opened, Fatal> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let now = clock.now();
    foundation::environment(&config)?;
    let key = foundation::key(&config)?;
    let directory = foundation::trust(&config, now).await?;
    let dialler = foundation::dialler(&config, &key);
    let peers = Peers {
        own: config.authority.clone(),
        dialler: dialler.clone(),
    };
    let directory = directory.catch_up(&peers, now).await;
    key.check_listed(&directory.found.directory, now)?;
    let store = foundation::store(&config, &key)?;
    let evidence = foundation::evidence(&config, store.as_ref(), now)?;
    let (hand_over, handed) = mpsc::channel(HANDED_OVER_MAX);
    let listener = Listener::bind(foundation::listener(&config, &key, hand_over)?)
        .map_err(|error| Fatal::Internal(error.to_string()))?;
    let gossip = match config.gossip.enabled {
        true => Some(listen_for_gossip(&config, &key).await?),
        false => None,
    };
    let http = listen("listen.http", *config.listen.http).await?;
    let ops = listen("listen.ops", *config.listen.ops).await?;
    let started = (Instant::now(), now);
    Ok(Opened {
        config,
        key,
        directory,
        dialler,
        store,
        evidence,
        listener,
        gossip,
        http,
        handed,
        ops,
        clock,
        started,
    })
}

async fn listen_for_gossip(config: &Config, key: &NodeKey) -> Result<gossip::Opened, Fatal> {
    let address = *config.listen.gossip;
    let opened = gossip::Opened::listen(&key.key, address).await;
    opened.map_err(|source| Fatal::Listen {
        key: "listen.gossip",
        address,
        source,
    })
}

async fn listen(key: &'static str, address: SocketAddr) -> Result<TcpListener, Fatal> {
    TcpListener::bind(address)
        .await
        .map_err(|source| Fatal::Listen {
            key,
            address,
            source,
        })
}

impl Opened {
    /// Where it listens, by the names of the configuration.
    pub fn addresses(&self) -> Vec<(&'static str, SocketAddr)> {
        let tcp = |name, listener: &TcpListener| {
            listener.local_addr().ok().map(|address| (name, address))
        };
        [
            self.listener.quic_addr().map(|address| ("quic", address)),
            self.listener
                .websocket_addr()
                .map(|address| ("websocket", address)),
            tcp("http", &self.http),
            self.gossip
                .as_ref()
                .map(|gossip| ("gossip", gossip.address())),
            tcp("ops", &self.ops),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// The same node with something between it and its store: a test puts a fault there.
    #[must_use]
    pub fn over(mut self, between: impl FnOnce(Arc<dyn Store>) -> Arc<dyn Store>) -> Self {
        self.store = between(self.store);
        self
    }

    /// The same node by another clock: a test sets it.
    #[must_use]
    pub fn by(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Runs until the stop is announced, or until the store fails.
    pub async fn run(self, trigger: Arc<ShutdownTrigger>, shutdown: Shutdown) -> Result<(), Fatal> {
        let Self {
            config,
            key,
            directory,
            dialler,
            store,
            evidence,
            listener,
            gossip: opened_gossip,
            http,
            handed,
            ops,
            clock,
            started,
        } = self;
        let metrics = Arc::new(Metrics::new());
        let alarms = Alarms::new(Arc::clone(&metrics));
        let (_, started_at) = started;
        let start_seconds = started_at.as_ms() as f64 / 1_000.0;
        metrics.process.start_time_seconds.set(start_seconds);
        let now = clock.now();
        let federation::Opened {
            source,
            mirror,
            found,
        } = directory;
        let versions = found.directory.versions();
        tracing::info!(
            root = versions.root,
            targets = versions.targets,
            snapshot = versions.snapshot,
            timestamp = versions.timestamp,
            expires = %found.directory.expires(),
            "directory in force"
        );
        let refreshed = Refreshed {
            at: found.from_copy.is_none().then_some(now),
            error: found.from_copy,
        };
        let (publisher, watch) = Publisher::new(found.directory, refreshed);
        let (router, destinations) = Router::new();
        if store.status().new_epoch {
            // Until the next start: nothing that happens meanwhile takes it back.
            alarms.raise(AlarmKind::StoreCopied, clock.now(), COPIED);
        }
        let (store, store_failed) = Watched::over(store);
        let (committer, _commit_thread) = Committer::start(
            Arc::clone(&store),
            Arc::clone(&router),
            Arc::clone(&clock),
            Arc::clone(&metrics),
        );
        let witnessed = Arc::new(Witnessed::default());
        let evidence_parts = match &evidence {
            Some(keeper) => {
                let around = Around {
                    authority: config.authority.clone(),
                    keeper: Arc::clone(keeper),
                    store: Arc::clone(&store),
                    directory: watch.clone(),
                    witnessed: Arc::clone(&witnessed),
                    networks: config.dial.networks(),
                    clock: Arc::clone(&clock),
                    metrics: Arc::clone(&metrics),
                    alarms: alarms.clone(),
                };
                Some(start(&around, &shutdown)?)
            }
            None => None,
        };
        let refusals = evidence_parts.as_ref().map(|parts| parts.refusals.clone());
        let peers = Peers {
            own: config.authority.clone(),
            dialler: dialler.clone(),
        };
        let relay = Arc::new(Relay {
            dialler,
            mirror: mirror.clone(),
            neighbours: Neighbours::default(),
            evidence: evidence.clone(),
            refusals: refusals.unwrap_or_else(Refusals::nowhere),
            authority: config.authority.clone(),
            key: key.key.clone(),
            directory: watch.clone(),
            mailboxes: KnownMailboxes::new(Arc::clone(&store), Arc::clone(&clock)),
            committer,
            router,
            clock: Arc::clone(&clock),
            metrics: Arc::clone(&metrics),
            alarms: alarms.clone(),
            store: Arc::clone(&store),
            clock_watch: Arc::new(ClockWatch::after(store.status().confirmed, Instant::now())),
            roots: RootMemory::new(Arc::clone(&metrics)),
            quotas: Quotas::new(QuotaLimits {
                sender_per_day: config.quotas.sender_per_day,
                sender_mailbox_per_day: config.quotas.sender_mailbox_per_day,
                sync_bytes_per_hour: config.quotas.sync_bytes_per_hour.0,
            }),
            witnessed: Arc::clone(&witnessed),
            sessions: Arc::new(Sessions::default()),
            destinations: Arc::new(Destinations::default()),
        });
        wake_destinations(&relay)?;
        let (follower, hints) = Follower::new(
            source.clone(),
            peers,
            (publisher.clone(), watch.clone()),
            config.trust.refresh.0,
            Arc::clone(&clock),
            alarms.clone(),
        );
        let news = News::of(&config.trust.sources).await?;
        let refresher = Refresher::new(
            source,
            (publisher, watch.clone()),
            (news, config.trust.refresh.0),
            key.clone(),
            Arc::clone(&clock),
            alarms.clone(),
            Arc::clone(&metrics),
        );
        let live = Arc::new(LiveView {
            store: (store, config.store.url.0.to_string()),
            sessions: Arc::clone(&relay.sessions),
            destinations: Arc::clone(&relay.destinations),
            shutdown: shutdown.clone(),
            alarms: alarms.clone(),
            clock: Arc::clone(&clock),
            metrics: Arc::clone(&metrics),
        });
        let views = evidence_parts
            .as_ref()
            .map(|parts| Arc::clone(&parts.views));
        let around = gossip::Around {
            networks: config.dial.networks(),
            directory: watch.clone(),
            clock: Arc::clone(&clock),
            metrics: Arc::clone(&metrics),
            alarms: alarms.clone(),
        };
        let copy = (mirror.clone(), hints);
        let gossips_of = opened_gossip.as_ref().map(gossip::Opened::gossip);
        let logs = evidence.clone().zip(views);
        let gossips = gossip::run(
            config.authority.clone(),
            opened_gossip,
            around,
            copy,
            logs,
            shutdown.clone(),
        );
        let ops_router = api::ops::router(api::Ops {
            key,
            clock,
            clock_watch: Arc::clone(&relay.clock_watch),
            metrics: Arc::clone(&metrics),
            alarms,
            directory: watch,
            evidence: evidence.clone(),
            witnessed,
            gossip: gossips_of,
            live: Arc::clone(&live) as Arc<dyn Live>,
            started,
        });
        let mut public_router = api::public::router(&mirror);
        if let Some(parts) = &evidence_parts {
            public_router = public_router.merge(parts.router.clone());
        }
        let asking = async {
            let Some(parts) = evidence_parts else { return };
            let Some(keeper) = evidence else { return };
            parts
                .pusher
                .run(keeper.log().watch(), shutdown.clone())
                .await;
        };
        let listener = Arc::new(listener);
        let caps = config.caps.http;
        let all = async {
            tokio::join!(
                sessions::run(Arc::clone(&relay), Arc::clone(&listener), shutdown.clone()),
                deliver::peer::run(Arc::clone(&relay), destinations, shutdown.clone()),
                deliver::expiry::run(Arc::clone(&relay), shutdown.clone()),
                deliver::expiry::compact(Arc::clone(&relay), shutdown.clone()),
                refresher.run(shutdown.clone()),
                asking,
                gossips,
                follower.run(shutdown.clone()),
                upkeep(Arc::clone(&relay), live, shutdown.clone()),
                api::serve::serve_handed(
                    handed,
                    public_router.clone(),
                    Arc::clone(&metrics),
                    shutdown.clone()
                ),
                api::serve::serve(
                    http,
                    public_router,
                    caps,
                    Arc::clone(&metrics),
                    shutdown.clone()
                ),
                api::serve::serve(
                    ops,
                    ops_router,
                    caps,
                    Arc::clone(&metrics),
                    shutdown.clone()
                ),
            );
        };
        let mut stopping = shutdown.clone();
        let drain = config.drain.0;
        let overdue = async {
            stopping.begun().await;
            tokio::time::sleep(drain).await;
        };
        tracing::info!(authority = %config.authority, "ready");
        let outcome = tokio::select! {
            () = all => Ok(()),
            () = overdue => {
                tracing::warn!(?drain, "not everything ended in time; nothing acknowledged is lost");
                Ok(())
            }
            Ok(error) = store_failed => Err(Fatal::StoreFailed(error)),
        };
        trigger.stop();
        listener.close(None, "the node stops").await;
        tracing::info!("stopped");
        outcome
    }
}
