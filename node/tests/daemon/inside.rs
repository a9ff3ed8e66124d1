//! A node in the test's own process, with what the test wants between it and its store; and sessions with it.

use std::fmt::Debug;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use pli_node::config::Config;
use pli_node::fatal::Fatal;
use pli_node::run::{self, Opened};
use pli_node::shutdown::{Shutdown, ShutdownTrigger};
use pli_node::store::{AccountRecord, Between, DeviceRecord, InvitationId, Store, StoreError};
use pli_protocol::codec;
use pli_protocol::crypto::sign::{PublicKey, SigningKey};
use pli_protocol::id::{AccountId, AuthorityId};
use pli_protocol::limits::{ACCOUNT_ID_LEN, FRAME_MAX, INVITATION_ID_LEN};
use pli_protocol::session::{Principal, ServerIdentity};
use pli_protocol::wire::{self, call, call_reply};
use pli_transport::{
    CallStream, Credential, DialledConnection, Dialler, Endpoints, RecvError, Via,
};
use tokio::task::JoinHandle;

use crate::site::{AUTHORITY, SOON, Site, get, now};

/// This operation fails as a disk does that refuses to sync.
#[derive(Debug)]
pub(crate) struct Failing(pub(crate) &'static str);

impl Between for Failing {
    fn before(&self, operation: &'static str, _asked: &dyn Debug) -> Result<(), StoreError> {
        if operation != self.0 {
            return Ok(());
        }
        let source = std::io::Error::other("the fault of this test");
        Err(StoreError::Fatal {
            doing: operation,
            source,
        })
    }
}

pub(crate) async fn within<F: Future>(what: F) -> F::Output {
    tokio::time::timeout(SOON, what).await.expect("in time")
}

/// Asks again until something is there.
pub(crate) async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let asking = async {
        loop {
            if let Some(there) = ask().await {
                return there;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    let there = tokio::time::timeout(SOON, asking).await;
    there.unwrap_or_else(|_| panic!("never: {what}"))
}

pub(crate) async fn opened(config: &Path) -> Opened {
    let config = Config::load(config).unwrap();
    run::open(config).await.unwrap()
}

pub(crate) fn started(opened: Opened) -> (JoinHandle<Result<(), Fatal>>, Arc<ShutdownTrigger>) {
    let (trigger, shutdown) = Shutdown::new();
    let trigger = Arc::new(trigger);
    (
        tokio::spawn(opened.run(Arc::clone(&trigger), shutdown)),
        trigger,
    )
}

/// A node that runs here.
pub(crate) struct Inside {
    pub(crate) quic: SocketAddr,
    websocket: SocketAddr,
    ops: SocketAddr,
    running: JoinHandle<Result<(), Fatal>>,
    trigger: Arc<ShutdownTrigger>,
}

impl Inside {
    /// The node of this configuration, over its own store or something in its place.
    pub(crate) async fn start(
        config: &Path,
        between: impl FnOnce(Arc<dyn Store>) -> Arc<dyn Store>,
    ) -> Self {
        let opened = opened(config).await.over(between);
        let address = |wanted: &str| {
            let mut all = opened.addresses().into_iter();
            all.find(|(name, _)| *name == wanted).unwrap().1
        };
        let (quic, websocket, ops) = (address("quic"), address("websocket"), address("ops"));
        let (running, trigger) = started(opened);
        Self {
            quic,
            websocket,
            ops,
            running,
            trigger,
        }
    }

    pub(crate) async fn stop(self) {
        self.trigger.stop();
        within(self.running).await.unwrap().unwrap();
    }

    /// Whether this very line is among the metrics.
    pub(crate) async fn counts(&self, line: &str) -> bool {
        let ops = self.ops;
        let metrics = tokio::task::spawn_blocking(move || get(ops, "/metrics"));
        let (_, metrics) = metrics.await.unwrap().unwrap();
        metrics.lines().any(|counted| counted == line)
    }

    /// A session of a device with the node of a [`Site`].
    pub(crate) async fn device(&self, site: &Site, key: SigningKey, via: Via) -> DialledConnection {
        let endpoints = match via {
            Via::Quic => Endpoints {
                quic: vec![self.quic],
                ..Endpoints::default()
            },
            Via::WebSocket => Endpoints {
                websocket: vec![self.websocket],
                ..Endpoints::default()
            },
        };
        let connecting = device_of(key);
        within(connecting.connect(&server(site), &endpoints))
            .await
            .unwrap()
    }
}

pub(crate) fn device_of(key: SigningKey) -> Dialler {
    Dialler::new(Credential {
        principal: Principal::Device,
        key: Arc::new(key),
    })
}

/// Whom a dialler expects at the address of a [`Site`].
pub(crate) fn server(site: &Site) -> ServerIdentity {
    ServerIdentity {
        authority: AuthorityId::new(AUTHORITY).unwrap(),
        key: *site.key.public(),
    }
}

/// Gives a device an account, as an invitation would.
pub(crate) fn enrol(store: &dyn Store, device: &PublicKey, number: u8) -> AccountId {
    let account = AccountRecord {
        id: AccountId::new([number; ACCOUNT_ID_LEN]),
        enrolled_at: now(),
        devices: vec![DeviceRecord {
            key: device.id(),
            public_key: *device.as_bytes(),
            added_at: now(),
        }],
    };
    let invitation = InvitationId::new([number; INVITATION_ID_LEN]);
    store.enrol(&invitation, &account).unwrap();
    account.id
}

pub(crate) async fn asked(connection: &DialledConnection, kind: call::Kind) -> CallStream {
    let mut stream = within(connection.open_call()).await.unwrap();
    let call = wire::Call { kind: Some(kind) };
    stream.send.send_message(&call).await.unwrap();
    stream
}

pub(crate) async fn answer(stream: &mut CallStream) -> Result<call_reply::Kind, RecvError> {
    let frame = within(stream.recv.next()).await?.unwrap();
    let reply: wire::CallReply = codec::decode_canonical(&frame, FRAME_MAX).unwrap();
    Ok(reply.kind.unwrap())
}
