//! The time, for everything that is not pure.

use std::time::{SystemTime, UNIX_EPOCH};

use pli_protocol::id::Timestamp;

/// The time by this machine's clock. Before 1970 it is 1970, where nothing is valid.
pub fn now() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_ms(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
