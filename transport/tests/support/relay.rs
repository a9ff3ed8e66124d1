//! A network between a dialler and a server, with weather: loss, duplication, delay, small
//! packets only, one direction dead. Every decision comes from a seed.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::task::{JoinHandle, JoinSet};

use super::ANY_PORT;

#[derive(Clone, Copy, Debug, Default)]
pub struct Weather {
    /// Of 100 datagrams, so many are lost.
    pub loss: u64,
    /// Of 100 datagrams, so many arrive twice.
    pub duplication: u64,
    /// Of 100 datagrams, so many arrive late, after others.
    pub delay: u64,
    /// Longer datagrams are lost: a black hole.
    pub longest: Option<usize>,
    /// Nothing reaches the dialler.
    pub answers_lost: bool,
    /// Nothing reaches the server.
    pub requests_lost: bool,
}

pub struct Relay {
    /// Where to dial.
    pub address: SocketAddr,
    sky: Arc<Sky>,
    task: JoinHandle<()>,
}

struct Sky {
    weather: Mutex<Weather>,
    /// xorshift64; printed when a test fails, to be put in again.
    random: Mutex<u64>,
    longest_seen: AtomicUsize,
}

impl Relay {
    pub async fn to(server: SocketAddr, weather: Weather) -> Self {
        Self::with_seed(server, weather, 0x9e37_79b9_7f4a_7c15).await
    }

    pub async fn with_seed(server: SocketAddr, weather: Weather, seed: u64) -> Self {
        println!("relay: {weather:?}, seed {seed}");
        let front = Arc::new(UdpSocket::bind(ANY_PORT).await.unwrap());
        let sky = Arc::new(Sky {
            weather: Mutex::new(weather),
            random: Mutex::new(seed.max(1)),
            longest_seen: AtomicUsize::new(0),
        });
        let address = front.local_addr().unwrap();
        let task = tokio::spawn(carry(front, server, sky.clone()));
        Self { address, sky, task }
    }

    pub fn set(&self, weather: Weather) {
        *self.sky.weather.lock().unwrap() = weather;
    }

    /// The longest datagram that came from either side, lost ones included.
    pub fn longest_seen(&self) -> usize {
        self.sky.longest_seen.load(Ordering::Relaxed)
    }

    pub fn forget_longest(&self) {
        self.sky.longest_seen.store(0, Ordering::Relaxed);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn carry(front: Arc<UdpSocket>, server: SocketAddr, sky: Arc<Sky>) {
    let mut backs: HashMap<SocketAddr, Arc<UdpSocket>> = HashMap::new();
    // Ends with this task.
    let mut answering = JoinSet::new();
    let mut buffer = vec![0; 65_536];
    loop {
        let Ok((length, client)) = front.recv_from(&mut buffer).await else {
            continue;
        };
        let back = match backs.get(&client) {
            Some(back) => back.clone(),
            None => {
                let back = Arc::new(UdpSocket::bind(ANY_PORT).await.unwrap());
                back.connect(server).await.unwrap();
                answering.spawn(answer(front.clone(), back.clone(), client, sky.clone()));
                backs.insert(client, back.clone());
                back
            }
        };
        for late in sky.fate(length, Direction::Request) {
            let (back, bytes) = (back.clone(), buffer[..length].to_vec());
            deliver(late, async move { drop(back.send(&bytes).await) }).await;
        }
    }
}

async fn answer(front: Arc<UdpSocket>, back: Arc<UdpSocket>, client: SocketAddr, sky: Arc<Sky>) {
    let mut buffer = vec![0; 65_536];
    loop {
        let Ok(length) = back.recv(&mut buffer).await else {
            continue;
        };
        for late in sky.fate(length, Direction::Answer) {
            let (front, bytes) = (front.clone(), buffer[..length].to_vec());
            deliver(
                late,
                async move { drop(front.send_to(&bytes, client).await) },
            )
            .await;
        }
    }
}

async fn deliver(late: bool, send: impl Future<Output = ()> + Send + 'static) {
    if late {
        tokio::spawn(async {
            tokio::time::sleep(Duration::from_millis(8)).await;
            send.await;
        });
    } else {
        send.await;
    }
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Direction {
    Request,
    Answer,
}

impl Sky {
    /// One entry for each time that the datagram arrives: whether late.
    fn fate(&self, length: usize, direction: Direction) -> Vec<bool> {
        self.longest_seen.fetch_max(length, Ordering::Relaxed);
        let weather = *self.weather.lock().unwrap();
        let dead = match direction {
            Direction::Request => weather.requests_lost,
            Direction::Answer => weather.answers_lost,
        };
        if dead || weather.longest.is_some_and(|longest| length > longest) {
            return vec![];
        }
        if self.chance(weather.loss) {
            return vec![];
        }
        let copies = if self.chance(weather.duplication) {
            2
        } else {
            1
        };
        (0..copies).map(|_| self.chance(weather.delay)).collect()
    }

    fn chance(&self, of_100: u64) -> bool {
        let mut random = self.random.lock().unwrap();
        *random ^= *random << 13;
        *random ^= *random >> 7;
        *random ^= *random << 17;
        *random % 100 < of_100
    }
}
