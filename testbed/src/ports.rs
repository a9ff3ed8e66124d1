//! Free ports of this machine.
//!
//! A node's endpoints stand in the signed directory before it starts, and stay the same over a restart, so
//! "port 0" does not do. Ports come from below the range that the system hands out by itself, or a client's
//! socket could take a node's port while the node is down.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};

/// Below Linux's default `ip_local_port_range`, which begins at 32,768.
const FIRST: u16 = 20_000;
const LAST: u16 = 32_000;

/// Two test processes at once start at different places; a taken port is skipped anyway.
static NEXT: AtomicU16 = AtomicU16::new(0);

/// A port that nothing listens on, neither UDP nor TCP; each call returns another one.
pub fn free() -> SocketAddr {
    let start = (std::process::id() % u32::from(LAST - FIRST)) as u16;
    for _ in FIRST..LAST {
        let step = NEXT.fetch_add(1, Ordering::Relaxed) % (LAST - FIRST);
        let port = FIRST + (start + step) % (LAST - FIRST);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok() {
            return address;
        }
    }
    panic!("no free port between {FIRST} and {LAST}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_skipped_and_none_is_given_twice() {
        let first = free();
        let _taken = TcpListener::bind(first).expect("it was free");
        let others: Vec<_> = (0..50).map(|_| free()).collect();
        assert!(!others.contains(&first));
        let mut unique = others.clone();
        unique.sort();
        unique.dedup();
        assert_eq!(unique.len(), others.len());
    }
}
