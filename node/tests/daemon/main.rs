//! The binary from outside, on a real federation made for each test, on real files and free ports. Where a fault has to
//! be put inside, the same node runs in the test's own process.
#![allow(clippy::unwrap_used)]

mod evidence;
mod faults;
mod grants;
mod inside;
mod places;
mod refusals;
mod reports;
mod running;
mod site;
mod time;
