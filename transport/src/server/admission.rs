//! Counts connections and turns away the one too many, before anything is spent on it.
//! Spec: SES-5.1 (cases 51, 52; R12).

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use pli_protocol::code::Code;
use pli_protocol::crypto::sign::PublicKey;

use super::ListenerLimits;

/// Why a connection was turned away before its handshake. The peer's own limit, mostly.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TurnedAway {
    /// SES-5.1
    #[error("{limit} connections in total")]
    Total { limit: usize },
    /// SES-5.1
    #[error("{limit} connections from this address")]
    Address { limit: usize },
    /// SES-5.1
    #[error("{limit} connections with this key")]
    Key { limit: usize },
    /// SES-5.1
    #[error("{limit} unfinished handshakes")]
    Handshakes { limit: usize },
}

impl TurnedAway {
    /// The wire code.
    pub fn code(self) -> Code {
        Code::TooManyConnections
    }
}

/// How often a listener did what, since it was bound. Each moves once per connection.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ListenerStats {
    /// Connections that now have a place.
    pub open: u64,
    /// Of these, those whose handshake is not finished.
    pub handshaking: u64,
    /// Connections that got a place.
    pub admitted: u64,
    /// Connections that proved who they are and were let in.
    pub authenticated: u64,
    /// Turned away at a cap, before or after the handshake.
    pub turned_away: u64,
    /// QUIC addresses told to prove themselves first.
    pub retried: u64,
    /// Handshakes that were refused, broke off or took too long.
    pub failed: u64,
    /// Times that accepting paused because the process had no descriptor left.
    pub paused: u64,
}

#[derive(Debug)]
pub(super) struct Admission {
    limits: ListenerLimits,
    counts: Mutex<Counts>,
    pub(super) counters: Counters,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    admitted: AtomicU64,
    authenticated: AtomicU64,
    turned_away: AtomicU64,
    retried: AtomicU64,
    failed: AtomicU64,
    paused: AtomicU64,
}

impl Counters {
    pub(super) fn retried(&self) {
        self.retried.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn paused(&self) {
        self.paused.fetch_add(1, Ordering::Relaxed);
    }
}

/// Invariant: both maps hold only what is open, so neither has more than `total` entries.
#[derive(Debug, Default)]
struct Counts {
    total: usize,
    handshaking: usize,
    addresses: HashMap<Prefix, usize>,
    keys: HashMap<PublicKey, usize>,
}

/// What counts as one address: an IPv4 address, or the /64 that one IPv6 subscriber has whole.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
struct Prefix(IpAddr);

impl Prefix {
    fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V6(v6) => {
                let network = u128::from(v6) & !u128::from(u64::MAX);
                Self(Ipv6Addr::from(network).into())
            }
            v4 @ IpAddr::V4(_) => Self(v4),
        }
    }
}

impl Admission {
    pub(super) fn new(limits: ListenerLimits) -> Arc<Self> {
        let counts = Mutex::new(Counts::default());
        Arc::new(Self {
            limits,
            counts,
            counters: Counters::default(),
        })
    }

    pub(super) fn limits(&self) -> &ListenerLimits {
        &self.limits
    }

    /// Whether so many handshakes are unfinished that an address must prove itself first.
    pub(super) fn under_load(&self) -> bool {
        self.counts().handshaking >= self.limits.retry_from
    }

    /// A place for a stranger at `address`.
    pub(super) fn admit(self: &Arc<Self>, address: IpAddr) -> Result<Permit, TurnedAway> {
        let prefix = Prefix::of(address);
        let admitted = self.take_place(prefix);
        let counter = match admitted {
            Ok(()) => &self.counters.admitted,
            Err(_) => &self.counters.turned_away,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        admitted.map(|()| Permit {
            admission: self.clone(),
            prefix,
            key: None,
        })
    }

    fn take_place(&self, prefix: Prefix) -> Result<(), TurnedAway> {
        let limits = &self.limits;
        let mut counts = self.counts();
        if counts.total >= limits.connections {
            return Err(TurnedAway::Total {
                limit: limits.connections,
            });
        }
        if counts.handshaking >= limits.handshakes {
            return Err(TurnedAway::Handshakes {
                limit: limits.handshakes,
            });
        }
        let limit = limits.connections_per_address;
        if !take(&mut counts.addresses, prefix, limit) {
            return Err(TurnedAway::Address { limit });
        }
        counts.total += 1;
        counts.handshaking += 1;
        Ok(())
    }

    pub(super) fn stats(&self) -> ListenerStats {
        let (open, handshaking) = {
            let counts = self.counts();
            (counts.total as u64, counts.handshaking as u64)
        };
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ListenerStats {
            open,
            handshaking,
            admitted: read(&self.counters.admitted),
            authenticated: read(&self.counters.authenticated),
            turned_away: read(&self.counters.turned_away),
            retried: read(&self.counters.retried),
            failed: read(&self.counters.failed),
            paused: read(&self.counters.paused),
        }
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts
            .lock()
            .expect("no code panics while it holds this lock")
    }
}

/// A connection's place among the counted ones; freed when dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    admission: Arc<Admission>,
    prefix: Prefix,
    /// Set once the handshake is finished.
    key: Option<PublicKey>,
}

impl Permit {
    /// The handshake is finished: the stranger is now known by `key`.
    pub(super) fn authenticated(&mut self, key: PublicKey) -> Result<(), TurnedAway> {
        debug_assert!(self.key.is_none(), "authenticated once");
        let limit = self.admission.limits.connections_per_key;
        let mut counts = self.admission.counts();
        if !take(&mut counts.keys, key, limit) {
            self.admission
                .counters
                .turned_away
                .fetch_add(1, Ordering::Relaxed);
            return Err(TurnedAway::Key { limit });
        }
        counts.handshaking -= 1;
        self.key = Some(key);
        self.admission
            .counters
            .authenticated
            .fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut counts = self.admission.counts();
        counts.total -= 1;
        match self.key {
            Some(key) => give_back(&mut counts.keys, key),
            None => counts.handshaking -= 1,
        }
        give_back(&mut counts.addresses, self.prefix);
    }
}

fn take<K: Eq + Hash>(counts: &mut HashMap<K, usize>, key: K, limit: usize) -> bool {
    let count = counts.get(&key).copied().unwrap_or(0);
    let room = count < limit;
    if room {
        counts.insert(key, count + 1);
    }
    room
}

fn give_back<K: Eq + Hash>(counts: &mut HashMap<K, usize>, key: K) {
    if let Entry::Occupied(mut count) = counts.entry(key) {
        *count.get_mut() -= 1;
        if *count.get() == 0 {
            count.remove();
        }
    }
}

#[cfg(test)]
mod tests;
