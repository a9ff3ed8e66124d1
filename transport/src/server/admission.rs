//! Counts connections and turns away the one too many, before anything is spent on it.
//! Spec: SES-5.1, SES-5.5, SES-5.6 (cases 51, 52; R12).

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use pli_protocol::code::Code;
use pli_protocol::crypto::sign::PublicKey;
use pli_protocol::limits::{CONNECTIONS_DEVICE_MAX, CONNECTIONS_MAX};
use pli_protocol::session::Role;

pub(super) use self::handshakes::GaveWay;
use self::handshakes::{Handshakes, Ticket};
use super::ListenerLimits;
use crate::connection::Via;

mod handshakes;

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
    /// SES-5.5
    #[error("{limit} unfinished handshakes from this address")]
    Handshakes { limit: usize },
    /// SES-5.5
    #[error("an unfinished handshake gave way to another")]
    GaveWay,
    /// SES-5.6
    #[error("{limit} connections of devices")]
    Devices { limit: usize },
    /// SES-5.6
    #[error("{limit} connections of devices from this address")]
    DevicesOfAddress { limit: usize },
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
    /// Unfinished handshakes that gave way to those of quieter addresses.
    pub gave_way: u64,
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
    gave_way: AtomicU64,
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

/// Invariant: the maps hold only what is open, so none has more than `total` entries.
#[derive(Debug, Default)]
struct Counts {
    total: usize,
    /// TCP and QUIC apart: a flood of the one does not close the other.
    handshakes: [Handshakes; 2],
    addresses: HashMap<Prefix, usize>,
    keys: HashMap<PublicKey, usize>,
    devices: usize,
    devices_of_addresses: HashMap<Prefix, usize>,
}

impl Counts {
    fn handshakes(&mut self, via: Via) -> &mut Handshakes {
        &mut self.handshakes[pool(via)]
    }
}

fn pool(via: Via) -> usize {
    match via {
        Via::Quic => 0,
        Via::WebSocket => 1,
    }
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

    /// Whether so many handshakes by QUIC are unfinished that an address must prove itself first.
    pub(super) fn under_load(&self) -> bool {
        self.counts().handshakes(Via::Quic).len() >= self.limits.retry_from
    }

    /// A place for a stranger at `address`, and word of when it must give way again.
    pub(super) fn admit(
        self: &Arc<Self>,
        via: Via,
        address: IpAddr,
    ) -> Result<(Permit, GaveWay), TurnedAway> {
        let prefix = Prefix::of(address);
        let admitted = self.take_place(via, prefix);
        let counter = match admitted {
            Ok(_) => &self.counters.admitted,
            Err(_) => &self.counters.turned_away,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        let (ticket, gave_way) = admitted?;
        let permit = Permit {
            admission: self.clone(),
            via,
            prefix,
            standing: Standing::Stranger(ticket),
        };
        Ok((permit, gave_way))
    }

    fn take_place(&self, via: Via, prefix: Prefix) -> Result<(Ticket, GaveWay), TurnedAway> {
        let limits = &self.limits;
        let mut counts = self.counts();
        if counts.total >= limits.connections {
            return Err(TurnedAway::Total {
                limit: limits.connections,
            });
        }
        let limit = limits.handshakes_per_address;
        if counts.handshakes(via).of(prefix) >= limit {
            return Err(TurnedAway::Handshakes { limit });
        }
        let limit = limits.connections_per_address;
        if !take(&mut counts.addresses, prefix, limit) {
            return Err(TurnedAway::Address { limit });
        }
        // SES-5.5: whoever has most gives way, so that a flood displaces itself.
        if counts.handshakes(via).len() >= limits.handshakes {
            counts.handshakes(via).displace();
            self.counters.gave_way.fetch_add(1, Ordering::Relaxed);
        }
        counts.total += 1;
        Ok(counts.handshakes(via).begin(prefix))
    }

    pub(super) fn stats(&self) -> ListenerStats {
        let (open, handshaking) = {
            let counts = self.counts();
            let handshaking: usize = counts.handshakes.iter().map(Handshakes::len).sum();
            (counts.total as u64, handshaking as u64)
        };
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ListenerStats {
            open,
            handshaking,
            admitted: read(&self.counters.admitted),
            authenticated: read(&self.counters.authenticated),
            turned_away: read(&self.counters.turned_away),
            gave_way: read(&self.counters.gave_way),
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
    via: Via,
    prefix: Prefix,
    standing: Standing,
}

#[derive(Debug)]
enum Standing {
    /// The handshake is not finished.
    Stranger(Ticket),
    Known {
        key: Box<PublicKey>,
        device: bool,
    },
}

impl Permit {
    /// The handshake is finished: the stranger is now known by `key`.
    pub(super) fn authenticated(&mut self, role: Role, key: PublicKey) -> Result<(), TurnedAway> {
        let Standing::Stranger(ticket) = self.standing else {
            unreachable!("authenticated once");
        };
        let device = role == Role::Device;
        let taken = self.take_name(ticket, device, key);
        let counters = &self.admission.counters;
        match taken {
            Ok(()) => {
                let key = Box::new(key);
                self.standing = Standing::Known { key, device };
                counters.authenticated.fetch_add(1, Ordering::Relaxed);
            }
            // What gave way was counted when it did.
            Err(TurnedAway::GaveWay) => {}
            Err(_) => {
                counters.turned_away.fetch_add(1, Ordering::Relaxed);
            }
        }
        taken
    }

    fn take_name(&self, ticket: Ticket, device: bool, key: PublicKey) -> Result<(), TurnedAway> {
        let limits = &self.admission.limits;
        let mut counts = self.admission.counts();
        if !counts.handshakes(self.via).holds(ticket) {
            return Err(TurnedAway::GaveWay);
        }
        let limit = limits.devices();
        if device && counts.devices >= limit {
            return Err(TurnedAway::Devices { limit });
        }
        let limit = limits.connections_per_key;
        if !take(&mut counts.keys, key, limit) {
            return Err(TurnedAway::Key { limit });
        }
        let limit = limits.devices_per_address;
        if device && !take(&mut counts.devices_of_addresses, self.prefix, limit) {
            give_back(&mut counts.keys, key);
            return Err(TurnedAway::DevicesOfAddress { limit });
        }
        counts.devices += usize::from(device);
        counts.handshakes(self.via).end(ticket);
        Ok(())
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut counts = self.admission.counts();
        counts.total -= 1;
        match &self.standing {
            Standing::Stranger(ticket) => counts.handshakes(self.via).end(*ticket),
            Standing::Known { key, device } => {
                give_back(&mut counts.keys, **key);
                if *device {
                    counts.devices -= 1;
                    give_back(&mut counts.devices_of_addresses, self.prefix);
                }
            }
        }
        give_back(&mut counts.addresses, self.prefix);
    }
}

impl ListenerLimits {
    /// SES-5.6: a node that has fewer places leaves the same share of them to others.
    fn devices(&self) -> usize {
        let reserved = self.connections * (CONNECTIONS_MAX - CONNECTIONS_DEVICE_MAX);
        self.connections - reserved / CONNECTIONS_MAX
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
