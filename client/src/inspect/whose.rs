//! Whose signature it is, as the directory says: by the rule that nodes and devices go by.
//!
//! In: a signed object, who is said to have signed it, when. Out: a check of the report, with the key named
//! as operators type it. Spec: TRU-4.6, TRU-4.8.

use pli_protocol::crypto::sign::PublicKey;
use pli_protocol::envelope::Letter;
use pli_protocol::id::{KeyId, ServiceId, Timestamp};
use pli_protocol::limits;
use pli_protocol::signed::Signed;
use pli_protocol::trust::{Directory, KeyOwner, KeyRole, TrustRefusal};
use pli_trust::legible;

use super::Report;

pub(super) const NO_DIRECTORY: &str =
    "no directory: say --directory and --root, or --home of a service or device";

/// Names the keys and the leaf. An object holds a key's id only: the key itself is known to the directory.
pub(super) fn wrapper(report: &mut Report, signed: &Signed, directory: Option<&Directory>) {
    for id in signed.key_ids() {
        if let Some(key) = directory.and_then(|directory| known(directory, &id)) {
            report.field("key", key);
        }
        report.field("key id", id);
    }
    report.field("leaf", pli_protocol::id::to_hex(signed.leaf()));
}

/// TRU-4.8: as a node that is forwarded the letter and a device that is given it judge it. Nothing in a letter
/// says when it was accepted: that was before it expired, and before now.
pub(super) fn of_letter(
    report: &mut Report,
    letter: &Letter,
    service: &ServiceId,
    directory: Option<&Directory>,
    now: Timestamp,
) {
    let created = letter.header().created;
    let until = now.min(letter.header().expires);
    let earliest = Timestamp::from_ms(created.as_ms().saturating_sub(limits::CLOCK_SKEW_MAX_MS));
    let time = format!(
        "at some moment from {} to {} (TRU-4.8)",
        legible(earliest.min(until)),
        legible(until)
    );
    let owner = KeyOwner::service(service.clone());
    let held = signature(
        report,
        letter.signed(),
        &owner,
        &time,
        directory,
        |directory, key| directory.service_key_accepted(service, key, created, until),
    );
    let Some(directory) = directory.filter(|_| held) else {
        return;
    };
    for signer in letter.signed().key_ids() {
        if let Some(ended) = ended(directory, service, &signer, now) {
            // As a device says it (MBX-5.9).
            report.not_checked(
                "time of signing",
                format!(
                    "the key ended on {}: that it signed this before is its holder's word",
                    legible(ended)
                ),
            );
        }
    }
}

/// TRU-4.6: by a key of `owner` that was valid at `at`.
pub(super) fn of_owner(
    report: &mut Report,
    signed: &Signed,
    owner: &KeyOwner,
    at: Timestamp,
    directory: Option<&Directory>,
) {
    let time = format!("at {}", legible(at));
    signature(report, signed, owner, &time, directory, |directory, key| {
        directory.key_at(owner, key, at)
    });
}

/// Whether every signature holds.
fn signature(
    report: &mut Report,
    signed: &Signed,
    owner: &KeyOwner,
    time: &str,
    directory: Option<&Directory>,
    find: impl for<'a> Fn(&'a Directory, &KeyId) -> Result<&'a PublicKey, TrustRefusal>,
) -> bool {
    let Some(directory) = directory else {
        report.not_checked("signature", NO_DIRECTORY);
        return false;
    };
    let mut held = true;
    for signer in signed.key_ids() {
        let key = match find(directory, &signer) {
            Ok(key) => key,
            Err(refusal) => {
                report.fails("signature", why(&refusal, time, directory), refusal.code());
                held = false;
                continue;
            }
        };
        match signed.verify(key) {
            Ok(()) => {
                let versions = directory.versions();
                report.holds("signature", format!(
                    "by a key of {owner} that was valid {time}, under directory root {} targets {} snapshot {} timestamp {}",
                    versions.root, versions.targets, versions.snapshot, versions.timestamp,
                ));
            }
            Err(error) => {
                report.fails("signature", &error, error.code());
                held = false;
            }
        }
    }
    held
}

fn why(refusal: &TrustRefusal, time: &str, directory: &Directory) -> String {
    match refusal {
        TrustRefusal::KeyNotValid {
            owner,
            key,
            not_before,
            not_after,
            ..
        } => {
            let name = known(directory, key).map_or_else(|| key.to_string(), |key| key.to_string());
            let until =
                not_after.map_or_else(String::new, |end| format!(" until {}", legible(end)));
            let from = legible(*not_before);
            format!("{name} of {owner} was valid from {from}{until}, and not {time}")
        }
        TrustRefusal::UnknownKey { owner, key } => {
            let owners: Vec<String> = directory
                .owners(key)
                .iter()
                .map(ToString::to_string)
                .collect();
            let whose = match owners.is_empty() {
                true => "the directory lists it for nobody".to_owned(),
                false => format!("the directory lists it for {}", owners.join(", ")),
            };
            format!("the key with the id {key} is none of {owner}; {whose}")
        }
        other => other.to_string(),
    }
}

/// When the key ended, if it has.
fn ended(
    directory: &Directory,
    service: &ServiceId,
    key: &KeyId,
    now: Timestamp,
) -> Option<Timestamp> {
    match directory.service_key_at(service, key, now) {
        Err(TrustRefusal::KeyNotValid { not_after, .. }) => not_after.filter(|end| *end <= now),
        _ => None,
    }
}

/// The key that has this id, if the directory lists it for anybody.
fn known(directory: &Directory, id: &KeyId) -> Option<PublicKey> {
    directory.owners(id).iter().find_map(|owner| {
        let keys = match &owner.role {
            KeyRole::Service(service) => &directory.service(service).ok()?.keys,
            KeyRole::Node => &directory.node_of(&owner.authority).ok()?.keys,
            KeyRole::Gateway => &directory.node_of(&owner.authority).ok()?.gateway_keys,
            KeyRole::Log => &directory.node_of(&owner.authority).ok()?.log_keys,
        };
        let listed = keys.iter().find(|listed| listed.key.id() == *id)?;
        Some(listed.key)
    })
}
