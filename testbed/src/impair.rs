//! A bad network, on the real datagrams: a UDP relay between a dialler and a node that loses, delays (and so
//! reorders), duplicates, cuts by size, blocks one direction, and changes its own address as a NAT does.
//!
//! It needs no privilege, so the network cases run on every machine, and its choices come from a seed.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

/// Larger than any UDP payload.
const DATAGRAM_MAX: usize = 65_536;
/// Diallers at a time; one more than this is not relayed.
const DIALLERS_MAX: usize = 1_024;

/// What happens to datagrams. The default is a perfect network.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    /// The share that is lost, 0 to 1.
    pub loss: f64,
    /// The share that arrives twice.
    pub duplicate: f64,
    /// Each waits so long.
    pub delay: Duration,
    /// And a random time up to this; those behind it overtake.
    pub jitter: Duration,
    /// Longer payloads vanish, as in an MTU black hole.
    pub largest_bytes: usize,
    /// Nothing goes from the dialler to the node.
    pub blocks_to_node: bool,
    /// Nothing comes back.
    pub blocks_from_node: bool,
}

impl Default for Weather {
    fn default() -> Self {
        Self {
            loss: 0.0,
            duplicate: 0.0,
            delay: Duration::ZERO,
            jitter: Duration::ZERO,
            largest_bytes: DATAGRAM_MAX,
            blocks_to_node: false,
            blocks_from_node: false,
        }
    }
}

impl Weather {
    /// UDP does not pass at all.
    pub fn blocked() -> Self {
        Self {
            blocks_to_node: true,
            blocks_from_node: true,
            ..Self::default()
        }
    }

    /// How long each copy of so many bytes is on its way; none if it is lost, two if it is doubled. Who carries it looks
    /// at what is blocked.
    pub(crate) fn waits(&self, bytes: usize, rng: &AtomicU64) -> Vec<Duration> {
        if bytes > self.largest_bytes || chance(rng, self.loss) {
            return Vec::new();
        }
        let copies = 1 + usize::from(chance(rng, self.duplicate));
        let wait = |_| self.delay + self.jitter.mul_f64(unit(rng));
        (0..copies).map(wait).collect()
    }
}

/// What the relay did so far, in datagrams.
#[derive(Debug, Default)]
pub struct Tally {
    /// Passed on (a duplicate counts again).
    pub passed: AtomicU64,
    /// Lost on purpose, for whatever reason.
    pub lost: AtomicU64,
    /// Sent a second time.
    pub duplicated: AtomicU64,
    /// Lost for their size.
    pub too_large: AtomicU64,
    /// The longest payload passed on, bytes.
    pub largest: AtomicU64,
}

#[derive(Debug)]
struct Shared {
    weather: Mutex<Weather>,
    rng: AtomicU64,
    tally: Tally,
    /// The relay's sockets towards the node, one per dialler.
    backs: Mutex<HashMap<SocketAddr, Arc<UdpSocket>>>,
}

/// A running relay. Dropping it ends it.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Relay {
    /// Relays `front` to `node`. `front` is what goes into the directory.
    pub async fn start(front: SocketAddr, node: SocketAddr, seed: u64) -> io::Result<Self> {
        let socket = Arc::new(UdpSocket::bind(front).await?);
        let address = socket.local_addr()?;
        let shared = Arc::new(Shared {
            weather: Mutex::new(Weather::default()),
            rng: AtomicU64::new(seed),
            tally: Tally::default(),
            backs: Mutex::new(HashMap::new()),
        });
        let task = tokio::spawn(forward(socket, node, shared.clone()));
        Ok(Self {
            address,
            shared,
            task,
        })
    }

    /// Where diallers send to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes what happens from now on.
    pub fn set(&self, weather: Weather) {
        *lock(&self.shared.weather) = weather;
    }

    /// As a NAT that forgot: the node sees every dialler come from a new port.
    pub fn rebind(&self) {
        lock(&self.shared.backs).clear();
    }

    /// What was done so far.
    pub fn tally(&self) -> &Tally {
        &self.shared.tally
    }
}

async fn forward(front: Arc<UdpSocket>, node: SocketAddr, shared: Arc<Shared>) {
    let mut buffer = vec![0; DATAGRAM_MAX];
    loop {
        // An ICMP "port unreachable" of an earlier send surfaces here; the next datagram is unaffected.
        let Ok((length, dialler)) = front.recv_from(&mut buffer).await else {
            continue;
        };
        let known = lock(&shared.backs).get(&dialler).cloned();
        let back = match known {
            Some(back) => back,
            None => match open(&front, node, dialler, &shared).await {
                Some(back) => back,
                None => continue,
            },
        };
        let blocked = lock(&shared.weather).blocks_to_node;
        pass(&shared, back, None, &buffer[..length], blocked).await;
    }
}

/// A socket towards the node for a new dialler, and the task that brings the answers back.
async fn open(
    front: &Arc<UdpSocket>,
    node: SocketAddr,
    dialler: SocketAddr,
    shared: &Arc<Shared>,
) -> Option<Arc<UdpSocket>> {
    let back = Arc::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.ok()?);
    back.connect(node).await.ok()?;
    {
        let mut backs = lock(&shared.backs);
        if backs.len() >= DIALLERS_MAX {
            return None;
        }
        backs.insert(dialler, back.clone());
    }
    let (front, shared, listener) = (front.clone(), shared.clone(), Arc::downgrade(&back));
    tokio::spawn(async move {
        let mut buffer = vec![0; DATAGRAM_MAX];
        // After a rebind nothing holds the socket any more, and answers to the old port are lost, as with a NAT.
        while let Some(back) = listener.upgrade() {
            let received =
                tokio::time::timeout(Duration::from_millis(200), back.recv(&mut buffer)).await;
            let Ok(Ok(length)) = received else { continue };
            let blocked = lock(&shared.weather).blocks_from_node;
            pass(
                &shared,
                front.clone(),
                Some(dialler),
                &buffer[..length],
                blocked,
            )
            .await;
        }
    });
    Some(back)
}

/// Decides about one datagram and sends it, now or later. A failed send is a lost datagram.
async fn pass(
    shared: &Arc<Shared>,
    socket: Arc<UdpSocket>,
    to: Option<SocketAddr>,
    payload: &[u8],
    blocked: bool,
) {
    let weather = *lock(&shared.weather);
    let tally = &shared.tally;
    if payload.len() > weather.largest_bytes {
        tally.too_large.fetch_add(1, Ordering::Relaxed);
    }
    let waits = match blocked {
        true => Vec::new(),
        false => weather.waits(payload.len(), &shared.rng),
    };
    let copies = waits.len() as u64;
    if copies == 0 {
        tally.lost.fetch_add(1, Ordering::Relaxed);
        return;
    }
    tally.duplicated.fetch_add(copies - 1, Ordering::Relaxed);
    tally.passed.fetch_add(copies, Ordering::Relaxed);
    tally
        .largest
        .fetch_max(payload.len() as u64, Ordering::Relaxed);
    for wait in waits {
        if wait.is_zero() {
            send(&socket, to, payload).await;
            continue;
        }
        let (socket, payload) = (socket.clone(), payload.to_vec());
        tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            send(&socket, to, &payload).await;
        });
    }
}

async fn send(socket: &UdpSocket, to: Option<SocketAddr>, payload: &[u8]) {
    let _lost_if_gone = match to {
        Some(to) => socket.send_to(payload, to).await,
        None => socket.send(payload).await,
    };
}

/// Whether it happens this time, of so many out of 1.
fn chance(rng: &AtomicU64, share: f64) -> bool {
    share > 0.0 && unit(rng) < share
}

/// The next number of the seed's sequence (SplitMix64), in 0..1.
fn unit(rng: &AtomicU64) -> f64 {
    const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;
    let mut z = rng
        .fetch_add(GOLDEN, Ordering::Relaxed)
        .wrapping_add(GOLDEN);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no holder of this lock panics")
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn pair() -> (UdpSocket, Relay, UdpSocket) {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let node = UdpSocket::bind(any).await.expect("bound");
        let relay = Relay::start(any, node.local_addr().expect("bound"), 7)
            .await
            .expect("started");
        let dialler = UdpSocket::bind(any).await.expect("bound");
        dialler.connect(relay.address()).await.expect("connected");
        (dialler, relay, node)
    }

    async fn hears(socket: &UdpSocket) -> Option<(usize, SocketAddr)> {
        let mut buffer = [0; 2_048];
        let wait = tokio::time::timeout(Duration::from_millis(300), socket.recv_from(&mut buffer));
        wait.await.ok().and_then(Result::ok)
    }

    #[tokio::test]
    async fn good_weather_passes_both_ways_and_a_rebind_changes_the_address() {
        let (dialler, relay, node) = pair().await;
        dialler.send(b"one").await.expect("sent");
        let (length, seen) = hears(&node).await.expect("passed on");
        assert_eq!(length, 3);
        node.send_to(b"back", seen).await.expect("sent");
        assert_eq!(hears(&dialler).await.map(|heard| heard.0), Some(4));
        relay.rebind();
        dialler.send(b"two").await.expect("sent");
        assert_ne!(hears(&node).await.expect("passed on").1, seen);
    }

    #[tokio::test]
    async fn each_kind_of_weather_does_what_it_says() {
        let (dialler, relay, node) = pair().await;
        relay.set(Weather {
            largest_bytes: 1_200,
            ..Weather::default()
        });
        dialler.send(&[0; 1_201]).await.expect("sent");
        dialler.send(&[0; 1_200]).await.expect("sent");
        let (length, seen) = hears(&node).await.expect("the shorter one");
        assert_eq!(length, 1_200);
        assert_eq!(relay.tally().too_large.load(Ordering::Relaxed), 1);

        relay.set(Weather {
            blocks_from_node: true,
            ..Weather::default()
        });
        node.send_to(b"back", seen).await.expect("sent");
        assert!(hears(&dialler).await.is_none());
        dialler.send(b"forth").await.expect("sent");
        assert!(hears(&node).await.is_some(), "the other direction is open");

        relay.set(Weather {
            duplicate: 1.0,
            ..Weather::default()
        });
        dialler.send(b"twice").await.expect("sent");
        assert!(hears(&node).await.is_some() && hears(&node).await.is_some());

        relay.set(Weather {
            loss: 0.3,
            ..Weather::default()
        });
        let before = relay.tally().lost.load(Ordering::Relaxed);
        for _ in 0..1_000 {
            dialler.send(b"x").await.expect("sent");
            tokio::task::yield_now().await;
        }
        while hears(&node).await.is_some() {}
        let lost = relay.tally().lost.load(Ordering::Relaxed) - before;
        assert!((240..=360).contains(&lost), "30 % of 1,000: {lost}");
    }
}
