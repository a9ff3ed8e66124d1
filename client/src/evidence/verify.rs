//! Verifies a bundle with nothing but the federation's root: no network, no node (EVD-6).
//!
//! In: the bytes of the file, the root that the reader trusts. Out: what is proven, by which keys, under which
//! directory, witnessed by whom, and what is not proven; or which part is not what it claims to be.

use bytes::Bytes;
use pli_protocol::code::Code;
use pli_protocol::custody::Receipt;
use pli_protocol::envelope::{Letter, Sender};
use pli_protocol::evidence::{Bundle, Cosignature, Event, EventKind, InLog};
use pli_protocol::id::{EnvelopeId, Timestamp};
use pli_protocol::trust::{Directory, Environment};
use sha2::{Digest, Sha256};

use super::facts::{
    DirectoryFacts, EventFacts, LetterFacts, NotProven, Read, ReceiptFacts, Verified, says_the_same,
};
use super::way::Way;
use crate::service::track;

/// A part that is not what it claims to be: nothing of the file is to be believed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{part}: {why}")]
pub struct Broken {
    /// Which part: `letter`, `receipt 2`, `proof of ContentHandover`, `checkpoint 1`, `directory`, `file`.
    pub part: String,
    /// What was found.
    pub why: String,
    /// The wire code, where there is one.
    pub code: Option<Code>,
}

fn broken(part: impl Into<String>) -> impl FnOnce(String) -> Broken {
    let part = part.into();
    move |why| Broken {
        part,
        why,
        code: None,
    }
}

/// Verifies a bundle. `root`: the bytes of the federation's root that the reader trusts.
pub async fn verify(
    encoded: &Bytes,
    root: &Bytes,
    environment: Environment,
) -> Result<Verified, Broken> {
    let hash = |bytes: &Bytes| Sha256::digest(bytes).into();
    let read = Read {
        bundle: hash(encoded),
        root: hash(root),
    };
    let (bundle, whole) = Bundle::decode(encoded).map_err(|error| Broken {
        code: Some(error.code()),
        ..broken("file")(error.to_string())
    })?;
    let directory = open(&bundle, root, environment)
        .await
        .map_err(broken("directory"))?;
    let verified = check(&bundle, &directory, read)?;
    // EVD-5.4: last, so that a part that is broken is named.
    if !whole {
        let why = "a byte is not as it was written, in a part that nobody signed".to_owned();
        return Err(broken("file")(why));
    }
    Ok(verified)
}

/// EVD-6.1: the directory of the bundle, verified from the reader's own root. It may have expired since.
async fn open(
    bundle: &Bundle,
    root: &Bytes,
    environment: Environment,
) -> Result<Directory, String> {
    let files = bundle.directory.iter().cloned().collect();
    let read = pli_trust::read_held(root, files, environment).await;
    read.map_err(|error| error.to_string())
}

/// A statement by a node that has no say in it.
fn anothers(part: &str) -> impl FnOnce(String) -> Broken {
    let broken = broken(part);
    move |why| Broken {
        code: Some(Code::NotAuthoritative),
        ..broken(why)
    }
}

fn check(bundle: &Bundle, directory: &Directory, read: Read) -> Result<Verified, Broken> {
    let letter = bundle
        .envelope
        .clone()
        .map(|envelope| check_form(envelope, bundle.id))
        .transpose()?;
    let way = letter.as_ref().map(Way::of).transpose();
    let way = way.map_err(broken("letter"))?;
    let mut events = Vec::new();
    for proof in &bundle.proofs {
        let note = &bundle.checkpoints[proof.checkpoint as usize];
        events.push(check_event(
            proof,
            note,
            bundle.id,
            way.as_ref(),
            directory,
        )?);
    }
    events.sort_by_key(|facts| (facts.event.at, order(facts.event.kind)));
    let receipts = check_receipts(bundle, way.as_ref(), directory, &events)?;
    let accepted = events
        .iter()
        .map(|facts| facts.event.at)
        .chain(receipts.iter().map(|facts| facts.receipt.at))
        .min();
    let letter = letter
        .map(|letter| check_letter(&letter, accepted, directory))
        .transpose()?;
    let not_proven = not_proven(letter.as_ref(), &receipts, &events, directory);
    Ok(Verified {
        id: bundle.id,
        directory: facts_of(directory, letter.as_ref(), &events),
        letter,
        receipts,
        events,
        not_proven,
        read,
    })
}

fn check_form(envelope: Bytes, id: EnvelopeId) -> Result<Letter, Broken> {
    let letter = Letter::decode(envelope).map_err(|error| Broken {
        code: Some(error.code()),
        ..broken("letter")(error.to_string())
    })?;
    if letter.id() != id {
        let why = format!("it is {}, and the bundle is about {id}", letter.id());
        return Err(broken("letter")(why));
    }
    Ok(letter)
}

/// EVD-6.2: by a key of its service that was valid between its making and the first act upon it.
fn check_letter(
    letter: &Letter,
    accepted: Option<Timestamp>,
    directory: &Directory,
) -> Result<LetterFacts, Broken> {
    let header = letter.header();
    let Sender::Service(sender) = &header.sender else {
        return Err(broken("letter")("its sender is not a service".to_owned()));
    };
    let refused = |code: Code, why: String| Broken {
        code: Some(code),
        ..broken("letter")(why)
    };
    let signer = letter
        .signed()
        .key_ids()
        .next()
        .expect("a Signed has at least one signature");
    let at = accepted.unwrap_or(header.created);
    let key = directory
        .service_key_accepted(sender, &signer, header.created, at)
        .map_err(|error| refused(error.code(), error.to_string()))?;
    letter
        .signed()
        .verify(key)
        .map_err(|error| refused(error.code(), error.to_string()))?;
    let record = directory
        .service(sender)
        .map_err(|error| refused(error.code(), error.to_string()))?;
    Ok(LetterFacts {
        sender: sender.clone(),
        sender_name: record.name.clone(),
        key: signer,
        key_had_ended: directory.service_key_at(sender, &signer, at).is_err(),
        header: header.clone(),
    })
}

/// EVD-6.3
fn check_event(
    proof: &pli_protocol::wire::EventProof,
    note: &str,
    id: EnvelopeId,
    way: Option<&Way>,
    directory: &Directory,
) -> Result<EventFacts, Broken> {
    let name = Event::decode(&proof.event).map_or("an event", |event| event.kind.name());
    let part = format!("proof of {name}");
    let found = InLog::follow(proof, note).map_err(|error| Broken {
        code: Some(error.code()),
        ..broken(&part)(error.to_string())
    })?;
    if found.event.envelope != id {
        let why = format!(
            "it is about {}, and the bundle is about {id}",
            found.event.envelope
        );
        return Err(broken(part)(why));
    }
    way.map_or(Ok(()), |way| way.check_event(&found.event))
        .map_err(anothers(&part))?;
    let head = found.checkpoint();
    let node = &head.origin.authority;
    let keys = directory.log_keys(node, found.logged);
    let signed = keys.iter().find(|key| found.noted.verify(key).is_ok());
    let key = signed.ok_or_else(|| {
        let why = format!(
            "no log key that {node} had at {} signed the checkpoint",
            found.logged
        );
        broken(&part)(why)
    })?;
    let witnesses = check_witnesses(&found, directory, &part)?;
    let demanded = directory.policy().witnesses;
    Ok(EventFacts {
        logged: found.logged,
        log: head.origin.clone(),
        index: found.index,
        entry: found.entry,
        size: head.size,
        key: key.id(),
        // EVD-6.6
        is_final: witnesses.len() >= demanded,
        witnesses,
        event: found.event,
        head: found.noted,
    })
}

/// EVD-6.4: each line that names a witness of the directory must be its own; of whom the directory does not know,
/// nothing can be said.
fn check_witnesses(
    found: &InLog,
    directory: &Directory,
    part: &str,
) -> Result<Vec<Cosignature>, Broken> {
    let of_log = &found.checkpoint().origin.authority;
    let mut witnesses: Vec<Cosignature> = Vec::new();
    for (witness, line) in found.noted.claimed_witnesses() {
        let Ok(node) = directory.node_of(&witness) else {
            continue;
        };
        let mut keys = node.log_keys.iter();
        let cosigned = keys.find_map(|listed| {
            let cosigned = found.noted.cosignature(line, &witness, &listed.key)?;
            listed.validity.contains(cosigned.at).then_some(cosigned)
        });
        let Some(cosigned) = cosigned else {
            let why = format!("the cosignature of {witness} is by no log key that it had then");
            return Err(broken(part)(why));
        };
        let known = witnesses.iter().any(|known| known.witness == witness);
        if witness != *of_log && !known {
            witnesses.push(cosigned);
        }
    }
    witnesses.sort_by(|a, b| a.witness.cmp(&b.witness));
    Ok(witnesses)
}

/// EVD-6.5
fn check_receipts(
    bundle: &Bundle,
    way: Option<&Way>,
    directory: &Directory,
    events: &[EventFacts],
) -> Result<Vec<ReceiptFacts>, Broken> {
    let mut facts = Vec::new();
    for (number, encoded) in bundle.receipts.iter().enumerate() {
        let part = format!("receipt {}", number + 1);
        let read = Receipt::decode(encoded.clone());
        let (receipt, signed) = read.map_err(|error| Broken {
            code: Some(error.code()),
            ..broken(&part)(error.to_string())
        })?;
        way.map_or(Ok(()), |way| way.check_receipt(&receipt))
            .map_err(anothers(&part))?;
        let origin = way.map_or(&receipt.node, |way| &way.origin);
        let checked = track::check(encoded.clone(), bundle.id, origin, directory);
        checked.verdict.map_err(|fault| Broken {
            code: Some(fault.code()),
            ..broken(&part)(fault.to_string())
        })?;
        let key = signed
            .key_ids()
            .next()
            .expect("a Signed has at least one signature");
        let logged = events
            .iter()
            .any(|facts| says_the_same(&receipt, &facts.event));
        facts.push(ReceiptFacts {
            receipt,
            key,
            logged,
        });
    }
    facts.sort_by_key(|facts| facts.receipt.at);
    Ok(facts)
}

fn not_proven(
    letter: Option<&LetterFacts>,
    receipts: &[ReceiptFacts],
    events: &[EventFacts],
    directory: &Directory,
) -> Vec<NotProven> {
    let has = |kind: EventKind| events.iter().any(|facts| facts.event.kind == kind);
    let mut lacks = Vec::new();
    match letter {
        None => lacks.push(NotProven::Letter),
        Some(letter) if letter.key_had_ended => lacks.push(NotProven::KeyEnded),
        Some(_) => {}
    }
    if letter.is_some_and(|letter| *letter.sender.authority() == letter.header.recipient.home) {
        lacks.push(NotProven::OneHand);
    }
    if events.is_empty() {
        lacks.push(NotProven::Nothing);
    }
    for facts in receipts.iter().filter(|facts| !facts.logged) {
        lacks.push(NotProven::NotLogged(
            facts.receipt.step,
            facts.receipt.node.clone(),
        ));
    }
    for facts in events.iter().filter(|facts| !facts.is_final) {
        lacks.push(NotProven::NotFinal(
            facts.event.kind,
            facts.event.node.clone(),
        ));
    }
    let expires = expires(directory);
    for facts in events.iter().filter(|facts| facts.logged > expires) {
        lacks.push(NotProven::OldDirectory(
            facts.event.kind,
            facts.event.node.clone(),
        ));
    }
    if directory.policy().witnesses == 0 {
        lacks.push(NotProven::NoWitnesses);
    }
    if !has(EventKind::ContentConsignment) {
        lacks.push(NotProven::Consignment);
    }
    if !has(EventKind::ContentHandover) {
        lacks.push(NotProven::Handover);
    }
    lacks
}

/// Events of one moment in the order in which they happen.
fn order(kind: EventKind) -> u8 {
    match kind {
        EventKind::SubmissionAcceptance | EventKind::SubmissionRejection(_) => 0,
        EventKind::RelayAcceptance | EventKind::RelayRejection(_) | EventKind::RelayFailure(_) => 1,
        EventKind::ContentConsignment | EventKind::ContentConsignmentFailure(_) => 2,
        EventKind::NotificationForAcceptance => 3,
        EventKind::ContentHandover | EventKind::ContentHandoverFailure(_) => 4,
    }
}

/// Until when the directory was in force.
fn expires(directory: &Directory) -> Timestamp {
    let ends = directory.expiries().iter().map(|line| line.expires);
    ends.fold(directory.expires(), Timestamp::min)
}

fn facts_of(
    directory: &Directory,
    letter: Option<&LetterFacts>,
    events: &[EventFacts],
) -> DirectoryFacts {
    let of_letter = letter.map(|letter| letter.sender.authority().clone());
    let of_events = events.iter().flat_map(|facts| {
        let witnesses = facts.witnesses.iter().map(|one| one.witness.clone());
        witnesses.chain([facts.event.node.clone()])
    });
    let named = of_letter
        .into_iter()
        .chain(of_events)
        .filter_map(|authority| {
            let name = directory.authority(&authority).ok()?.name.clone();
            Some((authority, name))
        });
    DirectoryFacts {
        versions: directory.versions(),
        expires: expires(directory),
        authorities: directory.authorities().count(),
        witnesses: directory.policy().witnesses,
        names: named.collect(),
    }
}
