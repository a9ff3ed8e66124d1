//! `authorities/<authority>.json`

use std::collections::BTreeSet;

use pli_protocol::id::AuthorityId;
use pli_protocol::trust::{AlertGrant, AuthorityRecord, Quotas, RecordRefusal};
use serde::{Deserialize, Serialize};

use super::part::{NameEntry, StatusEntry, set};
use super::{VERSION, malformed, of_another};

/// The file, as it is written.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AuthorityFile {
    version: u64,
    authority: String,
    name: NameEntry,
    status: StatusEntry,
    may_host: bool,
    may_lookup: bool,
    alerts: Vec<AlertEntry>,
    legal_bases: Vec<String>,
    quotas: QuotaEntry,
}

#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
struct AlertEntry {
    event: String,
    cosigners: Vec<String>,
}

#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
struct QuotaEntry {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    envelopes_per_minute: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    envelopes_per_day: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lookups_per_day: Option<u64>,
}

impl AuthorityFile {
    /// Reads the file that stands at `path` for `authority`.
    pub fn read(
        authority: &AuthorityId,
        path: &str,
        bytes: &[u8],
    ) -> Result<AuthorityRecord, RecordRefusal> {
        let file: Self = super::read(path, bytes)?;
        // TRU-3.2: the path is what was signed; a file must say the same of itself.
        if file.authority != authority.as_str() {
            return Err(of_another(authority, path));
        }
        file.record(authority)
            .map_err(|problem| malformed(path, problem))
    }

    fn record(self, authority: &AuthorityId) -> Result<AuthorityRecord, String> {
        let mut alerts = BTreeSet::new();
        for entry in &self.alerts {
            let event = entry
                .event
                .parse()
                .map_err(|problem| format!("{problem}"))?;
            if !alerts.insert(AlertGrant {
                event,
                cosigners: set(&entry.cosigners)?,
            }) {
                return Err(format!("alert {:?} twice", entry.event));
            }
        }
        Ok(AuthorityRecord {
            authority: authority.clone(),
            name: self.name.parse()?,
            standing: self.status.parse()?,
            may_host: self.may_host,
            may_lookup: self.may_lookup,
            alerts: alerts.into_iter().collect(),
            legal_bases: set(&self.legal_bases)?,
            quotas: Quotas {
                envelopes_per_minute: self.quotas.envelopes_per_minute,
                envelopes_per_day: self.quotas.envelopes_per_day,
                lookups_per_day: self.quotas.lookups_per_day,
            },
        })
    }

    /// The bytes of the file for `record`.
    #[must_use]
    pub fn write(record: &AuthorityRecord) -> Vec<u8> {
        let alert = |alert: &AlertGrant| AlertEntry {
            event: alert.event.to_string(),
            cosigners: alert.cosigners.iter().map(ToString::to_string).collect(),
        };
        super::write(&Self {
            version: VERSION,
            authority: record.authority.to_string(),
            name: NameEntry::from_name(&record.name),
            status: StatusEntry::from_standing(record.standing),
            may_host: record.may_host,
            may_lookup: record.may_lookup,
            alerts: record.alerts.iter().map(alert).collect(),
            legal_bases: record.legal_bases.iter().map(ToString::to_string).collect(),
            quotas: QuotaEntry {
                envelopes_per_minute: record.quotas.envelopes_per_minute,
                envelopes_per_day: record.quotas.envelopes_per_day,
                lookups_per_day: record.quotas.lookups_per_day,
            },
        })
    }
}
