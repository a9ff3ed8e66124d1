//! The unfinished handshakes of one transport, by age and by address. Spec: SES-5.5.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::oneshot;

use super::Prefix;

/// Which handshake; a later one has a higher number.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Ticket(u64);

/// Invariant: `prefixes` holds exactly the tickets of `begun`, and no empty set.
#[derive(Debug, Default)]
pub(super) struct Handshakes {
    next: u64,
    begun: BTreeMap<Ticket, (Prefix, oneshot::Sender<()>)>,
    prefixes: HashMap<Prefix, BTreeSet<Ticket>>,
}

impl Handshakes {
    pub(super) fn len(&self) -> usize {
        self.begun.len()
    }

    pub(super) fn of(&self, prefix: Prefix) -> usize {
        self.prefixes.get(&prefix).map_or(0, BTreeSet::len)
    }

    pub(super) fn holds(&self, ticket: Ticket) -> bool {
        self.begun.contains_key(&ticket)
    }

    pub(super) fn begin(&mut self, prefix: Prefix) -> (Ticket, GaveWay) {
        let ticket = Ticket(self.next);
        self.next += 1;
        let (displace, displaced) = oneshot::channel();
        self.begun.insert(ticket, (prefix, displace));
        self.prefixes.entry(prefix).or_default().insert(ticket);
        (ticket, GaveWay(Some(displaced)))
    }

    /// It finished, broke off, or gave way before.
    pub(super) fn end(&mut self, ticket: Ticket) {
        drop(self.remove(ticket));
    }

    /// The oldest of the address that has most gives way; among equals the oldest of all. Looks at
    /// each address once: they are no more than `HANDSHAKES_MAX`.
    pub(super) fn displace(&mut self) {
        let most = |(_, tickets): &(&Prefix, &BTreeSet<Ticket>)| {
            (tickets.len(), Reverse(tickets.first().copied()))
        };
        let fullest = self.prefixes.iter().max_by_key(most);
        let oldest = fullest.and_then(|(_, tickets)| tickets.first().copied());
        if let Some(displace) = oldest.and_then(|ticket| self.remove(ticket)) {
            // Whoever waits for it may have left in this moment.
            let _ = displace.send(());
        }
    }

    fn remove(&mut self, ticket: Ticket) -> Option<oneshot::Sender<()>> {
        let (prefix, displace) = self.begun.remove(&ticket)?;
        if let Some(tickets) = self.prefixes.get_mut(&prefix) {
            tickets.remove(&ticket);
            if tickets.is_empty() {
                self.prefixes.remove(&prefix);
            }
        }
        Some(displace)
    }
}

/// Word that the handshake must give way; it never comes once the handshake is finished.
#[derive(Debug)]
pub(in crate::server) struct GaveWay(Option<oneshot::Receiver<()>>);

impl GaveWay {
    /// Waits for the word. Cancel-safe.
    pub(in crate::server) async fn wait(&mut self) {
        std::future::poll_fn(|cx| self.poll(cx)).await;
    }

    /// Ready at most once.
    pub(in crate::server) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(word) = &mut self.0 else {
            return Poll::Pending;
        };
        let Poll::Ready(word) = Pin::new(word).poll(cx) else {
            return Poll::Pending;
        };
        self.0 = None;
        // A handshake that ended by itself dropped the sender, which is no word.
        word.map_or(Poll::Pending, Poll::Ready)
    }
}
