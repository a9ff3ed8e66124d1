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
use pli_protocol::id::{AuthorityId, Timestamp};
use pli_protocol::limits;
use pli_protocol::signed::Signed;
use pli_protocol::trust::{Directory, KeyOwner};
use pli_protocol::wire;
use pli_trust::legible;

use super::{Report, UNKNOWN, whose};
use crate::names;
use crate::screen::counted;

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
    report.time("created", header.created);
    report.time("expires", header.expires);
    report.field("class", names::class(header.class));
    report.field("urgency", names::urgency(header.urgency));
    report.field("importance", names::importance(header.importance));
    if let Some(key) = header.supersedes {
        report.field("supersedes", pli_protocol::id::to_hex(&key));
    }
    report.field("extensions", header.extensions.len());
    report.field("sealed to epoch", letter.epoch());
    report.field("bytes", letter.encoded().len());
    whose::wrapper(&mut report, letter.signed(), directory);
    report.holds("form", "canonical, bounded, well-formed (ENV-3 to ENV-5)");
    match header.check_time(now) {
        Ok(()) => report.holds("time", format!("may be accepted at {}", legible(now))),
        Err(error) => report.fails("time", &error, error.code()),
    }
    match &header.sender {
        Sender::Service(service) => {
            whose::of_letter(&mut report, letter, service, directory, now);
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
    report.time("at", receipt.at);
    whose::wrapper(&mut report, signed, directory);
    let owner = KeyOwner::node(receipt.node.clone());
    whose::of_owner(&mut report, signed, &owner, receipt.at, directory);
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
    report.time("issued", said.issued);
    report.holds("signature", "by the identity key in it (MBX-4.1)");
    if said.issued.since_ms(now) > limits::CLOCK_SKEW_MAX_MS {
        report.fails("time", "it was issued in the future", Code::NotYetValid);
    }
    match directory {
        Some(directory) => match directory.home(&said.mailbox.home, now) {
            Ok(_) => report.holds("home", format!("{} may host citizens", said.mailbox.home)),
            Err(refusal) => report.fails("home", &refusal, refusal.code()),
        },
        None => report.not_checked("home", whose::NO_DIRECTORY),
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
    report.time("expires", invitation.expires);
    if now >= invitation.expires {
        report.fails("time", "it has expired", Code::InvitationExpired);
    } else {
        report.holds("time", "not expired");
    }
    whose::wrapper(&mut report, signed, directory);
    let owner = KeyOwner::node(invitation.home.clone());
    whose::of_owner(&mut report, signed, &owner, now, directory);
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
    report.time("at", Timestamp::from_ms(said.at_ms));
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
    let signed = match Signed::decode(encoded.clone(), contexts::ENVELOPE) {
        Ok(signed) => signed,
        Err(_) if encoded.is_empty() => return Report::not_of_pli("it is empty"),
        Err(error) => {
            let size = counted(encoded.len() as u64, "byte");
            let found = match std::str::from_utf8(encoded) {
                Ok(_) => format!("{size} of text"),
                Err(_) => format!("{size}, no signed object ({error})"),
            };
            return Report::not_of_pli(found);
        }
    };
    let mut report = Report::of(UNKNOWN);
    report.field("bytes", encoded.len());
    report.field("payload bytes", signed.payload().len());
    whose::wrapper(&mut report, &signed, None);
    report.not_checked(
        "payload",
        "a Signed, but of no type that this version knows",
    );
    report
}

fn own_signature(report: &mut Report, signed: &Signed, key: &PublicKey, by: &str) {
    match signed.verify(key) {
        Ok(()) => report.holds("signature", by),
        Err(error) => report.fails("signature", &error, error.code()),
    }
}
