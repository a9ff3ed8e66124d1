//! Verified evidence as text and as JSON.

use pli_protocol::id::to_hex;
use pli_trust::{legible, utc};
use serde_json::{Value, json};

use super::facts::{EventFacts, ReceiptFacts, Verdict, Verified};
use super::words;
use crate::names;
use crate::screen::{Colour, Lang, Output};

/// For people, line by line.
pub fn tell(verified: &Verified, out: Output) {
    let lang = out.lang;
    let (colour, verdict) = match verified.verdict() {
        Verdict::Proven => (Colour::Good, verified.verdict()),
        Verdict::Incomplete => (Colour::Doubt, verified.verdict()),
    };
    out.line(out.paint(colour, words::verdict(verdict, lang)));
    out.line("");
    let fact = |name: &str, value: &str| {
        let name = out.paint(Colour::Faint, &format!("{name:<13}"));
        out.line(format!("{name} {value}"));
    };
    fact(out.pick("lettre", "letter"), &verified.id.to_string());
    if let Some(letter) = &verified.letter {
        let name = lang.pick(&letter.sender_name.fr, &letter.sender_name.en);
        let sender = crate::screen::plain(&format!("{name} <{}>", letter.sender)).into_owned();
        fact(out.pick("expéditeur", "sender"), &sender);
        fact("", &format!("{} {}", out.pick("clé", "key"), letter.key));
        let to = format!(
            "{}@{}",
            letter.header.recipient.mailbox, letter.header.recipient.home
        );
        fact(out.pick("destinataire", "recipient"), &to);
    }
    let directory = &verified.directory;
    let versions = &directory.versions;
    fact(
        out.pick("annuaire", "directory"),
        &format!(
            "root {}, targets {}, snapshot {}, timestamp {}; {} {}",
            versions.root,
            versions.targets,
            versions.snapshot,
            versions.timestamp,
            out.pick("en vigueur jusqu’au", "in force until"),
            legible(directory.expires)
        ),
    );
    let root = to_hex(&verified.read.root);
    fact(out.pick("racine", "root"), &format!("SHA-256 {root}"));
    let bundle = to_hex(&verified.read.bundle);
    fact(out.pick("dossier", "bundle"), &format!("SHA-256 {bundle}"));
    for facts in &verified.events {
        out.line("");
        tell_event(verified, facts, out);
    }
    if !verified.receipts.is_empty() {
        out.line("");
    }
    for ReceiptFacts { receipt, key, .. } in &verified.receipts {
        let said = format!(
            "{} {} {}",
            names::step(receipt.step).0,
            receipt.node,
            legible(receipt.at)
        );
        fact(out.pick("reçu", "receipt"), &said);
        fact("", &format!("{} {key}", out.pick("clé", "key")));
    }
    out.line("");
    out.line(out.paint(
        Colour::Strong,
        out.pick(
            "Ce que ce dossier ne prouve pas",
            "What this does not prove",
        ),
    ));
    for lack in &verified.not_proven {
        out.line(format!("- {}", words::not_proven(lack, lang)));
    }
    for line in words::never_proven(lang) {
        out.line(format!("- {line}"));
    }
}

fn tell_event(verified: &Verified, facts: &EventFacts, out: Output) {
    let lang = out.lang;
    let directory = &verified.directory;
    let node = words::authority(directory, &facts.event.node, lang);
    let (colour, finality) = match facts.is_final {
        true => (Colour::Good, out.pick("définitif", "final")),
        false => (Colour::Doubt, out.pick("pas encore définitif", "not final")),
    };
    let name = out.paint(Colour::Strong, facts.event.kind.name());
    out.line(format!(
        "{}  {name}  {}",
        legible(facts.event.at),
        out.paint(colour, finality)
    ));
    let said = words::event(facts.event.kind, &node, lang);
    out.line(format!("    {}", crate::screen::plain(&said)));
    out.line(format!(
        "    {} {}, {} {} / {}, {} {}",
        out.pick("journal", "log"),
        facts.log,
        out.pick("entrée", "entry"),
        facts.index,
        facts.size,
        out.pick("écrite le", "written"),
        legible(facts.logged)
    ));
    out.line(format!(
        "    {} {}",
        out.pick("clé du journal", "log key"),
        facts.key
    ));
    for witness in &facts.witnesses {
        let name = words::authority(directory, &witness.witness, lang);
        out.line(format!(
            "    {} {} {}",
            out.pick("témoin", "witness"),
            crate::screen::plain(&name),
            legible(witness.at)
        ));
    }
}

/// For programs.
pub fn to_json(verified: &Verified) -> Value {
    let directory = &verified.directory;
    let versions = &directory.versions;
    let letter = verified.letter.as_ref().map(|letter| {
        json!({
            "sender": letter.sender.to_string(),
            "key_id": letter.key.to_string(),
            "recipient": format!("{}@{}", letter.header.recipient.mailbox, letter.header.recipient.home),
            "created": utc(letter.header.created),
            "expires": utc(letter.header.expires),
            "class": names::class(letter.header.class),
            "importance": names::importance(letter.header.importance),
        })
    });
    let events = verified.events.iter().map(|facts| {
        let witnesses = facts.witnesses.iter().map(|one| {
            json!({ "authority": one.witness.to_string(), "at": utc(one.at), "key_id": one.key.id().to_string() })
        });
        json!({
            "event": facts.event.kind.name(),
            "code": facts.event.kind.code().map(|code| code.name()),
            "node": facts.event.node.to_string(),
            "at_ms": facts.event.at.as_ms(),
            "logged_ms": facts.logged.as_ms(),
            "log": facts.log.to_string(),
            "entry": facts.index,
            "log_size": facts.size,
            "log_key_id": facts.key.to_string(),
            "witnesses": witnesses.collect::<Vec<_>>(),
            "final": facts.is_final,
        })
    });
    let receipts = verified.receipts.iter().map(|facts| {
        let (step, code) = names::step(facts.receipt.step);
        json!({
            "step": step,
            "code": code.map(|code| code.name()),
            "node": facts.receipt.node.to_string(),
            "at_ms": facts.receipt.at.as_ms(),
            "key_id": facts.key.to_string(),
            "logged": facts.logged,
        })
    });
    json!({
        "verdict": match verified.verdict() {
            Verdict::Proven => "proven",
            Verdict::Incomplete => "incomplete",
        },
        "envelope_id": verified.id.to_string(),
        "bundle_sha256": to_hex(&verified.read.bundle),
        "root_sha256": to_hex(&verified.read.root),
        "letter": letter,
        "directory": {
            "root": versions.root,
            "targets": versions.targets,
            "snapshot": versions.snapshot,
            "timestamp": versions.timestamp,
            "expires": utc(directory.expires),
            "witnesses_demanded": directory.witnesses,
        },
        "events": events.collect::<Vec<_>>(),
        "receipts": receipts.collect::<Vec<_>>(),
        "not_proven": verified.not_proven.iter().map(|lack| words::not_proven(lack, Lang::En)).collect::<Vec<_>>(),
        "never_proven": words::never_proven(Lang::En),
    })
}
