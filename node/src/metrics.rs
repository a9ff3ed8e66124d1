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
    AlarmKind, Call, Disposition, GossipTopic, GossipVerdict, Lane, Outcome, Role, RootCache,
    Route, Side, Transport, TufRole, Way,
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
    /// What can be proven.
    pub evidence: Evidence,
    /// What nodes tell each other.
    pub gossip: Gossip,
    /// The directory.
    pub trust: Trust,
    /// This process.
    pub process: Process,
    exporter: PrometheusHandle,
}

group! {
    /// Connections and who is at the other end.
    "session" => Session {
        /// Counts connections that were accepted, before anything is known of the peer.
        connections_total: Per<Transport, Counter>;
        /// Counts connections that were refused or cut, by the code that the peer was given.
        refused_total: Per<Code, Counter>;
        /// Counts sessions that were opened by a handshake, by the role of the peer.
        opened_total: Per<Role, Counter>;
        /// Shows how many sessions are open now, by the role of the peer.
        open: Per<Role, Gauge>;
        /// Shows how many handshakes are under way now.
        handshaking: Gauge;
        /// Counts calls that peers began, by what they ask for.
        calls_total: Per<Call, Counter>;
        /// Counts panics that were caught at the edge of a stream, which ended while all else went on (case 56).
        panics_total: Counter;
    }
}

group! {
    /// What comes in.
    "ingress" => Ingress {
        /// Counts envelopes that were decoded, before any check, by the way they came.
        envelopes_total: Per<Way, Counter>;
        /// Counts bytes of the envelopes that were decoded, by the way they came.
        bytes_total: Per<Way, Counter>;
        /// Counts frames or envelopes that could not be decoded, by the code of the refusal.
        refused_total: Per<Code, Counter>;
    }
}

group! {
    /// Signatures and directory.
    "verify" => Verify {
        /// Counts envelopes whose signature verified under the directory, by the way they came.
        verified_total: Per<Way, Counter>;
        /// Counts envelopes that did not verify, by the code of the refusal.
        refused_total: Per<Code, Counter>;
        /// Counts roots of Merkle batches that were looked up before a signature was checked, by whether they were known.
        roots_total: Per<RootCache, Counter>;
    }
}

group! {
    /// Permission and quotas.
    "admit" => Admit {
        /// Counts envelopes that were admitted by permission and quotas, by the way they came.
        admitted_total: Per<Way, Counter>;
        /// Counts envelopes that were refused by permission or quotas, by the code of the refusal.
        refused_total: Per<Code, Counter>;
    }
}

group! {
    /// The disk.
    "store" => Store {
        /// Counts envelopes that were written to disk and synced, by where they wait; only these are acknowledged as accepted.
        stored_total: Per<Route, Counter>;
        /// Counts envelopes that were seen before, and so were answered with the first receipt and not stored a second time.
        duplicates_total: Counter;
        /// Counts groups of envelopes that were committed, by the outcome.
        commits_total: Per<Outcome, Counter>;
        /// Measures the seconds from the first envelope of a group to the end of its fsync.
        commit_seconds: Histogram;
        /// Measures how many envelopes were committed together in a group.
        commit_size: Histogram;
        /// Counts records that were put aside because they did not match their hash (case 41).
        quarantined_total: Counter;
        /// Shows how many seconds ago the first letter expired that is still to be dealt with: above a minute, the node has more to do than it can.
        expiry_behind_seconds: Gauge;
        /// Shows how many bytes are free on the disk of the store.
        free_bytes: Gauge;
        /// Shows how many bytes the store's files use.
        used_bytes: Gauge;
    }
}

group! {
    /// What leaves.
    "deliver" => Deliver {
        /// Counts envelopes that were sent to a peer's node, repetitions included, by lane.
        forwarded_total: Per<Lane, Counter>;
        /// Counts answers that peers' nodes gave, one for each envelope, by what they said.
        answered_total: Per<Disposition, Counter>;
        /// Counts attempts that were made to reach a destination, by the outcome.
        dials_total: Per<Outcome, Counter>;
        /// Counts envelopes that were put aside after POISON_TRIES_MAX attempts or a signed refusal.
        set_aside_total: Counter;
        /// Counts envelopes that were given up, with a signed UNDELIVERABLE receipt to the sender, by the code of the reason.
        undeliverable_total: Per<Code, Counter>;
        /// Counts receipts of homes that were written down: a device has the letter, or none took it in time.
        reported_total: Counter;
        /// Shows how many reports of such receipts wait here for the origins of their letters.
        reports_waiting: Gauge;
        /// Counts envelopes that were sent to a connected device, repetitions included.
        synced_total: Counter;
        /// Counts envelopes that a device acknowledged with its signature.
        retrieved_total: Counter;
        /// Shows how many envelopes wait now, over all destinations, by lane.
        waiting: Per<Lane, Gauge>;
        /// Shows how many envelopes wait because their destination refused them for now, by the code of the refusal.
        postponed: Per<Code, Gauge>;
        /// Shows how many destinations do not answer now.
        unreachable_destinations: Gauge;
    }
}

group! {
    /// What can be proven.
    "evidence" => Evidence {
        /// Counts events that were written to the log and synced.
        events_total: Counter;
        /// Counts refusals that were not recorded as events because too many came at once.
        refusals_dropped_total: Counter;
        /// Shows how many entries the log has.
        entries: Gauge;
    }
}

group! {
    /// What nodes tell each other.
    "gossip" => Gossip {
        /// Shows how many other nodes are connected.
        peers: Gauge;
        /// Counts what this node said itself.
        said_total: Per<GossipTopic, Counter>;
        /// Counts what was heard and judged, by what became of it.
        heard_total: Per<GossipTopic, Per<GossipVerdict, Counter>>;
        /// Counts peers that were cut off for a while.
        cut_total: Counter;
    }
}

group! {
    /// The directory.
    "trust" => Trust {
        /// Counts refreshes of the directory that were attempted, by the outcome.
        refreshes_total: Per<Outcome, Counter>;
        /// Shows how many seconds have passed since a refresh of the directory was last completed.
        refresh_age_seconds: Gauge;
        /// Shows how many seconds are left until a role of the directory expires, negative once it has.
        expires_in_seconds: Per<TufRole, Gauge>;
        /// Shows which version a role of the directory has, or 0 for the delegated ones, which have one each.
        version: Per<TufRole, Gauge>;
        /// Shows how many authorities the directory names.
        authorities: Gauge;
    }
}

group! {
    /// This process.
    "process" => Process {
        /// Shows 1 while the alarm is raised, and else 0.
        alarm: Per<AlarmKind, Gauge>;
        /// Shows by how many milliseconds the median peer's clock is ahead of this node's, negative where it is behind.
        clock_offset_ms: Gauge;
        /// Shows when the process started, in Unix seconds.
        start_time_seconds: Gauge;
        /// Counts requests to the HTTP addresses that were refused because they were over a cap, a limit or a deadline.
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
            evidence: Evidence::register(),
            gossip: Gossip::register(),
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
    use std::collections::BTreeMap;

    use super::*;

    /// Fields of the groups above.
    const FAMILIES: usize = 52;

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
            "# HELP pli_verify_refused_total Counts envelopes that did not verify, by the code of the refusal.",
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

    /// What is read by an operator at night: one line, a whole sentence, nothing cut off.
    #[test]
    fn every_family_has_a_type_and_a_help_that_is_a_sentence() {
        let metrics = Metrics::new();
        // The exporter shows a histogram from its first sample on.
        metrics.store.commit_size.record(1.0);
        metrics.store.commit_seconds.record(0.001);
        let text = metrics.render();
        let of = |kind: &str| -> BTreeMap<&str, &str> {
            let lines = text.lines().filter_map(|line| line.strip_prefix(kind));
            lines.filter_map(|line| line.split_once(' ')).collect()
        };
        let (helps, types) = (of("# HELP "), of("# TYPE "));
        let samples = text
            .lines()
            .filter(|line| !line.starts_with('#') && !line.is_empty());
        for sample in samples {
            let end = sample.find(['{', ' ']).expect("a name, then a value");
            let name = &sample[..end];
            let family = ["_bucket", "_sum", "_count"]
                .iter()
                .filter_map(|suffix| name.strip_suffix(suffix))
                .find(|family| types.get(family) == Some(&"histogram"))
                .unwrap_or(name);
            assert!(types.contains_key(family), "{name} has no TYPE");
            assert!(helps.contains_key(family), "{name} has no HELP");
        }
        assert_eq!(types.keys().len(), FAMILIES, "{types:?}");
        assert!(helps.keys().eq(types.keys()));
        for (family, help) in helps {
            assert!(
                help.ends_with('.') && !help.ends_with(".."),
                "{family}: {help}"
            );
            let verb = match types[family] {
                "counter" => "Counts ",
                "gauge" => "Shows ",
                other => {
                    assert_eq!(other, "histogram", "{family}");
                    "Measures "
                }
            };
            assert!(help.starts_with(verb), "{family}: {help}");
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
        check::<Call>();
        check::<GossipTopic>();
        check::<GossipVerdict>();
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
