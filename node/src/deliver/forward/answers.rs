//! What the home says of the letters it was sent: checked, weighed, written down (CUS-6.4, CUS-6.8).

use pli_protocol::code::Code;
use pli_protocol::custody::ack::{Acknowledged, Issuer};
use pli_protocol::custody::{Disposition, Step};
use pli_protocol::envelope::Letter;
use pli_protocol::id::EnvelopeId;
use pli_protocol::wire::{self, call_reply};
use pli_transport::FrameReader;
use tokio::time::Instant;

use super::super::evidence;
use super::super::lanes::Waiting;
use super::{Broken, Forwarding, next_reply, peer};
use crate::store::Outcome;
use crate::verify::{is_of_the_directory, still_allowed};

impl Forwarding<'_> {
    /// Takes what the home says: this answer, and all that have come meanwhile, as many as there is room for. What
    /// breaks before they are written down is still queued.
    pub(super) async fn hear(
        &mut self,
        first: wire::CallReply,
        recv: &mut FrameReader,
    ) -> Result<(), Broken> {
        self.check(first)?;
        while self.writing.has_room() && !self.sending.is_settled() {
            tokio::select! {
                biased;
                reply = next_reply(recv) => self.check(reply?)?,
                () = std::future::ready(()) => break,
            }
        }
        self.writing.begin(self.relay);
        self.note_waiting();
        self.wait_from_now();
        Ok(())
    }

    /// What the home still owes, it owes from now on.
    pub(super) fn wait_from_now(&mut self) {
        self.waits_since = Instant::now();
        let now = (!self.sending.is_settled()).then(|| self.relay.clock.now());
        self.relay.destinations.awaits(self.home, now);
    }

    /// Checks that the home says what it says.
    fn check(&mut self, reply: wire::CallReply) -> Result<(), Broken> {
        let ack = match reply.kind {
            Some(call_reply::Kind::Ack(ack)) => ack,
            // CUS-3.6: it acknowledges nothing.
            Some(call_reply::Kind::Refusal(refusal)) => {
                return Err(Broken::refused(&refusal));
            }
            _ => return Err(Broken::Peer("an answer that is no acknowledgement".into())),
        };
        let ids = self
            .sending
            .acknowledged(ack.first_seq, ack.last_seq)
            .map_err(peer)?;
        let issuer = Issuer {
            node: self.home.clone(),
            step: Step::Stored,
        };
        let acknowledged = Acknowledged::verify(&ack, &issuer, &ids, &self.key).map_err(peer)?;
        let dispositions = acknowledged.dispositions().to_vec();
        let items = ids.iter().zip(dispositions);
        let items: Vec<_> = items
            .map(|(id, disposition)| (*id, self.outcome(*id, disposition)))
            .collect();
        self.sending.settle(ack.last_seq).map_err(peer)?;
        self.standing.caution.answered(&ids);
        self.alone = false;
        let settlement = evidence::of_acknowledgement(self.home, &ack, items);
        self.writing.add(settlement, acknowledged.dispositions());
        Ok(())
    }

    fn outcome(&mut self, id: EnvelopeId, disposition: Disposition) -> Outcome {
        tracing::debug!(envelope = %id, ?disposition, home = %self.home, "answered by the home");
        let sent = self.sent.remove(&id);
        match disposition {
            Disposition::Accepted | Disposition::Duplicate { .. } => {
                self.taken(sent);
                Outcome::Delivered
            }
            Disposition::Refused(code) => self.refused(id, code, sent),
        }
    }

    fn taken(&mut self, sent: Option<Waiting>) {
        self.standing.progress = true;
        self.release(sent);
    }

    fn release(&mut self, sent: Option<Waiting>) {
        if self.standing.postponed.is_empty() {
            return;
        }
        let letter = sent.and_then(|sent| Letter::decode(sent.pending.bytes).ok());
        if let Some(letter) = letter {
            let first = self.standing.postponed.answered(&letter);
            self.lanes.read_again(first);
        }
    }

    fn refused(&mut self, id: EnvelopeId, code: Code, sent: Option<Waiting>) -> Outcome {
        // Answered before, on this very connection: the first answer counts.
        let Some(sent) = sent else {
            return Outcome::Unchanged;
        };
        let letter = Letter::decode(sent.pending.bytes.clone()).ok();
        if let Some(letter) = &letter
            && (code.retryable() || self.is_disputed(code, letter))
        {
            // CUS-6.4: not for good. It stays where it is and is tried again.
            let now = Instant::now();
            let refused = self.standing.postponed.refused(letter, code, sent.at, now);
            self.lanes.read_again(refused.again);
            match refused.wait {
                Some(wait) => {
                    tracing::info!(envelope = %id, %code, home = %self.home, ?wait, "put off");
                }
                None => tracing::debug!(envelope = %id, %code, home = %self.home, "put off"),
            }
            return Outcome::Unchanged;
        }
        // R2, CUS-6.4: set aside with the peer's signed refusal; the next one goes on.
        tracing::warn!(envelope = %id, %code, home = %self.home, "set aside");
        self.relay.metrics.deliver.set_aside_total.increment(1);
        self.release(Some(sent));
        Outcome::Refused {
            code: code.number(),
        }
    }

    // CUS-6.8: this node's directory says otherwise; one of the two is older.
    fn is_disputed(&self, code: Code, letter: &Letter) -> bool {
        if !is_of_the_directory(code) {
            return false;
        }
        self.relay.directory.want_newer();
        let now = self.relay.clock.now();
        still_allowed(letter, &self.relay.directory(), now).is_ok()
    }
}
