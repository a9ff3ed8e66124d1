//! From arguments to `pli_trust::write`, and back to what to say.

use std::path::Path;

use pli_protocol::id::Timestamp;
use pli_protocol::trust::{AuthorityRecord, DisplayName, Environment, Policy, Quotas, Standing};
use pli_trust::write::{Federation, GrantChange, KeyRing, Lifetimes, Suspension, WriteError};
use pli_trust::{legible, utc};

use super::args::{FederationCommand, GrantArgs, LifetimeArgs, Sign};
use super::ceremony;
use super::keys::open_keys;
use super::report::{Cell, Failure, Report};

/// Does what the command says at `now`.
pub async fn run(command: FederationCommand, now: Timestamp) -> Result<Report, Failure> {
    match command {
        init @ FederationCommand::Init { .. } => ceremony::init(init, now),
        FederationCommand::AddAuthority {
            handover,
            dir,
            grants,
            replace_keys,
            sign,
        } => {
            let federation = Federation::open(&dir.dir)?;
            let ring = sign.ring()?;
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
            next_step(report, &federation, &dir.dir)
        }
        FederationCommand::Grant {
            authority,
            dir,
            grants,
            sign,
        } => {
            let federation = Federation::open(&dir.dir)?;
            let record = federation.grant(&authority, grants.change()?, &sign.ring()?, now)?;
            next_step(granted(Report::new(), &record), &federation, &dir.dir)
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
            let record = federation.suspend(&authority, suspension, &sign.ring()?, now)?;
            next_step(granted(Report::new(), &record), &federation, &dir.dir)
        }
        FederationCommand::Policy {
            dir,
            witnesses,
            sign,
        } => {
            let federation = Federation::open(&dir.dir)?;
            federation.set_policy(Policy { witnesses }, &sign.ring()?, now)?;
            let report = Report::new()
                .count("witnesses", witnesses as u64)
                .cell("in_force", Cell::text("when published").json(false));
            next_step(report, &federation, &dir.dir)
        }
        rotate @ FederationCommand::RotateRoot { .. } => ceremony::rotate_root(rotate, now),
        FederationCommand::Publish {
            dir,
            from,
            dev,
            key,
        } => {
            let environment = if dev {
                Environment::Development
            } else {
                Environment::Production
            };
            let mut federation = Federation::open(&dir.dir)?;
            let ring = open_keys(&key)?;
            let published = federation.publish(&from, &ring, environment, now).await?;
            let directory = &published.directory;
            let mut report = Report::new();
            for (authority, version) in &published.unchanged {
                report = report.next(format!(
                    "{authority} handed over nothing new: its version {version} was published before; \
                     after a change it runs pli authority publish first"
                ));
            }
            if let Some(waiting) = &published.waiting {
                let waiting = format!("{} has {waiting}", waiting.role);
                report = report.next(format!(
                    "what is staged was not published: {waiting}; each further holder runs: pli federation sign --key \
                     <own key>; then publish again"
                ));
                report = report.fact("waiting", waiting);
            }
            let unchanged = published.unchanged.iter().map(|(authority, _)| authority);
            if !published.unchanged.is_empty() {
                report = report.cell("nothing_new_from", Cell::list(unchanged));
            }
            Ok(report
                .fact("repository", published.repository.display())
                .count("authorities", directory.authorities().count() as u64)
                .count("services", directory.services().count() as u64)
                .count("root_version", published.versions.root)
                .count("targets_version", published.versions.targets)
                .count("snapshot_version", published.versions.snapshot)
                .count("timestamp_version", published.versions.timestamp)
                .fact("root_file", federation.root_file().display())
                .fact("root_sha256", &published.root_sha256)
                .cell(
                    "publish_again_before",
                    time("publish_again_before_ms", directory.expires()),
                )
                .next(format!(
                    "serve {} at any https address, or name it in a node's trust.sources",
                    published.repository.display()
                ))
                .next(format!(
                    "give every node {} once, by a way it trusts",
                    federation.root_file().display()
                )))
        }
        FederationCommand::Sign { dir, key } => {
            let federation = Federation::open(&dir.dir)?;
            let mut report = Report::new().columns(&["role", "signatures", "threshold"]);
            for line in federation.cosign(&open_keys(&key)?)? {
                report = report.row(vec![
                    Cell::text(line.role),
                    Cell::count(line.got as u64),
                    Cell::count(line.need as u64),
                ]);
            }
            next_step(report, &federation, &dir.dir)
        }
        FederationCommand::Show { dir } => show(&dir.dir),
    }
}

fn show(dir: &Path) -> Result<Report, Failure> {
    let federation = Federation::open(dir)?;
    let overview = federation.overview()?;
    let [root, targets, snapshot, timestamp] = overview.published;
    let mut report = Report::new()
        .count("root_version", root)
        .count("targets_version", targets)
        .count("snapshot_version", snapshot)
        .count("timestamp_version", timestamp)
        .cell(
            "root_expires",
            time("root_expires_ms", overview.root_expires),
        )
        .cell(
            "targets_expires",
            time("targets_expires_ms", overview.targets_expires),
        )
        .count("witnesses_demanded", overview.policy.witnesses as u64)
        .columns(&[
            "authority",
            "in_force",
            "status",
            "may_host",
            "may_lookup",
            "alerts",
            "name",
        ]);
    for record in &overview.authorities {
        report = report.row(listed(record, Cell::flag(true)));
    }
    let progress = federation.signing_progress()?;
    let staged = match progress
        .iter()
        .find(|line| line.role.starts_with("targets"))
    {
        Some(line) => format!("staged: {line}"),
        None => "staged".to_owned(),
    };
    for record in &overview.staged_authorities {
        report = report.row(listed(record, Cell::text(&staged).json(false)));
    }
    if !progress.is_empty() {
        let lines = progress.iter().map(|line| format!("{}: {line}", line.role));
        report = report.fact("staged", lines.collect::<Vec<_>>().join("; "));
    }
    if overview.staged {
        next_step(report, &federation, dir)
    } else {
        Ok(report)
    }
}

fn granted(report: Report, record: &AuthorityRecord) -> Report {
    report
        .fact("authority", &record.authority)
        .fact("name", &record.name.fr)
        .cell("status", status(record))
        .cell("may_host", Cell::flag(record.may_host))
        .cell("may_lookup", Cell::flag(record.may_lookup))
        .cell("in_force", Cell::text("when published").json(false))
}

fn listed(record: &AuthorityRecord, in_force: Cell) -> Vec<Cell> {
    vec![
        Cell::text(&record.authority),
        in_force,
        status(record),
        Cell::flag(record.may_host),
        Cell::flag(record.may_lookup),
        Cell::list(record.alerts.iter().map(|alert| &alert.event)),
        Cell::text(&record.name.fr),
    ]
}

fn status(record: &AuthorityRecord) -> Cell {
    match record.standing {
        Standing::Active => Cell::text("active"),
        Standing::Suspended { since } => Cell::text(format!("suspended since {}", legible(since)))
            .json("suspended")
            .also("suspended_since_ms", since.as_ms()),
    }
}

/// A time for people; for programs in the form of files, and in milliseconds.
pub(crate) fn time(name: &'static str, at: Timestamp) -> Cell {
    Cell::text(legible(at)).json(utc(at)).also(name, at.as_ms())
}

/// Publish, or first the signatures that are still missing.
pub(super) fn next_step(
    mut report: Report,
    federation: &Federation,
    dir: &Path,
) -> Result<Report, Failure> {
    let lines = federation.signing_progress()?;
    let mut missing = lines.iter().filter(|line| !line.is_met()).peekable();
    if missing.peek().is_none() {
        return Ok(report.next(publish_line(dir)));
    }
    for line in missing {
        let more = line.need - line.got;
        report = report.next(format!(
            "{} needs {more} more: take {} to each holder, who runs: pli federation sign --dir {} --key <own key>",
            line.role,
            dir.display(),
            dir.display()
        ));
    }
    Ok(report)
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

impl Sign {
    pub(super) fn ring(&self) -> Result<KeyRing, Failure> {
        let ring = open_keys(&self.key)?;
        Ok(if self.partial { ring.partial() } else { ring })
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
