//! The answer of `/status`, as `pli node status` reads it. Times are Unix milliseconds, names are
//! as the protocol writes them, a key is added here before anything reads it and never changes its
//! meaning. Nothing in it names a citizen.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Everything at a glance.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Status {
    /// Version of the program.
    pub version: String,
    /// Whose node.
    pub authority: String,
    /// The node's key, as the directory and commands name it.
    #[serde(default)]
    pub key: String,
    /// Its fingerprint, as logs and signed objects name it: SHA-256, hexadecimal.
    pub key_id: String,
    /// When the process started.
    pub started_ms: u64,
    /// Seconds since then, by a clock that nobody sets.
    pub uptime_s: u64,
    /// The time as this node believes it.
    pub now_ms: u64,
    /// Whether `/readyz` says yes, and if not, why.
    pub ready: Readiness,
    /// The directory in force.
    pub directory: DirectoryStatus,
    /// The clock.
    pub clock: ClockStatus,
    /// This node's log.
    pub evidence: EvidenceStatus,
    /// Other nodes, by gossip.
    pub gossip: GossipStatus,
    /// What the run loop knows.
    #[serde(flatten)]
    pub live: LiveStatus,
    /// What a person should look at.
    pub alarms: Vec<AlarmStatus>,
}

/// The answer of `/readyz`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Readiness {
    /// Whether new envelopes are taken in.
    pub ready: bool,
    /// Why not; empty when ready.
    pub because: Vec<String>,
}

/// What the run loop knows.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct LiveStatus {
    /// A stop is under way.
    pub draining: bool,
    /// Queues that are not empty, and those whose destination does not answer; by name.
    pub queues: Vec<QueueStatus>,
    /// Open sessions.
    pub sessions: SessionsStatus,
    /// The disk.
    pub store: StoreStatus,
}

/// One destination.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct QueueStatus {
    /// The authority.
    pub destination: String,
    /// Envelopes in the priority lane.
    pub priority: u64,
    /// Envelopes in the bulk lane.
    pub bulk: u64,
    /// Bytes of both.
    pub bytes: u64,
    /// When the oldest of them was accepted.
    pub oldest_ms: Option<u64>,
    /// Reports that wait: what became of letters of that authority here.
    #[serde(default)]
    pub reports: u64,
    /// Whether the destination answered last time.
    pub reachable: bool,
    /// When it is tried again, if it did not answer.
    pub next_try_ms: Option<u64>,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
    /// Envelopes of both lanes that the destination refused for now, by code; they are tried again.
    #[serde(default)]
    pub postponed: BTreeMap<String, u64>,
    /// The letter that has been tried again and again for the longest without any answer.
    #[serde(default)]
    pub stuck: Option<StuckStatus>,
}

/// A letter with which the connection breaks each time. It is tried until it expires.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct StuckStatus {
    /// Its id.
    pub envelope: String,
    /// How often it was on its way when the connection broke.
    pub tries: u32,
    /// The first time.
    pub since_ms: u64,
    /// What broke the connection the last time.
    pub reason: String,
}

/// Open sessions by who is at the other end.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct SessionsStatus {
    /// Other nodes that dialled this one.
    pub nodes: u64,
    /// Services.
    pub services: u64,
    /// Gateways.
    pub gateways: u64,
    /// Devices.
    pub devices: u64,
    /// Other nodes that this one dialled.
    pub dialled: u64,
}

/// The disk.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct StoreStatus {
    /// The engine and its place.
    pub url: String,
    /// Whether new envelopes are taken in (there is room, and no sync failed).
    pub writable: bool,
    /// Bytes of the store's files.
    pub used_bytes: u64,
    /// Free bytes on its disk.
    pub free_bytes: u64,
    /// Records put aside because they were damaged, since the start.
    pub quarantined: u64,
}

/// The directory in force.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct DirectoryStatus {
    /// Whether it is in force: nothing of the federation's has expired.
    pub in_force: bool,
    /// When it ends.
    pub expires_ms: u64,
    /// Versions of the four roles.
    pub versions: VersionsStatus,
    /// Each role and its end; the authorities last.
    pub roles: Vec<RoleStatus>,
    /// Authorities listed.
    pub authorities: u64,
    /// When the last refresh that succeeded ended.
    pub refreshed_ms: Option<u64>,
    /// Why the last refresh failed, if it did.
    pub last_error: Option<String>,
    /// What was left out of the repository, and why.
    pub findings: Vec<String>,
}

/// Versions of the four roles.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct VersionsStatus {
    /// Of `root.json`.
    pub root: u64,
    /// Of `targets.json`.
    pub targets: u64,
    /// Of `snapshot.json`.
    pub snapshot: u64,
    /// Of `timestamp.json`.
    pub timestamp: u64,
}

/// A role and its end.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct RoleStatus {
    /// `root`, `targets`, `snapshot`, `timestamp` or an authority.
    pub role: String,
    /// Its end.
    pub expires_ms: u64,
    /// Whole days left; 0 on the last day and after it.
    pub days_left: u64,
    /// `quiet`, `30 days`, `7 days`, `1 day` or `expired`.
    pub alarm: String,
}

/// The clock.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ClockStatus {
    /// `unknown` until a peer has told its time, `agrees` or `unsynchronised`.
    pub state: String,
    /// Milliseconds by which the median peer is ahead.
    pub offset_ms: Option<i64>,
}

/// An alarm that is raised.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct AlarmStatus {
    /// Its name, the same as in the log and in `/metrics`.
    pub alarm: String,
    /// Since when.
    pub since_ms: u64,
    /// For a human.
    pub detail: String,
}

/// Other nodes, by gossip.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct GossipStatus {
    /// Whether this node takes part.
    pub enabled: bool,
    /// Every node that may be connected.
    pub peers: Vec<GossipPeerStatus>,
}

/// One of them.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct GossipPeerStatus {
    /// Whose node.
    pub authority: String,
    /// Whether it is connected.
    pub connected: bool,
    /// Why not.
    pub because: Option<String>,
    /// Whether it did wrong, and is left alone for a while.
    pub cut_off: bool,
}

/// The log of what this node did.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct EvidenceStatus {
    /// Whether there is one.
    pub enabled: bool,
    /// Its origin: whose, and since when.
    pub log: String,
    /// Events that are written down.
    pub events: u64,
    /// Entries, each a batch of them.
    pub entries: u64,
    /// When the newest entry was closed; the newest checkpoint is of that moment.
    pub closed_ms: Option<u64>,
    /// Entries that enough witnesses have cosigned, which others are shown.
    pub published: u64,
    /// Events that are in no checkpoint that others are shown yet; `None` if the log cannot be read.
    pub waiting: Option<u64>,
    /// Witnesses of the directory that have cosigned lately: not longer ago than `WITNESS_ALARM_MS`.
    pub witnesses_reached: u64,
    /// How many witnesses the federation asks for.
    pub witnesses_needed: u64,
    /// When each witness last cosigned.
    pub witnesses: Vec<WitnessStatus>,
}

/// Another node that cosigns this node's log.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct WitnessStatus {
    /// Whose.
    pub authority: String,
    /// By its clock.
    pub at_ms: u64,
}
