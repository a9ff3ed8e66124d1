//! `pli device inbox`, `show` and `ack`: the letters that are here, a page at a time.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use pli_protocol::id::EnvelopeId;
use pli_protocol::wire::EvidenceReply;
use serde_json::json;

use super::{
    AckArgs, EvidenceArgs, InboxArgs, ShowArgs, Which, failures, letter, open, state, texts,
};
use crate::command::evidence as bundles;
use crate::command::exit::{Exit, Failed};
use crate::command::words::Words;
use crate::device::inbox::InboxError;
use crate::device::verify::VerifiedLetter;
use crate::device::{Device, DeviceError, Shown, Standing};
use crate::evidence::make::{self, Parts};
use crate::folder::{self, Secrecy};
use crate::screen::{Colour, Output, plain, table, when};

/// Rows of one table; after them a new one begins, so that a mailbox of any size is listed.
const ROWS_MAX: usize = 1_000;

pub(super) async fn run(args: &InboxArgs, out: Output) -> Result<Exit, Failed> {
    let standing = if args.offline {
        Standing::Looking
    } else {
        Standing::Working
    };
    let mut device = open(&args.home, standing).await?;
    let fetched = match args.offline {
        true => Ok(()),
        false => device.fetch().await,
    };
    // What is here is shown, whatever the home does.
    let listed = list(&device, out).await;
    device.hang_up().await;
    let exit = listed?;
    fetched?;
    Ok(exit)
}

async fn list(device: &Device, out: Output) -> Result<Exit, Failed> {
    let acknowledged = device.acknowledged().map_err(DeviceError::from)?;
    let mut pages = device.look_through().await;
    let (mut whole, mut any) = (true, false);
    let mut rows = Vec::new();
    while let Some(page) = pages.next().await {
        let shown = match page {
            Ok(shown) => shown,
            Err(error) => {
                whole = false;
                tell(&error, out);
                continue;
            }
        };
        for letter in &shown {
            any = true;
            let state = state::state(letter, out);
            whole &= !state.refused;
            if out.json {
                let handed_over = acknowledged.contains(letter.entry.numbered.seq);
                out.json(&letter::to_json(letter, handed_over));
            } else {
                rows.push(row(letter, state.text, out));
            }
        }
        if rows.len() >= ROWS_MAX {
            write(&mut rows, out);
            out.line("");
        }
    }
    if !rows.is_empty() {
        write(&mut rows, out);
    }
    if !any && !out.json {
        out.line(texts::NO_LETTERS.on(out));
    }
    Ok(if whole { Exit::Done } else { Exit::InPart })
}

fn row(letter: &Shown, state: String, out: Output) -> [String; 5] {
    let (from, title) = match letter.verified() {
        Some(verified) => (letter::sender(verified, out), letter::title(verified, out)),
        None => (String::new(), String::new()),
    };
    let at = letter::stored(letter).map_or_else(String::new, |at| when(at, out.lang));
    [state::number(letter), at, from, title, state]
}

fn write(rows: &mut Vec<[String; 5]>, out: Output) {
    let header = [
        texts::NUMBER,
        texts::RECEIVED,
        texts::FROM,
        texts::SUBJECT,
        texts::STATE,
    ];
    out.line(table(header.map(|words| words.on(out)), rows.drain(..)));
}

fn tell(error: &InboxError, out: Output) {
    tracing::info!(%error, "a page of the inbox");
    eprintln!("pli: {}", plain(failures::inbox(error).text(out.lang)));
}

pub(super) async fn show(args: &ShowArgs, out: Output) -> Result<Exit, Failed> {
    let device = open(&args.home, Standing::Looking).await?;
    let letter = device.look_at(args.seq).await?;
    let letter = letter.ok_or_else(|| {
        let said = texts::NO_LETTER.with(&[("number", &args.seq)]);
        Failed::plain(said)
    })?;
    let acknowledged = device.acknowledged().map_err(DeviceError::from)?;
    if let Some(path) = &args.signed {
        let signed = letter::signed(&letter).ok_or_else(|| {
            let said = texts::NO_ENVELOPE.with(&[("number", &args.seq)]);
            Failed::plain(said)
        })?;
        folder::write(path, signed, Secrecy::Owner).map_err(|error| Failed::of_file(&error))?;
    }
    if out.json {
        let mut value = letter::to_json(&letter, acknowledged.contains(args.seq));
        value["signed"] = letter::signed(&letter)
            .map(|signed| BASE64_URL_SAFE_NO_PAD.encode(signed))
            .into();
        out.json(&value);
    } else {
        letter::show(&letter, out);
    }
    let readable = letter
        .verified()
        .is_some_and(|verified| verified.content().is_ok());
    Ok(if readable { Exit::Done } else { Exit::NotDone })
}

/// The letter with what its home's log says of it.
pub(super) async fn evidence(args: &EvidenceArgs, out: Output) -> Result<Exit, Failed> {
    let device = open(&args.home, Standing::Looking).await?;
    let said = |words: Words| Failed::plain(words.with(&[("number", &args.letter)]));
    let letter = match args.letter {
        Which::Number(number) => device.look_at(number).await?,
        Which::Id(id) => with_id(&device, id).await?,
    };
    let letter = letter.ok_or_else(|| said(texts::NO_LETTER))?;
    let signed = letter::signed(&letter).ok_or_else(|| said(texts::NO_ENVELOPE))?;
    let verified = letter.verified();
    let id = verified.map(VerifiedLetter::id);
    let id = id.ok_or_else(|| said(texts::PROVES_NOTHING))?;
    let reply = device.evidence(id).await;
    device.hang_up().await;
    let (reply, unanswered) = match reply {
        Ok(reply) => (reply, None),
        // The letter and the directory prove who wrote it, also against a home that says nothing.
        Err(error) => (EvidenceReply::default(), Some(Failed::from(error))),
    };
    let (pending, home_code) = (reply.pending, reply.home_code);
    let bundle = make::make(Parts {
        id,
        envelope: Some(Bytes::copy_from_slice(signed)),
        receipts: Vec::new(),
        reply,
        directory: device.directory().copy(),
    });
    let bundle = bundle.map_err(|error| Failed::of_file(&error))?;
    bundles::write(&bundle, &args.out, out).map_err(|error| Failed::of_file(&error))?;
    if let Some(failed) = unanswered {
        let said = texts::LETTER_ALONE.say(out, &[]);
        eprintln!("pli: {said} ({})", failed.message);
        return Ok(Exit::InPart);
    }
    Ok(bundles::told(pending, home_code, out))
}

/// The first letter of the inbox that verifies and has this id.
async fn with_id(device: &Device, id: EnvelopeId) -> Result<Option<Shown>, InboxError> {
    let mut pages = device.look_through().await;
    while let Some(page) = pages.next().await {
        let has_id = |letter: &Shown| letter.verified().is_some_and(|one| one.id() == id);
        if let Some(found) = page?.into_iter().find(has_id) {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

pub(super) async fn ack(args: &AckArgs, out: Output) -> Result<Exit, Failed> {
    let mut device = open(&args.home, Standing::Working).await?;
    let (letters, whole) = match args.seqs.is_empty() {
        true => not_handed_over(&device, out).await?,
        false => named(&device, &args.seqs).await?,
    };
    let acknowledged = device.acknowledge(&letters).await;
    device.hang_up().await;
    acknowledged?;
    if out.json {
        let seqs: Vec<u64> = letters.iter().map(|(seq, _)| *seq).collect();
        out.json(&json!({ "acknowledged": seqs }));
    } else if args.seqs.is_empty() || !letters.is_empty() {
        let words = match letters.len() {
            0 => texts::HANDED_OVER_NONE,
            1 => texts::HANDED_OVER_ONE,
            _ => texts::HANDED_OVER_MANY,
        };
        let count = out.paint(Colour::Good, &letters.len().to_string());
        out.line(words.say(out, &[("count", &count)]));
    }
    let mut exit = if whole { Exit::Done } else { Exit::InPart };
    for seq in &args.seqs {
        if letters.iter().any(|(had, _)| had == seq) {
            continue;
        }
        exit = match letters.is_empty() {
            true => Exit::NotDone,
            false => Exit::InPart,
        };
        let words = match device.inbox().entry(*seq)? {
            Some(entry) if entry.numbered.seq == *seq => texts::NOT_VERIFIED,
            _ => texts::NO_LETTER,
        };
        eprintln!("pli: {}", words.say(out, &[("number", seq)]));
    }
    Ok(exit)
}

type Received = Vec<(u64, EnvelopeId)>;

/// All that were not handed over yet, and whether every page could be read.
async fn not_handed_over(device: &Device, out: Output) -> Result<(Received, bool), Failed> {
    let acknowledged = device.acknowledged().map_err(DeviceError::from)?;
    let (mut letters, mut whole) = (Vec::new(), true);
    let mut pages = device.look_through().await;
    while let Some(page) = pages.next().await {
        match page {
            Ok(shown) => {
                let new = shown.iter().filter_map(received);
                letters.extend(new.filter(|(seq, _)| !acknowledged.contains(*seq)));
            }
            Err(error) => {
                whole = false;
                tell(&error, out);
            }
        }
    }
    Ok((letters, whole))
}

async fn named(device: &Device, seqs: &[u64]) -> Result<(Received, bool), Failed> {
    let mut letters = Vec::new();
    for seq in seqs {
        let entry = device.inbox().entry(*seq)?;
        let shown = device.look(entry.into_iter().collect()).await;
        letters.extend(shown.iter().filter_map(received));
    }
    letters.sort_unstable_by_key(|(seq, _)| *seq);
    letters.dedup_by_key(|(seq, _)| *seq);
    Ok((letters, true))
}

/// What a device may say that it received: letters that it verified and opened. A forged one was
/// not received from its supposed sender.
fn received(letter: &Shown) -> Option<(u64, EnvelopeId)> {
    let verified = letter.verified()?;
    Some((letter.entry.numbered.seq, verified.id()))
}
