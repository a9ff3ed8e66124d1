//! What is wrong with a partner's payload, field by field, as the partner named the fields.

use std::collections::BTreeMap;
use std::fmt;

/// Why a payload was refused.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PartnerError {
    /// Not JSON at all, or not an object.
    #[error("the event is not a JSON object: {reason}")]
    NotAnObject { reason: String },
    /// An object with faults; every one of them.
    #[error(transparent)]
    Fields(#[from] FieldFaults),
}

/// One or more messages per field. Never empty.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct FieldFaults(BTreeMap<String, Vec<String>>);

impl FieldFaults {
    /// Adds a message to a field.
    pub(super) fn add(&mut self, field: &str, message: impl fmt::Display) {
        self.0
            .entry(field.to_owned())
            .or_default()
            .push(message.to_string());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The fields, in alphabetical order, and what is wrong with each.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.0
            .iter()
            .map(|(field, messages)| (field.as_str(), messages.as_slice()))
    }

    /// Whether this field is at fault.
    pub fn names(&self, field: &str) -> bool {
        self.0.contains_key(field)
    }
}

impl fmt::Display for FieldFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = self
            .iter()
            .map(|(field, messages)| format!("{field}: {}", messages.join(", ")));
        f.write_str(&fields.collect::<Vec<_>>().join("; "))
    }
}

impl std::error::Error for FieldFaults {}
