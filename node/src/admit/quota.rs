//! What one sender may send in a day, in all and to one mailbox (CUS-5.5).
//!
//! Counted in memory in windows of 24 hours; a restart begins a new window. R6, R15: the counters
//! are bounded, and a full table of mailboxes is emptied rather than grown.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use pli_protocol::code::Code;
use pli_protocol::id::{AccountId, MailboxId, ServiceId, Timestamp};
use pli_protocol::limits;
use pli_protocol::trust;

const MINUTE_MS: u64 = 60 * 1_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;

/// Pairs of sender and mailbox that are counted at once.
const PAIRS_MAX: usize = 1_000_000;

/// The numbers of the configuration.
#[derive(Clone, Copy, Debug)]
pub struct QuotaLimits {
    /// Envelopes of one service in 24 hours.
    pub sender_per_day: u64,
    /// Envelopes of one service to one mailbox in 24 hours.
    pub sender_mailbox_per_day: u64,
    /// Bytes that one account may read in an hour.
    pub sync_bytes_per_hour: u64,
}

impl Default for QuotaLimits {
    fn default() -> Self {
        Self {
            sender_per_day: limits::QUOTA_SENDER_ENVELOPES_PER_DAY,
            sender_mailbox_per_day: limits::QUOTA_SENDER_MAILBOX_PER_DAY,
            sync_bytes_per_hour: limits::QUOTA_SYNC_BYTES_PER_HOUR,
        }
    }
}

/// What has been used of the quotas in this window.
#[derive(Debug)]
pub struct Quotas {
    limits: QuotaLimits,
    window: Arc<Mutex<Window>>,
    read: Mutex<Read>,
}

/// What one envelope has taken of its sender's quotas. Given back unless it is kept: a duplicate, an envelope that
/// was refused after all and one that never reached the disk cost nothing.
#[derive(Debug)]
pub struct Charge {
    window: Arc<Mutex<Window>>,
    began: Timestamp,
    minute: u64,
    pair: (ServiceId, MailboxId),
    kept: bool,
}

impl Charge {
    /// The envelope is new, and stored.
    pub fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        if window.began != self.began {
            return;
        }
        if let Some(used) = window.senders.get_mut(&self.pair.0) {
            used.today = used.today.saturating_sub(1);
            if used.minute == self.minute {
                used.this_minute = used.this_minute.saturating_sub(1);
            }
        }
        if let Some(to_mailbox) = window.pairs.get_mut(&self.pair) {
            *to_mailbox = to_mailbox.saturating_sub(1);
        }
    }
}

/// Bytes that accounts have read in this hour.
#[derive(Debug, Default)]
struct Read {
    hour: u64,
    accounts: HashMap<AccountId, u64>,
}

#[derive(Debug, Default)]
struct Window {
    began: Timestamp,
    senders: HashMap<ServiceId, Used>,
    pairs: HashMap<(ServiceId, MailboxId), u64>,
}

/// What one sender has used.
#[derive(Clone, Copy, Debug, Default)]
struct Used {
    today: u64,
    minute: u64,
    this_minute: u64,
}

impl Quotas {
    /// Nothing used yet.
    pub fn new(limits: QuotaLimits) -> Self {
        Self {
            limits,
            window: Arc::default(),
            read: Mutex::default(),
        }
    }

    /// Counts one envelope, unless that would be one too many; the count is given back unless the charge is kept.
    /// The federation may grant the sender's authority less than this node would.
    pub fn take(
        &self,
        sender: &ServiceId,
        mailbox: &MailboxId,
        granted: &trust::Quotas,
        now: Timestamp,
    ) -> Result<Charge, Code> {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that went back begins a window too: a sender is never locked out by it.
        if now.since_ms(window.began) >= DAY_MS || now < window.began {
            *window = Window {
                began: now,
                ..Window::default()
            };
        }
        let pair = (sender.clone(), *mailbox);
        let mut used = window.senders.get(sender).copied().unwrap_or_default();
        let minute = now.as_ms() / MINUTE_MS;
        if used.minute != minute {
            used = Used {
                minute,
                this_minute: 0,
                ..used
            };
        }
        let per_day = granted
            .envelopes_per_day
            .unwrap_or(u64::MAX)
            .min(self.limits.sender_per_day);
        let per_minute = granted.envelopes_per_minute.unwrap_or(u64::MAX);
        let to_mailbox = window.pairs.get(&pair).copied().unwrap_or(0);
        if used.today >= per_day
            || used.this_minute >= per_minute
            || to_mailbox >= self.limits.sender_mailbox_per_day
        {
            return Err(Code::QuotaExceeded);
        }
        if window.pairs.len() >= PAIRS_MAX && to_mailbox == 0 {
            window.pairs.clear();
        }
        used.today += 1;
        used.this_minute += 1;
        window.senders.insert(sender.clone(), used);
        window.pairs.insert(pair.clone(), to_mailbox + 1);
        Ok(Charge {
            window: Arc::clone(&self.window),
            began: window.began,
            minute,
            pair,
            kept: false,
        })
    }

    /// Counts what an account reads (MBX-5.6), unless it has read enough for this hour. Case 29.
    pub fn take_sync(&self, account: &AccountId, bytes: u64, now: Timestamp) -> Result<(), Code> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let hour = now.as_ms() / HOUR_MS;
        if read.hour != hour {
            *read = Read {
                hour,
                accounts: HashMap::new(),
            };
        }
        let so_far = read.accounts.get(account).copied().unwrap_or(0);
        if so_far >= self.limits.sync_bytes_per_hour {
            return Err(Code::QuotaExceeded);
        }
        if read.accounts.len() >= PAIRS_MAX && so_far == 0 {
            read.accounts.clear();
        }
        read.accounts.insert(*account, so_far.saturating_add(bytes));
        Ok(())
    }
}

/// When an account that has read enough may read on.
pub fn sync_again_ms(now: Timestamp) -> u64 {
    HOUR_MS - now.as_ms() % HOUR_MS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quotas() -> Quotas {
        Quotas::new(QuotaLimits {
            sender_per_day: 5,
            sender_mailbox_per_day: 3,
            sync_bytes_per_hour: 10,
        })
    }

    /// CUS-5.5
    #[test]
    fn r6_a_sender_and_a_mailbox_have_quotas() {
        let (quotas, service) = (quotas(), "rdv@interieur.gouv.fr".parse().unwrap());
        let now = Timestamp::from_ms(DAY_MS * 100);
        let ours = trust::Quotas::default();
        let take = |mailbox: u8, at| {
            let charge = quotas.take(&service, &MailboxId::new([mailbox; 16]), &ours, at);
            charge.map(Charge::keep)
        };
        for _ in 0..3 {
            assert_eq!(take(1, now), Ok(()));
        }
        assert_eq!(
            take(1, now),
            Err(Code::QuotaExceeded),
            "limit + 1 for the mailbox"
        );
        assert_eq!(take(2, now), Ok(()));
        assert_eq!(take(3, now), Ok(()));
        assert_eq!(
            take(4, now),
            Err(Code::QuotaExceeded),
            "limit + 1 for the sender"
        );
        let other = "otv@interieur.gouv.fr".parse().unwrap();
        assert_eq!(
            quotas
                .take(&other, &MailboxId::new([1; 16]), &ours, now)
                .map(Charge::keep),
            Ok(())
        );
        assert_eq!(take(1, now.plus_ms(DAY_MS)), Ok(()), "a new day");
    }

    /// CUS-5.5
    #[test]
    fn r6_what_was_not_stored_as_new_costs_its_sender_nothing() {
        let (quotas, service) = (quotas(), "rdv@interieur.gouv.fr".parse().unwrap());
        let now = Timestamp::from_ms(DAY_MS * 100);
        let one = trust::Quotas {
            envelopes_per_minute: Some(1),
            ..trust::Quotas::default()
        };
        let take = || quotas.take(&service, &MailboxId::new([1; 16]), &one, now);
        for _ in 0..10 {
            drop(take().expect("what was given back can be taken again"));
        }
        let held = take().unwrap();
        assert_eq!(
            take().map(Charge::keep),
            Err(Code::QuotaExceeded),
            "on its way"
        );
        held.keep();
        assert_eq!(take().map(Charge::keep), Err(Code::QuotaExceeded), "stored");
    }

    /// CUS-5.5
    #[test]
    fn r6_the_federation_may_grant_less() {
        let (quotas, service) = (quotas(), "rdv@interieur.gouv.fr".parse().unwrap());
        let now = Timestamp::from_ms(DAY_MS * 100);
        let take = |granted: &trust::Quotas, at| {
            let charge = quotas.take(&service, &MailboxId::new([1; 16]), granted, at);
            charge.map(Charge::keep)
        };
        let one_a_minute = trust::Quotas {
            envelopes_per_minute: Some(1),
            ..trust::Quotas::default()
        };
        assert_eq!(take(&one_a_minute, now), Ok(()));
        assert_eq!(take(&one_a_minute, now), Err(Code::QuotaExceeded));
        assert_eq!(take(&one_a_minute, now.plus_ms(MINUTE_MS)), Ok(()));
        let two_a_day = trust::Quotas {
            envelopes_per_day: Some(2),
            ..trust::Quotas::default()
        };
        assert_eq!(
            take(&two_a_day, now.plus_ms(2 * MINUTE_MS)),
            Err(Code::QuotaExceeded)
        );
    }

    /// MBX-5.6
    #[test]
    fn case_29_an_account_reads_a_bounded_amount_in_an_hour() {
        let (quotas, now) = (quotas(), Timestamp::from_ms(HOUR_MS * 100));
        let take = |account: u8, at| quotas.take_sync(&AccountId::new([account; 32]), 6, at);
        assert_eq!(take(1, now), Ok(()));
        assert_eq!(
            take(1, now),
            Ok(()),
            "what was begun under the limit is finished"
        );
        assert_eq!(take(1, now), Err(Code::QuotaExceeded));
        assert_eq!(take(2, now), Ok(()));
        let again = now.plus_ms(sync_again_ms(now));
        let before = Timestamp::from_ms(again.as_ms() - 1);
        assert_eq!(take(1, before), Err(Code::QuotaExceeded));
        assert_eq!(take(1, again), Ok(()), "and no sooner");
    }
}
