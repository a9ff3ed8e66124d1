//! What every storage engine must do, whatever it is made of. Crash, fault and damage cases are in the
//! other files; those that reach below the trait are the engine's own (`engine_*`).
//!
//! An engine is a function that opens a directory. `fjall` runs as a node runs it; `fjall_small` with
//! small segments and memtables, so that rotation, flushes and compaction happen all the time.

#![allow(clippy::unwrap_used)]

mod behaviour;
mod bounds;
mod engine_damage;
mod engine_faults;
mod faulty;
mod fixture;
mod identity;
mod kill;
mod lifetime;
mod model;
mod reference;
mod registry;

use std::path::Path;
use std::sync::Arc;

use pli_node::store::engine::disk::RealDisk;
use pli_node::store::engine::{Engine, Tuning};
use pli_node::store::{self, OpenOptions, Store, StoreError};

/// How a test opens an engine.
pub(crate) type Opener = fn(&Path, &OpenOptions) -> Result<Arc<dyn Store>, StoreError>;

pub(crate) fn fjall(directory: &Path, options: &OpenOptions) -> Result<Arc<dyn Store>, StoreError> {
    store::open(&format!("fjall:{}", directory.display()), options)
}

pub(crate) const SMALL: Tuning = Tuning {
    segment_bytes: 32 * 1024,
    memtable_bytes_max: 16 * 1024,
};

pub(crate) fn fjall_small(
    directory: &Path,
    options: &OpenOptions,
) -> Result<Arc<dyn Store>, StoreError> {
    let disk = RealDisk::new(&directory.join("log")).expect("a temporary directory");
    Ok(Arc::new(Engine::open(
        directory,
        options,
        Arc::new(disk),
        SMALL,
    )?))
}

/// One test per case and engine.
#[macro_export]
macro_rules! for_each_engine {
    ($($case:ident),+ $(,)?) => {
        mod fjall { $(#[test] fn $case() { super::$case($crate::fjall); })+ }
        mod fjall_small { $(#[test] fn $case() { super::$case($crate::fjall_small); })+ }
    };
}
