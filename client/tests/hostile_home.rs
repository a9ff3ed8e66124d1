//! A device facing a home that sends without end: MBX-5.8.
//!
//! Each home here is an in-process server that speaks the protocol over QUIC and never stops by
//! itself; each test ends only because the device does.
#![allow(clippy::unwrap_used, reason = "a test that panics says so")]

mod support;

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use pli_client::device::budget::{Bounds, PAGE_COST_MIN, Spent};
use pli_client::device::cursor::Body;
use pli_client::device::{Device, DeviceError, Standing};
use pli_protocol::limits;
use pli_protocol::wire;
use pli_protocol::wire::call::Kind as Call;
use pli_protocol::wire::call_reply::Kind as Reply;
use pli_transport::CallStream;
use support::home::{all, device, item, letters, page_home};
use support::{Federation, script};

const WITHIN: Duration = Duration::from_secs(300);

/// What an endless home says that it has.
const ENDLESS: u64 = limits::INTEGER_MAX;

/// A home that gives one page after the other for as long as somebody reads; `page` makes the next
/// one, after a number.
async fn endless(
    federation: &Federation,
    pause: Duration,
    page: impl Fn(u64) -> wire::SyncPage + Clone + Send + Sync + 'static,
) {
    let node = script(move |_, call, mut stream| {
        let page = page.clone();
        async move {
            let Call::Sync(asked) = call else { return };
            let mut after = asked.after_seq;
            loop {
                let page = page(after);
                after = page.items.last().map_or(after, |last| last.seq);
                if !give(&mut stream, page).await {
                    return;
                }
                tokio::time::sleep(pause).await;
            }
        }
    });
    federation.node(node).await;
}

async fn give(stream: &mut CallStream, page: wire::SyncPage) -> bool {
    let reply = wire::CallReply {
        kind: Some(Reply::Page(page)),
    };
    stream.send.send_message(&reply).await.is_ok()
}

/// A device that is enrolled, with its folder.
async fn citizen(federation: &Federation) -> (Device, PathBuf) {
    federation.node(page_home(|_| Vec::new())).await;
    let (folder, _) = device(federation).await;
    (again(&folder).await, folder)
}

async fn again(folder: &Path) -> Device {
    Device::open(folder, Standing::Working).await.unwrap()
}

async fn sync(device: &mut Device, bounds: Bounds) -> DeviceError {
    let synced = tokio::time::timeout(WITHIN, device.sync_within(bounds));
    let ended = synced.await.expect("the device ends the run by itself");
    ended.map(|new| new.len()).expect_err("the home never ends")
}

fn of(items: Vec<wire::SyncItem>) -> wire::SyncPage {
    wire::SyncPage {
        items,
        latest_seq: ENDLESS,
    }
}

fn absent(seq: u64, absence: wire::Absence) -> wire::SyncItem {
    wire::SyncItem {
        seq,
        absence: absence.into(),
        ..wire::SyncItem::default()
    }
}

fn garbage(seq: u64, length: usize) -> wire::SyncItem {
    wire::SyncItem {
        seq,
        stored_ms: 1_795_000_000_000,
        envelope: Bytes::from(vec![0xff; length]),
        ..wire::SyncItem::default()
    }
}

/// Bytes of the blocks of a folder's files.
fn on_disk(folder: &Path) -> u64 {
    std::fs::read_dir(folder.join("inbox"))
        .unwrap()
        .map(|file| file.unwrap().metadata().unwrap().len())
        .map(|length| length.next_multiple_of(PAGE_COST_MIN))
        .sum()
}

/// Absences cost a home nothing. The bounds are the specification's own.
#[tokio::test]
async fn r15_endless_absences_end_with_the_items_of_a_run_and_the_next_run_goes_on() {
    let federation = Federation::new().await;
    let (mut device, folder) = citizen(&federation).await;
    let absences = |after: u64| {
        let kinds = [wire::Absence::Expired, wire::Absence::Damaged];
        let most = limits::SYNC_ITEMS_MAX as u64;
        let kind = |seq: u64| kinds[usize::try_from(seq % 2).expect("0 or 1")];
        of((after + 1..=after + most)
            .map(|seq| absent(seq, kind(seq)))
            .collect())
    };
    endless(&federation, Duration::ZERO, absences).await;
    let max = limits::SYNC_RUN_ITEMS_MAX;
    for run in 1..=2 {
        let error = sync(&mut device, Bounds::default()).await;
        let DeviceError::Spent(spent) = &error else {
            panic!("{error}")
        };
        let expected = Spent::Items {
            got: max,
            more: limits::SYNC_ITEMS_MAX,
            max,
        };
        assert_eq!(*spent, expected);
        assert!(
            error.to_string().contains("run the same again"),
            "says what to do: {error}"
        );
        // What is kept is what was counted, also for who opens the folder anew.
        drop(device);
        device = again(&folder).await;
        assert_eq!(device.inbox().cursor().after, run * max as u64);
        assert!(on_disk(&folder) <= run * limits::SYNC_RUN_BYTES_MAX);
    }
    let whole = device.inbox().entries().all(|entry| entry.is_ok());
    assert!(whole);
}

/// MBX-5.2: a number that is skipped may be one, or all that there are.
#[tokio::test]
async fn case_43_endless_skipped_numbers_end_too_and_are_read_again() {
    let federation = Federation::new().await;
    let (mut device, folder) = citizen(&federation).await;
    let skips = |after| {
        let absence = wire::Absence::Skipped;
        of((1..=5).map(|n| absent(after + n * 10, absence)).collect())
    };
    endless(&federation, Duration::ZERO, skips).await;
    let bounds = Bounds {
        items: 102,
        ..Bounds::default()
    };
    let error = sync(&mut device, bounds).await;
    assert!(
        matches!(error, DeviceError::Spent(Spent::Items { got: 100, .. })),
        "{error}"
    );
    drop(device);
    let device = again(&folder).await;
    assert_eq!(device.inbox().cursor().after, 1_000);
    let entries: Vec<_> = device.inbox().entries().map(Result::unwrap).collect();
    assert_eq!(entries.len(), 100);
    assert_eq!(entries[1].numbered.body, Body::Skipped { first: 11 });
    let inside = device.inbox().entry(15).unwrap().unwrap();
    assert_eq!(inside.numbered.seq, 20);
}

#[tokio::test]
async fn r15_letters_without_end_that_do_not_verify_end_with_the_bytes_of_a_run() {
    let federation = Federation::new().await;
    let (mut device, folder) = citizen(&federation).await;
    let bounds = Bounds {
        bytes: 1 << 20,
        ..Bounds::default()
    };
    // Small ones, each in a page and so in a block of its own; and the largest that fit a frame.
    for (run, length) in [(1, 1), (2, limits::SYNC_PAGE_BYTES_MAX)] {
        let bad = move |after| of(vec![garbage(after + 1, length)]);
        endless(&federation, Duration::ZERO, bad).await;
        let before = device.inbox().cursor().after;
        let error = sync(&mut device, bounds).await;
        assert!(
            matches!(error, DeviceError::Spent(Spent::Bytes { .. })),
            "{error}"
        );
        assert!(device.inbox().cursor().after > before);
        assert!(on_disk(&folder) <= run * bounds.bytes);
    }
    let (shown, errors) = all(&device).await;
    assert!(errors.is_empty());
    assert!(
        shown.iter().all(|letter| letter.verified().is_none()),
        "none is shown as a message"
    );
}

#[tokio::test]
async fn r15_pages_without_items_are_no_progress() {
    let federation = Federation::new().await;
    let (mut device, _) = citizen(&federation).await;
    let empty = |_| of(Vec::new());
    let bounds = Bounds {
        items: 20,
        silence: Duration::from_millis(1_500),
        ..Bounds::default()
    };
    // Quickly: they count.
    endless(&federation, Duration::ZERO, empty).await;
    let error = sync(&mut device, bounds).await;
    assert!(
        matches!(error, DeviceError::Spent(Spent::Items { got: 20, .. })),
        "{error}"
    );
    // Slowly: nothing new came.
    endless(&federation, Duration::from_millis(200), empty).await;
    let error = sync(&mut device, bounds).await;
    let spoken = error.to_string();
    assert!(spoken.contains("no reply within 1500 ms"), "{spoken}");
    assert!(error.may_pass());
}

#[tokio::test]
async fn r15_a_home_that_drips_ends_with_the_time_of_a_run() {
    let federation = Federation::new().await;
    let (mut device, folder) = citizen(&federation).await;
    let drop_by_drop = |after| of(vec![absent(after + 1, wire::Absence::Expired)]);
    endless(&federation, Duration::from_millis(100), drop_by_drop).await;
    let bounds = Bounds {
        run: Duration::from_secs(2),
        ..Bounds::default()
    };
    let error = sync(&mut device, bounds).await;
    assert!(
        matches!(error, DeviceError::Spent(Spent::Time { max_ms: 2_000 })),
        "{error}"
    );
    let kept = device.inbox().cursor().after;
    assert!(kept >= 1);
    drop(device);
    assert_eq!(again(&folder).await.inbox().cursor().after, kept);
}

#[tokio::test]
async fn r15_a_device_that_watches_has_the_budget_of_a_run_at_a_time() {
    let federation = Federation::new().await;
    let (mut device, _) = citizen(&federation).await;
    let expired = |after| of(vec![absent(after + 1, wire::Absence::Expired)]);
    endless(&federation, Duration::from_millis(1), expired).await;
    let bounds = Bounds {
        items: 50,
        ..Bounds::default()
    };
    let mut watch = device.watch_within(bounds);
    let mut got = 0;
    let error = loop {
        match tokio::time::timeout(WITHIN, watch.next()).await.unwrap() {
            Ok(entries) => got += entries.len(),
            Err(error) => break error,
        }
    };
    watch.end();
    assert!(
        matches!(error, DeviceError::Spent(Spent::Items { got: 50, .. })),
        "{error}"
    );
    assert_eq!(got, 50);
}

/// The honest letter comes after more than a run of rubbish, and is read all the same.
#[tokio::test]
async fn r07_a_letter_behind_the_rubbish_comes_with_a_later_run() {
    let federation = Federation::new().await;
    federation.node(page_home(|_| Vec::new())).await;
    let (folder, grant) = device(&federation).await;
    let letter = letters(&federation, grant, 1).await.remove(0);
    let mut device = again(&folder).await;
    let node = page_home(move |asked| {
        let rubbish = (asked.after_seq + 1..=25).map(|seq| garbage(seq, 100));
        let mut items: Vec<_> = rubbish.collect();
        items.push(item(26, &letter));
        let page = |item| wire::SyncPage {
            items: vec![item],
            latest_seq: 26,
        };
        items.into_iter().map(page).collect()
    });
    federation.node(node).await;
    let bounds = Bounds {
        items: 10,
        ..Bounds::default()
    };
    for after in [10, 20] {
        let error = sync(&mut device, bounds).await;
        assert!(matches!(error, DeviceError::Spent(_)), "{error}");
        assert_eq!(device.inbox().cursor().after, after);
    }
    assert_eq!(device.sync_within(bounds).await.unwrap().len(), 6);
    let (shown, _) = all(&device).await;
    assert!(shown[25].verified().is_some());
}

#[tokio::test]
async fn case_40_a_device_without_room_keeps_nothing_more_and_says_so() {
    let federation = Federation::new().await;
    let (mut device, _) = citizen(&federation).await;
    let expired = |after| of(vec![absent(after + 1, wire::Absence::Expired)]);
    endless(&federation, Duration::ZERO, expired).await;
    let bounds = Bounds {
        disk_free: u64::MAX,
        ..Bounds::default()
    };
    let error = sync(&mut device, bounds).await;
    assert!(matches!(error, DeviceError::DiskFull { .. }), "{error}");
    assert!(error.to_string().contains("make room"), "{error}");
    assert_eq!(device.inbox().cursor().after, 0);
}
