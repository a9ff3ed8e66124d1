//! Which of two directories is newer.

/// The versions of the top-level roles: what a rollback is measured against.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Versions {
    /// Of `root.json`.
    pub root: u64,
    /// Of `timestamp.json`.
    pub timestamp: u64,
    /// Of `snapshot.json`.
    pub snapshot: u64,
    /// Of `targets.json`.
    pub targets: u64,
}

impl Versions {
    /// What tells a newer directory from an older one (TRU-5.3): the root, then the timestamp.
    #[must_use]
    pub const fn age(&self) -> (u64, u64) {
        (self.root, self.timestamp)
    }
}
