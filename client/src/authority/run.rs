//! From arguments to `pli_trust::write::Authority`, and back to what to say.

use std::path::Path;
use std::time::Duration;

use pli_protocol::id::Timestamp;
use pli_protocol::trust::{DisplayName, KeyRole, ServiceRecord, Standing, ValidKey};
use pli_trust::write::{Authority, NewAuthority, NodeChange, RoleKeys, ServiceChange, WriteError};
use serde_json::Value;

use crate::names;

use super::args::{AuthorityCommand, Whose};
use super::which::{BEGINNING_MIN, which};
use crate::federation::{Cell, Failure, KeyOption, Report, make_keys, open_keys, time};

/// Does what the command says at `now`.
pub fn run(command: AuthorityCommand, now: Timestamp) -> Result<Report, Failure> {
    match command {
        init @ AuthorityCommand::Init { .. } => self::init(init, now),
        add @ AuthorityCommand::AddService { .. } => add_service(add, now),
        AuthorityCommand::SetNode {
            dir,
            quic,
            websocket,
            http,
            gossip,
            node_key,
            gateway_key,
            log_key,
        } => {
            let change = NodeChange {
                quic,
                websocket,
                http,
                gossip,
                add_keys: KeyOption::all(&node_key)?,
                add_gateway_keys: KeyOption::all(&gateway_key)?,
                add_log_keys: KeyOption::all(&log_key)?,
            };
            let node = Authority::open(&dir.dir)?.set_node(change, now)?;
            Ok(Report::new()
                .fact("node", &node.authority)
                .cell("quic", Cell::list(&node.quic))
                .cell("websocket", Cell::list(&node.websocket))
                .cell("http", Cell::list(&node.http))
                .cell("gossip", Cell::list(&node.gossip))
                .count("log_keys", node.log_keys.len() as u64)
                .count("node_keys", node.keys.len() as u64)
                .next(publish_line(&dir.dir)))
        }
        AuthorityCommand::SetService {
            name,
            dir,
            service_key,
            class,
            importance,
            link_host,
        } => {
            let change = ServiceChange {
                add_keys: KeyOption::all(&service_key)?,
                classes: class.into_iter().map(Into::into).collect(),
                importances: importance.into_iter().map(Into::into).collect(),
                link_hosts: link_host.into_iter().collect(),
            };
            let record = Authority::open(&dir.dir)?.set_service(&name, change, now)?;
            Ok(Report::new()
                .fact("service", &record.service)
                .count("service_keys", record.keys.len() as u64)
                .cell(
                    "classes",
                    Cell::list(record.classes.iter().copied().map(names::class)),
                )
                .cell(
                    "importances",
                    Cell::list(record.importances.iter().copied().map(names::importance)),
                )
                .cell("link_hosts", Cell::list(&record.link_hosts))
                .next(publish_line(&dir.dir)))
        }
        revoke @ AuthorityCommand::Revoke { .. } => self::revoke(revoke, now),
        AuthorityCommand::Publish { dir, key } => {
            let mut authority = Authority::open(&dir.dir)?;
            let version = authority.publish(&open_keys(&key)?, now)?;
            let handover = authority.handover_dir();
            let handover = handover.display().to_string();
            Ok(Report::new()
                .fact("authority", authority.id())
                .count("role_version", version)
                .fact("handover", &handover)
                .next(
                    "give this directory to the federation, which runs, the first time and after:",
                )
                .next(format!(
                    "  pli federation add-authority {handover} --key <targets keys>"
                ))
                .next(format!(
                    "  pli federation publish --from {handover} --key <online keys>"
                )))
        }
        AuthorityCommand::Show { dir } => show(&dir.dir),
    }
}

fn init(command: AuthorityCommand, now: Timestamp) -> Result<Report, Failure> {
    let AuthorityCommand::Init {
        authority,
        dir,
        name_fr,
        name_en,
        keys,
        role_key,
        role_keys,
        role_threshold,
        role_days,
        node_key,
        quic,
        websocket,
        http,
        gossip,
        log_key,
    } = command
    else {
        unreachable!("called for init alone");
    };
    // Before any key is made: a second init must not leave new keys lying about.
    if Authority::open(&dir.dir).is_ok() {
        return Err(WriteError::Occupied {
            dir: dir.dir,
            what: "an authority's workspace",
        }
        .into());
    }
    let name = DisplayName::new(name_fr, name_en).map_err(WriteError::from)?;
    let role = if role_key.is_empty() {
        make_keys(&keys, "role", role_keys)?
            .iter()
            .map(|key| *key.public())
            .collect()
    } else {
        KeyOption::all(&role_key)?
    };
    let node_key = match node_key {
        Some(key) => key.public()?,
        None => *make_keys(&keys, "node", 1)?[0].public(),
    };
    let log_key = match log_key {
        Some(key) => key.public()?,
        None => *make_keys(&keys, "log", 1)?[0].public(),
    };
    let role = RoleKeys::new(role, role_threshold)?;
    let new = NewAuthority {
        authority,
        name,
        keys: role,
        role_days,
        node_key,
        quic,
        websocket,
        http,
        gossip,
        log_key: Some(log_key),
    };
    let made = Authority::init(&dir.dir, new, now)?;
    Ok(Report::new()
        .fact("authority", made.id())
        .fact("workspace", dir.dir.display())
        .fact("role_keys", format!("{} of {}", made.role_keys().threshold(), made.role_keys().keys().len()))
        .fact("node_key", node_key)
        .fact("keys", keys.display())
        .next("keep the role's key off the node's machine; the node needs node.key and log.key alone")
        .next(format!("pli authority add-service <name> --dir {} --service-key <file>.key --name-fr … --name-en …", dir.dir.display()))
        .next(publish_line(&dir.dir)))
}

fn add_service(command: AuthorityCommand, now: Timestamp) -> Result<Report, Failure> {
    let AuthorityCommand::AddService {
        name,
        dir,
        service_key,
        name_fr,
        name_en,
        class,
        importance,
        link_host,
    } = command
    else {
        unreachable!("called for add-service alone");
    };
    let authority = Authority::open(&dir.dir)?;
    let service = authority.service_id(&name)?;
    if authority.service(&name).is_ok() {
        return Err(WriteError::InDraft {
            what: service.to_string(),
        }
        .into());
    }
    let key = service_key.public()?;
    let record = ServiceRecord {
        service: service.clone(),
        name: DisplayName::new(name_fr, name_en).map_err(WriteError::from)?,
        standing: Standing::Active,
        keys: vec![Authority::key_from(key, now)],
        classes: class.into_iter().map(Into::into).collect(),
        importances: importance.into_iter().map(Into::into).collect(),
        link_hosts: link_host.into_iter().collect(),
    };
    authority.add_service(&record)?;
    Ok(Report::new()
        .fact("service", service)
        .fact("key", key)
        .next(publish_line(&dir.dir)))
}

fn revoke(command: AuthorityCommand, now: Timestamp) -> Result<Report, Failure> {
    let AuthorityCommand::Revoke {
        dir,
        whose,
        old_key,
        new_key,
        stolen_at,
    } = command
    else {
        unreachable!("called for revoke alone");
    };
    let authority = Authority::open(&dir.dir)?;
    let role = whose.role(&authority)?;
    let ends = stolen_at.unwrap_or(now);
    let listed: Vec<_> = authority
        .keys(&role)?
        .iter()
        .map(|listed| listed.key)
        .collect();
    let old = old_key.map(|name| which(&name, &listed)).transpose()?;
    let new_key = new_key.as_ref().map(KeyOption::public).transpose()?;
    let revoked = authority.revoke(&role, old.as_ref(), new_key, ends)?;
    // The end is a whole second. Whoever hands it over reads then of a key that has ended, and so do the nodes:
    // they look at their sessions when the directory changes.
    std::thread::sleep(Duration::from_millis(revoked.not_after.since_ms(now)));
    let report = Report::new()
        .fact("owner", &revoked.owner)
        .fact("revoked", revoked.key)
        .cell("not_after", time("not_after_ms", revoked.not_after));
    let report = match revoked.replacement {
        Some(key) => report.fact("replacement", key),
        None => report,
    };
    Ok(report
        .next(publish_line(&dir.dir))
        .next("until the federation publishes it, nodes still accept the old key"))
}

fn show(dir: &Path) -> Result<Report, Failure> {
    let authority = Authority::open(dir)?;
    let node = authority.node()?;
    let handed_over = authority.handed_over();
    let mut drafted = !handed_over.has_node(&node);
    let mut report = Report::new()
        .fact("authority", authority.id())
        .cell("quic", Cell::list(&node.quic))
        .cell("websocket", Cell::list(&node.websocket))
        .count("handed_over_version", handed_over.version)
        .columns(&["owner", "state", "not_before", "not_after", "key", "key_id"]);
    let of_node = [
        ("node", &node.keys),
        ("gateway", &node.gateway_keys),
        ("log", &node.log_keys),
    ];
    for (owner, keys) in of_node {
        for key in keys {
            report = report.row(row(owner, drafted, key));
        }
    }
    for service in authority.services()? {
        let of_draft = !handed_over.has_service(&service);
        drafted |= of_draft;
        for key in &service.keys {
            report = report.row(row(&service.service.to_string(), of_draft, key));
        }
    }
    Ok(match drafted {
        true => report
            .next(publish_line(dir))
            .next("what is drafted is known to nobody before it is handed over and the federation publishes it"),
        false => report,
    })
}

/// A file is handed over as a whole: what stands beside a change in it is handed over again.
fn row(owner: &str, drafted: bool, listed: &ValidKey) -> Vec<Cell> {
    let (begins, ends) = (listed.validity.not_before, listed.validity.not_after);
    vec![
        Cell::text(owner),
        Cell::text(if drafted { "drafted" } else { "handed over" }),
        time("not_before_ms", begins),
        match ends {
            Some(ends) => time("not_after_ms", ends),
            None => Cell::text("").json(Value::Null),
        },
        // As a command takes it, and as logs and signed objects give it.
        brief(listed.key, "ed25519:"),
        brief(listed.key.id(), ""),
    ]
}

/// Enough to tell one key from another, and to name it to a command.
fn brief(key: impl ToString, prefix: &str) -> Cell {
    let whole = key.to_string();
    let shown = whole
        .chars()
        .take(prefix.len() + BEGINNING_MIN)
        .chain(['…']);
    Cell::text(&whole).brief(shown.collect::<String>())
}

fn publish_line(dir: &Path) -> String {
    format!(
        "pli authority publish --dir {} --key <role key>",
        dir.display()
    )
}

impl Whose {
    fn role(self, authority: &Authority) -> Result<KeyRole, Failure> {
        Ok(match self.service {
            Some(name) => KeyRole::Service(authority.service_id(&name)?),
            None if self.gateway => KeyRole::Gateway,
            None if self.log => KeyRole::Log,
            None => KeyRole::Node,
        })
    }
}
