//! Reads typed fields out of a JSON object and collects every fault on the way.

use pli_protocol::content::{Line, is_bidi_control, is_refused_control};
use pli_protocol::id::Timestamp;
use pli_protocol::limits;
use serde_json::{Map, Value};

use super::event::Adjustment;
use super::fault::FieldFaults;

/// A JSON object that is being read. What is left at the end was not asked for.
#[derive(Debug)]
pub(super) struct Fields {
    object: Map<String, Value>,
    pub(super) faults: FieldFaults,
    pub(super) adjustments: Vec<Adjustment>,
}

impl Fields {
    pub(super) fn new(object: Map<String, Value>) -> Self {
        Self {
            object,
            faults: FieldFaults::default(),
            adjustments: Vec::new(),
        }
    }

    /// A string that must be there. `None` after a fault.
    pub(super) fn required(&mut self, field: &'static str) -> Option<String> {
        let present = self.object.contains_key(field);
        let text = self.string(field);
        if text.is_none() && !self.faults.names(field) {
            self.faults.add(
                field,
                if present {
                    "must not be empty"
                } else {
                    "is required"
                },
            );
        }
        text
    }

    /// A string that may be absent, null or empty: all three are `None`.
    pub(super) fn string(&mut self, field: &'static str) -> Option<String> {
        match self.object.remove(field) {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => Some(text).filter(|text| !text.trim().is_empty()),
            Some(_) => {
                self.faults.add(field, "must be a string");
                None
            }
        }
    }

    /// One line for people or software. `None` where absent or after a fault.
    pub(super) fn line(&mut self, field: &'static str, max: usize) -> Option<Line> {
        let text = self.string(field)?;
        self.check_line(field, text, max)
    }

    /// The same, when it must be there.
    pub(super) fn required_line(&mut self, field: &'static str, max: usize) -> Option<Line> {
        let text = self.required(field)?;
        self.check_line(field, text, max)
    }

    fn check_line(&mut self, field: &'static str, text: String, max: usize) -> Option<Line> {
        let text = self.plain(field, text);
        match Line::new(text, max) {
            Ok(line) => Some(line),
            Err(problem) => {
                self.faults.add(field, problem);
                None
            }
        }
    }

    /// Paragraphs. Partners write CRLF, tabs and stray blanks; these have one plain form, and
    /// the change is reported. Anything else that is not plain text is a fault.
    pub(super) fn paragraphs(&mut self, field: &'static str, text: String) -> Option<String> {
        let text = self.plain(field, text);
        if text.len() > limits::BODY_MAX {
            let (got, max) = (text.len(), limits::BODY_MAX);
            self.faults
                .add(field, format!("{got} bytes long; at most {max}"));
            return None;
        }
        let refused = text
            .chars()
            .find(|c| is_bidi_control(*c) || is_refused_control(*c));
        if let Some(refused) = refused {
            let code_point = u32::from(refused);
            self.faults.add(
                field,
                format!("has the control character U+{code_point:04X}; only plain text is allowed"),
            );
            return None;
        }
        Some(text)
    }

    fn plain(&mut self, field: &'static str, text: String) -> String {
        let plain = text
            .replace("\r\n", "\n")
            .replace('\r', "\n")
            .replace('\t', " ");
        let plain = plain.trim().to_owned();
        if plain != text {
            self.adjustments.push(Adjustment::WhiteSpace { field });
        }
        plain
    }

    /// An ISO 8601 date and time with its offset from UTC.
    pub(super) fn date(&mut self, field: &'static str) -> Option<Timestamp> {
        let text = self.string(field)?;
        self.check_date(field, &text)
    }

    /// The same, when it must be there.
    pub(super) fn required_date(&mut self, field: &'static str) -> Option<Timestamp> {
        let text = self.required(field)?;
        self.check_date(field, &text)
    }

    fn check_date(&mut self, field: &'static str, text: &str) -> Option<Timestamp> {
        let ms = text
            .trim()
            .parse::<jiff::Timestamp>()
            .ok()
            .and_then(|instant| u64::try_from(instant.as_millisecond()).ok())
            // 0 on the wire means absent, so the first instant of 1970 cannot be said.
            .filter(|ms| (1..=limits::INTEGER_MAX).contains(ms));
        if ms.is_none() {
            self.faults.add(
                field,
                "must be an ISO 8601 date and time after 1970 with an offset, such as 2026-06-11T14:00:00+02:00",
            );
        }
        ms.map(Timestamp::from_ms)
    }

    /// A flag; absent or null takes the default.
    pub(super) fn flag(&mut self, field: &'static str, default: bool) -> bool {
        match self.object.remove(field) {
            None | Some(Value::Null) => default,
            Some(Value::Bool(flag)) => flag,
            Some(_) => {
                self.faults.add(field, "must be true or false");
                default
            }
        }
    }

    /// Whether a field says anything; does not read it.
    pub(super) fn is_present(&self, field: &str) -> bool {
        match self.object.get(field) {
            None | Some(Value::Null) => false,
            Some(Value::String(text)) => !text.trim().is_empty(),
            Some(_) => true,
        }
    }

    /// All of a group, or none: names each one that is missing. Whether the group is there.
    pub(super) fn group(&mut self, fields: &[&'static str]) -> bool {
        let missing: Vec<_> = fields
            .iter()
            .copied()
            .filter(|field| !self.is_present(field))
            .collect();
        if missing.len() == fields.len() {
            return false;
        }
        let together = fields.join(", ");
        for field in &missing {
            self.faults.add(
                field,
                format!("is required, because {together} go together"),
            );
        }
        missing.is_empty()
    }

    /// Ends the reading: what nobody asked for is reported, and faults are returned.
    pub(super) fn finish(mut self) -> Result<Vec<Adjustment>, FieldFaults> {
        let left = self
            .object
            .into_iter()
            .filter(|(_, value)| !value.is_null());
        self.adjustments
            .extend(left.map(|(field, _)| Adjustment::Ignored { field }));
        if self.faults.is_empty() {
            Ok(self.adjustments)
        } else {
            Err(self.faults)
        }
    }
}
