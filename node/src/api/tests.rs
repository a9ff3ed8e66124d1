//! The two HTTP servers over real sockets.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::ops::{self, Live, Ops};
use super::public;
use super::serve::{HEAD_MAX, HEAD_WITHIN, serve, serve_handed};
use super::status::{LiveStatus, QueueStatus, Status, StoreStatus};
use crate::alarm::Alarms;
use crate::clock::TestClock;
use crate::clock::sync::ClockWatch;
use crate::federation::fixture::{DAY_MS, NOON, directory, node_key};
use crate::federation::{Publisher, Refreshed};
use crate::metrics::{AlarmKind, Metrics};
use crate::shutdown::{Shutdown, ShutdownTrigger};

const FAR: [u64; 5] = [
    400 * DAY_MS,
    400 * DAY_MS,
    7 * DAY_MS,
    2 * DAY_MS,
    400 * DAY_MS,
];
const SOON: Duration = Duration::from_secs(60);

#[derive(Debug)]
struct Loop(Mutex<LiveStatus>);

impl Live for Loop {
    fn live(&self) -> LiveStatus {
        self.0.lock().unwrap().clone()
    }
}

struct Node {
    at: SocketAddr,
    live: Arc<Loop>,
    clock: TestClock,
    alarms: Alarms,
    publisher: Publisher,
    trigger: ShutdownTrigger,
}

async fn listen(router: Router, connections: usize) -> (SocketAddr, ShutdownTrigger) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (at, (trigger, shutdown)) = (listener.local_addr().unwrap(), Shutdown::new());
    tokio::spawn(serve(
        listener,
        router,
        connections,
        Arc::new(Metrics::new()),
        shutdown,
    ));
    (at, trigger)
}

async fn node() -> Node {
    let (clock, metrics) = (TestClock::at(NOON), Arc::new(Metrics::new()));
    let store = StoreStatus {
        writable: true,
        ..StoreStatus::default()
    };
    let live = Arc::new(Loop(Mutex::new(LiveStatus {
        store,
        ..LiveStatus::default()
    })));
    let refreshed = Refreshed {
        at: Some(NOON),
        error: None,
    };
    let (publisher, directory) = Publisher::new(directory(1, &node_key(7), FAR), refreshed);
    let alarms = Alarms::new(Arc::clone(&metrics));
    let ops = Ops {
        key: node_key(7),
        clock: Arc::new(clock.clone()),
        clock_watch: Arc::new(ClockWatch::default()),
        metrics,
        alarms: alarms.clone(),
        directory,
        evidence: None,
        witnessed: Arc::default(),
        gossip: None,
        live: Arc::clone(&live) as Arc<dyn Live>,
        started: (Instant::now(), NOON),
    };
    let (at, trigger) = listen(ops::router(ops), 64).await;
    Node {
        at,
        live,
        clock,
        alarms,
        publisher,
        trigger,
    }
}

/// Sends exact bytes and reads until the server closes.
async fn exchange(at: SocketAddr, request: &[u8]) -> io::Result<String> {
    let mut stream = TcpStream::connect(at).await?;
    stream.write_all(request).await?;
    let mut answer = Vec::new();
    let read = timeout(SOON, stream.read_to_end(&mut answer));
    read.await.map_err(|_| io::ErrorKind::TimedOut)??;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

async fn get(at: SocketAddr, path: &str) -> (u16, String, String) {
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    let answer = exchange(at, request.as_bytes()).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head.to_lowercase(), body.to_owned())
}

#[tokio::test]
async fn a_healthy_node_says_so() {
    let node = node().await;
    assert_eq!(get(node.at, "/healthz").await.0, 200);
    let (status, _, body) = get(node.at, "/readyz").await;
    assert_eq!(
        (status, body.as_str()),
        (200, "{\"ready\":true,\"because\":[]}")
    );
    let (status, head, body) = get(node.at, "/metrics").await;
    assert_eq!(status, 200);
    assert!(
        head.contains("content-type: text/plain; version=0.0.4"),
        "{head}"
    );
    assert!(
        body.contains("pli_verify_refused_total{code=\"BAD_SIGNATURE\"} 0"),
        "{body}"
    );
    assert_eq!(get(node.at, "/").await.0, 404);
}

#[tokio::test]
async fn a_node_that_takes_nothing_in_is_not_ready_and_says_why() {
    let node = node().await;
    for (change, restore, expected) in [
        (
            LiveStatus {
                draining: true,
                store: writable(),
                ..LiveStatus::default()
            },
            0,
            "stopping",
        ),
        (LiveStatus::default(), 0, "the store takes nothing in"),
        (
            LiveStatus {
                store: writable(),
                ..LiveStatus::default()
            },
            2 * DAY_MS,
            "expired at",
        ),
    ] {
        *node.live.0.lock().unwrap() = change;
        node.clock.set(NOON.plus_ms(restore));
        let (status, _, body) = get(node.at, "/readyz").await;
        assert_eq!(status, 503, "{body}");
        assert!(body.contains(expected), "{body}");
        assert_eq!(get(node.at, "/healthz").await.0, 200, "it still runs");
    }
    node.clock.set(NOON);
    node.publisher
        .publish(directory(2, &node_key(8), FAR), NOON);
    let (status, _, body) = get(node.at, "/readyz").await;
    assert_eq!(status, 503);
    assert!(
        body.contains(&node_key(8).key.public().to_string()),
        "{body}"
    );
}

fn writable() -> StoreStatus {
    StoreStatus {
        writable: true,
        ..StoreStatus::default()
    }
}

#[tokio::test]
async fn status_tells_everything_at_a_glance() {
    let node = node().await;
    let queue = QueueStatus {
        destination: "social.gouv.fr".into(),
        bulk: 3,
        bytes: 7_500,
        oldest_ms: Some(NOON.as_ms()),
        ..QueueStatus::default()
    };
    node.live.0.lock().unwrap().queues = vec![queue.clone()];
    node.alarms
        .raise(AlarmKind::DiskFull, NOON, "12 bytes free");
    node.publisher.failed("connection refused".into());
    let (code, _, body) = get(node.at, "/status").await;
    assert_eq!(code, 200);
    let status: Status = serde_json::from_str(&body).unwrap();
    assert_eq!(status.authority, "interieur.gouv.fr");
    assert_eq!(status.key_id, node_key(7).id().to_string());
    assert_eq!(status.key, node_key(7).key.public().to_string());
    assert_eq!(status.live.queues, [queue]);
    assert!(status.ready.ready);
    assert_eq!(status.alarms[0].alarm, "disk_full");
    assert_eq!(
        status.directory.last_error.as_deref(),
        Some("connection refused")
    );
    let roles: Vec<_> = status
        .directory
        .roles
        .iter()
        .map(|r| (r.role.as_str(), r.days_left))
        .collect();
    let expected = [
        ("root", 400),
        ("targets", 400),
        ("snapshot", 7),
        ("timestamp", 2),
        ("interieur.gouv.fr", 400),
    ];
    assert_eq!(roles, expected);
}

#[tokio::test]
async fn case_68_a_body_over_the_limit_is_413_and_is_not_read() {
    let node = node().await;
    for head in [
        "content-length: 1".to_owned(),
        "content-length: 4294967296".to_owned(),
        "transfer-encoding: chunked".to_owned(),
    ] {
        let request = format!("GET /healthz HTTP/1.1\r\nhost: x\r\n{head}\r\n\r\n");
        let answer = exchange(node.at, request.as_bytes()).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 413"), "{head}: {answer}");
    }
    let fits = "GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    assert!(
        exchange(node.at, fits.as_bytes())
            .await
            .unwrap()
            .starts_with("HTTP/1.1 200")
    );
}

#[tokio::test]
async fn case_69_slow_headers_are_cut() {
    let node = node().await;
    let begin = Instant::now();
    let answer = exchange(node.at, b"GET /healthz HTTP/1.1\r\nhost: ").await;
    assert!(begin.elapsed() >= HEAD_WITHIN, "not before its time");
    match answer {
        Ok(answer) => assert!(!answer.contains("200 OK"), "{answer}"),
        Err(error) => assert_ne!(error.kind(), io::ErrorKind::TimedOut, "still open"),
    }
}

#[tokio::test]
async fn case_69_a_connection_that_says_nothing_more_is_cut() {
    let node = node().await;
    let answer = exchange(node.at, b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .expect("closed by the node before the test gives up");
    assert!(answer.contains("200 OK"), "{answer}");
}

#[tokio::test]
async fn a_head_over_the_limit_is_refused() {
    let node = node().await;
    let request = format!(
        "GET /healthz HTTP/1.1\r\nx: {}\r\n\r\n",
        "a".repeat(2 * HEAD_MAX)
    );
    let answer = exchange(node.at, request.as_bytes())
        .await
        .unwrap_or_default();
    assert!(!answer.contains("200 OK"), "{answer}");
}

#[tokio::test]
async fn r15_at_the_cap_a_connection_waits_for_another_to_end() {
    let (at, _trigger) = listen(Router::new(), 1).await;
    let first = TcpStream::connect(at).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let second = tokio::spawn(async move { get(at, "/").await.0 });
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!second.is_finished());
    drop(first);
    assert_eq!(timeout(SOON, second).await.unwrap().unwrap(), 404);
}

#[tokio::test]
async fn the_stop_ends_the_server_and_frees_the_address() {
    let node = node().await;
    assert_eq!(get(node.at, "/healthz").await.0, 200);
    node.trigger.stop();
    let freed = async {
        while TcpListener::bind(node.at).await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(SOON, freed).await.expect("the listener is dropped");
}

#[tokio::test]
async fn the_mirror_serves_its_two_folders_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let mirror = folder.path().join("mirror");
    for (file, text) in [
        ("metadata/timestamp.json", "{\"t\":1}"),
        ("metadata/3.root.json", "{\"r\":3}"),
        ("targets/interieur.gouv.fr/node.json", "{\"n\":1}"),
        ("metadata/.new-Ab3", "secret"),
        ("state.json", "secret"),
    ] {
        let path = mirror.join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    std::fs::write(folder.path().join("node.key"), "secret").unwrap();
    let (at, _trigger) = listen(public::router(&mirror), 64).await;

    let (status, head, body) = get(at, "/trust/metadata/timestamp.json").await;
    assert_eq!((status, body.as_str()), (200, "{\"t\":1}"));
    assert!(head.contains("cache-control: no-cache"), "{head}");
    assert!(head.contains("last-modified: "), "{head}");
    let (status, head, _) = get(at, "/trust/metadata/3.root.json").await;
    assert_eq!(status, 200);
    assert!(head.contains("immutable"), "{head}");
    let (status, _, body) = get(at, "/trust/targets/interieur.gouv.fr/node.json").await;
    assert_eq!((status, body.as_str()), (200, "{\"n\":1}"));

    for path in [
        "/trust/metadata/.new-Ab3",
        "/trust/metadata/%2enew-Ab3",
        "/trust/metadata/../state.json",
        "/trust/metadata/..%2fstate.json",
        "/trust/metadata/%2e%2e/state.json",
        "/trust/metadata/..%5c..%5cnode.key",
        "/trust/targets/../../node.key",
        "/trust/targets/%2e%2e%2f%2e%2e%2fnode.key",
        "/trust/metadata//etc/passwd",
        "/trust/metadata/%00",
        "/trust/metadata/",
        "/trust/metadata",
        "/trust/state.json",
        "/trust/",
        "/",
        "/trust/metadata/4.root.json",
    ] {
        let (status, head, body) = get(at, path).await;
        assert!((400..500).contains(&status), "{path}: {status}");
        assert!(!body.contains("secret"), "{path}");
        assert!(!head.contains("immutable"), "{path}: {head}");
    }
    let post =
        b"POST /trust/metadata/timestamp.json HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    assert!(
        exchange(at, post)
            .await
            .unwrap()
            .starts_with("HTTP/1.1 405")
    );
}

#[tokio::test]
async fn a_connection_that_another_listener_took_is_served_under_the_same_bounds() {
    let (sender, handed) = tokio::sync::mpsc::channel(1);
    let (trigger, shutdown) = Shutdown::new();
    let router = Router::new().route("/", axum::routing::get(|| async { "here" }));
    let metrics = Arc::new(Metrics::new());
    let serving = tokio::spawn(serve_handed(handed, router, metrics, shutdown));
    for (request, expected) in [
        (
            "GET / HTTP/1.1\r\nconnection: close\r\n\r\n",
            "HTTP/1.1 200",
        ),
        (
            "GET / HTTP/1.1\r\ncontent-length: 1\r\n\r\n",
            "HTTP/1.1 413",
        ),
    ] {
        let (mut near, far) = tokio::io::duplex(1024);
        sender.send(far).await.unwrap();
        near.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        let read = timeout(SOON, near.read_to_string(&mut answer));
        read.await.expect("it ends").unwrap();
        assert!(answer.starts_with(expected), "{answer}");
    }
    trigger.stop();
    timeout(SOON, serving).await.expect("it ends").unwrap();
}
