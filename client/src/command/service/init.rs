//! `pli service init`: a service's folder, its key and its configuration, made or corrected.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use pli_protocol::id::ServiceId;
use pli_protocol::limits;
use pli_trust::keyfile;
use serde_json::json;

use crate::command::exit::{Exit, Failed};
use crate::command::{Home, fact, places};
use crate::folder::{self, Secrecy};
use crate::screen::{Output, plain};
use crate::service::config::{self, DirectoryConfig, ServiceConfig};
use crate::service::contacts::Contacts;
use crate::service::listing::Listing;

#[derive(Debug, Args)]
pub(in crate::command) struct InitArgs {
    #[command(flatten)]
    home: Home,
    /// Who: name@authority
    #[arg(long, value_name = "NAME@AUTHORITY")]
    id: ServiceId,
    /// The federation's root.json, got by a way you trust
    #[arg(long, value_name = "FILE")]
    root: PathBuf,
    /// Where the directory is: a folder or an https address; repeat for more than one
    #[arg(long, value_name = "DIR|URL", required = true)]
    directory: Vec<String>,
    /// Correct the id, root or directory of a service that is there; its key and contacts stay
    #[arg(long)]
    correct: bool,
    /// For development alone: accepts published test keys
    #[arg(long)]
    dev: bool,
}

fn failed(error: impl std::fmt::Display) -> Failed {
    Failed::new(error.to_string())
}

pub(super) async fn run(args: &InitArgs, out: Output) -> Result<Exit, Failed> {
    let home = args.home.folder("service")?;
    let root = places::read(&args.root, limits::TRUST_ROOT_MAX)?;
    let before = there(args, &home)?;
    let sources = args.directory.iter().map(|source| places::absolute(source));
    let config = ServiceConfig {
        service: args.id.to_string(),
        key: before
            .as_ref()
            .map_or_else(|| "service.key".into(), |before| before.key.clone()),
        dev: args.dev,
        directory: DirectoryConfig {
            root: config::root_file(),
            sources: sources.collect(),
        },
    };
    config.directory_place(&home).map_err(failed)?;
    let path = config.key_path(&home);
    let key = match path.exists() {
        true => Some(keyfile::load(&path).map_err(failed)?),
        false => None,
    };
    let directory = places::check_directory(&config, &home, &root).await?;
    if let Some(directory) = directory {
        let id = key.as_ref().map(|key| key.public().id());
        compare(&args.id, &Listing::of(&directory, &args.id, id.as_ref()))?;
    }
    if let Some(before) = &before {
        keep_contacts(args, before, &home)?;
    }

    folder::create_folder(&home).map_err(failed)?;
    let key = match key {
        Some(key) => key,
        None => keyfile::create(&path).map_err(failed)?,
    };
    let root_file = home.join(config::root_file());
    if fs::read(&root_file).is_ok_and(|old| old != root) {
        // The copy began from the other root, and is fetched again.
        let copy = config::directory_folder(&home);
        if copy.exists() {
            fs::remove_dir_all(&copy)
                .map_err(|error| failed(format!("{}: {error}", copy.display())))?;
        }
    }
    folder::write(&root_file, &root, Secrecy::Public).map_err(failed)?;
    match args.correct {
        true => config.correct(&home),
        false => config.write_new(&home),
    }
    .map_err(failed)?;

    let public = key.public().to_string();
    let was = before.as_ref().map(|before| before.service.clone());
    if out.json {
        out.json(&json!({
            "service": args.id.to_string(),
            "was": was,
            "key": public,
            "key_id": key.public().id().to_string(),
            "home": home,
        }));
        return Ok(Exit::Done);
    }
    fact(out, "service", &args.id.to_string());
    if let Some(was) = was {
        fact(out, "was", &was);
    }
    fact(out, "key", &public);
    fact(out, "folder", &home.display().to_string());
    out.line("");
    out.line(format!(
        "Next, at the authority, unless it lists this key: pli authority add-service {} --service-key {public} --name-fr … --name-en …",
        args.id.name(),
    ));
    Ok(Exit::Done)
}

/// The service that is there already, if it is to be corrected.
fn there(args: &InitArgs, home: &Path) -> Result<Option<ServiceConfig>, Failed> {
    if !home.join(config::FILE).exists() {
        return Ok(None);
    }
    let before = ServiceConfig::read(home).map_err(failed)?;
    if args.correct {
        return Ok(Some(before));
    }
    Err(Failed::new(format!(
        "{} is the service {} already. To correct its id, root or directory give the same command with --correct: its key and contacts stay. For another service choose another --home",
        home.display(),
        before.service,
    )))
}

/// A name that is not listed yet may be listed later; one that contradicts the directory may not.
fn compare(id: &ServiceId, listing: &Listing) -> Result<(), Failed> {
    match listing {
        Listing::Listed => Ok(()),
        Listing::KeyOf { owners } => {
            let owners: Vec<String> = owners.iter().map(ToString::to_string).collect();
            Err(Failed::new(format!(
                "--id: got {id}, expected {}: {listing}",
                owners.join(" or ")
            )))
        }
        Listing::NoAuthority { .. } => Err(Failed::new(format!(
            "--id: got {id}, but there is no authority {} in this directory; {listing}. If it is to join, the federation takes it in first; or is this the directory of another federation?",
            id.authority()
        ))),
        Listing::NoService { .. } | Listing::OtherKey => {
            eprintln!(
                "pli: warning: {}",
                plain(&format!(
                    "{id} cannot send yet: {listing}. If the id was mistyped, give the same command with --correct and the right --id"
                ))
            );
            Ok(())
        }
    }
}

/// The contacts gave their grants to one authority; under another one they would be worth nothing.
fn keep_contacts(args: &InitArgs, before: &ServiceConfig, home: &Path) -> Result<(), Failed> {
    let Ok(was) = before.service_id(home) else {
        return Ok(());
    };
    let folder = config::contacts_folder(home);
    if was.authority() == args.id.authority() || !folder.exists() {
        return Ok(());
    }
    let contacts = Contacts::open(folder, was.authority().clone()).map_err(failed)?;
    if contacts.list().map_err(failed)?.next().is_none() {
        return Ok(());
    }
    Err(Failed::new(format!(
        "--id: got {}, but this folder has contacts who let {} write to them, and nobody else: choose another --home",
        args.id,
        was.authority()
    )))
}
