//! `pli evidence`: bundles that prove what happened to a letter.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use clap::{Args, Subcommand};
use pli_protocol::code::Code;
use pli_protocol::envelope::Letter;
use pli_protocol::evidence::Bundle;
use pli_protocol::id::EnvelopeId;
use pli_protocol::limits;
use pli_protocol::trust::Environment;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::exit::{Exit, Failed};
use super::{Home, places};
use crate::clock;
use crate::evidence::facts::Verdict;
use crate::evidence::make::{self, Parts};
use crate::evidence::verify::{Broken, verify};
use crate::evidence::{page, show};
use crate::folder::{self, FileError, Secrecy};
use crate::screen::{Colour, Output, plain};
use crate::service::batch::letter_file;
use crate::service::{Service, config};

const VERIFY_CODES: &str = "Exit codes: 0 proven · 3 genuine, but something is missing or not final · \
1 not a bundle, or not what it claims to be; the part is named · 2 not understood";

#[derive(Debug, Subcommand)]
pub(super) enum EvidenceCommand {
    /// Make one file that proves what happened to a letter of this service
    Get(GetArgs),
    /// Say what a bundle proves, with nothing but the federation's root: no network, no node
    #[command(after_help = VERIFY_CODES)]
    Verify(VerifyArgs),
}

#[derive(Debug, Args)]
pub(super) struct GetArgs {
    #[command(flatten)]
    home: Home,
    /// The letter's id, as `pli service send` printed it
    #[arg(value_name = "ID")]
    id: EnvelopeId,
    /// The sealed letter itself, to be kept in the bundle; by default the one that `pli service send --keep-letters` kept
    #[arg(long, value_name = "FILE")]
    letter: Option<PathBuf>,
    /// Where the bundle goes; nothing is overwritten
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// The bundle, or - for standard input
    #[arg(value_name = "FILE|-")]
    file: PathBuf,
    /// The federation's root.json, got by a way you trust
    #[arg(long, value_name = "FILE")]
    root: PathBuf,
    /// Write a page for people, in French and English; an older one is replaced
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Accept published test keys in the directory
    #[arg(long)]
    dev: bool,
}

pub(super) async fn run(command: EvidenceCommand, out: Output) -> Result<Exit, Failed> {
    match command {
        EvidenceCommand::Get(args) => get(&args, out).await,
        EvidenceCommand::Verify(args) => check(&args, out).await,
    }
}

async fn get(args: &GetArgs, out: Output) -> Result<Exit, Failed> {
    let home = args.home.folder("service")?;
    let letter = letter_of(args, &home)?;
    let service = Service::open(&home).await?;
    service.check_listed().await?;
    let asked = ask(&service, args.id).await;
    service.hang_up().await;
    let (receipts, reply) = asked?;
    let (pending, home_code) = (reply.pending, reply.home_code);
    if receipts.is_empty() && reply.proofs.is_empty() {
        let unknown = format!("the node knows nothing of {} for this service", args.id);
        return Err(Failed::coded(unknown, Some(Code::UnknownEnvelope)));
    }
    let bundle = make::make(Parts {
        id: args.id,
        envelope: letter,
        receipts,
        reply,
        directory: service.directory().copy(),
    });
    let bundle = bundle.map_err(|error| Failed::new(error.to_string()))?;
    write(&bundle, &args.out, out).map_err(|error| Failed::new(error.to_string()))?;
    if bundle.envelope.is_none() {
        let said = out.pick(
            "sans la lettre scellée la preuve reste incomplète : donnez-la avec --letter FILE ; pli service send --keep-letters la garde",
            "without the sealed letter the evidence stays incomplete: give it with --letter FILE; pli service send --keep-letters keeps it",
        );
        eprintln!("pli: {said}");
    }
    Ok(told(pending, home_code, out))
}

/// The sealed letter, if it is given or was kept.
fn letter_of(args: &GetArgs, home: &Path) -> Result<Option<Bytes>, Failed> {
    let kept = letter_file(&config::letters_folder(home), args.id);
    let path = match &args.letter {
        Some(path) => path,
        None if kept.exists() => &kept,
        None => return Ok(None),
    };
    let bytes = Bytes::from(places::read(path, limits::ENVELOPE_MAX as u64)?);
    let is = |what: String| Failed::new(format!("{}: {what}", path.display()));
    match Letter::decode(bytes.clone()) {
        Ok(letter) if letter.id() == args.id => Ok(Some(bytes)),
        Ok(letter) => Err(is(format!(
            "it is the letter {}, not {}",
            letter.id(),
            args.id
        ))),
        Err(error) => Err(is(format!("it is no sealed letter: {error}"))),
    }
}

/// Receipts that verify, and the proofs of everything they tell of.
async fn ask(
    service: &Service,
    id: EnvelopeId,
) -> Result<(Vec<Bytes>, pli_protocol::wire::EvidenceReply), Failed> {
    let tracked = service.track(&[id]).await?;
    let good = tracked
        .iter()
        .flat_map(|letter| &letter.receipts)
        .filter(|checked| checked.verdict.is_ok());
    let good: Vec<_> = good
        .filter_map(|checked| Some((checked.encoded.clone(), checked.receipt.clone()?)))
        .collect();
    let said: Vec<_> = good.iter().map(|(_, receipt)| receipt.clone()).collect();
    let known = make::events_of(&said, service.id().authority());
    let reply = service.evidence(id, &known).await?;
    Ok((
        good.into_iter().map(|(encoded, _)| encoded).collect(),
        reply,
    ))
}

/// Writes a bundle that nobody may alter unseen, and says so.
pub(super) fn write(bundle: &Bundle, path: &Path, out: Output) -> Result<(), FileError> {
    folder::write_new(path, &bundle.encode(), Secrecy::Owner)?;
    if out.json {
        out.json(&json!({
            "bundle": path.display().to_string(),
            "envelope_id": bundle.id.to_string(),
            "proofs": bundle.proofs.len(),
            "receipts": bundle.receipts.len(),
            "letter": bundle.envelope.is_some(),
        }));
        return Ok(());
    }
    let name = plain(&path.display().to_string()).into_owned();
    out.line(format!("{} {name}", out.pick("écrit", "written")));
    let next = out.pick(
        "vérifiez-le hors ligne, n’importe où, avec :",
        "check it offline, anywhere, with:",
    );
    out.line(format!(
        "{next} pli evidence verify {name} --root root.json"
    ));
    Ok(())
}

/// What is still missing, and what to do about it.
pub(super) fn told(pending: u32, home_code: u32, out: Output) -> Exit {
    if home_code != 0 {
        let code = Code::from_number(home_code)
            .map_or_else(|| home_code.to_string(), |code| code.to_string());
        let said = out.pick(
            "la preuve du nœud du destinataire manque",
            "the proofs of the recipient's node are missing",
        );
        eprintln!("pli: {said} ({code}); {}", later(out));
        return Exit::InPart;
    }
    if pending > 0 {
        let said = out.pick(
            "faits qui ne sont pas encore définitifs :",
            "events that are not final yet:",
        );
        eprintln!("pli: {said} {pending}; {}", later(out));
        return Exit::InPart;
    }
    Exit::Done
}

fn later(out: Output) -> &'static str {
    out.pick(
        "refaites le dossier plus tard, sous un autre nom",
        "make the bundle again later, under another name",
    )
}

async fn check(args: &VerifyArgs, out: Output) -> Result<Exit, Failed> {
    let bytes = Bytes::from(places::read(&args.file, limits::BUNDLE_MAX as u64)?);
    let environment = match args.dev {
        true => Environment::Development,
        false => Environment::Production,
    };
    if let Some(page) = &args.html {
        for read in [&args.file, &args.root] {
            if is_same(page, read) {
                return Err(Failed::new(format!(
                    "--html {} would replace what is read; choose another place",
                    page.display()
                )));
            }
        }
    }
    let root = Bytes::from(places::read(&args.root, limits::TRUST_ROOT_MAX)?);
    let by = page::By {
        at: clock::now(),
        version: env!("CARGO_PKG_VERSION"),
    };
    let on_a_page = |page: String| match &args.html {
        Some(path) => folder::write(path, page.as_bytes(), Secrecy::Public)
            .map_err(|error| Failed::new(error.to_string())),
        None => Ok(()),
    };
    let verified = match verify(&bytes, &root, environment).await {
        Ok(verified) => verified,
        Err(broken) => {
            // In place of what an older page says of another file.
            on_a_page(page::refused(&broken, Sha256::digest(&bytes).into(), by))?;
            return Err(refused(broken, out));
        }
    };
    on_a_page(page::page(&verified, by))?;
    match out.json {
        true => out.json(&show::to_json(&verified)),
        false => show::tell(&verified, out),
    }
    Ok(match verified.verdict() {
        Verdict::Proven => Exit::Done,
        Verdict::Incomplete => Exit::InPart,
    })
}

/// Whether both are there, and one file.
fn is_same(one: &Path, other: &Path) -> bool {
    let whole = |path: &Path| path.canonicalize().ok();
    whole(one).is_some_and(|one| whole(other) == Some(one))
}

fn refused(broken: Broken, out: Output) -> Failed {
    let said = out.pick(
        "rien de ce fichier n’est à croire",
        "nothing in this file is to be believed",
    );
    let message = out.paint(Colour::Bad, &format!("{said}: {broken}"));
    let code = broken.code;
    Failed {
        exit: Exit::NotDone,
        ..Failed::coded(message, code)
    }
}
