//! Times as people read them: in the time zone of this machine.

use jiff::tz::TimeZone;
use pli_protocol::id::Timestamp;

use super::lang::Lang;

/// `11/06/2026 14:00` or `2026-06-11 14:00`.
pub fn when(at: Timestamp, lang: Lang) -> String {
    in_zone(at, lang, TimeZone::system())
}

fn in_zone(at: Timestamp, lang: Lang, zone: TimeZone) -> String {
    let ms = i64::try_from(at.as_ms()).unwrap_or(i64::MAX);
    let instant = jiff::Timestamp::from_millisecond(ms).unwrap_or(jiff::Timestamp::MAX);
    let form = lang.pick("%d/%m/%Y %H:%M", "%Y-%m-%d %H:%M");
    instant.to_zoned(zone).strftime(form).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_as_each_language_does() {
        let at = Timestamp::from_ms(1_781_179_200_000);
        assert_eq!(in_zone(at, Lang::Fr, TimeZone::UTC), "11/06/2026 12:00");
        assert_eq!(in_zone(at, Lang::En, TimeZone::UTC), "2026-06-11 12:00");
        let last = in_zone(Timestamp::from_ms(u64::MAX), Lang::En, TimeZone::UTC);
        assert!(last.starts_with("9999"), "{last}");
    }
}
