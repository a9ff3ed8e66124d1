//! What a node counts. In: the stages, which move the counters named after them. Out: the text of
//! `/metrics` (Prometheus).
//!
//! A group is a struct, a metric is a field, its doc comment says when it moves, its labels are
//! enums: a name that does not exist does not compile, and no peer can add a series. Handles are
//! made once at start; moving one is one atomic addition.

use std::time::Duration;

use metrics::{Counter, Gauge, Histogram};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

use pli_protocol::code::Code;

mod family;
mod labels;

pub use family::{Label, Metric, Per};
pub use labels::{
    AlarmKind, Disposition, Lane, Outcome, Role, RootCache, Route, Side, Transport, TufRole, Way,
};

use family::group;

/// How often samples of histograms are folded, so that they do not pile up when nobody scrapes.
pub const UPKEEP_EVERY: Duration = Duration::from_secs(1);

/// Upper bounds of histograms in seconds: from a store's commit to a slow peer.
const SECONDS: [f64; 14] = [
    0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0,
];
/// Upper bounds of histograms of sizes of batches.
const COUNTS: [f64; 13] = [
    1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0,
];

/// Everything that is counted, by stage.
#[derive(Debug)]
pub struct Metrics {
    /// Connections and who is at the other end.
    pub session: Session,
    /// What comes in.
    pub ingress: Ingress,
    /// Signatures and directory.
    pub verify: Verify,
    /// Permission and quotas.
    pub admit: Admit,
    /// The disk.
    pub store: Store,
    /// What leaves.
    pub deliver: Deliver,
    /// The directory.
    pub trust: Trust,
    /// This process.
    pub process: Process,
    exporter: PrometheusHandle,
}

group! {
    /// Connections and who is at the other end.
    "session" => Session {
        /// Connections accepted, before anything is known of the peer.
        connections_total: Per<Transport, Counter>;
        /// Connections refused or cut, by the code that the peer was given.
        refused_total: Per<Code, Counter>;
        /// Sessions whose handshake succeeded.
        opened_total: Per<Role, Counter>;
        /// Sessions open now.
        open: Per<Role, Gauge>;
        /// Handshakes under way.
        handshaking: Gauge;
        /// Calls begun by peers.
        calls_total: Per<Role, Counter>;
        /// Panics caught at the edge of a stream; the stream ended, nothing else (case 56).
        panics_total: Counter;
    }
}

group! {
    /// What comes in.
    "ingress" => Ingress {
        /// Envelopes decoded, before any check.
        envelopes_total: Per<Way, Counter>;
        /// Bytes of these envelopes.
        bytes_total: Per<Way, Counter>;
        /// Frames or envelopes that could not be decoded, by code.
        refused_total: Per<Code, Counter>;
    }
}

group! {
    /// Signatures and directory.
    "verify" => Verify {
        /// Envelopes that verified.
        verified_total: Per<Way, Counter>;
        /// Envelopes that did not, by code.
        refused_total: Per<Code, Counter>;
        /// Roots of Merkle batches looked up before a signature is checked.
        roots_total: Per<RootCache, Counter>;
    }
}

group! {
    /// Permission and quotas.
    "admit" => Admit {
        /// Envelopes admitted.
        admitted_total: Per<Way, Counter>;
        /// Envelopes refused, by code.
        refused_total: Per<Code, Counter>;
    }
}

group! {
    /// The disk.
    "store" => Store {
        /// Envelopes on disk and synced, by where they wait; only these are acknowledged as accepted.
        stored_total: Per<Route, Counter>;
        /// Envelopes seen before: answered with the first receipt, stored no second time.
        duplicates_total: Counter;
        /// Groups committed.
        commits_total: Per<Outcome, Counter>;
        /// Seconds from the first envelope of a group to the end of its fsync.
        commit_seconds: Histogram;
        /// Envelopes in a group.
        commit_size: Histogram;
        /// Records put aside because they did not match their hash (case 41).
        quarantined_total: Counter;
        /// Free bytes on the disk of the store.
        free_bytes: Gauge;
        /// Bytes of the store's files.
        used_bytes: Gauge;
    }
}

group! {
    /// What leaves.
    "deliver" => Deliver {
        /// Envelopes sent to a peer's node, repetitions too.
        forwarded_total: Per<Lane, Counter>;
        /// Answers of peers' nodes, one per envelope.
        answered_total: Per<Disposition, Counter>;
        /// Attempts to reach a destination.
        dials_total: Per<Outcome, Counter>;
        /// Envelopes put aside after POISON_TRIES_MAX attempts or a signed refusal.
        set_aside_total: Counter;
        /// Envelopes given up, with a signed `undeliverable` to the sender, by code.
        undeliverable_total: Per<Code, Counter>;
        /// Envelopes handed to a connected device, repetitions too.
        synced_total: Counter;
        /// Envelopes that a device acknowledged.
        retrieved_total: Counter;
        /// Envelopes waiting, over all destinations.
        waiting: Per<Lane, Gauge>;
        /// Of those, envelopes that their destination refused for now, by code.
        postponed: Per<Code, Gauge>;
        /// Destinations that do not answer now.
        unreachable_destinations: Gauge;
    }
}

group! {
    /// The directory.
    "trust" => Trust {
        /// Refreshes attempted.
        refreshes_total: Per<Outcome, Counter>;
        /// Seconds since the last refresh that was completed.
        refresh_age_seconds: Gauge;
        /// Seconds until a role expires; negative once it has.
        expires_in_seconds: Per<TufRole, Gauge>;
        /// Version of a role; 0 for the delegated ones, which have one each.
        version: Per<TufRole, Gauge>;
        /// Authorities in the directory.
        authorities: Gauge;
    }
}

group! {
    /// This process.
    "process" => Process {
        /// 1 while the alarm is raised, else 0.
        alarm: Per<AlarmKind, Gauge>;
        /// Milliseconds that the median peer's clock is ahead of ours.
        clock_offset_ms: Gauge;
        /// Unix seconds at which the process started.
        start_time_seconds: Gauge;
        /// Requests to the HTTP addresses that were refused: over a cap, a limit or a deadline.
        http_refused_total: Counter;
    }
}

impl Metrics {
    /// A set of its own, all zero. Two nodes in one process do not share.
    pub fn new() -> Self {
        let recorder = PrometheusBuilder::new()
            .set_buckets(&SECONDS)
            .expect("the list of bounds is not empty")
            .set_buckets_for_metric(
                metrics_exporter_prometheus::Matcher::Suffix("_size".to_owned()),
                &COUNTS,
            )
            .expect("the list of bounds is not empty")
            .build_recorder();
        metrics::with_local_recorder(&recorder, || Self {
            session: Session::register(),
            ingress: Ingress::register(),
            verify: Verify::register(),
            admit: Admit::register(),
            store: Store::register(),
            deliver: Deliver::register(),
            trust: Trust::register(),
            process: Process::register(),
            exporter: recorder.handle(),
        })
    }

    /// The text of `/metrics`.
    pub fn render(&self) -> String {
        self.exporter.render()
    }

    /// Folds the samples of histograms. Called every [`UPKEEP_EVERY`].
    pub fn upkeep(&self) {
        self.exporter.run_upkeep();
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_moves_alone_and_shows_its_help() {
        let metrics = Metrics::new();
        metrics
            .verify
            .refused_total
            .of(Code::BadSignature)
            .increment(3);
        metrics
            .ingress
            .bytes_total
            .of(Way::Forward)
            .increment(2_500);
        metrics.store.commit_size.record(64.0);
        let text = metrics.render();
        for line in [
            "# HELP pli_verify_refused_total Envelopes that did not, by code.",
            "# TYPE pli_verify_refused_total counter",
            "pli_verify_refused_total{code=\"BAD_SIGNATURE\"} 3",
            "pli_verify_refused_total{code=\"WEAK_KEY\"} 0",
            "pli_ingress_bytes_total{way=\"forward\"} 2500",
            "pli_ingress_bytes_total{way=\"submit\"} 0",
            "pli_store_commit_size_bucket{le=\"32\"} 0",
            "pli_store_commit_size_bucket{le=\"64\"} 1",
        ] {
            assert!(text.lines().any(|shown| shown == line), "{line} in\n{text}");
        }
    }

    #[test]
    fn two_nodes_of_one_process_count_apart() {
        let (one, other) = (Metrics::new(), Metrics::new());
        one.session.panics_total.increment(1);
        assert!(one.render().contains("pli_session_panics_total 1"));
        assert!(other.render().contains("pli_session_panics_total 0"));
    }

    #[test]
    fn every_label_value_has_its_own_place() {
        fn check<L: Label>() {
            let names: std::collections::BTreeSet<_> = L::ALL.iter().map(|l| l.value()).collect();
            assert_eq!(names.len(), L::ALL.len(), "{}", L::NAME);
            for (place, label) in L::ALL.iter().enumerate() {
                assert_eq!(label.index(), place, "{}", L::NAME);
            }
        }
        check::<Code>();
        check::<Way>();
        check::<Role>();
        check::<Transport>();
        check::<Side>();
        check::<Route>();
        check::<Lane>();
        check::<Disposition>();
        check::<Outcome>();
        check::<RootCache>();
        check::<TufRole>();
        check::<AlarmKind>();
    }
}
