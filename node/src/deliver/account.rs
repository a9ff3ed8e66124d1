//! What a device says of its account: enrolment, grants, hand-over (MBX-2, MBX-3, CUS-7).

use std::collections::BTreeMap;
use std::sync::Arc;

use pli_protocol::account::{Enrolment, Invitation, SignedGrant};
use pli_protocol::code::Code;
use pli_protocol::crypto::sign::PublicKey;
use pli_protocol::custody::{Receipt, Step, handover};
use pli_protocol::id::{AccountId, AuthorityId, EnvelopeId, Timestamp};
use pli_protocol::limits::{ACCOUNT_ID_LEN, MAILBOXES_PER_ACCOUNT_MAX};
use pli_protocol::wire::{self, call_reply};

use super::outbox;
use super::sync::account_of;
use crate::ingress::calls::CallEnd;
use crate::relay::Relay;
use crate::store::{
    self, AccountRecord, CustodyState, DeviceRecord, InvitationId, MailboxRecord, Place, Sender,
    Store, StoreError,
};

/// A report of a letter that has expired, or expires soon, is tried for a day.
const LATE_MS: u64 = 86_400_000;

const DONE: call_reply::Kind = call_reply::Kind::Done(wire::Done {});

/// MBX-1.4, MBX-2.3: a device uses an invitation and becomes the first of a new account.
pub async fn enrol(
    relay: &Arc<Relay>,
    device: &PublicKey,
    call: wire::Enrol,
) -> Result<call_reply::Kind, CallEnd> {
    let now = relay.clock.now();
    let keys = [*relay.key.public()];
    let invitation = Invitation::verify(call.invitation, &relay.authority, &keys, now)
        .map_err(refuse_account)?;
    // The session proved this key; an enrolment of another device was only overheard.
    Enrolment::verify(call.enrolment, &invitation, device, now).map_err(refuse_account)?;
    let mut id = [0; ACCOUNT_ID_LEN];
    getrandom::fill(&mut id).map_err(|_| CallEnd::Refuse(Code::Internal))?;
    let account = AccountRecord {
        id: AccountId::new(id),
        enrolled_at: now,
        devices: vec![DeviceRecord {
            key: device.id(),
            public_key: *device.as_bytes(),
            added_at: now,
        }],
    };
    let used = InvitationId::new(*invitation.id.as_bytes());
    match relay
        .on_store(move |store| store.enrol(&used, &account))
        .await?
    {
        store::Enrolment::Done { account } => {
            let account_id = account.as_bytes().to_vec().into();
            Ok(call_reply::Kind::Enrolled(wire::Enrolled { account_id }))
        }
        store::Enrolment::InvitationUsed => Err(CallEnd::Refuse(Code::InvitationUsed)),
        store::Enrolment::DeviceKnown => Err(CallEnd::Refuse(Code::AlreadyEnrolled)),
    }
}

/// MBX-2.4, MBX-4.2, MBX-4.3: an account opens a mailbox for one authority, or renews its grant.
pub async fn publish_grant(
    relay: &Arc<Relay>,
    device: &PublicKey,
    call: wire::PublishGrant,
) -> Result<call_reply::Kind, CallEnd> {
    let account = account_of(relay, device).await?;
    let now = relay.clock.now();
    let grant = SignedGrant::verify(call.grant, now).map_err(refuse_account)?;
    grant.for_home(&relay.authority).map_err(refuse_account)?;
    let authority = &grant.grant().authority;
    relay
        .directory()
        .authority(authority)
        .map_err(|refusal| CallEnd::Refuse(refusal.code()))?;
    let record = MailboxRecord {
        mailbox: grant.grant().mailbox.mailbox,
        account,
        authority: authority.clone(),
        grant: grant.encoded().clone(),
        published_at: now,
    };
    let publishing = Arc::clone(relay);
    relay
        .on_store(move |_| {
            let mailbox = record.mailbox;
            let decide = |store: &dyn Store| publish(store, record, &grant, now);
            publishing.mailboxes.publish(&mailbox, decide)
        })
        .await?
        .map_err(CallEnd::Refuse)?;
    Ok(DONE)
}

fn publish(
    store: &dyn Store,
    record: MailboxRecord,
    grant: &SignedGrant,
    now: Timestamp,
) -> Result<Result<(), Code>, StoreError> {
    if let Some(pinned) = store.mailbox(&record.mailbox)? {
        // Somebody else's mailbox is answered like one's own that does not fit: 16 random bytes
        // do not meet by chance.
        if pinned.account == record.account && pinned.grant == record.grant {
            // Asked again, perhaps because the answer was lost.
            return Ok(Ok(()));
        }
        let Ok(known) = SignedGrant::verify(pinned.grant, now) else {
            return Ok(Err(Code::Damaged));
        };
        if pinned.account != record.account || grant.replaces(known.grant()).is_err() {
            return Ok(Err(Code::StaleGrant));
        }
    } else if store.mailboxes(&record.account)?.len() >= MAILBOXES_PER_ACCOUNT_MAX {
        return Ok(Err(Code::TooMany));
    }
    store.put_mailbox(&record)?;
    Ok(Ok(()))
}

/// A device has these envelopes: noted here, and reported to their origins.
pub async fn handover(
    relay: &Arc<Relay>,
    device: &PublicKey,
    call: wire::Handover,
) -> Result<call_reply::Kind, CallEnd> {
    let account = account_of(relay, device).await?;
    let ids = handover::verify(&call, device).map_err(|error| CallEnd::Refuse(error.code()))?;
    let relay_of_store = Arc::clone(relay);
    let settled = relay
        .on_store(move |store| settle(&relay_of_store, store, account, &ids))
        .await?
        .map_err(CallEnd::Refuse)?;
    relay
        .metrics
        .deliver
        .retrieved_total
        .increment(settled.envelopes);
    for origin in settled.origins {
        relay.router.wake_destination(&origin);
    }
    Ok(DONE)
}

/// What a hand-over changed.
#[derive(Default)]
struct HandedOver {
    envelopes: u64,
    origins: Vec<AuthorityId>,
}

fn settle(
    relay: &Relay,
    store: &dyn Store,
    account: AccountId,
    ids: &[EnvelopeId],
) -> Result<Result<HandedOver, Code>, StoreError> {
    let now = relay.clock.now();
    let mut receipts: BTreeMap<AuthorityId, Vec<Receipt>> = BTreeMap::new();
    let mut expires = BTreeMap::new();
    for id in ids {
        // CUS-7.5: of another account, or of none: nothing is recorded, and nothing is learnt.
        let custody = store.custody(id)?.filter(|custody| match &custody.place {
            Place::Mailbox { account: owner, .. } => *owner == account,
            Place::Queue { .. } => false,
        });
        let Some(custody) = custody else {
            return Ok(Err(Code::UnknownEnvelope));
        };
        if custody.state == CustodyState::Retrieved {
            // The first hand-over counts.
            continue;
        }
        let Sender::Service(sender) = custody.sender else {
            continue;
        };
        let origin = sender.authority().clone();
        let latest = expires.entry(origin.clone()).or_insert(custody.expires);
        // A device that says so late is heard all the same.
        *latest = custody.expires.max(*latest).max(now.plus_ms(LATE_MS));
        receipts
            .entry(origin)
            .or_default()
            .push(relay.receipt(*id, Step::Retrieved, now));
    }
    let mut done = HandedOver::default();
    let (mut settlements, mut reports) = (Vec::new(), Vec::new());
    for (origin, receipts) in receipts {
        done.envelopes += receipts.len() as u64;
        let told = outbox::told(relay, &origin, &receipts, expires[&origin]);
        settlements.extend(told.0);
        reports.extend(told.1);
        if origin != relay.authority {
            done.origins.push(origin);
        }
    }
    if !settlements.is_empty() {
        store.settle(&settlements, &reports)?;
    }
    Ok(Ok(done))
}

fn refuse_account(error: pli_protocol::account::AccountError) -> CallEnd {
    CallEnd::RefuseWith(error.code(), error.to_string())
}
