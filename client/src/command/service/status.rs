//! `pli service status`: what became of letters, stage by stage, by the nodes' signed receipts.

use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use clap::Args;
use pli_protocol::code::Code;
use pli_protocol::custody::Receipt;
use pli_protocol::id::{AuthorityId, EnvelopeId};
use pli_trust::legible;
use serde_json::{Value, json};

use super::super::Home;
use super::super::device::codes;
use super::super::exit::{Exit, Failed};
use crate::content_json::time;
use crate::names;
use crate::screen::{Colour, Output, plain, table};
use crate::service::Service;
use crate::service::stages::{Reached, Stage, stages};
use crate::service::track::Tracked;

#[derive(Debug, Args)]
pub(in crate::command) struct StatusArgs {
    #[command(flatten)]
    home: Home,
    /// Ids of letters, as `send` printed them
    #[arg(value_name = "ID", required = true)]
    ids: Vec<EnvelopeId>,
}

pub(super) async fn run(args: &StatusArgs, out: Output) -> Result<Exit, Failed> {
    let service = Service::open(Path::new(&args.home.folder("service")?)).await?;
    // A node that does not know it says no more than that.
    service.check_listed().await?;
    let tracked = service.track(&args.ids).await;
    service.hang_up().await;
    let tracked = tracked?;
    let origin = service.id().authority();
    let mut doubtful = false;
    let known = tracked
        .iter()
        .filter(|letter| letter.claimed.is_some())
        .count();
    for letter in &tracked {
        doubtful |= letter
            .receipts
            .iter()
            .any(|checked| checked.verdict.is_err());
        match out.json {
            true => out.json(&to_json(letter, origin)),
            false => tell(letter, origin, out),
        }
    }
    Ok(match (doubtful, known) {
        (true, _) => Exit::Misbehaved,
        (false, 0) => Exit::NotDone,
        (false, known) if known < tracked.len() => Exit::InPart,
        (false, _) => Exit::Done,
    })
}

fn to_json(letter: &Tracked, origin: &AuthorityId) -> Value {
    let receipts = letter.receipts.iter().map(|checked| {
        json!({
            "step": checked.receipt.as_ref().map(|receipt| names::step(receipt.step).0),
            "code": checked.receipt.as_ref().and_then(|receipt| names::step(receipt.step).1).map(Code::name),
            "node": checked.receipt.as_ref().map(|receipt| receipt.node.to_string()),
            "at": checked.receipt.as_ref().map(|receipt| time(receipt.at)),
            "verified": checked.verdict.is_ok(),
            "fault": checked.verdict.as_ref().err().map(ToString::to_string),
            "receipt": BASE64_URL_SAFE_NO_PAD.encode(&checked.encoded),
        })
    });
    let stages = stages(letter, origin);
    let stages = stages
        .iter()
        .map(|(stage, reached)| stage_json(*stage, *reached));
    json!({
        "id": letter.id.to_string(),
        "known": letter.claimed.is_some(),
        "step": letter.proven().map(|receipt| names::step(receipt.step).0),
        "stages": stages.collect::<Vec<_>>(),
        "receipts": receipts.collect::<Vec<_>>(),
    })
}

fn stage_json(stage: Stage, reached: Reached<'_>) -> Value {
    let (word, receipt) = match reached {
        Reached::Yes(receipt) => ("yes", Some(receipt)),
        Reached::Implied(receipt) => ("implied", Some(receipt)),
        Reached::Needless => ("needless", None),
        Reached::Untold => ("untold", None),
        Reached::Never(receipt) => ("never", Some(receipt)),
        Reached::NotYet => ("not_yet", None),
    };
    json!({
        "stage": stage.name(),
        "reached": word,
        "code": receipt.and_then(|receipt| names::step(receipt.step).1).map(Code::name),
        "node": receipt.map(|receipt| receipt.node.to_string()),
        "at": receipt.map(|receipt| time(receipt.at)),
    })
}

fn tell(letter: &Tracked, origin: &AuthorityId, out: Output) {
    out.line(out.paint(Colour::Strong, &letter.id.to_string()));
    if letter.claimed.is_none() {
        out.line(out.pick(
            "  le nœud ne sait rien de cette lettre pour ce service",
            "  the node knows nothing of this letter by this service",
        ));
        return;
    }
    let stages = stages(letter, origin);
    let rows = stages.iter().map(|(stage, reached)| {
        let (when, node, proof) = cells(*reached, out);
        [format!("  {}", called(*stage, out)), when, node, proof]
    });
    let header = match out.pick("fr", "en") {
        "fr" => ["  Étape", "Quand", "Nœud", "Preuve"],
        _ => ["  Stage", "When", "Node", "Proof"],
    };
    out.line(table(header, rows));
    for checked in &letter.receipts {
        let Err(fault) = &checked.verdict else {
            continue;
        };
        let claimed = match &checked.receipt {
            Some(receipt) => format!("{} {}", names::step(receipt.step).0, receipt.node),
            None => out
                .pick("un reçu illisible", "a receipt that cannot be read")
                .to_owned(),
        };
        let word = out.pick("NON PROUVÉ", "NOT PROVEN");
        let said = plain(&format!("{word}: {claimed}: {fault}")).into_owned();
        out.line(format!("  {}", out.paint(Colour::Bad, &said)));
    }
}

fn called(stage: Stage, out: Output) -> &'static str {
    match stage {
        Stage::Accepted => out.pick("acceptée", "accepted"),
        Stage::Relayed => out.pick("transmise", "relayed"),
        Stage::Stored => out.pick("déposée", "stored"),
        Stage::Notified => out.pick("annoncée", "notified"),
        Stage::HandedOver => out.pick("remise", "handed over"),
    }
}

/// When, by which node, and by what it is known.
fn cells(reached: Reached<'_>, out: Output) -> (String, String, String) {
    let by =
        |receipt: &Receipt, proof: String| (legible(receipt.at), receipt.node.to_string(), proof);
    let none = |why: &str| ("-".to_owned(), String::new(), why.to_owned());
    match reached {
        Reached::Yes(receipt) => by(
            receipt,
            out.pick("signature vérifiée", "signature verified")
                .to_owned(),
        ),
        Reached::Implied(receipt) => none(&format!(
            "{} {}",
            out.pick("comme le montre un reçu de", "as a later receipt shows, of"),
            receipt.node
        )),
        Reached::Needless => none(out.pick(
            "la boîte est chez le même nœud",
            "the mailbox is at the same node",
        )),
        Reached::Untold => none(out.pick(
            "aucun nœud de cette version ne le dit",
            "no node of this version says so",
        )),
        Reached::Never(receipt) => {
            let code = names::step(receipt.step).1;
            let why = code.map_or_else(String::new, |code| {
                format!(" {code}: {}", codes::meaning(code).on(out))
            });
            by(receipt, format!("{}{why}", out.pick("jamais :", "never:")))
        }
        Reached::NotYet => none(out.pick("pas encore", "not yet")),
    }
}
