//! `pli inspect`: shows any object of Pli.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use clap::Args;
use pli_protocol::evidence::Bundle;
use pli_protocol::limits;
use pli_protocol::trust::Directory;
use serde_json::{Map, Value, json};

use super::exit::{Exit, Failed};
use super::{fact, places};
use crate::clock;
use crate::device::config::DeviceConfig;
use crate::directory::{DirectoryPlace, OpenDirectory};
use crate::inspect::{Report, UNKNOWN, Verdict, inspect};
use crate::screen::{Colour, Output, plain};
use crate::service::config::{self, ServiceConfig};

const OBJECT_MAX: u64 = if limits::TRUST_TARGETS_MAX > limits::BUNDLE_MAX as u64 {
    limits::TRUST_TARGETS_MAX
} else {
    limits::BUNDLE_MAX as u64
};

#[derive(Debug, Args)]
pub(super) struct InspectArgs {
    /// A file, - for standard input, or the object itself: pli:invite?…, pli:grant?…, hexadecimal, base64url
    #[arg(value_name = "FILE|-|OBJECT")]
    object: String,
    /// Check by the directory of this service or device
    #[arg(long, value_name = "DIR", conflicts_with_all = ["directory", "root"])]
    home: Option<PathBuf>,
    /// Check by the directory at this place
    #[arg(long, value_name = "DIR|URL", requires = "root")]
    directory: Option<String>,
    /// The federation's root.json, got by a way you trust
    #[arg(long, value_name = "FILE", requires = "directory")]
    root: Option<PathBuf>,
    /// Accept published test keys in the directory
    #[arg(long)]
    dev: bool,
}

pub(super) async fn run(args: InspectArgs, out: Output) -> Result<Exit, Failed> {
    let path = Path::new(&args.object);
    let is_file = args.object == "-" || path.exists();
    let bytes = if is_file {
        Bytes::from(places::read(path, OBJECT_MAX)?)
    } else {
        Bytes::from(args.object.clone())
    };
    if is_file && Bundle::decode(&bytes).is_ok() {
        return Err(Failed::new(format!(
            "{}: a bundle of evidence; what it proves says: pli evidence verify {} --root root.json",
            args.object, args.object
        )));
    }
    let scratch = tempfile::tempdir().map_err(|error| Failed::new(error.to_string()))?;
    let directory = directory(&args, scratch.path()).await?;
    let objects = embedded(&bytes);
    let reports: Vec<Report> = if objects.is_empty() {
        vec![inspect(&bytes, directory.as_deref(), clock::now())]
    } else {
        let objects = objects.iter();
        objects
            .map(|object| inspect(object.as_bytes(), directory.as_deref(), clock::now()))
            .collect()
    };
    if !is_file && reports.iter().any(|report| report.kind == UNKNOWN) {
        return Err(Failed::new(format!(
            "{}: no such file, and no object of Pli as text; expected a file, -, pli:invite?…, pli:grant?…, hexadecimal or base64url",
            args.object.chars().take(NAMED_MAX).collect::<String>()
        )));
    }
    for (index, report) in reports.iter().enumerate() {
        if out.json {
            out.json(&to_json(report));
            continue;
        }
        if index > 0 {
            out.line("");
        }
        show(report, out);
    }
    Ok(exit(&reports))
}

/// Characters of an argument that an error repeats.
const NAMED_MAX: usize = 80;

/// 3 where nothing fails, and whose signature it is could not be checked.
fn exit(reports: &[Report]) -> Exit {
    if reports
        .iter()
        .any(|report| report.has_failed() || report.kind == UNKNOWN)
    {
        return Exit::NotDone;
    }
    let unproven = |report: &Report| {
        let mut signatures = report
            .checks
            .iter()
            .filter(|check| check.what == "signature");
        signatures.any(|check| matches!(check.verdict, Verdict::NotChecked(_)))
    };
    match reports.iter().any(unproven) {
        true => Exit::InPart,
        false => Exit::Done,
    }
}

/// The signed objects in what pli itself prints or keeps as JSON, one value a line: the receipts of
/// `service status` and of a campaign's results, the envelope of `device show`.
fn embedded(bytes: &[u8]) -> Vec<String> {
    let mut objects = Vec::new();
    for value in serde_json::Deserializer::from_slice(bytes).into_iter::<Value>() {
        let Ok(value) = value else { break };
        let receipts = value["receipts"].as_array().into_iter().flatten();
        let receipts = receipts.map(|receipt| &receipt["receipt"]);
        let all = receipts.chain([&value["receipt"], &value["signed"]]);
        objects.extend(all.filter_map(Value::as_str).map(str::to_owned));
    }
    objects
}

async fn directory(args: &InspectArgs, scratch: &Path) -> Result<Option<Arc<Directory>>, Failed> {
    let failed = |error: &dyn std::fmt::Display| Failed::new(error.to_string());
    let place = match (&args.home, &args.directory, &args.root) {
        (Some(home), ..) if home.join(config::FILE).exists() => {
            let config = ServiceConfig::read(home).map_err(|error| failed(&error))?;
            config
                .directory_place(home)
                .map_err(|error| failed(&error))?
        }
        (Some(home), ..) => {
            let config = DeviceConfig::read(home).map_err(|error| failed(&error))?;
            config
                .directory_place(home)
                .map_err(|error| failed(&error))?
        }
        (None, Some(source), Some(root)) => DirectoryPlace {
            root: root.clone(),
            sources: vec![
                source
                    .parse()
                    .map_err(|error: pli_trust::source::SourceError| failed(&error))?,
            ],
            copy: scratch.to_owned(),
            environment: config::environment(args.dev),
        },
        _ => return Ok(None),
    };
    let open = OpenDirectory::open(&place, clock::now())
        .await
        .map_err(|error| failed(&error))?;
    Ok(Some(open.current()))
}

fn show(report: &Report, out: Output) {
    out.line(out.paint(Colour::Strong, report.kind));
    for field in &report.fields {
        fact(out, field.name, &field.text);
    }
    for check in &report.checks {
        let (word, colour, text) = match &check.verdict {
            Verdict::Holds(by) => ("holds", Colour::Good, by.clone()),
            Verdict::Fails { reason, code } => {
                let code = code.map(|code| format!("{code}: ")).unwrap_or_default();
                ("FAILS", Colour::Bad, format!("{code}{reason}"))
            }
            Verdict::NotChecked(why) => ("not checked", Colour::Doubt, why.clone()),
        };
        let word = out.paint(colour, &format!("{word:<11}"));
        out.line(format!("{word} {}: {}", check.what, plain(&text)));
    }
}

fn to_json(report: &Report) -> Value {
    let mut fields = Map::new();
    for field in &report.fields {
        let value = field.exact.as_ref().unwrap_or(&field.text).as_str();
        match fields.get_mut(field.name) {
            Some(Value::Array(values)) => values.push(value.into()),
            Some(first) => *first = json!([first.clone(), value]),
            None => {
                fields.insert(field.name.to_owned(), value.into());
            }
        }
    }
    let checks = report.checks.iter().map(|check| match &check.verdict {
        Verdict::Holds(by) => json!({ "check": check.what, "verdict": "holds", "detail": by }),
        Verdict::Fails { reason, code } => json!({
            "check": check.what,
            "verdict": "fails",
            "detail": reason,
            "code": code.map(pli_protocol::code::Code::name),
        }),
        Verdict::NotChecked(why) => {
            json!({ "check": check.what, "verdict": "not checked", "detail": why })
        }
    });
    json!({ "kind": report.kind, "fields": fields, "checks": checks.collect::<Vec<_>>() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::verify::tests::{NOW, letter};

    #[test]
    fn what_pli_prints_as_json_is_taken_apart() {
        let status = br#"{"id":"00","receipts":[{"receipt":"AA"},{"receipt":"BB"}]}
{"id":"01","receipts":[]}"#;
        assert_eq!(embedded(status), ["AA", "BB"]);
        let results = b"{\"line\":1,\"receipt\":\"CC\"}\n{\"line\":2,\"outcome\":\"invalid\"}\n";
        assert_eq!(embedded(results), ["CC"]);
        assert_eq!(embedded(br#"{"number":1,"signed":"DD"}"#), ["DD"]);
        // A file of the repository has an object under `signed`, and is inspected as what it is.
        assert!(embedded(br#"{"signed":{"_type":"root"},"signatures":[]}"#).is_empty());
        assert!(embedded(b"\x0a\x01").is_empty());
    }

    #[test]
    fn what_nobody_could_verify_does_not_end_with_0() {
        let unchecked = inspect(&letter("Bonjour"), None, NOW);
        assert_eq!(exit(&[unchecked]), Exit::InPart);
        let garbage = inspect(b"Bonjour", None, NOW);
        assert_eq!(exit(&[garbage]), Exit::NotDone);
    }
}
