//! Times in files: `2026-11-22T20:00:00Z`, whole seconds, always UTC; the same form as TUF's `expires`.

use pli_protocol::id::Timestamp;

/// Writes a time; milliseconds are cut.
#[must_use]
pub fn utc(at: Timestamp) -> String {
    instant(at).to_string()
}

/// Writes a time for people: `2026-11-22 20:00:00 UTC`, so that nobody takes it for the time of a place.
#[must_use]
pub fn legible(at: Timestamp) -> String {
    instant(at).strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// Reads a time; only the one spelling that [`utc`] writes.
#[must_use]
pub fn parse_utc(text: &str) -> Option<Timestamp> {
    let instant: jiff::Timestamp = text.parse().ok()?;
    let at = Timestamp::from_ms(u64::try_from(instant.as_millisecond()).ok()?);
    (utc(at) == text).then_some(at)
}

/// For TUF's own `expires`.
pub(crate) fn instant(at: Timestamp) -> jiff::Timestamp {
    // The last instant that jiff can write is in the year 9999; nothing here lives longer.
    let seconds = i64::try_from(at.as_ms() / 1_000).unwrap_or(i64::MAX);
    jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::MAX)
}

/// From TUF's own `expires`; before 1970 is 1970.
pub(crate) fn timestamp(instant: jiff::Timestamp) -> Timestamp {
    Timestamp::from_ms(u64::try_from(instant.as_millisecond()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_spelling_per_time() {
        let at = parse_utc("2026-11-22T20:00:00Z").unwrap();
        assert_eq!(at.as_ms(), 1_795_377_600_000);
        assert_eq!(utc(at), "2026-11-22T20:00:00Z");
        assert_eq!(utc(at.plus_ms(999)), "2026-11-22T20:00:00Z");
        assert_eq!(legible(at.plus_ms(999)), "2026-11-22 20:00:00 UTC");
        for other in [
            "2026-11-22T20:00:00.000Z",
            "2026-11-22T20:00:00+00:00",
            "2026-11-22 20:00:00Z",
            "2026-11-22T21:00:00+01:00",
            "2026-11-22",
            "1969-12-31T23:59:59Z",
            "",
        ] {
            assert_eq!(parse_utc(other), None, "{other:?}");
        }
    }
}
