//! A federation of one authority on disk, and in place of its node a script that answers calls byte
//! by byte as it likes: what a node that misbehaves would do, which a real one cannot be made to.
#![allow(dead_code, reason = "each test takes what it needs")]

pub(crate) mod command;
pub(crate) mod home;

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clap::Parser;
use pli_client::authority::{self, AuthorityCommand};
use pli_client::clock;
use pli_client::federation::{self, FederationCommand};
use pli_client::service::config::{DirectoryConfig, ServiceConfig};
use pli_protocol::codec;
use pli_protocol::crypto::sign::SigningKey;
use pli_protocol::id::AuthorityId;
use pli_protocol::limits;
use pli_protocol::session::Welcome;
use pli_protocol::wire;
use pli_transport::{BindError, CallStream, Identity, Listener, ListenerConfig, ListenerLimits};
use pli_trust::keyfile;
use tempfile::TempDir;
use tokio::task::JoinHandle;

pub(crate) const AUTHORITY: &str = "interieur.gouv.fr";
pub(crate) const SERVICE: &str = "rdv@interieur.gouv.fr";

#[derive(Debug, Parser)]
enum Line {
    #[command(subcommand)]
    Federation(FederationCommand),
    #[command(subcommand)]
    Authority(AuthorityCommand),
}

/// What the node does with the `n`th call, counted from 0 over all connections.
pub(crate) type Script = Arc<
    dyn Fn(usize, wire::call::Kind, CallStream) -> Pin<Box<dyn Future<Output = ()> + Send>>
        + Send
        + Sync,
>;

/// A script out of an async function.
pub(crate) fn script<F, Answer>(answer: F) -> Script
where
    F: Fn(usize, wire::call::Kind, CallStream) -> Answer + Send + Sync + 'static,
    Answer: Future<Output = ()> + Send + 'static,
{
    Arc::new(move |nth, call, stream| Box::pin(answer(nth, call, stream)))
}

pub(crate) struct Federation {
    folder: TempDir,
    address: SocketAddr,
    running: Mutex<Option<JoinHandle<()>>>,
}

impl Federation {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Freed at once; the listener takes it a moment later.
        let address = free();
        let federation = Self {
            folder,
            address,
            running: Mutex::default(),
        };
        let quic = format!("--quic {address}");
        for line in [
            "federation init --dir @/federation --keys @/keys",
            &format!(
                "authority init {AUTHORITY} --dir @/interior --keys @/interior-keys --name-fr Intérieur --name-en Interior {quic}"
            ),
            "authority add-service rdv --dir @/interior --service-key @/service/service.key --name-fr Rendez-vous --name-en Appointments --link-host rdv.interieur.gouv.fr",
            "authority publish --dir @/interior --key @/interior-keys/role.key",
            "federation add-authority @/interior/handover --dir @/federation --host --key @/keys/offline/targets-1.key --key @/keys/offline/targets-2.key",
            "federation publish --dir @/federation --key @/keys/online",
        ] {
            federation.pli(line).await;
        }
        let config = ServiceConfig {
            service: SERVICE.into(),
            key: "service.key".into(),
            dev: false,
            directory: DirectoryConfig {
                root: federation.path("federation/repository/metadata/1.root.json"),
                sources: vec![federation.repository()],
            },
        };
        config.write_new(&federation.path("service")).unwrap();
        federation
    }

    pub(crate) async fn pli(&self, line: &str) {
        let line = line.replace("@/", &format!("{}/", self.folder.path().display()));
        let words = std::iter::once("pli").chain(line.split_whitespace());
        match Line::try_parse_from(words).unwrap() {
            Line::Federation(command) => {
                drop(federation::run(command, clock::now()).await.unwrap())
            }
            Line::Authority(command) => drop(authority::run(command, clock::now()).unwrap()),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn repository(&self) -> String {
        self.path("federation/repository").display().to_string()
    }

    pub(crate) fn authority(&self) -> AuthorityId {
        AUTHORITY.parse().unwrap()
    }

    pub(crate) fn node_key(&self) -> SigningKey {
        keyfile::load(Path::new(&self.path("interior-keys/node.key"))).unwrap()
    }

    /// Where the node is.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes the node away: nobody answers at its address.
    pub(crate) async fn silence(&self) {
        let last = self.running.lock().unwrap().take();
        if let Some(last) = last {
            last.abort();
            let _ = last.await;
        }
    }

    /// Puts a script in the place of the node, or in the place of the last script.
    pub(crate) async fn node(&self, script: Script) {
        self.silence().await;
        let listener = self.bind().await;
        let calls = Arc::new(AtomicUsize::new(0));
        let running = tokio::spawn(async move {
            while let Some(pending) = listener.accept().await {
                let (script, calls) = (Arc::clone(&script), Arc::clone(&calls));
                tokio::spawn(async move {
                    let welcome = Welcome {
                        server_time: clock::now(),
                        max_batches_in_flight: 4,
                    };
                    let Ok(connection) = pending.authenticate(|_| async { Ok(welcome) }).await
                    else {
                        return;
                    };
                    while let Ok(mut stream) = connection.accept_call().await {
                        let Ok(Some(frame)) = stream.recv.next().await else {
                            return;
                        };
                        let call: wire::Call =
                            codec::decode_canonical(&frame, limits::FRAME_MAX).unwrap();
                        let nth = calls.fetch_add(1, Ordering::SeqCst);
                        script(nth, call.kind.unwrap(), stream).await;
                    }
                });
            }
        });
        *self.running.lock().unwrap() = Some(running);
    }

    /// The last listener frees the address when its connections have ended.
    async fn bind(&self) -> Listener {
        for _ in 0..200 {
            match self.try_bind() {
                Ok(listener) => return listener,
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
        self.try_bind().unwrap()
    }

    fn try_bind(&self) -> Result<Listener, BindError> {
        Listener::bind(ListenerConfig {
            identity: Identity::new(self.node_key())?,
            authority: self.authority(),
            quic: Some(self.address),
            websocket: None,
            http: None,
            limits: ListenerLimits::default(),
        })
    }
}

/// A port that nothing listens on, below the range that the system hands out by itself: a node that is away would lose
/// it to anybody's client.
fn free() -> SocketAddr {
    const FIRST: u16 = 10_000;
    const COUNT: u16 = 9_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let own = (std::process::id() % u32::from(COUNT)) as u16;
    let ports = (0..COUNT).map(|_| {
        let step = NEXT.fetch_add(1, Ordering::Relaxed) % COUNT;
        SocketAddr::from((Ipv4Addr::LOCALHOST, FIRST + (own + step) % COUNT))
    });
    let mut ports = ports.filter(|address| UdpSocket::bind(address).is_ok());
    ports.next().expect("a free port")
}

pub(crate) async fn reply(stream: &mut CallStream, kind: wire::call_reply::Kind) {
    stream
        .send
        .send_message(&wire::CallReply { kind: Some(kind) })
        .await
        .unwrap();
}

/// The next batch of a `Submit`.
pub(crate) async fn batch(stream: &mut CallStream) -> Option<wire::EnvelopeBatch> {
    let frame = stream.recv.next().await.ok()??;
    Some(codec::decode_canonical(&frame, limits::FRAME_MAX).unwrap())
}
