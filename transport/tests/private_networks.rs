//! Nothing is sent to an address that must not be dialled; real sockets. Spec: SES-1.8.
#![allow(clippy::unwrap_used, reason = "a test that panics says so")]

mod support;

use std::time::Duration;

use pli_transport::error::Attempt;
use pli_transport::{
    AttemptError, ConnectError, Dialler, DiallerConfig, Endpoints, NotDialled, PrivateNetworks, Via,
};
use support::{ANY_PORT, Server, dialler};
use tokio::net::{TcpListener, UdpSocket};

/// Long enough for a datagram on the loopback.
const QUIET: Duration = Duration::from_millis(300);

fn only_in(networks: &[&str]) -> Dialler {
    let networks = networks.iter().map(|network| network.parse().unwrap());
    let config = DiallerConfig {
        private_networks: PrivateNetworks::Listed(networks.collect()),
        ..DiallerConfig::default()
    };
    Dialler::with_config(dialler(1).credential().clone(), config)
}

/// SES-1.8: by both ways.
#[tokio::test]
async fn r5_no_packet_goes_to_a_private_address_that_is_not_listed() {
    let server = Server::start();
    let (udp, tcp) = (
        UdpSocket::bind(ANY_PORT).await.unwrap(),
        TcpListener::bind(ANY_PORT).await.unwrap(),
    );
    let endpoints = Endpoints {
        quic: vec![udp.local_addr().unwrap()],
        websocket: vec![tcp.local_addr().unwrap()],
    };
    let refused = only_in(&["10.0.0.0/8"])
        .connect(&server.identity, &endpoints)
        .await;
    let not_dialled = |via, address| Attempt {
        via,
        address,
        error: AttemptError::NotDialled(NotDialled::NotListed { kind: "loopback" }),
    };
    let attempts = vec![
        not_dialled(Via::Quic, endpoints.quic[0]),
        not_dialled(Via::WebSocket, endpoints.websocket[0]),
    ];
    assert_eq!(refused.unwrap_err(), ConnectError::Unreachable { attempts });
    let mut buffer = [0; 1];
    let came = tokio::time::timeout(QUIET, async {
        tokio::select! {
            datagram = udp.recv(&mut buffer) => format!("{datagram:?}"),
            stream = tcp.accept() => format!("{stream:?}"),
        }
    });
    assert!(came.await.is_err());
    // The same sockets do hear a dialler that may.
    let allowed = only_in(&["127.0.0.0/8"]);
    let dial = allowed.connect(&server.identity, &endpoints);
    tokio::select! {
        _ = dial => panic!("nobody answers there"),
        heard = udp.recv(&mut buffer) => drop(heard.unwrap()),
    }
}

/// SES-1.8: what may be dialled is dialled at once, whatever stands beside it.
#[tokio::test]
async fn r5_an_address_that_is_left_out_delays_no_other() {
    let mut server = Server::start();
    let closed = "169.254.169.254:80".parse().unwrap();
    let mut endpoints = server.endpoints.clone();
    endpoints.quic.insert(0, closed);
    let dialler = only_in(&["127.0.0.0/8"]);
    let dialled = dialler.connect(&server.identity, &endpoints).await.unwrap();
    assert_eq!(dialled.via(), Via::Quic);
    server.session().await;
    let never = Endpoints {
        quic: vec![closed],
        websocket: vec![closed],
    };
    // Also for those who may dial into every private network.
    for dialler in [dialler, support::dialler(1)] {
        let refused = dialler.connect(&server.identity, &never).await.unwrap_err();
        let said = refused.to_string();
        assert!(said.contains("not dialled"), "{said}");
        assert!(said.contains("link-local"), "{said}");
    }
}
