//! The time, in Unix milliseconds.

use std::time::{SystemTime, UNIX_EPOCH};

pub fn now_ms() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("the clock reads after 1970");
    u64::try_from(since.as_millis()).expect("the clock reads before the year 584,556,019")
}
