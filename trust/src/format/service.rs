//! `<authority>/services/<name>.json`

use std::collections::BTreeSet;

use pli_protocol::envelope::{Class, Importance};
use pli_protocol::id::ServiceId;
use pli_protocol::trust::{RecordRefusal, ServiceRecord};
use serde::{Deserialize, Serialize};

use super::part::{KeyEntry, NameEntry, StatusEntry, keys, set};
use super::{VERSION, malformed, of_another};

/// The file, as it is written.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceFile {
    version: u64,
    service: String,
    name: NameEntry,
    status: StatusEntry,
    keys: Vec<KeyEntry>,
    classes: Vec<ClassEntry>,
    importances: Vec<ImportanceEntry>,
    link_hosts: Vec<String>,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
enum ClassEntry {
    Message,
    Reply,
    Alert,
    Control,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
enum ImportanceEntry {
    Information,
    Action,
    Legal,
}

impl ServiceFile {
    /// Reads the file that stands at `path` for `service`.
    pub fn read(
        service: &ServiceId,
        path: &str,
        bytes: &[u8],
    ) -> Result<ServiceRecord, RecordRefusal> {
        let file: Self = super::read(path, bytes)?;
        // TRU-3.2: the path is what was signed; a file must say the same of itself.
        if file.service != service.to_string() {
            return Err(of_another(service.authority(), path));
        }
        file.record(service)
            .map_err(|problem| malformed(path, problem))
    }

    fn record(self, service: &ServiceId) -> Result<ServiceRecord, String> {
        let classes: BTreeSet<Class> = self.classes.iter().copied().map(class).collect();
        let importances: BTreeSet<Importance> =
            self.importances.iter().copied().map(importance).collect();
        if classes.len() != self.classes.len() || importances.len() != self.importances.len() {
            return Err("a class or an importance twice".into());
        }
        Ok(ServiceRecord {
            service: service.clone(),
            name: self.name.parse()?,
            standing: self.status.parse()?,
            keys: keys(&self.keys)?,
            classes,
            importances,
            link_hosts: set(&self.link_hosts)?,
        })
    }

    /// The bytes of the file for `record`.
    #[must_use]
    pub fn write(record: &ServiceRecord) -> Vec<u8> {
        super::write(&Self {
            version: VERSION,
            service: record.service.to_string(),
            name: NameEntry::from_name(&record.name),
            status: StatusEntry::from_standing(record.standing),
            keys: record.keys.iter().map(KeyEntry::from_key).collect(),
            classes: record.classes.iter().copied().map(class_entry).collect(),
            importances: record
                .importances
                .iter()
                .copied()
                .map(importance_entry)
                .collect(),
            link_hosts: record.link_hosts.iter().map(ToString::to_string).collect(),
        })
    }
}

fn class(entry: ClassEntry) -> Class {
    match entry {
        ClassEntry::Message => Class::Message,
        ClassEntry::Reply => Class::Reply,
        ClassEntry::Alert => Class::Alert,
        ClassEntry::Control => Class::Control,
    }
}

fn class_entry(class: Class) -> ClassEntry {
    match class {
        Class::Message => ClassEntry::Message,
        Class::Reply => ClassEntry::Reply,
        Class::Alert => ClassEntry::Alert,
        Class::Control => ClassEntry::Control,
    }
}

fn importance(entry: ImportanceEntry) -> Importance {
    match entry {
        ImportanceEntry::Information => Importance::Information,
        ImportanceEntry::Action => Importance::Action,
        ImportanceEntry::Legal => Importance::Legal,
    }
}

fn importance_entry(importance: Importance) -> ImportanceEntry {
    match importance {
        Importance::Information => ImportanceEntry::Information,
        Importance::Action => ImportanceEntry::Action,
        Importance::Legal => ImportanceEntry::Legal,
    }
}
