//! `pli inspect`: shows any object of Pli.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use clap::Args;
use pli_protocol::limits;
use pli_protocol::trust::Directory;
use serde_json::{Map, Value, json};

use super::exit::{Exit, Failed};
use super::{fact, places};
use crate::clock;
use crate::device::config::DeviceConfig;
use crate::directory::{DirectoryPlace, OpenDirectory};
use crate::inspect::{Report, Verdict, inspect};
use crate::screen::{Colour, Output, plain};
use crate::service::config::{self, ServiceConfig};

const OBJECT_MAX: u64 = limits::TRUST_TARGETS_MAX;

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
    let bytes = if args.object == "-" || path.exists() {
        Bytes::from(places::read(path, OBJECT_MAX)?)
    } else {
        Bytes::from(args.object.clone())
    };
    let scratch = tempfile::tempdir().map_err(|error| Failed::new(error.to_string()))?;
    let directory = directory(&args, scratch.path()).await?;
    let report = inspect(&bytes, directory.as_deref(), clock::now());
    if out.json {
        out.json(&to_json(&report));
    } else {
        show(&report, out);
    }
    let bad = report.has_failed() || report.kind == "unknown";
    Ok(if bad { Exit::NotDone } else { Exit::Done })
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
    for (name, value) in &report.fields {
        fact(out, name, value);
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
    for (name, value) in &report.fields {
        match fields.get_mut(*name) {
            Some(Value::Array(values)) => values.push(value.as_str().into()),
            Some(first) => *first = json!([first.clone(), value]),
            None => {
                fields.insert((*name).to_owned(), value.as_str().into());
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
