//! Every bound of the protocol and of the node, by name.
//!
//! In: nothing. Out: constants, and [`ALL`] for the comparison with `spec/registry/limits.toml` (`tests/registry.rs`).
//! A peer-driven queue, map, string or loop takes its bound from here, and a test shows limit + 1 (SES-8.2).

use crate::code::Code;

/// One row of the registry.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// `FRAME_MAX`
    pub name: &'static str,
    /// In the registry's unit.
    pub value: u64,
    /// What refuses more than that; `None` where the limit only shapes behaviour.
    pub beyond: Option<Code>,
}

macro_rules! limits {
    ($($(#[doc = $doc:literal])+ $name:ident: $type:ty = $value:literal, $beyond:expr;)+) => {
        $($(#[doc = $doc])+ pub const $name: $type = $value;)+

        /// Every limit, in the order of the registry.
        pub const ALL: &[Limit] = &[$(Limit { name: stringify!($name), value: $name as u64, beyond: $beyond },)+];
    };
}

limits! {
    // Wire.
    /// Body of one frame.
    FRAME_MAX: usize = 65_536, Some(Code::FrameTooLarge);
    /// Length prefix of a frame: u32, big-endian.
    FRAME_PREFIX_LEN: usize = 4, Some(Code::Truncated);
    /// Nested messages in one protobuf.
    NESTING_MAX: usize = 100, Some(Code::Decode);
    /// Times and sequence numbers: 2^53 - 1, so that every language holds them exactly.
    INTEGER_MAX: u64 = 9_007_199_254_740_991, Some(Code::FieldInvalid);
    /// Extensions of one object.
    EXTENSIONS_MAX: usize = 8, Some(Code::TooMany);
    /// Value of one extension.
    EXTENSION_VALUE_MAX: usize = 256, Some(Code::TooLong);
    /// Refusal.detail.
    DETAIL_MAX: usize = 512, Some(Code::TooLong);
    // Identifiers.
    /// Authority id.
    DOMAIN_MAX: usize = 253, Some(Code::FieldInvalid);
    /// One label of an authority id.
    DOMAIN_LABEL_MAX: usize = 63, Some(Code::FieldInvalid);
    /// Fewest labels of an authority id.
    DOMAIN_LABELS_MIN: usize = 2, Some(Code::FieldInvalid);
    /// The part of a service id before the @.
    SERVICE_NAME_MAX: usize = 63, Some(Code::FieldInvalid);
    /// Exact length of a mailbox.
    MAILBOX_LEN: usize = 16, Some(Code::FieldInvalid);
    /// Exact length of a supersedes key that is present.
    SUPERSEDES_LEN: usize = 16, Some(Code::FieldInvalid);
    /// Exact length of an account id.
    ACCOUNT_ID_LEN: usize = 32, Some(Code::FieldInvalid);
    /// Exact length of an invitation id.
    INVITATION_ID_LEN: usize = 16, Some(Code::FieldInvalid);
    /// Exact length of a SHA-256: leaf, root, key id, envelope id.
    HASH_LEN: usize = 32, Some(Code::FieldInvalid);
    // Signed.
    /// Leaves of one signed Merkle tree.
    TREE_LEAVES_MAX: usize = 4_096, Some(Code::BadInclusion);
    /// Hashes of one inclusion path: log2 of TREE_LEAVES_MAX.
    INCLUSION_PATH_MAX: usize = 12, Some(Code::BadInclusion);
    /// Signatures of one Signed.
    SIGNATURES_MAX: usize = 8, Some(Code::TooMany);
    /// Exact length of an Ed25519 signature.
    SIGNATURE_LEN: usize = 64, Some(Code::FieldInvalid);
    /// Exact length of a raw Ed25519 public key.
    PUBLIC_KEY_LEN: usize = 32, Some(Code::FieldInvalid);
    /// Any Signed that is neither an envelope nor a receipt.
    SIGNED_OBJECT_MAX: usize = 8_192, Some(Code::TooLong);
    /// A Signed receipt with one signature.
    RECEIPT_MAX: usize = 896, Some(Code::TooLong);
    // Envelope.
    /// The exact bytes of a signed envelope. Holds the largest header, body, path and SIGNATURES_MAX signatures.
    ENVELOPE_MAX: usize = 40_960, Some(Code::EnvelopeTooLarge);
    /// Header bytes. Holds the longest identifiers and EXTENSIONS_MAX full extensions.
    HEADER_MAX: usize = 3_072, Some(Code::TooLong);
    /// Smallest padded plaintext.
    PLAINTEXT_MIN: usize = 256, Some(Code::BadPadding);
    /// Largest padded plaintext; the content has one byte less.
    PLAINTEXT_MAX: usize = 32_768, Some(Code::TooLong);
    /// Encoded Content before padding.
    CONTENT_MAX: usize = 32_767, Some(Code::TooLong);
    /// expires_ms - created_ms: 400 days.
    ENVELOPE_LIFETIME_MAX_MS: u64 = 34_560_000_000, Some(Code::LifetimeTooLong);
    /// How far in the future a time may be.
    CLOCK_SKEW_MAX_MS: u64 = 300_000, Some(Code::NotYetValid);
    // Content.
    /// Languages of one text.
    TRANSLATIONS_MAX: usize = 16, Some(Code::TooMany);
    /// A BCP 47 tag.
    LANGUAGE_TAG_MAX: usize = 35, Some(Code::FieldInvalid);
    /// A title, a subheading, a label or a place in one language.
    TITLE_MAX: usize = 512, Some(Code::TooLong);
    /// A body or a private body in one language.
    BODY_MAX: usize = 16_384, Some(Code::TooLong);
    /// A partner, type, id, channel, icon or legal basis.
    REFERENCE_MAX: usize = 256, Some(Code::TooLong);
    /// A link.
    LINK_URL_MAX: usize = 2_048, Some(Code::TooLong);
    /// A document file name.
    FILE_NAME_MAX: usize = 255, Some(Code::TooLong);
    /// A document media type.
    MEDIA_TYPE_MAX: usize = 127, Some(Code::TooLong);
    /// Chunks of one document.
    CHUNKS_MAX: usize = 512, Some(Code::TooMany);
    /// Plain length of a document chunk; the last may be shorter.
    CHUNK_LEN: usize = 262_144, Some(Code::FieldInvalid);
    /// Exact length of a document key.
    CONTENT_KEY_LEN: usize = 32, Some(Code::FieldInvalid);
    /// Choices of one question.
    CHOICES_MAX: usize = 16, Some(Code::TooMany);
    // Session.
    /// Versions offered by a dialler.
    VERSIONS_MAX: usize = 16, Some(Code::TooMany);
    /// Exact length of the server nonce.
    NONCE_LEN: usize = 32, Some(Code::FieldInvalid);
    /// From the connection to the SessionReply, each side for itself.
    HANDSHAKE_TIMEOUT_MS: u64 = 10_000, Some(Code::HandshakeTimeout);
    /// A device that belongs to no account by then loses its connection.
    ENROL_TIMEOUT_MS: u64 = 10_000, Some(Code::UnknownDevice);
    /// Head start of QUIC: after that a dialler begins with the WebSocket too.
    FALLBACK_AFTER_MS: u64 = 1_000, None;
    /// Between two addresses of one kind (RFC 8305, section 5).
    NEXT_ADDRESS_AFTER_MS: u64 = 250, None;
    /// Nothing received on a connection.
    IDLE_TIMEOUT_MS: u64 = 60_000, Some(Code::IdleTimeout);
    /// A dialler that wants to stay sends something at least this often.
    KEEP_ALIVE_MS: u64 = 20_000, Some(Code::IdleTimeout);
    /// From the opening of a stream to its whole Call frame.
    CALL_TIMEOUT_MS: u64 = 10_000, Some(Code::TooSlow);
    /// From the first byte of a frame to its last, and for a peer to take a frame.
    FRAME_TIMEOUT_MS: u64 = 30_000, Some(Code::TooSlow);
    /// How long a dialler waits for an answer to a call of one answer.
    REPLY_TIMEOUT_MS: u64 = 30_000, Some(Code::TooSlow);
    /// Flow-control window of one stream.
    STREAM_WINDOW_MAX: u64 = 4_194_304, Some(Code::TooSlow);
    /// Flow-control window of one connection, received and sent each.
    CONNECTION_WINDOW_MAX: u64 = 16_777_216, Some(Code::TooSlow);
    /// Calls at once on a connection of a node.
    CALLS_NODE_MAX: u32 = 64, Some(Code::TooManyCalls);
    /// Calls at once on a connection of a service.
    CALLS_SERVICE_MAX: u32 = 32, Some(Code::TooManyCalls);
    /// Calls at once on a connection of a gateway.
    CALLS_GATEWAY_MAX: u32 = 32, Some(Code::TooManyCalls);
    /// Calls at once on a connection of a device.
    CALLS_DEVICE_MAX: u32 = 8, Some(Code::TooManyCalls);
    /// Connections of one node in total.
    CONNECTIONS_MAX: usize = 20_000, Some(Code::TooManyConnections);
    /// Connections from one IP address (IPv6: one /64).
    CONNECTIONS_PER_ADDRESS_MAX: usize = 1_024, Some(Code::TooManyConnections);
    /// Connections authenticated with one key.
    CONNECTIONS_PER_KEY_MAX: usize = 16, Some(Code::TooManyConnections);
    /// Connections of devices; the other places are kept for nodes, services and gateways.
    CONNECTIONS_DEVICE_MAX: usize = 16_000, Some(Code::TooManyConnections);
    /// Connections of devices from one IP address (IPv6: one /64).
    CONNECTIONS_DEVICE_PER_ADDRESS_MAX: usize = 512, Some(Code::TooManyConnections);
    /// Connections of devices that belong to no account.
    CONNECTIONS_UNENROLLED_MAX: usize = 1_024, Some(Code::TooManyConnections);
    /// Connections of QUIC, and as many of TCP, whose handshake is not finished.
    HANDSHAKES_MAX: usize = 1_024, Some(Code::TooManyConnections);
    /// Of these, from one IP address (IPv6: one /64).
    HANDSHAKES_PER_ADDRESS_MAX: usize = 64, Some(Code::TooManyConnections);
    /// Unfinished handshakes of QUIC from which the server demands a Retry.
    RETRY_HANDSHAKES_MIN: usize = 128, None;
    /// Malformed or falsely signed envelopes on one connection before it is cut.
    BAD_ENVELOPES_MAX: u32 = 64, Some(Code::PeerCut);
    // Custody.
    /// Envelopes of one EnvelopeBatch.
    BATCH_ENVELOPES_MAX: usize = 64, Some(Code::TooMany);
    /// Unacknowledged batches of one stream.
    BATCHES_IN_FLIGHT_MAX: u32 = 64, Some(Code::TooManyInFlight);
    /// Dispositions of one AckBatch: BATCH_ENVELOPES_MAX times BATCHES_IN_FLIGHT_MAX, one tree.
    ACK_DISPOSITIONS_MAX: usize = 4_096, Some(Code::TooMany);
    /// Ids of one Track; a full answer fits a frame.
    TRACK_IDS_MAX: usize = 16, Some(Code::TooMany);
    /// Receipts kept and shown of one envelope.
    RECEIPTS_PER_ENVELOPE_MAX: usize = 4, Some(Code::TooMany);
    /// Receipts of one Report.
    REPORT_RECEIPTS_MAX: usize = 64, Some(Code::TooMany);
    /// First delay before a destination is tried again; doubles, with jitter.
    RETRY_BASE_MS: u64 = 500, None;
    /// Longest delay before a destination is tried again: 15 minutes.
    RETRY_MAX_MS: u64 = 900_000, None;
    /// Failures of one envelope, without an answer, before it is set aside.
    POISON_TRIES_MAX: u32 = 8, Some(Code::SetAside);
    /// Envelopes waiting for one destination.
    QUEUE_ENVELOPES_MAX: u64 = 1_000_000, Some(Code::Overloaded);
    /// Bytes waiting for one destination.
    QUEUE_BYTES_MAX: u64 = 4_294_967_296, Some(Code::Overloaded);
    /// Envelopes of one group commit.
    GROUP_ENVELOPES_MAX: usize = 4_096, None;
    /// Bytes of one group commit.
    GROUP_BYTES_MAX: usize = 16_777_216, None;
    /// Envelopes between ingress and store, over all connections.
    PIPELINE_ENVELOPES_MAX: usize = 16_384, Some(Code::Overloaded);
    /// Verified tree roots that a node remembers.
    VERIFIED_ROOTS_MAX: usize = 16_384, None;
    /// Free bytes below which a node accepts nothing, and a device fetches nothing.
    DISK_FREE_MIN: u64 = 268_435_456, Some(Code::Overloaded);
    // Quotas: what a node applies when neither the directory nor its configuration says otherwise.
    /// Envelopes accepted from one service in 24 hours.
    QUOTA_SENDER_ENVELOPES_PER_DAY: u64 = 10_000_000, Some(Code::QuotaExceeded);
    /// Envelopes accepted for one mailbox in 24 hours.
    QUOTA_SENDER_MAILBOX_PER_DAY: u64 = 256, Some(Code::QuotaExceeded);
    /// Envelopes held for one mailbox.
    QUOTA_MAILBOX_ENVELOPES: u64 = 8_192, Some(Code::MailboxFull);
    /// Bytes held for one mailbox.
    QUOTA_MAILBOX_BYTES: u64 = 67_108_864, Some(Code::MailboxFull);
    /// Bytes that one account may read by Sync in an hour.
    QUOTA_SYNC_BYTES_PER_HOUR: u64 = 1_073_741_824, Some(Code::QuotaExceeded);
    // Mailbox and account.
    /// Items of one SyncPage.
    SYNC_ITEMS_MAX: usize = 256, Some(Code::TooMany);
    /// Encoded items of one SyncPage.
    SYNC_PAGE_BYTES_MAX: usize = 61_440, Some(Code::TooLong);
    /// Items that a device takes in one run of Sync.
    SYNC_RUN_ITEMS_MAX: usize = 65_536, None;
    /// What a device writes to its disk in one run of Sync.
    SYNC_RUN_BYTES_MAX: u64 = 67_108_864, None;
    /// How long one run of Sync lasts; with follow the next run begins then.
    SYNC_RUN_MAX_MS: u64 = 600_000, None;
    /// Ids of one Handover.
    HANDOVER_IDS_MAX: usize = 1_024, Some(Code::TooMany);
    /// How long an invitation may last: 30 days.
    INVITATION_LIFETIME_MAX_MS: u64 = 2_592_000_000, Some(Code::LifetimeTooLong);
    /// Devices of one account.
    DEVICES_PER_ACCOUNT_MAX: usize = 16, Some(Code::TooMany);
    /// Mailboxes of one account.
    MAILBOXES_PER_ACCOUNT_MAX: usize = 512, Some(Code::TooMany);
    /// Classes that one grant accepts.
    GRANT_CLASSES_MAX: usize = 4, Some(Code::TooMany);
    // Trust directory.
    /// root.json.
    TRUST_ROOT_MAX: u64 = 1_048_576, Some(Code::DirectoryInvalid);
    /// targets.json, or one delegated role.
    TRUST_TARGETS_MAX: u64 = 10_485_760, Some(Code::DirectoryInvalid);
    /// snapshot.json.
    TRUST_SNAPSHOT_MAX: u64 = 4_194_304, Some(Code::DirectoryInvalid);
    /// timestamp.json.
    TRUST_TIMESTAMP_MAX: u64 = 16_384, Some(Code::DirectoryInvalid);
    /// Root rotations followed in one refresh.
    TRUST_ROOT_UPDATES_MAX: u64 = 1_024, Some(Code::DirectoryInvalid);
    /// One target file: authority, node or service.
    TRUST_FILE_MAX: u64 = 65_536, Some(Code::DirectoryInvalid);
    /// Authorities of one federation.
    AUTHORITIES_MAX: usize = 4_096, Some(Code::DirectoryInvalid);
    /// Services of one authority.
    SERVICES_PER_AUTHORITY_MAX: usize = 1_024, Some(Code::DirectoryInvalid);
    /// Keys of one service or node.
    KEYS_PER_HOLDER_MAX: usize = 16, Some(Code::DirectoryInvalid);
    /// Endpoints of one node.
    ENDPOINTS_MAX: usize = 8, Some(Code::DirectoryInvalid);
    /// Hosts that one service may link to.
    LINK_HOSTS_MAX: usize = 64, Some(Code::DirectoryInvalid);
    /// Display name of a service in one language.
    DISPLAY_NAME_MAX: usize = 128, Some(Code::DirectoryInvalid);
    /// Alerts that one authority may raise.
    ALERTS_MAX: usize = 64, Some(Code::DirectoryInvalid);
    /// Authorities that must sign one alert too.
    COSIGNERS_MAX: usize = 8, Some(Code::DirectoryInvalid);
    /// Legal bases that one authority may cite.
    LEGAL_BASES_MAX: usize = 64, Some(Code::DirectoryInvalid);
    /// All files of one refresh together.
    TRUST_REFRESH_MAX: u64 = 268_435_456, Some(Code::DirectoryInvalid);
    /// Files of one refresh.
    TRUST_FILES_MAX: usize = 65_536, Some(Code::DirectoryInvalid);
    /// One file must have come whole by then.
    TRUST_FETCH_TIMEOUT_MS: u64 = 30_000, None;
    /// All sources of a directory have been asked, and one was read, by then.
    TRUST_REFRESH_TIMEOUT_MS: u64 = 300_000, None;
    /// A peer that is asked for its directory has given it by then.
    TRUST_PEER_TIMEOUT_MS: u64 = 60_000, None;
    /// Bytes of a file of the directory in one frame.
    TRUST_PIECE_MAX: usize = 61_440, Some(Code::FieldInvalid);
    /// No refresh of the directory was completed for so long: an alarm.
    TRUST_REFRESH_ALARM_MS: u64 = 3_600_000, None;
    /// First alarm before a directory expiry: 30 days. Then 7 days and 1 day.
    DIRECTORY_ALARM_FIRST_MS: u64 = 2_592_000_000, None;
    /// Second alarm: 7 days.
    DIRECTORY_ALARM_SECOND_MS: u64 = 604_800_000, None;
    /// Last alarm: 1 day.
    DIRECTORY_ALARM_LAST_MS: u64 = 86_400_000, None;

    // Evidence.
    /// An encoded event.
    EVENT_MAX: usize = 512, Some(Code::TooLong);
    /// Events of one envelope that one node is asked for at once.
    EVENTS_PER_ENVELOPE_MAX: usize = 8, Some(Code::TooMany);
    /// An evidence bundle.
    BUNDLE_MAX: usize = 16_777_216, Some(Code::TooLong);
    /// Receipts, proofs or checkpoints of one bundle, each.
    BUNDLE_PARTS_MAX: usize = 32, Some(Code::TooMany);
    /// A batch of events is closed after so long at the latest, or with TREE_LEAVES_MAX events.
    EVENT_BATCH_MS: u64 = 1_000, None;
    /// A signed note, its signatures included.
    NOTE_MAX: usize = 12_288, Some(Code::TooLong);
    /// Signatures of one note.
    NOTE_SIGNATURES_MAX: usize = 64, Some(Code::TooMany);
    /// Hashes of a path in a log's tree.
    LOG_PATH_MAX: usize = 64, Some(Code::BadInclusion);
    /// Witnesses that a federation may demand.
    WITNESSES_MAX: usize = 16, Some(Code::DirectoryInvalid);
    /// Without a cosignature of enough witnesses that is younger, nothing new is accepted: 4 hours.
    WITNESS_FRESH_MS: u64 = 14_400_000, Some(Code::Unwitnessed);
    /// Without one that is younger: an alarm.
    WITNESS_ALARM_MS: u64 = 3_600_000, None;
    /// The newest checkpoint is cosigned again at least so often, whether it grew or not.
    WITNESS_EVERY_MS: u64 = 600_000, None;
    /// Hashes of the consistency proof in a request to cosign (C2SP tlog-witness).
    WITNESS_PROOF_MAX: usize = 63, None;
    /// The body of a request to cosign.
    WITNESS_REQUEST_MAX: usize = 20_480, None;
    /// The answer of a witness that is read.
    WITNESS_ANSWER_MAX: usize = 16_384, None;
    /// A witness answers within, or is asked again later.
    WITNESS_TIMEOUT_MS: u64 = 5_000, None;
    /// Logs of one authority that a witness remembers: the newest.
    ORIGINS_PER_AUTHORITY_MAX: usize = 16, None;
    /// Two checkpoints that convict a log.
    SPLIT_VIEW_MAX: usize = 4_096, Some(Code::TooLong);
    /// Convictions that a node keeps; more of them prove nothing more.
    SPLIT_VIEWS_MAX: usize = 1_024, None;
    /// Checkpoints of one authority's logs that a node compares others with: the newest that it saw.
    HEADS_REMEMBERED_MAX: usize = 64, None;

    // Gossip.
    /// A message of gossip; each topic allows less.
    GOSSIP_MESSAGE_MAX: usize = 16_384, Some(Code::TooLong);
    /// Connections of gossip.
    GOSSIP_CONNECTIONS_MAX: u32 = 256, None;
    /// Messages that a peer may bring in at once, of one topic.
    GOSSIP_MESSAGES_BURST: u64 = 8_192, None;
    /// And as many a second after it.
    GOSSIP_MESSAGES_PER_SECOND: u64 = 512, None;
    /// Bytes that a peer may bring in at once, whatever they are.
    GOSSIP_BYTES_BURST: u64 = 67_108_864, None;
    /// And as many a second after it.
    GOSSIP_BYTES_PER_SECOND: u64 = 524_288, None;
    /// A peer that did wrong is left alone for so long: 5 minutes.
    GOSSIP_BAN_MS: u64 = 300_000, None;
    /// A message that comes again within this is known: 10 minutes.
    GOSSIP_REMEMBERED_MS: u64 = 600_000, None;
    /// A message is judged within, or goes no further.
    GOSSIP_JUDGED_MS: u64 = 15_000, None;
    /// Messages that are judged at a time; others are not heard.
    GOSSIP_JUDGING_MAX: usize = 256, None;
    /// Last words in one answer.
    GOSSIP_LAST_MAX: usize = 8_192, None;
    /// A node says its newest checkpoint no more often.
    GOSSIP_CHECKPOINT_EVERY_MS: u64 = 10_000, None;
}

// What the numbers promise each other. A change that breaks one does not compile.
const _: () = {
    assert!(1 << INCLUSION_PATH_MAX == TREE_LEAVES_MAX);
    assert!(BATCH_ENVELOPES_MAX * BATCHES_IN_FLIGHT_MAX as usize == ACK_DISPOSITIONS_MAX);
    assert!(ACK_DISPOSITIONS_MAX <= TREE_LEAVES_MAX && HANDOVER_IDS_MAX <= TREE_LEAVES_MAX);
    assert!(CONTENT_MAX + 1 == PLAINTEXT_MAX);
    // One envelope and its SyncItem or EnvelopeBatch always fit a frame.
    assert!(ENVELOPE_MAX + 256 <= SYNC_PAGE_BYTES_MAX && SYNC_PAGE_BYTES_MAX + 64 <= FRAME_MAX);
    // Header, largest body, path and signatures with their tags fit an envelope.
    assert!(
        HEADER_MAX
            + PLAINTEXT_MAX
            + 16
            + 1_120
            + INCLUSION_PATH_MAX * 34
            + SIGNATURES_MAX * 104
            + 128
            <= ENVELOPE_MAX
    );
    assert!(TRACK_IDS_MAX * (RECEIPTS_PER_ENVELOPE_MAX * (RECEIPT_MAX + 3) + 64) <= FRAME_MAX);
    assert!(REPORT_RECEIPTS_MAX * (RECEIPT_MAX + 3) <= FRAME_MAX);
    assert!(HANDOVER_IDS_MAX * (HASH_LEN + 2) + 256 <= FRAME_MAX);
    assert!(RETRY_BASE_MS < RETRY_MAX_MS && KEEP_ALIVE_MS * 2 < IDLE_TIMEOUT_MS);
};
