//! The binary from outside, on a real federation made for each test, on real files and free ports. Where a fault has to
//! be put inside, the same node runs in the test's own process.
#![allow(clippy::unwrap_used)]

mod faults;
mod inside;
mod refusals;
mod running;
mod site;
mod time;
