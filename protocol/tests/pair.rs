//! Two sides of a custody stream in simulated time, over connections that break anywhere.
//!
//! The stream below keeps order, so what a network can do to it is to cut it: frames already
//! sent may or may not have arrived, answers too. Whatever is cut, every envelope is stored
//! once, acknowledged with the receipt of its first time, and known to the sender in the end
//! (CUS-4.5, CUS-5.3, quality cases 26, 46, 60). R23: a failure prints the seed that replays it.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, VecDeque};

use pli_protocol::crypto::sign::SigningKey;
use pli_protocol::custody::ack::{self, Acknowledged, Issuer};
use pli_protocol::custody::pipeline::{Receiving, Sending};
use pli_protocol::custody::{Disposition, Receipt, Step};
use pli_protocol::id::{EnvelopeId, Timestamp};
use pli_protocol::wire;

/// SplitMix64: the whole run follows from one number.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

struct Home {
    key: SigningKey,
    issuer: Issuer,
    /// Survives every break: what is on disk.
    stored: BTreeMap<EnvelopeId, Timestamp>,
    /// How often each was stored; must stay at one.
    stored_times: BTreeMap<EnvelopeId, u32>,
}

impl Home {
    fn accept(&mut self, id: EnvelopeId, now: Timestamp) -> Disposition {
        if let Some(first_at) = self.stored.get(&id) {
            return Disposition::Duplicate {
                first_at: *first_at,
            };
        }
        self.stored.insert(id, now);
        *self.stored_times.entry(id).or_default() += 1;
        Disposition::Accepted
    }
}

/// One connection: what is on the way dies with it.
struct Link {
    sending: Sending,
    receiving: Receiving,
    to_home: VecDeque<(u64, Vec<EnvelopeId>)>,
    to_sender: VecDeque<wire::AckBatch>,
}

impl Link {
    fn new() -> Self {
        Self {
            sending: Sending::new(8),
            receiving: Receiving::default(),
            to_home: VecDeque::new(),
            to_sender: VecDeque::new(),
        }
    }
}

struct Pair {
    random: Random,
    now: Timestamp,
    home: Home,
    queue: VecDeque<EnvelopeId>,
    receipts: BTreeMap<EnvelopeId, Receipt>,
    link: Link,
    breaks: u32,
}

impl Pair {
    fn new(seed: u64, envelopes: u64) -> Self {
        let issuer = Issuer {
            node: "social.gouv.fr".parse().unwrap(),
            step: Step::Stored,
        };
        let home = Home {
            key: SigningKey::from_seed(&[0x33; 32]),
            issuer,
            stored: BTreeMap::new(),
            stored_times: BTreeMap::new(),
        };
        let id = |n: u64| {
            let mut bytes = [0; 32];
            bytes[..8].copy_from_slice(&n.to_be_bytes());
            EnvelopeId::new(bytes)
        };
        Self {
            random: Random(seed),
            now: Timestamp::from_ms(1_800_000_000_000),
            home,
            queue: (0..envelopes).map(id).collect(),
            receipts: BTreeMap::new(),
            link: Link::new(),
            breaks: 0,
        }
    }

    fn step(&mut self) {
        self.now = self.now.plus_ms(self.random.below(50));
        match self.random.below(20) {
            0 => self.break_off(),
            1..=7 => self.send(),
            8..=13 => self.arrive_at_home(),
            _ => self.arrive_at_sender(),
        }
    }

    fn send(&mut self) {
        if !self.link.sending.has_room() || self.queue.is_empty() {
            return;
        }
        let count = (1 + self.random.below(4)).min(self.queue.len() as u64);
        let batch: Vec<_> = self.queue.drain(..count as usize).collect();
        let seq = self.link.sending.send(batch.clone()).unwrap();
        self.link.to_home.push_back((seq, batch));
    }

    fn arrive_at_home(&mut self) {
        let Some((seq, batch)) = self.link.to_home.pop_front() else {
            return;
        };
        self.link.receiving.receive(seq, batch.len()).unwrap();
        let at = self.now;
        let settled: Vec<_> = batch
            .into_iter()
            .map(|id| (id, self.home.accept(id, at)))
            .collect();
        let ack = ack::sign(&self.home.issuer, seq..=seq, at, &settled, &self.home.key).unwrap();
        self.link.receiving.acknowledge(seq);
        self.link.to_sender.push_back(ack);
    }

    fn arrive_at_sender(&mut self) {
        let Some(ack) = self.link.to_sender.pop_front() else {
            return;
        };
        let ids = self
            .link
            .sending
            .acknowledged(ack.first_seq, ack.last_seq)
            .unwrap();
        let key = *self.home.key.public();
        let acknowledged = Acknowledged::verify(&ack, &self.home.issuer, &ids, &key).unwrap();
        for (index, id) in ids.iter().enumerate() {
            let receipt = Receipt::verify(acknowledged.receipt(index), &key).unwrap();
            let earlier = self.receipts.insert(*id, receipt.clone());
            assert!(
                earlier.is_none_or(|earlier| earlier == receipt),
                "another receipt of one envelope"
            );
        }
        self.link.sending.settle(ack.last_seq).unwrap();
    }

    /// Everything on the way is lost; what was not acknowledged goes back to the queue. Now and
    /// then the sender also forgets that it was told (a crash before it wrote it down).
    fn break_off(&mut self) {
        self.breaks += 1;
        let link = std::mem::replace(&mut self.link, Link::new());
        for id in link
            .sending
            .into_unsettled()
            .collect::<Vec<_>>()
            .into_iter()
            .rev()
        {
            self.queue.push_front(id);
        }
        if self.random.below(3) == 0
            && let Some(id) = self.receipts.keys().next().copied()
        {
            self.queue.push_back(id);
        }
    }

    fn is_done(&self, envelopes: u64) -> bool {
        self.queue.is_empty()
            && self.link.sending.is_settled()
            && self.receipts.len() as u64 == envelopes
    }
}

#[test]
fn case_46_exactly_once_in_effect_over_connections_that_break() {
    const ENVELOPES: u64 = 60;
    const STEPS_MAX: u32 = 200_000;
    let mut breaks = 0;
    for seed in 0..200 {
        let mut pair = Pair::new(seed, ENVELOPES);
        let mut steps = 0;
        while !pair.is_done(ENVELOPES) {
            pair.step();
            steps += 1;
            assert!(
                steps < STEPS_MAX,
                "seed {seed}: not done after {steps} steps"
            );
        }
        let once = pair.home.stored_times.values().all(|times| *times == 1);
        assert!(once, "seed {seed}: stored more than once");
        assert_eq!(pair.home.stored.len() as u64, ENVELOPES, "seed {seed}");
        for (id, receipt) in &pair.receipts {
            assert_eq!(
                receipt.at, pair.home.stored[id],
                "seed {seed}: the receipt of the first time"
            );
        }
        breaks += pair.breaks;
    }
    assert!(breaks > 1_000, "the links hardly ever broke: {breaks}");
}
