//! The values that labels may have.

use pli_protocol::code::Code;
use pli_protocol::wire::call;

use super::family::{Label, label};

label! {
    /// How an envelope came in.
    "way" => Way {
        /// From a service of this authority.
        Submit = "submit",
        /// From the node of another authority.
        Forward = "forward",
    }
}

label! {
    /// Who is at the other end of a session.
    "role" => Role {
        /// Another node.
        Node = "node",
        /// A service.
        Service = "service",
        /// A push gateway.
        Gateway = "gateway",
        /// A citizen's device.
        Device = "device",
    }
}

label! {
    /// What a call asks for.
    "call" => Call {
        /// Letters of a service of this authority.
        Submit = "submit",
        /// Letters from another node.
        Forward = "forward",
        /// How letters stand.
        Track = "track",
        /// Receipts that a home sends back.
        Report = "report",
        /// What waits for a device.
        Sync = "sync",
        /// That a device has it.
        Handover = "handover",
        /// A device for an account.
        Enrol = "enrol",
        /// The grant of a mailbox.
        PublishGrant = "publish_grant",
        /// A file of the directory.
        Trust = "trust",
        /// Proofs of what happened.
        Evidence = "evidence",
    }
}

impl From<&call::Kind> for Call {
    fn from(kind: &call::Kind) -> Self {
        match kind {
            call::Kind::Submit(_) => Self::Submit,
            call::Kind::Forward(_) => Self::Forward,
            call::Kind::Track(_) => Self::Track,
            call::Kind::Report(_) => Self::Report,
            call::Kind::Sync(_) => Self::Sync,
            call::Kind::Handover(_) => Self::Handover,
            call::Kind::Enrol(_) => Self::Enrol,
            call::Kind::PublishGrant(_) => Self::PublishGrant,
            call::Kind::Trust(_) => Self::Trust,
            call::Kind::Evidence(_) => Self::Evidence,
        }
    }
}

label! {
    /// What is talked about in gossip.
    "topic" => GossipTopic {
        /// A newer directory.
        Trust = "trust",
        /// What a log has come to.
        Checkpoints = "checkpoints",
        /// That a log has said two things.
        Alerts = "alerts",
    }
}

label! {
    /// What became of something that was heard.
    "verdict" => GossipVerdict {
        /// True and new: passed on.
        Accepted = "accepted",
        /// Known, or not to be judged here.
        Ignored = "ignored",
        /// False.
        Rejected = "rejected",
    }
}

label! {
    /// What carries a session.
    "transport" => Transport {
        /// QUIC.
        Quic = "quic",
        /// WebSocket over TLS.
        WebSocket = "websocket",
    }
}

label! {
    /// Who opened a session.
    "side" => Side {
        /// The peer.
        Accepted = "accepted",
        /// This node.
        Dialled = "dialled",
    }
}

label! {
    /// Where an envelope goes from the store.
    "route" => Route {
        /// To a mailbox of this node.
        Mailbox = "mailbox",
        /// To the node of another authority.
        Peer = "peer",
    }
}

label! {
    /// A lane of a destination's queue.
    "lane" => Lane {
        /// Alerts and high urgency.
        Priority = "priority",
        /// All else.
        Bulk = "bulk",
    }
}

label! {
    /// What a peer said of a forwarded envelope.
    "disposition" => Disposition {
        /// Taken and stored.
        Accepted = "accepted",
        /// Had been stored before.
        Duplicate = "duplicate",
        /// Refused for good.
        Refused = "refused",
    }
}

label! {
    /// How an attempt ended.
    "outcome" => Outcome {
        /// As intended.
        Ok = "ok",
        /// Otherwise; the log says why.
        Failed = "failed",
    }
}

label! {
    /// Whose signature a check concerned.
    "roots" => RootCache {
        /// The Merkle root had been verified before: hashes alone.
        Hit = "hit",
        /// A signature was checked.
        Miss = "miss",
    }
}

label! {
    /// A TUF role, by its expiry.
    "tuf_role" => TufRole {
        /// k of n offline keys.
        Root = "root",
        /// The federation's targets.
        Targets = "targets",
        /// The soonest of the authorities' own roles.
        Delegated = "delegated",
        /// Short-lived.
        Snapshot = "snapshot",
        /// Shorter-lived.
        Timestamp = "timestamp",
    }
}

label! {
    /// What a person should look at. Each is also a line of the log, and an entry of `/status`.
    "alarm" => AlarmKind {
        /// Case 76: peers agree that our clock is wrong.
        ClockUnsynchronised = "clock_unsynchronised",
        /// Case 78: trust metadata expires within 30, 7 or 1 days.
        DirectoryExpiring = "directory_expiring",
        /// Case 19: trust metadata has expired; nothing new is taken in.
        DirectoryExpired = "directory_expired",
        /// The last refresh of the directory failed.
        DirectoryRefreshFailed = "directory_refresh_failed",
        /// TRU-5.3: no refresh of the directory was completed for an hour.
        DirectoryStale = "directory_stale",
        /// Case 18: the repository offered something older than is known here.
        DirectoryRollback = "directory_rollback",
        /// Case 20: two directories of one version; both are kept.
        DirectoryEquivocation = "directory_equivocation",
        /// TRU-5.6: a peer offers a directory that does not verify.
        DirectoryPeerRefused = "directory_peer_refused",
        /// The directory does not list this node's own key (any more), or its authority.
        OwnKeyNotListed = "own_key_not_listed",
        /// The federation has suspended this node's authority.
        OwnAuthoritySuspended = "own_authority_suspended",
        /// Case 80: someone else holds this node's key.
        IdentityInUse = "identity_in_use",
        /// Case 40: no room; nothing new is taken in.
        DiskFull = "disk_full",
        /// Case 41: a stored record was damaged and put aside.
        RecordQuarantined = "record_quarantined",
        /// Case 43: the store was copied, moved or restored before this start.
        StoreCopied = "store_copied",
        /// EVD-3.1: the directory does not list the key of this node's log: nobody can check its evidence.
        LogKeyNotListed = "log_key_not_listed",
        /// EVD-3.4: a new log was begun, because the one before was not whole any more.
        EvidenceAnew = "evidence_anew",
        /// Events wait to be recorded: the disk of the log refuses.
        EvidenceBehind = "evidence_behind",
        /// R13: too few other nodes have cosigned this node's log lately.
        Unwitnessed = "unwitnessed",
        /// Case 20: a log has said two things; the proof is kept.
        SplitView = "split_view",
        /// No other node is connected by gossip.
        GossipAlone = "gossip_alone",
    }
}

impl Label for Code {
    const NAME: &'static str = "code";
    const ALL: &'static [Self] = Code::ALL;

    fn value(self) -> &'static str {
        self.name()
    }

    fn index(self) -> usize {
        // The registry is in the order of the numbers; a test of `protocol` sees to it.
        Code::ALL
            .binary_search(&self)
            .expect("every code is in ALL")
    }
}
