//! Alarms: what a person should look at. In: a stage raises or clears one. Out: one line of the log
//! at each change, a gauge, an entry of `/status`. One alarm of a kind at a time, so there is no
//! more to keep than kinds.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use pli_protocol::id::Timestamp;

use crate::metrics::{AlarmKind, Label, Metrics};

/// The alarms of a node. Clones are the same board.
#[derive(Clone, Debug)]
pub struct Alarms {
    raised: Arc<Mutex<BTreeMap<usize, Raised>>>,
    metrics: Arc<Metrics>,
}

/// An alarm that is raised.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Raised {
    /// Which.
    pub kind: AlarmKind,
    /// Since when.
    pub since: Timestamp,
    /// For a human: what was got, what was expected, what to do.
    pub detail: String,
}

impl Alarms {
    /// A board without alarms.
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self {
            raised: Arc::default(),
            metrics,
        }
    }

    /// Raises an alarm, or changes the detail of one that is raised.
    pub fn raise(&self, kind: AlarmKind, now: Timestamp, detail: impl Into<String>) {
        let detail = detail.into();
        let mut raised = self.raised.lock().unwrap_or_else(PoisonError::into_inner);
        let before = raised.get(&kind.index());
        if before.is_some_and(|alarm| alarm.detail == detail) {
            return;
        }
        let since = before.map_or(now, |alarm| alarm.since);
        tracing::warn!(alarm = kind.value(), detail, "alarm raised");
        raised.insert(
            kind.index(),
            Raised {
                kind,
                since,
                detail,
            },
        );
        self.metrics.process.alarm.of(kind).set(1.0);
    }

    /// Takes an alarm back; nothing happens if it is not raised.
    pub fn clear(&self, kind: AlarmKind) {
        let mut raised = self.raised.lock().unwrap_or_else(PoisonError::into_inner);
        if raised.remove(&kind.index()).is_some() {
            tracing::info!(alarm = kind.value(), "alarm cleared");
            self.metrics.process.alarm.of(kind).set(0.0);
        }
    }

    /// Raises or clears, as `detail` is there or not.
    pub fn set(&self, kind: AlarmKind, now: Timestamp, detail: Option<String>) {
        match detail {
            Some(detail) => self.raise(kind, now, detail),
            None => self.clear(kind),
        }
    }

    /// Those that are raised, in the order of the kinds.
    pub fn raised(&self) -> Vec<Raised> {
        let raised = self.raised.lock().unwrap_or_else(PoisonError::into_inner);
        raised.values().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alarm_keeps_its_beginning_until_it_is_cleared() {
        let metrics = Arc::new(Metrics::new());
        let alarms = Alarms::new(Arc::clone(&metrics));
        let gauge = "pli_process_alarm{alarm=\"disk_full\"}";
        assert!(metrics.render().contains(&format!("{gauge} 0")));

        alarms.raise(AlarmKind::DiskFull, Timestamp::from_ms(1), "12 bytes free");
        alarms.raise(AlarmKind::DiskFull, Timestamp::from_ms(2), "11 bytes free");
        alarms.clear(AlarmKind::ClockUnsynchronised);
        let expected = Raised {
            kind: AlarmKind::DiskFull,
            since: Timestamp::from_ms(1),
            detail: "11 bytes free".to_owned(),
        };
        assert_eq!(alarms.clone().raised(), [expected]);
        assert!(metrics.render().contains(&format!("{gauge} 1")));

        alarms.set(AlarmKind::DiskFull, Timestamp::from_ms(3), None);
        assert!(alarms.raised().is_empty());
        assert!(metrics.render().contains(&format!("{gauge} 0")));
    }
}
