//! What comes in, to its judge and from it.

use std::io;
use std::time::{Duration, Instant};

use bytes::Bytes;
use libp2p::PeerId;
use libp2p::gossipsub::{MessageAcceptance, MessageId, PublishError};
use libp2p::request_response::{self, OutboundFailure};
use pli_protocol::limits::{
    GOSSIP_JUDGED_MS, GOSSIP_JUDGING_MAX, GOSSIP_LAST_MAX, GOSSIP_MESSAGES_BURST,
    GOSSIP_MESSAGES_PER_SECOND,
};
use tokio::time::timeout;

use super::super::budget::Bucket;
use super::super::last::Said;
use super::super::{Announcement, Heard, Topic, Verdict, swarm};
use super::{Judged, Task};
use crate::metrics::{GossipVerdict, Label};

/// Questions for last words that a peer may ask at once, and one more each so many seconds.
const ASKED_BURST: u64 = 4;

impl Task {
    /// Whether this peer may still bring in one of these; a flood is the end of it (GOS-4.1).
    fn spend(&mut self, peer: PeerId, kind: usize) -> bool {
        let now = Instant::now();
        let buckets = self.spent.entry(peer).or_insert_with(|| {
            let topics = Topic::ALL.iter();
            let topic = |_| Bucket::new(GOSSIP_MESSAGES_BURST, GOSSIP_MESSAGES_PER_SECOND, now);
            let mut buckets: Vec<_> = topics.map(topic).collect();
            buckets.push(Bucket::new(ASKED_BURST, 1, now));
            buckets
        });
        buckets[kind].take(1, now)
    }

    pub(super) fn heard(
        &mut self,
        peer: PeerId,
        topic: Option<Topic>,
        id: MessageId,
        data: Vec<u8>,
    ) {
        let Some(topic) = topic.filter(|topic| data.len() <= topic.max()) else {
            return self.report(&id, peer, MessageAcceptance::Reject);
        };
        if !self.spend(peer, topic.index()) {
            self.report(&id, peer, MessageAcceptance::Ignore);
            return self.cut(peer, "it says more than it may", Instant::now());
        }
        self.ask_judge(Some(id), peer, topic, data.into());
    }

    /// GOS-3.2
    fn ask_judge(&mut self, id: Option<MessageId>, peer: PeerId, topic: Topic, payload: Bytes) {
        let listed = self.listed.get(&peer);
        let Some(from) = listed.filter(|_| self.judging.len() < GOSSIP_JUDGING_MAX) else {
            if let Some(id) = id {
                self.report(&id, peer, MessageAcceptance::Ignore);
            }
            return;
        };
        let heard = Heard {
            topic,
            from: from.authority.clone(),
            payload: payload.clone(),
        };
        let judged = self.judge.judge(heard);
        self.judging.spawn(async move {
            let within = Duration::from_millis(GOSSIP_JUDGED_MS);
            let verdict = timeout(within, judged).await.unwrap_or(Verdict::Ignore);
            (id, peer, topic, payload, verdict)
        });
    }

    pub(super) fn judged(&mut self, (id, peer, topic, payload, verdict): Judged) {
        let (acceptance, counted) = match &verdict {
            Verdict::Accept(_) => (MessageAcceptance::Accept, GossipVerdict::Accepted),
            Verdict::Ignore => (MessageAcceptance::Ignore, GossipVerdict::Ignored),
            Verdict::Reject => (MessageAcceptance::Reject, GossipVerdict::Rejected),
        };
        let heard = &self.around.metrics.gossip.heard_total;
        heard.of(topic).of(counted).increment(1);
        if verdict == Verdict::Reject {
            tracing::warn!(%peer, topic = topic.value(), "a peer passes on what is false");
        }
        match id {
            Some(id) => self.report(&id, peer, acceptance),
            // GOS-5.2: what it has kept it has judged itself.
            None if verdict == Verdict::Reject => {
                self.cut(peer, "its last words are false", Instant::now());
            }
            // Others may not have heard it either.
            None if matches!(verdict, Verdict::Accept(_)) => self.publish(topic, payload.clone()),
            None => {}
        }
        if let Verdict::Accept(about) = verdict {
            self.last.keep(topic, about, payload);
        }
    }

    /// What is said now goes first: half of the places are kept for it.
    pub(super) fn judge_waiting(&mut self) {
        while self.judging.len() < GOSSIP_JUDGING_MAX / 2
            && let Some((peer, topic, payload)) = self.waiting.pop_front()
        {
            self.ask_judge(None, peer, topic, payload);
        }
    }

    fn report(&mut self, id: &MessageId, peer: PeerId, acceptance: MessageAcceptance) {
        let gossipsub = &mut self.swarm.behaviour_mut().gossipsub;
        // Whether it was still remembered changes nothing here.
        let _known = gossipsub.report_message_validation_result(id, &peer, acceptance);
    }

    pub(super) fn say(&mut self, said: Announcement) {
        let Announcement {
            topic,
            about,
            payload,
        } = said;
        self.around.metrics.gossip.said_total.of(topic).increment(1);
        self.last.keep(topic, about, payload.clone());
        self.publish(topic, payload);
    }

    fn publish(&mut self, topic: Topic, payload: Bytes) {
        let gossipsub = &mut self.swarm.behaviour_mut().gossipsub;
        match gossipsub.publish(swarm::ident(topic), payload) {
            // It came from elsewhere first; or nobody is there yet, and hears it when it connects (GOS-5.1).
            Ok(_) | Err(PublishError::Duplicate | PublishError::NoPeersSubscribedToTopic) => {}
            Err(error) => tracing::warn!(topic = topic.value(), %error, "not said to all"),
        }
    }

    pub(super) fn last_words(&mut self, event: request_response::Event<(), Vec<Said>>) {
        use request_response::{Event, Message};
        match event {
            Event::Message {
                peer,
                message: Message::Request { channel, .. },
                ..
            } if self.spend(peer, Topic::ALL.len()) => {
                let all = self.last.all();
                // A peer that is gone asks again when it comes again.
                let _gone = self.swarm.behaviour_mut().last.send_response(channel, all);
            }
            Event::Message {
                peer,
                message: Message::Response { response, .. },
                ..
            } => {
                let room = GOSSIP_LAST_MAX.saturating_sub(self.waiting.len());
                let news = self.last.news(response).take(room);
                self.waiting
                    .extend(news.map(|(topic, payload)| (peer, topic, payload)));
                self.judge_waiting();
            }
            Event::OutboundFailure {
                peer,
                error: OutboundFailure::Io(error),
                ..
            } if error.kind() == io::ErrorKind::InvalidData => {
                self.cut(peer, "its last words cannot be read", Instant::now());
            }
            _ => {}
        }
    }
}
