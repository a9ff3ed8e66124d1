//! Case 54: without a descriptor accepting pauses, and goes on by itself.
//!
//! The listener runs in a process that may open few files: this test starts itself under
//! `ulimit -n`. The strangers are in the parent.
#![allow(clippy::unwrap_used, reason = "a test that panics says so")]

mod support;

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use pli_transport::{Endpoints, Via};
use support::*;

/// What the child may open; its runtime and its sockets take some ten of them.
const FILES: usize = 32;
const CHILD: &str = "PLI_DESCRIPTORS_CHILD";

#[tokio::test]
async fn case_54_out_of_descriptors_accepting_pauses_and_goes_on() {
    let Ok(()) = std::env::var(CHILD).map(drop) else {
        return parent().await;
    };
    let server = Server::start();
    println!("address {}", server.listener.websocket_addr().unwrap());
    // Until the parent kills it.
    let mut paused = false;
    loop {
        tokio::time::sleep(Duration::from_millis(20)).await;
        if server.listener.stats().paused > 0 && !paused {
            paused = true;
            println!("paused");
        }
    }
}

async fn parent() {
    let own = std::env::current_exe().unwrap();
    let mut child = Command::new("sh")
        .arg("-c")
        .arg(format!(
            "ulimit -n {FILES} && exec \"$0\" --nocapture case_54"
        ))
        .arg(own)
        .env(CHILD, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok);
    let mut lines = lines.filter(|line| line.contains("address ") || line.contains("paused"));
    let first = lines.next().expect("the child says where it listens");
    let address: SocketAddr = first.rsplit(' ').next().unwrap().parse().unwrap();
    let strangers: Vec<_> = (0..FILES)
        .filter_map(|_| TcpStream::connect(address).ok())
        .collect();
    let said = tokio::task::spawn_blocking(move || lines.next());
    assert!(
        within(said)
            .await
            .unwrap()
            .is_some_and(|line| line.contains("paused"))
    );
    drop(strangers);
    let endpoints = Endpoints {
        quic: vec![],
        websocket: vec![address],
    };
    let dialled = within(dialler(1).connect(&server_identity(), &endpoints))
        .await
        .unwrap();
    assert_eq!(dialled.via(), Via::WebSocket);
    child.kill().unwrap();
    child.wait().unwrap();
}
