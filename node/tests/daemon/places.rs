//! How many devices of nobody may be here at a time (SES-5.7).

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt::Debug;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use pli_node::store::{Between, StoreError, Through};
use pli_protocol::code::Code;
use pli_protocol::crypto::sign::SigningKey;
use pli_protocol::limits::{
    CONNECTIONS_DEVICE_PER_ADDRESS_MAX, CONNECTIONS_PER_KEY_MAX, CONNECTIONS_UNENROLLED_MAX,
};
use pli_transport::{DialledConnection, Dialler, Endpoints};
use tokio::net::UdpSocket;
use tokio::task::JoinSet;

use crate::inside::{Inside, device_of, server, within};
use crate::site::Site;

/// Each session asks whose device it has when it begins, and again when the time to enrol is over. The second answer is
/// held back, so that no place becomes free before all are taken, however slow the machine is.
#[derive(Clone, Debug, Default)]
struct Held(Arc<(Mutex<Asked>, Condvar)>);

#[derive(Debug, Default)]
struct Asked {
    times: HashMap<String, usize>,
    released: bool,
}

impl Between for Held {
    fn before(&self, operation: &'static str, asked: &dyn Debug) -> Result<(), StoreError> {
        if operation == "account_of_device" {
            let mut guard = self.0.0.lock().unwrap();
            let times = guard.times.entry(format!("{asked:?}")).or_default();
            *times += 1;
            if *times > CONNECTIONS_PER_KEY_MAX {
                drop(self.0.1.wait_while(guard, |asked| !asked.released).unwrap());
            }
        }
        Ok(())
    }
}

/// Lets all answers go, also when the test fails: a runtime waits for its threads.
struct Release(Held);

impl Drop for Release {
    fn drop(&mut self) {
        let (asked, changed) = &*self.0.0;
        asked.lock().unwrap().released = true;
        changed.notify_all();
    }
}

/// Passes datagrams of any number of diallers on to the node, from another address of this machine.
async fn from_address(last: u8, node: SocketAddr) -> SocketAddr {
    let front = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
    let address = front.local_addr().unwrap();
    tokio::spawn(async move {
        let mut backs: HashMap<SocketAddr, Arc<UdpSocket>> = HashMap::new();
        let mut buffer = vec![0; 65_536];
        while let Ok((length, from)) = front.recv_from(&mut buffer).await {
            if let Entry::Vacant(vacant) = backs.entry(from) {
                let back = UdpSocket::bind((Ipv4Addr::new(127, 0, 0, last), 0)).await;
                let back = Arc::new(back.unwrap());
                back.connect(node).await.unwrap();
                vacant.insert(Arc::clone(&back));
                let front = Arc::clone(&front);
                tokio::spawn(async move {
                    let mut buffer = vec![0; 65_536];
                    while let Ok(length) = back.recv(&mut buffer).await {
                        front.send_to(&buffer[..length], from).await.unwrap();
                    }
                });
            }
            // The node may be gone.
            drop(backs[&from].send(&buffer[..length]).await);
        }
    });
    address
}

/// Case 52, R15: all places but none more, from several addresses and with several keys, since each has a limit of its
/// own.
#[test]
fn case_52_r15_one_device_of_nobody_too_many_is_turned_away() {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    // Every answer that is held back holds a thread.
    runtime.max_blocking_threads(2 * CONNECTIONS_UNENROLLED_MAX);
    runtime.enable_all().build().unwrap().block_on(async {
        let site = tokio::task::spawn_blocking(Site::new).await.unwrap();
        let held = Held::default();
        let release = Release(held.clone());
        let between = |store| Through::over(store, held);
        let node = Inside::start(&site.at("node.toml"), between).await;
        let server = server(&site);
        let dial = async |number: usize, count: usize| {
            let dialler = device_of(SigningKey::from_seed(&[u8::try_from(number).unwrap(); 32]));
            let group = number * CONNECTIONS_PER_KEY_MAX / CONNECTIONS_DEVICE_PER_ADDRESS_MAX;
            let endpoints = Endpoints {
                quic: vec![from_address(2 + u8::try_from(group).unwrap(), node.quic).await],
                ..Endpoints::default()
            };
            let mut dialling = JoinSet::new();
            for _ in 0..count {
                let (dialler, server, endpoints) =
                    (dialler.clone(), server.clone(), endpoints.clone());
                dialling.spawn(async move {
                    let connected = dialler.connect(&server, &endpoints).await;
                    (dialler, connected)
                });
            }
            within(dialling.join_all()).await
        };
        let keys = CONNECTIONS_UNENROLLED_MAX / CONNECTIONS_PER_KEY_MAX;
        let mut here: Vec<(Dialler, DialledConnection)> = Vec::new();
        for number in 0..keys {
            let connected = dial(number, CONNECTIONS_PER_KEY_MAX).await.into_iter();
            here.extend(connected.map(|(dialler, connection)| (dialler, connection.unwrap())));
        }
        assert_eq!(here.len(), CONNECTIONS_UNENROLLED_MAX);
        let (_dialler, last) = dial(keys, 1).await.remove(0);
        // It may hear of it before its session has begun.
        let turned_away = match last {
            Ok(connection) => within(connection.closed()).await.code(),
            Err(error) => error.code(),
        };
        assert_eq!(turned_away, Some(Code::TooManyConnections));
        for (_, connection) in &here {
            let closed = tokio::time::timeout(Duration::ZERO, connection.closed()).await;
            assert!(closed.is_err(), "it has its place: {closed:?}");
        }
        drop(release);
        for (_, connection) in here {
            let lost = within(connection.closed()).await;
            assert_eq!(lost.code(), Some(Code::UnknownDevice), "{lost}");
        }
        node.stop().await;
    });
}
