//! Pairwise keys and grants: MBX-3, MBX-4.

use std::collections::BTreeSet;

use bytes::Bytes;
use pli_protocol::account::{AccountSecrets, FIRST_EPOCH, SignedGrant};
use pli_protocol::crypto::contexts::GRANT;
use pli_protocol::envelope::Class;
use pli_protocol::id::{AuthorityId, Timestamp};
use pli_protocol::limits::{CLOCK_SKEW_MAX_MS, INTEGER_MAX};
use pli_protocol::{codec, wire};
use serde_json::json;

use super::annotate::Annotator;
use super::case::{Ask, File};
use super::enrol;
use super::samples::{MAILBOX, NOW_MS, bent, flipped, hex, other_key, read, sign};

pub(super) const AUTHORITY: &str = "interieur.gouv.fr";
pub(super) const HOME: &str = "social.gouv.fr";
const ROOT: [u8; 32] = [0x21; 32];
const EPOCH_SECRET: [u8; 32] = [0x22; 32];

pub(super) fn file(annotator: &Annotator) -> File {
    let mut file = File::new("accounts", "L1", "What an account derives and signs");
    grants(&mut file, annotator);
    keys(&mut file);
    enrol::invitations(&mut file, annotator);
    enrol::enrolments(&mut file, annotator);
    file
}

fn secrets() -> AccountSecrets {
    AccountSecrets::new(ROOT, EPOCH_SECRET)
}

pub(super) fn authority(name: &str) -> AuthorityId {
    name.parse().expect("an authority id")
}

fn keys(file: &mut File) {
    for (id, name) in [("keys", AUTHORITY), ("keys-other", "justice.gouv.fr")] {
        let identity = secrets().identity(&authority(name));
        let sealing = secrets()
            .sealing(&authority(name), FIRST_EPOCH)
            .expect("the first epoch");
        let ask = Ask {
            id,
            title: "HKDF gives each authority keys of its own",
            requirements: &["MBX-3.2", "MBX-3.3", "MBX-3.4"],
            op: "account.keys",
            input: json!({ "root": hex(ROOT), "epoch_secret": hex(EPOCH_SECRET), "authority": name }),
        };
        file.accepts(
            ask,
            json!({
                "identity_key": hex(identity.public().as_bytes()),
                "sealing_key": hex(sealing.public().to_bytes()),
            }),
        );
        // The key of one authority does not pass for the other's.
        let foreign = grant_by(&secrets().identity(&authority("sante.gouv.fr")), |g| {
            g.authority = name.into()
        });
        let bent = bent(&foreign, |s| {
            let mut grant: wire::Grant = read(&s.payload);
            grant.identity_key = Bytes::copy_from_slice(identity.public().as_bytes());
            s.payload = codec::encode(&grant);
        });
        let neighbour_id: &'static str = format!("{id}-foreign").leak();
        let ask = grant_ask(
            neighbour_id,
            "the key for another authority does not sign for this one",
            &["MBX-3.3", "MBX-4.1"],
            &bent,
            name,
        );
        file.refuses(ask, id, "UNKNOWN_KEY");
    }
}

fn sample_grant() -> wire::Grant {
    let mailbox = MAILBOX.parse().expect("a mailbox address");
    let accepts = BTreeSet::from([Class::Message, Class::Alert]);
    let now = Timestamp::from_ms(NOW_MS);
    let signed = SignedGrant::make(&secrets(), authority(AUTHORITY), mailbox, accepts, now);
    let signed: wire::Signed = read(signed.encoded());
    read(&signed.payload)
}

fn grant_by(
    identity: &pli_protocol::crypto::sign::SigningKey,
    bend: impl FnOnce(&mut wire::Grant),
) -> Bytes {
    let mut grant = sample_grant();
    grant.identity_key = Bytes::copy_from_slice(identity.public().as_bytes());
    bend(&mut grant);
    sign(GRANT, codec::encode(&grant), identity)
}

fn grant_ask(
    id: &'static str,
    title: &'static str,
    requirements: &'static [&'static str],
    signed: &Bytes,
    authority: &str,
) -> Ask {
    let input = json!({ "signed": hex(signed), "authority": authority, "now_ms": NOW_MS });
    Ask {
        id,
        title,
        requirements,
        op: "grant.check",
        input,
    }
}

fn grants(file: &mut File, annotator: &Annotator) {
    let identity = secrets().identity(&authority(AUTHORITY));
    let granted = grant_by(&identity, |_| {});
    let ok = json!({
        "identity_key": hex(identity.public().as_bytes()), "mailbox": MAILBOX, "epoch": 1,
        "issued_ms": NOW_MS, "accepts": ["message", "alert"],
    });
    file.accepts(
        grant_ask(
            "grant",
            "a grant by the pairwise key in it",
            &["MBX-4.1", "MBX-4.2"],
            &granted,
            AUTHORITY,
        ),
        ok,
    );
    file.annotate("signed", annotator.message("Signed", "Grant", &granted));
    for (id, title, requirements, bend, code) in GRANTS {
        let signed = grant_by(&identity, bend);
        file.refuses(
            grant_ask(id, title, requirements, &signed, AUTHORITY),
            "grant",
            code,
        );
        file.annotate("signed", annotator.message("Signed", "Grant", &signed));
    }
    file.refuses(
        grant_ask(
            "grant-elsewhere",
            "shown to another authority",
            &["MBX-4.2"],
            &granted,
            "justice.gouv.fr",
        ),
        "grant",
        "NOT_AUTHORITATIVE",
    );
    let garbled = bent(&granted, |s| {
        s.signatures[0].signature = flipped(&s.signatures[0].signature, 1)
    });
    file.refuses(
        grant_ask(
            "grant-garbled",
            "one bit of the signature is wrong",
            &["MBX-4.1"],
            &garbled,
            AUTHORITY,
        ),
        "grant",
        "BAD_SIGNATURE",
    );
    let foreign = sign(GRANT, codec::encode(&sample_grant()), &other_key());
    file.refuses(
        grant_ask(
            "grant-by-other",
            "signed by another key than the one in it",
            &["MBX-4.1"],
            &foreign,
            AUTHORITY,
        ),
        "grant",
        "UNKNOWN_KEY",
    );
}

type GrantBend = fn(&mut wire::Grant);

#[rustfmt::skip]
const GRANTS: &[(&str, &str, &[&str], GrantBend, &str)] = &[
    ("grant-version", "a version of the future", &["MBX-4.1"], |g| g.version = 2, "UNSUPPORTED_VERSION"),
    ("grant-no-mailbox", "no mailbox", &["MBX-4.1"], |g| g.mailbox = None, "FIELD_MISSING"),
    ("grant-no-sealing", "no sealing key", &["MBX-4.1"], |g| g.sealing_key = None, "FIELD_MISSING"),
    ("grant-epoch-0", "epoch 0", &["MBX-3.2", "MBX-4.1"], |g| sealing(g).epoch = 0, "FIELD_MISSING"),
    ("grant-suite", "an unknown suite", &["MBX-4.1"], |g| sealing(g).suite = 7, "UNKNOWN_SUITE"),
    ("grant-sealing-short", "a sealing key of 1,215 bytes", &["ENV-6.4", "MBX-4.1"], |g| sealing(g).public_key.truncate(1215), "FIELD_INVALID"),
    ("grant-authority", "an authority outside of the grammar", &["ENV-2.1", "MBX-4.1"], |g| g.authority = "Interieur".into(), "FIELD_INVALID"),
    ("grant-no-time", "no time", &["MBX-4.1"], |g| g.issued_ms = 0, "FIELD_MISSING"),
    ("grant-time-2-53", "a time at 2^53", &["MBX-4.1"], |g| g.issued_ms = INTEGER_MAX + 1, "FIELD_INVALID"),
    ("grant-future", "made more than five minutes ahead", &["MBX-4.1"], |g| g.issued_ms = NOW_MS + CLOCK_SKEW_MAX_MS + 1, "NOT_YET_VALID"),
    ("grant-no-class", "accepts nothing", &["MBX-4.1"], |g| g.accepts.clear(), "FIELD_MISSING"),
    ("grant-class-order", "classes descending", &["MBX-4.1"], |g| g.accepts.reverse(), "NOT_CANONICAL"),
    ("grant-class-twice", "a class twice", &["MBX-4.1"], |g| g.accepts = vec![1, 1], "NOT_CANONICAL"),
    ("grant-class-unknown", "an unknown class", &["MBX-4.1"], |g| g.accepts = vec![1, 9], "FIELD_INVALID"),
    ("grant-class-many", "more classes than there are", &["MBX-4.1"], |g| g.accepts = vec![1, 2, 3, 4, 5], "TOO_MANY"),
    ("grant-critical", "an unknown critical extension", &["SIG-6.2"], |g| g.extensions = vec![wire::Extension { id: 1, critical: true, value: Bytes::new() }], "UNKNOWN_CRITICAL_EXTENSION"),
];

fn sealing(grant: &mut wire::Grant) -> &mut wire::SealingKey {
    grant.sealing_key.as_mut().expect("the sample has one")
}
