//! The messages of pli.v1 as tables, typed by hand from `spec/proto/pli/v1`. Fields ascend by number.

/// What a field holds.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    U32,
    U64,
    Bool,
    Enum,
    Bytes,
    Text,
    Message(&'static Schema),
}

/// How often a field may stand in a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Shape {
    /// Absent when it has its default value.
    Single,
    /// Numbers are packed in one field; everything else repeats the field.
    Many,
    /// At most one of the message's `OneOf` fields; written even with its default value.
    OneOf,
}

#[derive(Debug)]
pub struct Field {
    pub number: u32,
    pub name: &'static str,
    pub kind: Kind,
    pub shape: Shape,
}

#[derive(Debug)]
pub struct Schema {
    pub name: &'static str,
    pub fields: &'static [Field],
}

impl Schema {
    pub fn by_number(&self, number: u32) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.number == number)
    }

    /// The field that the suite itself names.
    pub fn by_name(&self, name: &str) -> &'static Field {
        self.fields
            .iter()
            .find(|field| field.name == name)
            .unwrap_or_else(|| panic!("the suite names a field that {} lacks: {name}", self.name))
    }
}

use Kind::{Bool, Bytes, Enum, Text as Str, U32, U64};
use Shape::{Many, OneOf, Single};

const fn f(number: u32, name: &'static str, kind: Kind, shape: Shape) -> Field {
    Field {
        number,
        name,
        kind,
        shape,
    }
}

macro_rules! messages {
    ($($constant:ident $name:literal { $($number:literal $field:ident : $kind:expr, $shape:expr;)* })*) => {
        $(
            pub static $constant: Schema = Schema {
                name: $name,
                fields: &[$(f($number, stringify!($field), $kind, $shape)),*],
            };
        )*
        /// Every message, for a lookup by name.
        pub static ALL: &[&Schema] = &[$(&$constant),*];
    };
}

const fn m(schema: &'static Schema) -> Kind {
    Kind::Message(schema)
}

messages! {
    SIGNED "Signed" {
        1 payload: Bytes, Single;
        2 inclusion: m(&INCLUSION), Single;
        3 signatures: m(&SIGNATURE), Many;
    }
    INCLUSION "Inclusion" {
        1 index: U32, Single;
        2 tree_size: U32, Single;
        3 path: Bytes, Many;
    }
    SIGNATURE "Signature" {
        1 key_id: Bytes, Single;
        2 signature: Bytes, Single;
    }
    EXTENSION "Extension" {
        1 id: U32, Single;
        2 critical: Bool, Single;
        3 value: Bytes, Single;
    }
    ENVELOPE "Envelope" {
        1 header: Bytes, Single;
        2 body: m(&SEALED), Single;
    }
    HEADER "Header" {
        1 version: U32, Single;
        2 service: Str, OneOf;
        3 reply_mailbox: m(&MAILBOX_ADDRESS), OneOf;
        4 recipient: m(&MAILBOX_ADDRESS), Single;
        5 created_ms: U64, Single;
        6 expires_ms: U64, Single;
        7 class: Enum, Single;
        8 urgency: Enum, Single;
        9 importance: Enum, Single;
        10 supersedes: Bytes, Single;
        11 extensions: m(&EXTENSION), Many;
    }
    MAILBOX_ADDRESS "MailboxAddress" {
        1 mailbox: Bytes, Single;
        2 home: Str, Single;
    }
    SEALED "Sealed" {
        1 suite: U32, Single;
        2 epoch: U32, Single;
        3 encapsulated_key: Bytes, Single;
        4 ciphertext: Bytes, Single;
    }
    GRANT "Grant" {
        1 version: U32, Single;
        2 identity_key: Bytes, Single;
        3 authority: Str, Single;
        4 mailbox: m(&MAILBOX_ADDRESS), Single;
        5 sealing_key: m(&SEALING_KEY), Single;
        6 issued_ms: U64, Single;
        7 accepts: Enum, Many;
        15 extensions: m(&EXTENSION), Many;
    }
    SEALING_KEY "SealingKey" {
        1 suite: U32, Single;
        2 epoch: U32, Single;
        3 public_key: Bytes, Single;
    }
    INVITATION "Invitation" {
        1 version: U32, Single;
        2 id: Bytes, Single;
        3 home: Str, Single;
        4 expires_ms: U64, Single;
    }
    ENROLMENT "Enrolment" {
        1 version: U32, Single;
        2 invitation_id: Bytes, Single;
        3 home: Str, Single;
        4 device_key: Bytes, Single;
        5 at_ms: U64, Single;
    }
    DIALLER_HELLO "DiallerHello" {
        1 versions: U32, Many;
    }
    SERVER_HELLO "ServerHello" {
        1 version: U32, Single;
        2 nonce: Bytes, Single;
        3 server_key: Bytes, Single;
        4 authority: Str, Single;
    }
    SESSION_PROOF "SessionProof" {
        1 version: U32, Single;
        2 offered_versions: U32, Many;
        3 nonce: Bytes, Single;
        4 server_key: Bytes, Single;
        5 role: Enum, Single;
        6 own_key: Bytes, Single;
        7 name: Str, Single;
    }
    SESSION_REPLY "SessionReply" {
        1 welcome: m(&WELCOME), OneOf;
        2 refusal: m(&REFUSAL), OneOf;
    }
    WELCOME "Welcome" {
        1 server_time_ms: U64, Single;
        2 max_batches_in_flight: U32, Single;
    }
    REFUSAL "Refusal" {
        1 code: U32, Single;
        2 detail: Str, Single;
        3 retry_after_ms: U64, Single;
    }
    CALL "Call" {
        1 submit: m(&SUBMIT), OneOf;
        2 forward: m(&FORWARD), OneOf;
        3 track: m(&TRACK), OneOf;
        4 sync: m(&SYNC), OneOf;
        5 handover: m(&HANDOVER), OneOf;
        6 enrol: m(&ENROL), OneOf;
        7 publish_grant: m(&PUBLISH_GRANT), OneOf;
        8 report: m(&REPORT), OneOf;
        10 evidence: m(&EVIDENCE), OneOf;
    }
    SUBMIT "Submit" {}
    FORWARD "Forward" {}
    ENVELOPE_BATCH "EnvelopeBatch" {
        1 seq: U64, Single;
        2 envelopes: Bytes, Many;
    }
    CALL_REPLY "CallReply" {
        1 refusal: m(&REFUSAL), OneOf;
        2 ack: m(&ACK_BATCH), OneOf;
        3 track: m(&TRACK_REPLY), OneOf;
        4 page: m(&SYNC_PAGE), OneOf;
        5 enrolled: m(&ENROLLED), OneOf;
        6 done: m(&DONE), OneOf;
        8 evidence: m(&EVIDENCE_REPLY), OneOf;
    }
    DONE "Done" {}
    RECEIPT "Receipt" {
        1 version: U32, Single;
        2 step: Enum, Single;
        3 node: Str, Single;
        4 envelope_id: Bytes, Single;
        5 at_ms: U64, Single;
        6 code: U32, Single;
    }
    ACK_BATCH "AckBatch" {
        1 first_seq: U64, Single;
        2 last_seq: U64, Single;
        3 at_ms: U64, Single;
        4 dispositions: m(&DISPOSITION), Many;
        5 signature: m(&SIGNATURE), Single;
    }
    DISPOSITION "Disposition" {
        1 outcome: Enum, Single;
        2 code: U32, Single;
        3 first_at_ms: U64, Single;
    }
    TRACK "Track" {
        1 envelope_ids: Bytes, Many;
    }
    TRACK_REPLY "TrackReply" {
        1 envelopes: m(&CUSTODY), Many;
    }
    CUSTODY "Custody" {
        1 envelope_id: Bytes, Single;
        2 step: Enum, Single;
        3 receipts: Bytes, Many;
    }
    REPORT "Report" {
        1 receipts: Bytes, Many;
    }
    EVENT "Event" {
        1 version: U32, Single;
        2 kind: Enum, Single;
        3 node: Str, Single;
        4 envelope_id: Bytes, Single;
        5 at_ms: U64, Single;
        6 code: U32, Single;
    }
    EVENT_PROOF "EventProof" {
        1 event: Bytes, Single;
        2 in_batch: m(&INCLUSION), Single;
        3 batch_at_ms: U64, Single;
        4 index: U64, Single;
        5 path: Bytes, Many;
        6 checkpoint: U32, Single;
    }
    EVIDENCE "Evidence" {
        1 envelope_id: Bytes, Single;
        2 events: Bytes, Many;
    }
    EVIDENCE_REPLY "EvidenceReply" {
        1 proofs: m(&EVENT_PROOF), Many;
        2 pending: U32, Single;
        3 home_code: U32, Single;
        4 checkpoints: Str, Many;
    }
    BUNDLE "Bundle" {
        1 version: U32, Single;
        2 envelope: Bytes, Single;
        3 envelope_id: Bytes, Single;
        4 receipts: Bytes, Many;
        5 proofs: m(&EVENT_PROOF), Many;
        6 checkpoints: Str, Many;
        7 directory: m(&DIRECTORY_FILE), Many;
        15 digest: Bytes, Single;
    }
    DIRECTORY_FILE "DirectoryFile" {
        1 name: Str, Single;
        2 content: Bytes, Single;
    }
    SYNC "Sync" {
        1 after_seq: U64, Single;
        2 follow: Bool, Single;
    }
    SYNC_PAGE "SyncPage" {
        1 items: m(&SYNC_ITEM), Many;
        2 latest_seq: U64, Single;
    }
    SYNC_ITEM "SyncItem" {
        1 seq: U64, Single;
        2 stored_ms: U64, Single;
        3 envelope: Bytes, Single;
        4 absence: Enum, Single;
        5 envelope_id: Bytes, Single;
    }
    HANDOVER "Handover" {
        1 envelope_ids: Bytes, Many;
        2 at_ms: U64, Single;
        3 signature: m(&SIGNATURE), Single;
    }
    HANDOVER_RECEIPT "HandoverReceipt" {
        1 version: U32, Single;
        2 envelope_id: Bytes, Single;
        3 at_ms: U64, Single;
    }
    ENROL "Enrol" {
        1 invitation: Bytes, Single;
        2 enrolment: Bytes, Single;
    }
    ENROLLED "Enrolled" {
        1 account_id: Bytes, Single;
    }
    PUBLISH_GRANT "PublishGrant" {
        1 grant: Bytes, Single;
    }
    CONTENT "Content" {
        1 version: U32, Single;
        2 notice: m(&NOTICE), OneOf;
        3 procedure: m(&PROCEDURE), OneOf;
        4 appointment: m(&APPOINTMENT), OneOf;
        5 document: m(&DOCUMENT), OneOf;
        6 consent_request: m(&CONSENT_REQUEST), OneOf;
        7 access_notice: m(&ACCESS_NOTICE), OneOf;
        8 question: m(&QUESTION), OneOf;
        15 extensions: m(&EXTENSION), Many;
    }
    TEXT "Text" {
        1 translations: m(&TRANSLATION), Many;
    }
    TRANSLATION "Translation" {
        1 language: Str, Single;
        2 text: Str, Single;
    }
    LINK "Link" {
        1 url: Str, Single;
        2 label: m(&TEXT), Single;
    }
    NOTICE "Notice" {
        1 title: m(&TEXT), Single;
        2 body: m(&TEXT), Single;
        3 private_body: m(&TEXT), Single;
        4 link: m(&LINK), Single;
        5 valid_until_ms: U64, Single;
        6 subheading: m(&TEXT), Single;
        7 icon: Str, Single;
    }
    PROCEDURE_REFERENCE "ProcedureReference" {
        1 partner: Str, Single;
        2 type: Str, Single;
        3 id: Str, Single;
    }
    PROCEDURE "Procedure" {
        1 type: Str, Single;
        2 id: Str, Single;
        3 status: Enum, Single;
        4 status_label: m(&TEXT), Single;
        5 event_ms: U64, Single;
        6 notice: m(&NOTICE), Single;
        7 parent: m(&PROCEDURE_REFERENCE), Single;
        8 milestone_start_ms: U64, Single;
        9 milestone_end_ms: U64, Single;
        10 channel: Str, Single;
    }
    APPOINTMENT "Appointment" {
        1 id: Str, Single;
        2 status: Enum, Single;
        3 starts_ms: U64, Single;
        4 ends_ms: U64, Single;
        5 place: m(&TEXT), Single;
        6 notice: m(&NOTICE), Single;
    }
    DOCUMENT "Document" {
        1 notice: m(&NOTICE), Single;
        2 file_name: Str, Single;
        3 media_type: Str, Single;
        4 size_bytes: U64, Single;
        5 chunks: Bytes, Many;
        6 content_key: Bytes, Single;
    }
    CONSENT_REQUEST "ConsentRequest" {
        1 request_id: Bytes, Single;
        2 requester: Str, Single;
        3 data: m(&TEXT), Single;
        4 purpose: m(&TEXT), Single;
        5 legal_basis: Str, Single;
        6 until_ms: U64, Single;
        7 notice: m(&NOTICE), Single;
    }
    ACCESS_NOTICE "AccessNotice" {
        1 accessor: Str, Single;
        2 data: m(&TEXT), Single;
        3 purpose: m(&TEXT), Single;
        4 legal_basis: Str, Single;
        5 accessed_ms: U64, Single;
        6 notice: m(&NOTICE), Single;
    }
    QUESTION "Question" {
        1 question_id: Bytes, Single;
        2 notice: m(&NOTICE), Single;
        3 choices: m(&TEXT), Many;
        4 free_answer: Bool, Single;
    }
}

/// The message of this name, with or without its package.
pub fn named(name: &str) -> Option<&'static Schema> {
    let bare = name.rsplit('.').next().unwrap_or(name);
    ALL.iter().copied().find(|schema| schema.name == bare)
}

#[cfg(test)]
#[path = "schema_tests.rs"]
mod tests;
