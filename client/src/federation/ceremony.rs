//! What needs the root's holders: the first root and every next one.

use std::path::Path;

use pli_protocol::id::Timestamp;
use pli_trust::write::{Federation, KeyRing, NewFederation, RoleKeys, RootChange, WriteError};

use super::args::FederationCommand;
use super::keys::{KeyOption, make};
use super::report::{Failure, Report};
use super::run::next_step;

pub(super) fn init(command: FederationCommand, now: Timestamp) -> Result<Report, Failure> {
    let FederationCommand::Init {
        dir,
        keys,
        root,
        root_keys,
        root_threshold,
        targets,
        targets_keys,
        targets_threshold,
        snapshot,
        timestamp,
        sign,
        lifetimes,
    } = command
    else {
        unreachable!("called for init alone");
    };
    // Before any key is made: a second init must not leave new keys lying about.
    if Federation::open(&dir.dir).is_ok() {
        return Err(WriteError::Occupied {
            dir: dir.dir,
            what: "a federation",
        }
        .into());
    }
    let (offline, online) = (keys.join("offline"), keys.join("online"));
    let mut ring = Vec::new();
    let mut role = |given: &[KeyOption], folder: &Path, name: &str, count: usize| {
        if given.is_empty() {
            let made = make(folder, name, count)?;
            let public = made.iter().map(|key| *key.public()).collect();
            ring.extend(made);
            return Ok(public);
        }
        KeyOption::all(given)
    };
    let root = role(&root, &offline, "root", root_keys)?;
    let targets = role(&targets, &offline, "targets", targets_keys)?;
    let snapshot = role(snapshot.as_slice(), &online, "snapshot", 1)?;
    let timestamp = role(timestamp.as_slice(), &online, "timestamp", 1)?;
    let counted = |keys: &[_], threshold| format!("{threshold} of {}", keys.len());
    let report = Report::new()
        .fact("federation", dir.dir.display())
        .fact("root_keys", counted(&root, root_threshold))
        .fact("targets_keys", counted(&targets, targets_threshold));
    let new = NewFederation {
        root: RoleKeys::new(root, root_threshold)?,
        targets: RoleKeys::new(targets, targets_threshold)?,
        snapshot: RoleKeys::new(snapshot, 1)?,
        timestamp: RoleKeys::new(timestamp, 1)?,
        lifetimes: lifetimes.into(),
    };
    // The online keys sign nothing here; the first publication does.
    let made = ring.into_iter().filter(|key| {
        let offline = new.root.keys().iter().chain(new.targets.keys());
        offline.into_iter().any(|listed| listed == key.public())
    });
    let ring = KeyRing::new(made).with(sign.ring()?);
    let federation = Federation::init(&dir.dir, new, &ring, now)?;
    let report = report
        .fact("offline_keys", offline.display())
        .fact("online_keys", online.display())
        .next(format!(
            "keep copies of {} apart, one holder each, and off this machine",
            offline.display()
        ))
        .next("each authority: pli authority init, then pli authority publish")
        .next(format!(
            "pli federation add-authority <handover> --dir {} --key <targets keys>",
            dir.dir.display()
        ));
    next_step(report, &federation, &dir.dir)
}

pub(super) fn rotate_root(command: FederationCommand, now: Timestamp) -> Result<Report, Failure> {
    let FederationCommand::RotateRoot {
        dir,
        root,
        root_threshold,
        targets,
        targets_threshold,
        snapshot,
        timestamp,
        sign,
    } = command
    else {
        unreachable!("called for rotate-root alone");
    };
    let keys = |given: &[KeyOption], threshold: Option<usize>, option| -> Result<_, Failure> {
        if given.is_empty() {
            return Ok(None);
        }
        let keys = KeyOption::all(given)?;
        let threshold = match (threshold, keys.len()) {
            (Some(threshold), _) => threshold,
            (None, 1) => 1,
            (None, _) => {
                let problem = "several keys: say how many must sign".to_owned();
                return Err(Failure::Argument { option, problem });
            }
        };
        Ok(Some(RoleKeys::new(keys, threshold)?))
    };
    let change = RootChange {
        root: keys(&root, root_threshold, "--root-threshold")?,
        targets: keys(&targets, targets_threshold, "--targets-threshold")?,
        snapshot: keys(snapshot.as_slice(), None, "--snapshot")?,
        timestamp: keys(timestamp.as_slice(), None, "--timestamp")?,
    };
    let federation = Federation::open(&dir.dir)?;
    let version = federation.rotate_root(change, &sign.ring()?, now)?;
    next_step(
        Report::new().count("root_version", version),
        &federation,
        &dir.dir,
    )
}
