//! A network of network namespaces: a host for each node, with an address of its own, and every IP packet between two of
//! them carried by this process, which delays it, loses it, or lets nothing pass.
//!
//! ```text
//! namespace of a node: tun 10.99.0.n ─► this process: the weather from n to m ─► tun 10.99.0.m: namespace of another
//! ```
//!
//! It needs the right to make namespaces and runs in one itself (`scripts/namespaces.sh`), so that nothing of it is seen
//! outside, and nothing stays when the process ends. Unlike `tc netem` it needs no module of the kernel.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tokio::io::{AsyncBufReadExt, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tun_rs::{AsyncDevice, DeviceBuilder, Layer};

use crate::Error;
use crate::impair::Weather;
use crate::process::run;

/// Where the hosts are: 10.99.0.1 and on.
const NETWORK: [u8; 3] = [10, 99, 0];
/// This process: whoever administers, sends and reads. The weather from and to it is always good.
const OUTSIDE: u8 = 254;
const MTU: u16 = 1_500;

/// Where one node runs.
#[derive(Clone, Debug)]
pub struct Host {
    number: u8,
    /// Its namespace, as long as the network lives.
    namespace: PathBuf,
}

impl Host {
    /// Its address for the others.
    pub fn address(&self) -> Ipv4Addr {
        address(self.number)
    }

    /// What a command line begins with to run there.
    pub(crate) fn enter(&self) -> [String; 2] {
        let namespace = self.namespace.display();
        ["nsenter".to_owned(), format!("--net={namespace}")]
    }

    /// Lets this process connect to what listens on the host's own loopback, at the same address.
    pub(crate) async fn forward(&self, loopback: SocketAddr) -> Result<(), Error> {
        let listener = TcpListener::bind(loopback).await?;
        let (hand, mut handed) = mpsc::unbounded_channel::<TcpStream>();
        let namespace = File::open(&self.namespace)?;
        std::thread::spawn(move || {
            let kind = Some(LinkNameSpaceType::Network);
            move_into_link_name_space(namespace.as_fd(), kind)?;
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(async {
                while let Some(outside) = handed.recv().await {
                    tokio::spawn(async move {
                        let mut outside = TcpStream::from_std(outside.into_std()?)?;
                        let mut inside = TcpStream::connect(loopback).await?;
                        copy_bidirectional(&mut outside, &mut inside).await
                    });
                }
                Ok::<_, io::Error>(())
            })
        });
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                if hand.send(stream).is_err() {
                    return;
                }
            }
        });
        Ok(())
    }
}

/// The hosts, and what is between them. Dropping it ends all.
#[derive(Debug)]
pub struct Internet {
    hosts: Vec<Host>,
    sky: Arc<Sky>,
    carriers: Vec<JoinHandle<()>>,
    /// Each holds a namespace.
    _holders: Vec<Child>,
}

#[derive(Debug)]
struct Sky {
    /// From one to another, by number; good where nothing is said.
    weather: Mutex<HashMap<(u8, u8), Weather>>,
    rng: AtomicU64,
    carried: AtomicU64,
    lost: AtomicU64,
}

impl Drop for Internet {
    fn drop(&mut self) {
        self.carriers.iter().for_each(JoinHandle::abort);
    }
}

impl Internet {
    /// So many hosts in good weather.
    pub async fn start(count: u8, seed: u64) -> Result<Self, Error> {
        let devices = fs::read_to_string("/proc/self/net/dev")?;
        let names = devices.lines().filter_map(|line| line.split_once(':'));
        if let Some((other, _)) = names.into_iter().find(|(name, _)| name.trim() != "lo") {
            let why =
                format!("this is no empty namespace, it has {other}: run scripts/namespaces.sh");
            return Err(Error::unexpected("network namespaces", why));
        }
        ip(&[], &["link", "set", "lo", "up"]).await?;
        let sky = Arc::new(Sky {
            weather: Mutex::default(),
            rng: AtomicU64::new(seed),
            carried: AtomicU64::new(0),
            lost: AtomicU64::new(0),
        });
        let (mut hosts, mut holders, mut devices) = (Vec::new(), Vec::new(), HashMap::new());
        for number in 1..=count {
            let (holder, host) = host(number).await?;
            devices.insert(number, Arc::new(device(number, Some(&host)).await?));
            hosts.push(host);
            holders.push(holder);
        }
        devices.insert(OUTSIDE, Arc::new(device(OUTSIDE, None).await?));
        let devices = Arc::new(devices);
        let carriers = devices.keys().map(|from| {
            let (devices, sky) = (Arc::clone(&devices), Arc::clone(&sky));
            tokio::spawn(carry(*from, devices, sky))
        });
        let carriers = carriers.collect();
        Ok(Self {
            hosts,
            sky,
            carriers,
            _holders: holders,
        })
    }

    /// All, in order.
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// The same weather between all hosts.
    pub fn everywhere(&self, weather: Weather) {
        for from in &self.hosts {
            for to in &self.hosts {
                self.between(from, to, weather);
            }
        }
    }

    /// The weather on the way from one to another; the way back is another one.
    pub fn between(&self, from: &Host, to: &Host, weather: Weather) {
        let mut all = self
            .sky
            .weather
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        all.insert((from.number, to.number), weather);
    }

    /// Nothing passes between those in `apart` and the others, in either direction.
    pub fn part(&self, apart: &[Host]) {
        let is_apart = |host: &Host| apart.iter().any(|other| other.number == host.number);
        for from in &self.hosts {
            for to in &self.hosts {
                if is_apart(from) != is_apart(to) {
                    self.between(from, to, Weather::blocked());
                }
            }
        }
    }

    /// Packets that arrived, and those that did not.
    pub fn carried_and_lost(&self) -> (u64, u64) {
        let sky = &self.sky;
        (
            sky.carried.load(Ordering::Relaxed),
            sky.lost.load(Ordering::Relaxed),
        )
    }
}

fn address(number: u8) -> Ipv4Addr {
    let [a, b, c] = NETWORK;
    Ipv4Addr::new(a, b, c, number)
}

/// What `dial.private_networks` must list for nodes to reach each other.
pub(crate) fn network() -> String {
    format!("{}/24", address(0))
}

/// A new namespace, held open by a process that sleeps in it.
async fn host(number: u8) -> Result<(Child, Host), Error> {
    let mut holder = Command::new("unshare")
        .args(["--net", "sh", "-c", "echo ready; exec sleep infinity"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let stdout = holder.stdout.take().expect("piped");
    let ready = BufReader::new(stdout).lines().next_line().await?;
    let (Some("ready"), Some(pid)) = (ready.as_deref(), holder.id()) else {
        return Err(Error::unexpected("unshare --net", "no new namespace"));
    };
    let namespace = PathBuf::from(format!("/proc/{pid}/ns/net"));
    Ok((holder, Host { number, namespace }))
}

/// A tun device with the address of this number, in the host's namespace or in this process's.
async fn device(number: u8, host: Option<&Host>) -> Result<AsyncDevice, Error> {
    let name = format!("pli{number}");
    let device = DeviceBuilder::new()
        .name(&name)
        .layer(Layer::L3)
        .enable(false)
        .build_async()?;
    let inside = host.map(Host::enter);
    let inside: &[String] = inside.as_ref().map_or(&[], |enter| enter.as_slice());
    if let Some(host) = host {
        let pid = host.namespace.components().nth(2).expect("of /proc");
        let pid = pid.as_os_str().to_string_lossy().into_owned();
        ip(&[], &["link", "set", &name, "netns", &pid]).await?;
        ip(inside, &["link", "set", "lo", "up"]).await?;
    }
    let with_mask = format!("{}/24", address(number));
    ip(inside, &["addr", "add", &with_mask, "dev", &name]).await?;
    let mtu = MTU.to_string();
    ip(inside, &["link", "set", &name, "mtu", &mtu, "up"]).await?;
    Ok(device)
}

async fn ip(inside: &[String], arguments: &[&str]) -> Result<(), Error> {
    let inside = inside.iter().map(String::as_str);
    let line: Vec<&str> = inside
        .chain(["ip"])
        .chain(arguments.iter().copied())
        .collect();
    run(line[0].as_ref(), &line[1..]).await?;
    Ok(())
}

/// Takes each packet that leaves one host to whom it is for.
async fn carry(from: u8, devices: Arc<HashMap<u8, Arc<AsyncDevice>>>, sky: Arc<Sky>) {
    let mut buffer = vec![0; usize::from(MTU)];
    while let Ok(length) = devices[&from].recv(&mut buffer).await {
        let packet = &buffer[..length];
        let Some(to) = destination(packet) else {
            continue;
        };
        let Some(device) = devices.get(&to) else {
            continue;
        };
        for wait in sky.waits(from, to, length) {
            if wait.is_zero() {
                drop(device.send(packet).await);
                continue;
            }
            let (device, packet) = (Arc::clone(device), packet.to_vec());
            tokio::spawn(async move {
                tokio::time::sleep(wait).await;
                drop(device.send(&packet).await);
            });
        }
    }
}

/// Of an IPv4 packet (RFC 791, section 3.1), in this network; there is no other protocol here.
fn destination(packet: &[u8]) -> Option<u8> {
    let [version_and_length, ..] = packet else {
        return None;
    };
    let address = packet.get(16..20)?;
    (version_and_length >> 4 == 4 && address[..3] == NETWORK).then(|| address[3])
}

impl Sky {
    /// How long each copy of a packet is on its way; none where it is lost.
    fn waits(&self, from: u8, to: u8, bytes: usize) -> Vec<Duration> {
        let all = self.weather.lock().unwrap_or_else(PoisonError::into_inner);
        let weather = all.get(&(from, to)).copied().unwrap_or_default();
        drop(all);
        let waits = match weather.blocks_to_node {
            true => Vec::new(),
            false => weather.waits(bytes, &self.rng),
        };
        let counter = match waits.is_empty() {
            true => &self.lost,
            false => &self.carried,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        waits
    }
}
