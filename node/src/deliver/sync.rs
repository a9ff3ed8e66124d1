//! A device reads its account from a cursor, without a gap, and hears of what is new (MBX-5.1 to MBX-5.3).

use std::sync::Arc;

use pli_protocol::code::Code;
use pli_protocol::crypto::sign::PublicKey;
use pli_protocol::id::AccountId;
use pli_protocol::limits::{SYNC_ITEMS_MAX, SYNC_PAGE_BYTES_MAX};
use pli_protocol::wire::{self, call_reply};
use pli_transport::{FrameReader, FrameWriter};

use crate::ingress::calls::CallEnd;
use crate::relay::Relay;
use crate::shutdown::Shutdown;
use crate::store::{AbsenceReason, Item, MailboxItem, Page, PageBound};

/// Bytes of an item besides its envelope, at the most.
const ITEM_OVERHEAD: usize = 64;

/// Sends pages until the account is read; with `follow`, until the device or the node stops.
pub async fn run(
    relay: &Arc<Relay>,
    device: &PublicKey,
    asked: wire::Sync,
    recv: &mut FrameReader,
    send: &mut FrameWriter,
    mut shutdown: Shutdown,
) -> Result<(), CallEnd> {
    let account = account_of(relay, device).await?;
    // Before the first read, so that nothing falls between reading and watching.
    let mut watch = relay.router.watch_account(account);
    let mut after = asked.after_seq;
    loop {
        let Page { items, latest_seq } = read(relay, account, after).await?;
        let at_end = items.last().map_or(after, |last| last.seq) >= latest_seq;
        after = items.last().map_or(after, |last| last.seq);
        let first = after == asked.after_seq;
        if !items.is_empty() || first {
            let bytes = items.iter().map(envelope_bytes).sum();
            let now = relay.clock.now();
            relay
                .quotas
                .take_sync(&account, bytes, now)
                .map_err(CallEnd::Refuse)?;
            relay
                .metrics
                .deliver
                .synced_total
                .increment(items.len() as u64);
            send_page(send, items, latest_seq).await?;
        }
        if !at_end {
            continue;
        }
        if !asked.follow {
            return Ok(());
        }
        tokio::select! {
            () = watch.changed() => {}
            // A device that ends its half ends the call; what it says else is not expected.
            frame = recv.next() => match frame? {
                None => return Ok(()),
                Some(_) => return Err(CallEnd::Cut(Code::UnexpectedMessage)),
            },
            () = shutdown.begun() => return Err(CallEnd::Refuse(Code::ShuttingDown)),
        }
    }
}

/// The account that a device belongs to.
pub async fn account_of(relay: &Arc<Relay>, device: &PublicKey) -> Result<AccountId, CallEnd> {
    let key = device.id();
    relay
        .on_store(move |store| store.account_of_device(&key))
        .await?
        .ok_or(CallEnd::Refuse(Code::UnknownDevice))
}

async fn read(relay: &Arc<Relay>, account: AccountId, after: u64) -> Result<Page, CallEnd> {
    let bound = PageBound {
        items: SYNC_ITEMS_MAX,
        bytes: SYNC_PAGE_BYTES_MAX - SYNC_ITEMS_MAX * ITEM_OVERHEAD,
    };
    Ok(relay
        .on_store(move |store| store.read(&account, after, bound))
        .await?)
}

async fn send_page(
    send: &mut FrameWriter,
    items: Vec<MailboxItem>,
    latest_seq: u64,
) -> Result<(), CallEnd> {
    let items = items.into_iter().map(wire_item).collect();
    let page = call_reply::Kind::Page(wire::SyncPage { items, latest_seq });
    // Case 30: a device that does not read is cut by the deadline of the writer.
    send.send_message(&wire::CallReply { kind: Some(page) })
        .await?;
    Ok(())
}

fn envelope_bytes(item: &MailboxItem) -> u64 {
    match &item.item {
        Item::Envelope { bytes, .. } => bytes.len() as u64,
        Item::Absent { .. } => 0,
    }
}

fn wire_item(MailboxItem { seq, item }: MailboxItem) -> wire::SyncItem {
    match item {
        Item::Envelope {
            id,
            stored_at,
            bytes,
        } => wire::SyncItem {
            seq,
            stored_ms: stored_at.as_ms(),
            envelope: bytes,
            absence: 0,
            envelope_id: id.as_bytes().to_vec().into(),
        },
        Item::Absent { reason } => wire::SyncItem {
            seq,
            absence: absence(reason).into(),
            ..wire::SyncItem::default()
        },
    }
}

fn absence(reason: AbsenceReason) -> wire::Absence {
    match reason {
        AbsenceReason::Expired => wire::Absence::Expired,
        AbsenceReason::Damaged => wire::Absence::Damaged,
        AbsenceReason::Skipped => wire::Absence::Skipped,
    }
}
