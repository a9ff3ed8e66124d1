//! When it makes sense to come back after a refusal of a call. In: the code, the time. Out: milliseconds, 0 where this
//! node does not know. Spec: SES-3.6.

use pli_protocol::code::Code;
use pli_protocol::id::Timestamp;

use crate::admit::sync_again_ms;

/// A node that stops is mostly started again.
const AFTER_STOP_MS: u64 = 2_000;
/// As often as a witness that does not answer is asked again.
const AFTER_UNWITNESSED_MS: u64 = 60_000;
/// As often as the disk and the clock are looked at.
const AFTER_OVERLOAD_MS: u64 = 10_000;

/// What a refusal says. Of envelopes that are refused one by one an acknowledgement says no more than the code.
pub(super) fn retry_after_ms(code: Code, now: Timestamp) -> u64 {
    match code {
        Code::ShuttingDown => AFTER_STOP_MS,
        Code::Overloaded => AFTER_OVERLOAD_MS,
        Code::Unwitnessed => AFTER_UNWITNESSED_MS,
        // No other call than Sync has a quota.
        Code::QuotaExceeded => sync_again_ms(now),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SES-3.6
    #[test]
    fn a_refusal_says_when_to_come_back_where_the_node_knows() {
        let ten_to = Timestamp::from_ms(100 * 3_600_000 - 600_000);
        for (code, expected) in [
            (Code::ShuttingDown, AFTER_STOP_MS),
            (Code::Overloaded, AFTER_OVERLOAD_MS),
            (Code::Unwitnessed, AFTER_UNWITNESSED_MS),
            (Code::QuotaExceeded, 600_000),
            (Code::UnknownKey, 0),
            (Code::Internal, 0),
        ] {
            assert_eq!(retry_after_ms(code, ten_to), expected, "{code}");
        }
    }
}
