//! Signed objects. A type is known by its payload's grammar; of the types that sign themselves the
//! signature, which names its context, confirms it.

use bytes::Bytes;
use pli_protocol::account::{Invitation, SignedGrant};
use pli_protocol::code::Code;
use pli_protocol::codec;
use pli_protocol::crypto::contexts::{self, Context};
use pli_protocol::crypto::sign::PublicKey;
use pli_protocol::custody::Receipt;
use pli_protocol::envelope::{Letter, Sender};
use pli_protocol::id::{AuthorityId, KeyId, Timestamp};
use pli_protocol::limits;
use pli_protocol::signed::Signed;
use pli_protocol::trust::{Directory, KeyOwner};
use pli_protocol::wire;

use super::Report;
use crate::content_json::time;
use crate::names;

pub(super) fn inspect(bytes: &[u8], directory: Option<&Directory>, now: Timestamp) -> Report {
    let encoded = Bytes::copy_from_slice(bytes);
    // The most telling grammars first: an envelope cannot be taken for anything else.
    if let Ok(letter) = Letter::decode(encoded.clone()) {
        return envelope(&letter, directory, now);
    }
    if let Ok((receipt, signed)) = Receipt::decode(encoded.clone()) {
        return self::receipt(&receipt, &signed, directory);
    }
    let forever = Timestamp::from_ms(limits::INTEGER_MAX);
    if let Ok(grant) = SignedGrant::verify(encoded.clone(), forever) {
        return self::grant(&grant, directory, now);
    }
    if let Some(report) = enrolment(&encoded) {
        return report;
    }
    if let Some(report) = session(&encoded) {
        return report;
    }
    if let Ok((invitation, signed)) = Invitation::read(encoded.clone()) {
        return self::invitation(&invitation, &signed, directory, now);
    }
    unknown(&encoded)
}

fn envelope(letter: &Letter, directory: Option<&Directory>, now: Timestamp) -> Report {
    let mut report = Report::of("envelope");
    let header = letter.header();
    report.field("id", letter.id());
    report.field("sender", &header.sender);
    report.field("recipient", &header.recipient);
    report.field("created", time(header.created));
    report.field("expires", time(header.expires));
    report.field("class", names::class(header.class));
    report.field("urgency", names::urgency(header.urgency));
    report.field("importance", names::importance(header.importance));
    if let Some(key) = header.supersedes {
        report.field("supersedes", pli_protocol::id::to_hex(&key));
    }
    report.field("extensions", header.extensions.len());
    report.field("sealed to epoch", letter.epoch());
    report.field("bytes", letter.encoded().len());
    wrapper(&mut report, letter.signed());
    report.holds("form", "canonical, bounded, well-formed (ENV-3 to ENV-5)");
    match header.check_time(now) {
        Ok(()) => report.holds("time", format!("may be accepted at {}", time(now))),
        Err(error) => report.fails("time", &error, error.code()),
    }
    match &header.sender {
        Sender::Service(service) => {
            let owner = KeyOwner::service(service.clone());
            // Nothing in an envelope says when it was accepted: its own time is the best there is.
            signature(
                &mut report,
                letter.signed(),
                &owner,
                header.created,
                directory,
            );
        }
        Sender::Citizen(_) => {
            report.not_checked(
                "signature",
                "a citizen's key is known to the authority that holds the grant",
            );
        }
    }
    report.not_checked("content", "sealed: only the recipient's devices open it");
    report
}

fn receipt(receipt: &Receipt, signed: &Signed, directory: Option<&Directory>) -> Report {
    let mut report = Report::of("receipt");
    let (step, code) = names::step(receipt.step);
    report.field("step", step);
    if let Some(code) = code {
        report.field("code", code);
    }
    report.field("node", &receipt.node);
    report.field("envelope", receipt.envelope);
    report.field("at", time(receipt.at));
    wrapper(&mut report, signed);
    let owner = KeyOwner::node(receipt.node.clone());
    signature(&mut report, signed, &owner, receipt.at, directory);
    report
}

fn grant(grant: &SignedGrant, directory: Option<&Directory>, now: Timestamp) -> Report {
    let mut report = Report::of("grant");
    let said = grant.grant();
    report.field("authority", &said.authority);
    report.field("mailbox", &said.mailbox);
    report.field("identity key", said.identity);
    report.field("sealing epoch", said.sealing.epoch);
    let accepts: Vec<&str> = said
        .accepts
        .iter()
        .map(|class| names::class(*class))
        .collect();
    report.field("accepts", accepts.join(", "));
    report.field("issued", time(said.issued));
    report.holds("signature", "by the identity key in it (MBX-4.1)");
    if said.issued.since_ms(now) > limits::CLOCK_SKEW_MAX_MS {
        report.fails("time", "it was issued in the future", Code::NotYetValid);
    }
    match directory {
        Some(directory) => match directory.home(&said.mailbox.home, now) {
            Ok(_) => report.holds("home", format!("{} may host citizens", said.mailbox.home)),
            Err(refusal) => report.fails("home", &refusal, refusal.code()),
        },
        None => report.not_checked("home", NO_DIRECTORY),
    }
    report.not_checked(
        "person",
        "who holds the identity key is known only to who got the grant from them",
    );
    report
}

fn invitation(
    invitation: &Invitation,
    signed: &Signed,
    directory: Option<&Directory>,
    now: Timestamp,
) -> Report {
    let mut report = Report::of("invitation");
    report.field("home", &invitation.home);
    report.field("id", invitation.id);
    report.field("expires", time(invitation.expires));
    if now >= invitation.expires {
        report.fails("time", "it has expired", Code::InvitationExpired);
    } else {
        report.holds("time", "not expired");
    }
    wrapper(&mut report, signed);
    signature(
        &mut report,
        signed,
        &KeyOwner::node(invitation.home.clone()),
        now,
        directory,
    );
    report.not_checked("use", "whether it was used before is known to the home");
    report
}

fn enrolment(encoded: &Bytes) -> Option<Report> {
    let (signed, said) = payload::<wire::Enrolment>(encoded, contexts::ENROLMENT)?;
    let device = PublicKey::from_bytes(&said.device_key).ok()?;
    let home = AuthorityId::new(&said.home).ok()?;
    let mut report = Report::of("enrolment");
    report.field("home", home);
    report.field("device key", device);
    report.field("invitation", pli_protocol::id::to_hex(&said.invitation_id));
    report.field("at", time(Timestamp::from_ms(said.at_ms)));
    own_signature(
        &mut report,
        &signed,
        &device,
        "by the device key in it (MBX-2.2)",
    );
    Some(report)
}

fn session(encoded: &Bytes) -> Option<Report> {
    let (signed, said) = payload::<wire::SessionProof>(encoded, contexts::SESSION)?;
    let own = PublicKey::from_bytes(&said.own_key).ok()?;
    let server = PublicKey::from_bytes(&said.server_key).ok()?;
    let mut report = Report::of("session proof");
    let role = wire::Role::try_from(said.role).ok()?;
    report.field("role", role.as_str_name());
    report.field("name", said.name);
    report.field("own key", own);
    report.field("server key", server);
    report.field("offered versions", format!("{:?}", said.offered_versions));
    own_signature(&mut report, &signed, &own, "by the own key in it (SES-3.4)");
    report.not_checked(
        "session",
        "it proves nothing outside of the handshake whose nonce it bears",
    );
    Some(report)
}

fn payload<M: prost::Message + prost::Name + Default>(
    encoded: &Bytes,
    context: Context,
) -> Option<(Signed, M)> {
    let signed = Signed::decode(encoded.clone(), context).ok()?;
    let said = codec::decode_canonical(signed.payload(), limits::SIGNED_OBJECT_MAX).ok()?;
    Some((signed, said))
}

fn unknown(encoded: &Bytes) -> Report {
    let mut report = Report::of("unknown");
    report.field("bytes", encoded.len());
    match Signed::decode(encoded.clone(), contexts::ENVELOPE) {
        Ok(signed) => {
            report.field("payload bytes", signed.payload().len());
            wrapper(&mut report, &signed);
            report.not_checked(
                "payload",
                "a Signed, but of no type that this version knows",
            );
        }
        Err(error) => report.fails("form", &error, error.code()),
    }
    report
}

fn wrapper(report: &mut Report, signed: &Signed) {
    let keys: Vec<String> = signed.key_ids().map(|key| key.to_string()).collect();
    report.field("signed by key", keys.join(", "));
    report.field("leaf", pli_protocol::id::to_hex(signed.leaf()));
}

fn own_signature(report: &mut Report, signed: &Signed, key: &PublicKey, by: &str) {
    match signed.verify(key) {
        Ok(()) => report.holds("signature", by),
        Err(error) => report.fails("signature", &error, error.code()),
    }
}

/// By a key of `owner` that was valid at `at`, as the directory says.
fn signature(
    report: &mut Report,
    signed: &Signed,
    owner: &KeyOwner,
    at: Timestamp,
    directory: Option<&Directory>,
) {
    let Some(directory) = directory else {
        report.not_checked("signature", NO_DIRECTORY);
        return;
    };
    let signers: Vec<KeyId> = signed.key_ids().collect();
    for signer in &signers {
        match directory.key_at(owner, signer, at) {
            Ok(key) => match signed.verify(key) {
                Ok(()) => {
                    let versions = directory.versions();
                    report.holds("signature", format!(
                        "by a key of {owner} that was valid at {}, under directory root {} targets {} snapshot {} timestamp {}",
                        time(at), versions.root, versions.targets, versions.snapshot, versions.timestamp,
                    ));
                }
                Err(error) => report.fails("signature", &error, error.code()),
            },
            Err(refusal) => {
                let owners = directory.owners(signer);
                let listed: Vec<String> = owners.iter().map(ToString::to_string).collect();
                let listed = match listed.is_empty() {
                    true => "no one's".to_owned(),
                    false => listed.join(", "),
                };
                let reason = format!("{refusal}; in the directory the key is {listed}");
                report.fails("signature", reason, refusal.code());
            }
        }
    }
}

const NO_DIRECTORY: &str =
    "no directory: say --directory and --root, or --home of a service or device";
