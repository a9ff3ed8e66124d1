//! From arguments to `pli_trust::write`, and back to what to say.

use std::path::Path;

use pli_protocol::id::Timestamp;
use pli_protocol::trust::{AuthorityRecord, DisplayName, Environment, Quotas, Standing};
use pli_trust::utc;
use pli_trust::write::{
    Federation, GrantChange, KeyRing, Lifetimes, NewFederation, RoleKeys, RootChange, Suspension,
    WriteError,
};

use super::args::{FederationCommand, GrantArgs, LifetimeArgs};
use super::keys::{KeyOption, make, open_keys};
use super::report::{Failure, Report};

/// Does what the command says at `now`.
pub async fn run(command: FederationCommand, now: Timestamp) -> Result<Report, Failure> {
    match command {
        init @ FederationCommand::Init { .. } => self::init(init, now),
        FederationCommand::AddAuthority {
            handover,
            dir,
            grants,
            replace_keys,
            sign,
        } => {
            let federation = Federation::open(&dir.dir)?;
            let ring = open_keys(&sign.key)?;
            let report = Report::new();
            let report = if replace_keys {
                let authority = federation.replace_authority_keys(&handover, &ring, now)?;
                report
                    .fact("authority", authority)
                    .fact("role_keys", "replaced")
            } else {
                let change = grants.change()?;
                granted(
                    report,
                    &federation.add_authority(&handover, change, &ring, now)?,
                )
            };
            Ok(report.next(publish_line(&dir.dir)))
        }
        FederationCommand::Grant {
            authority,
            dir,
            grants,
            sign,
        } => {
            let federation = Federation::open(&dir.dir)?;
            let record =
                federation.grant(&authority, grants.change()?, &open_keys(&sign.key)?, now)?;
            Ok(granted(Report::new(), &record).next(publish_line(&dir.dir)))
        }
        FederationCommand::Suspend {
            authority,
            dir,
            lift,
            sign,
        } => {
            let federation = Federation::open(&dir.dir)?;
            let suspension = if lift {
                Suspension::Lift
            } else {
                Suspension::Impose
            };
            let record = federation.suspend(&authority, suspension, &open_keys(&sign.key)?, now)?;
            Ok(granted(Report::new(), &record).next(publish_line(&dir.dir)))
        }
        rotate @ FederationCommand::RotateRoot { .. } => rotate_root(rotate, now),
        FederationCommand::Publish {
            dir,
            from,
            dev,
            sign,
        } => {
            let environment = if dev {
                Environment::Development
            } else {
                Environment::Production
            };
            let mut federation = Federation::open(&dir.dir)?;
            let ring = open_keys(&sign.key)?;
            let published = federation.publish(&from, &ring, environment, now).await?;
            let directory = &published.directory;
            Ok(Report::new()
                .fact("repository", published.repository.display())
                .fact("authorities", directory.authorities().count())
                .fact("services", directory.services().count())
                .fact("root_version", published.versions.root)
                .fact("targets_version", published.versions.targets)
                .fact("snapshot_version", published.versions.snapshot)
                .fact("timestamp_version", published.versions.timestamp)
                .fact("root_file", federation.root_file().display())
                .fact("root_sha256", &published.root_sha256)
                .fact("publish_again_before", utc(directory.expires()))
                .next(format!(
                    "serve {} at any https address, or name it in a node's trust.sources",
                    published.repository.display()
                ))
                .next(format!(
                    "give every node {} once, by a way it trusts",
                    federation.root_file().display()
                )))
        }
        FederationCommand::Show { dir } => show(&dir.dir),
    }
}

fn init(command: FederationCommand, now: Timestamp) -> Result<Report, Failure> {
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
            what: "federation",
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
    let ring = KeyRing::new(made).with(open_keys(&sign.key)?);
    Federation::init(&dir.dir, new, &ring, now)?;
    Ok(report
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
        )))
}

fn rotate_root(command: FederationCommand, now: Timestamp) -> Result<Report, Failure> {
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
    let version = federation.rotate_root(change, &open_keys(&sign.key)?, now)?;
    Ok(Report::new()
        .fact("root_version", version)
        .next(publish_line(&dir.dir)))
}

fn show(dir: &Path) -> Result<Report, Failure> {
    let overview = Federation::open(dir)?.overview()?;
    let [root, targets, snapshot, timestamp] = overview.published;
    let mut report = Report::new()
        .fact("root_version", root)
        .fact("targets_version", targets)
        .fact("snapshot_version", snapshot)
        .fact("timestamp_version", timestamp)
        .fact("root_expires", utc(overview.root_expires))
        .fact("targets_expires", utc(overview.targets_expires))
        .columns(&[
            "authority",
            "name",
            "status",
            "may_host",
            "may_lookup",
            "alerts",
        ]);
    for record in &overview.authorities {
        report = report.row(vec![
            record.authority.to_string(),
            record.name.fr.clone(),
            status(record),
            yes(record.may_host),
            yes(record.may_lookup),
            record
                .alerts
                .iter()
                .map(|alert| alert.event.to_string())
                .collect::<Vec<_>>()
                .join(" "),
        ]);
    }
    Ok(if overview.staged {
        report.next(publish_line(dir))
    } else {
        report
    })
}

fn granted(report: Report, record: &AuthorityRecord) -> Report {
    report
        .fact("authority", &record.authority)
        .fact("name", &record.name.fr)
        .fact("status", status(record))
        .fact("may_host", yes(record.may_host))
        .fact("may_lookup", yes(record.may_lookup))
}

fn status(record: &AuthorityRecord) -> String {
    match record.standing {
        Standing::Active => "active".into(),
        Standing::Suspended { since } => format!("suspended since {}", utc(since)),
    }
}

fn yes(is: bool) -> String {
    if is { "yes" } else { "no" }.into()
}

fn publish_line(dir: &Path) -> String {
    format!(
        "pli federation publish --dir {} --key <online keys>",
        dir.display()
    )
}

impl GrantArgs {
    fn change(self) -> Result<GrantChange, Failure> {
        let name = match (self.name_fr, self.name_en) {
            (Some(fr), Some(en)) => Some(DisplayName::new(fr, en).map_err(WriteError::from)?),
            _ => None,
        };
        let quotas = Quotas {
            envelopes_per_minute: self.envelopes_per_minute,
            envelopes_per_day: self.envelopes_per_day,
            lookups_per_day: self.lookups_per_day,
        };
        Ok(GrantChange {
            name,
            may_host: self.host,
            may_lookup: self.lookup,
            alerts: (!self.alert.is_empty()).then_some(self.alert),
            legal_bases: (!self.legal_basis.is_empty()).then_some(self.legal_basis),
            quotas: (quotas != Quotas::default()).then_some(quotas),
        })
    }
}

impl From<LifetimeArgs> for Lifetimes {
    fn from(args: LifetimeArgs) -> Self {
        Self {
            root_days: args.root_days,
            targets_days: args.targets_days,
            snapshot_days: args.snapshot_days,
            timestamp_days: args.timestamp_days,
        }
    }
}
