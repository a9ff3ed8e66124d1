//! The refresher: what it publishes, and how loud it is.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use pli_protocol::id::Timestamp;
use pli_protocol::limits::TRUST_REFRESH_ALARM_MS;
use pli_protocol::trust::{Directory, Standing};

use super::fixture::{DAY_MS, NOON, directory, directory_with, node_key};
use super::*;
use crate::alarm::Alarms;
use crate::clock::{Clock, TestClock};
use crate::metrics::{AlarmKind, Metrics};
use crate::shutdown::{Shutdown, ShutdownTrigger};

const YEAR: u64 = 365 * DAY_MS;
const FAR: [u64; 5] = [YEAR, YEAR, 7 * DAY_MS, 2 * DAY_MS, YEAR];

type Answer = Result<Arc<Directory>, RefreshError>;

/// Gives the answers of a script, then the last one again and again.
#[derive(Clone, Debug)]
struct Script(Arc<Mutex<Vec<Answer>>>);

impl Source for Script {
    async fn refresh(&mut self, _now: Timestamp) -> Answer {
        let mut answers = self.0.lock().unwrap();
        if answers.len() > 1 {
            answers.remove(0)
        } else {
            answers[0].clone()
        }
    }
}

struct Running {
    watch: DirectoryWatch,
    alarms: Alarms,
    clock: TestClock,
    metrics: Arc<Metrics>,
    trigger: ShutdownTrigger,
    task: tokio::task::JoinHandle<()>,
}

/// A refresher over `first`, once a minute of (paused) time.
fn start(first: Arc<Directory>, answers: Vec<Answer>) -> Running {
    start_every(Duration::from_secs(60), first, answers)
}

fn start_every(every: Duration, first: Arc<Directory>, answers: Vec<Answer>) -> Running {
    let (clock, metrics) = (TestClock::at(NOON), Arc::new(Metrics::new()));
    let alarms = Alarms::new(Arc::clone(&metrics));
    let (publisher, watch) = Publisher::new(first, Refreshed::default());
    let (trigger, shutdown) = Shutdown::new();
    let refresher = Refresher::new(
        Script(Arc::new(Mutex::new(answers))),
        (publisher, watch.clone()),
        (News::none(), every),
        node_key(7),
        Arc::new(clock.clone()) as Arc<dyn Clock>,
        alarms.clone(),
        Arc::clone(&metrics),
    );
    let task = tokio::spawn(refresher.run(shutdown));
    Running {
        watch,
        alarms,
        clock,
        metrics,
        trigger,
        task,
    }
}

fn kinds(alarms: &Alarms) -> Vec<AlarmKind> {
    alarms
        .raised()
        .into_iter()
        .map(|alarm| alarm.kind)
        .collect()
}

async fn minutes(count: u64) {
    tokio::time::sleep(Duration::from_secs(60 * count + 1)).await;
}

/// TRU-5.2
#[tokio::test(start_paused = true)]
async fn a_newer_directory_is_published_and_wakes_those_who_wait() {
    let key = node_key(7);
    let mut running = start(directory(1, &key, FAR), vec![Ok(directory(2, &key, FAR))]);
    assert_eq!(running.watch.current().versions().timestamp, 1);
    let newer = running.watch.changed().await.expect("the refresher runs");
    assert_eq!(newer.versions().timestamp, 2);
    assert_eq!(
        running.watch.refreshed(),
        Refreshed {
            at: Some(NOON),
            error: None
        }
    );
    // The same again is no change: nobody cuts sessions for nothing.
    let again = tokio::time::timeout(Duration::from_secs(600), running.watch.changed());
    assert!(again.await.is_err());
    assert!(running.alarms.raised().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_failed_refresh_leaves_the_directory_in_force_and_is_tried_again_soon() {
    let key = node_key(7);
    let failed = || Err(RefreshError::Failed("connection refused".into()));
    let answers = vec![failed(), failed(), Ok(directory(2, &key, FAR))];
    let running = start(directory(1, &key, FAR), answers);
    minutes(0).await;
    assert_eq!(kinds(&running.alarms), [AlarmKind::DirectoryRefreshFailed]);
    assert_eq!(
        running.watch.refreshed().error.as_deref(),
        Some("connection refused")
    );
    assert_eq!(running.watch.current().versions().timestamp, 1);
    // Two more attempts within the minute: the first one was at once, these at half of the interval.
    minutes(1).await;
    assert_eq!(running.watch.current().versions().timestamp, 2);
    assert!(running.alarms.raised().is_empty());
    let text = running.metrics.render();
    assert!(
        text.contains("pli_trust_refreshes_total{outcome=\"failed\"} 2"),
        "{text}"
    );
}

/// TRU-5.3
#[tokio::test(start_paused = true)]
async fn r18_no_completed_refresh_for_an_hour_is_an_alarm_of_its_own() {
    let key = node_key(7);
    let failed = Err(RefreshError::Failed("no answer".into()));
    let running = start(
        directory(1, &key, FAR),
        vec![failed.clone(), Ok(directory(2, &key, FAR)), failed],
    );
    let stale = |running: &Running| kinds(&running.alarms).contains(&AlarmKind::DirectoryStale);
    minutes(1).await;
    assert_eq!(running.watch.refreshed().at, Some(NOON), "the second try");
    running.clock.set(NOON.plus_ms(TRUST_REFRESH_ALARM_MS - 1));
    minutes(1).await;
    assert!(!stale(&running));
    running.clock.set(NOON.plus_ms(TRUST_REFRESH_ALARM_MS));
    minutes(1).await;
    assert!(stale(&running));
    let text = running.metrics.render();
    assert!(
        text.contains("pli_trust_refresh_age_seconds 3600"),
        "{text}"
    );
}

/// TRU-2.2
#[tokio::test(start_paused = true)]
async fn case_18_a_rollback_is_an_alarm_of_its_own_and_keeps_the_newer() {
    let key = node_key(7);
    let answers = vec![Err(RefreshError::Rollback(
        "timestamp 1, expected at least 5".into(),
    ))];
    let running = start(directory(5, &key, FAR), answers);
    minutes(1).await;
    assert_eq!(
        kinds(&running.alarms),
        [
            AlarmKind::DirectoryRefreshFailed,
            AlarmKind::DirectoryRollback
        ]
    );
    assert_eq!(running.watch.current().versions().timestamp, 5);
}

/// TRU-5.1
#[tokio::test(start_paused = true)]
async fn case_78_alarms_come_at_30_7_and_1_days() {
    let key = node_key(7);
    // Root ends in 40 days, the rest never within this test.
    let ends = [40 * DAY_MS, YEAR, YEAR, YEAR, YEAR];
    let running = start(directory(1, &key, ends), vec![Ok(directory(1, &key, ends))]);
    for (day, expected) in [
        (9, None),
        (10, Some("root expires within 30 days")),
        (32, Some("root expires within 30 days")),
        (33, Some("root expires within 7 days")),
        (39, Some("root expires within 1 day")),
    ] {
        running.clock.set(NOON.plus_ms(day * DAY_MS));
        minutes(1).await;
        let details: Vec<_> = running
            .alarms
            .raised()
            .into_iter()
            .map(|a| a.detail)
            .collect();
        assert_eq!(
            details,
            expected.into_iter().collect::<Vec<_>>(),
            "day {day}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn case_19_past_the_expiry_nothing_new_is_accepted_until_a_refresh_succeeds() {
    let key = node_key(7);
    let blocked = Err(RefreshError::Failed("blocked".into()));
    let later = directory(2, &key, [YEAR, YEAR, YEAR, 9 * DAY_MS, YEAR]);
    let running = start(directory(1, &key, FAR), vec![blocked, Ok(later)]);
    running.clock.set(NOON.plus_ms(2 * DAY_MS));
    minutes(0).await;
    assert_eq!(
        kinds(&running.alarms),
        [
            AlarmKind::DirectoryExpired,
            AlarmKind::DirectoryRefreshFailed,
            AlarmKind::DirectoryStale
        ]
    );
    let refusal = running
        .watch
        .current()
        .in_force(running.clock.now())
        .expect_err("expired");
    assert_eq!(refusal.code(), pli_protocol::code::Code::DirectoryExpired);

    minutes(1).await;
    assert!(running.alarms.raised().is_empty());
    assert!(
        running
            .watch
            .current()
            .in_force(running.clock.now())
            .is_ok()
    );
}

/// TRU-5.2: a stolen timestamp that ends soon stops a node no longer than the honest one needs to come.
#[tokio::test(start_paused = true)]
async fn case_19_an_expired_directory_is_looked_for_again_soon_however_seldom_otherwise() {
    let key = node_key(7);
    let (first, short) = (
        directory(1, &key, FAR),
        directory(2, &key, [YEAR, YEAR, YEAR, 1, YEAR]),
    );
    let honest = directory(3, &key, FAR);
    let running = start_every(
        Duration::from_secs(3_600),
        first,
        vec![Ok(short), Ok(honest)],
    );
    tokio::time::sleep(Duration::from_secs(70)).await;
    assert_eq!(running.watch.current().versions().timestamp, 2);
    running.clock.set(NOON.plus_ms(1));
    tokio::time::sleep(Duration::from_secs(31)).await;
    assert_eq!(running.watch.current().versions().timestamp, 3);
}

#[tokio::test(start_paused = true)]
async fn case_74_a_key_that_leaves_the_directory_is_an_alarm() {
    let running = start(
        directory(1, &node_key(7), FAR),
        vec![Ok(directory(2, &node_key(8), FAR))],
    );
    minutes(1).await;
    let alarm = running.alarms.raised().remove(0);
    assert_eq!(alarm.kind, AlarmKind::OwnKeyNotListed);
    assert!(
        alarm.detail.contains(&node_key(7).key.public().to_string()),
        "{}",
        alarm.detail
    );
    assert!(
        alarm.detail.contains(&node_key(8).key.public().to_string()),
        "{}",
        alarm.detail
    );
}

#[tokio::test(start_paused = true)]
async fn the_stop_ends_the_task_at_once() {
    let key = node_key(7);
    let running = start(directory(1, &key, FAR), vec![Ok(directory(2, &key, FAR))]);
    running.trigger.stop();
    tokio::time::timeout(Duration::from_secs(1), running.task)
        .await
        .expect("soon")
        .expect("clean");
    assert_eq!(running.watch.current().versions().timestamp, 1);
}

/// TRU-5.5
#[tokio::test(start_paused = true)]
async fn strangers_cause_one_refresh_in_a_while_however_many_there_are() {
    let key = node_key(7);
    let (clock, metrics) = (TestClock::at(NOON), Arc::new(Metrics::new()));
    let (publisher, watch) = Publisher::new(directory(1, &key, FAR), Refreshed::default());
    let (_trigger, shutdown) = Shutdown::new();
    let refresher = Refresher::new(
        Script(Arc::new(Mutex::new(vec![Ok(directory(1, &key, FAR))]))),
        (publisher, watch.clone()),
        (News::none(), Duration::from_secs(100_000)),
        key,
        Arc::new(clock) as Arc<dyn Clock>,
        Alarms::new(Arc::clone(&metrics)),
        Arc::clone(&metrics),
    );
    tokio::spawn(refresher.run(shutdown));
    let refreshes = |expected: u32| {
        let text = metrics.render();
        let line = format!("pli_trust_refreshes_total{{outcome=\"ok\"}} {expected}");
        assert!(text.lines().any(|one| one == line), "{line}: {text}");
    };
    minutes(1).await;
    refreshes(1);
    // A stranger in each second of ten minutes, asking through any clone.
    for _ in 0..600 {
        watch.clone().want_newer_for_stranger();
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    refreshes(1 + 10);
    // What a known peer shows is not held back by them.
    watch.want_newer_for_stranger();
    tokio::time::sleep(Duration::from_secs(10)).await;
    refreshes(12);
    watch.want_newer();
    tokio::time::sleep(Duration::from_secs(10)).await;
    refreshes(13);
}

/// TRU-4.2
#[tokio::test(start_paused = true)]
async fn a_suspended_authority_hears_of_it_from_its_own_node() {
    let (key, suspended) = (node_key(7), Standing::Suspended { since: NOON });
    let answers = [Some(suspended), Some(Standing::Active), None];
    let answers = answers.into_iter().zip(2..);
    let answers =
        answers.map(|(standing, version)| Ok(directory_with(version, &key, FAR, standing)));
    let node = start(directory(1, &key, FAR), answers.collect());
    let gauge = "pli_process_alarm{alarm=\"own_authority_suspended\"}";
    assert!(kinds(&node.alarms).is_empty());

    minutes(0).await;
    assert_eq!(kinds(&node.alarms), [AlarmKind::OwnAuthoritySuspended]);
    let detail = node.alarms.raised()[0].detail.clone();
    assert!(
        detail.contains("suspend interieur.gouv.fr --lift"),
        "{detail}"
    );
    assert!(node.metrics.render().contains(&format!("{gauge} 1")));

    minutes(1).await;
    assert!(kinds(&node.alarms).is_empty(), "it was lifted");
    assert!(node.metrics.render().contains(&format!("{gauge} 0")));

    minutes(1).await;
    assert_eq!(
        kinds(&node.alarms),
        [AlarmKind::OwnKeyNotListed],
        "it has left"
    );
    let detail = node.alarms.raised()[0].detail.clone();
    assert!(
        detail.contains("does not list interieur.gouv.fr"),
        "{detail}"
    );
    node.trigger.stop();
    node.task.await.unwrap();
}
