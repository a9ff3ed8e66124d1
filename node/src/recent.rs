//! A bounded memory of what was asked lately.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

/// Remembers the entries of the last one to two generations, at most a given number.
///
/// When the young generation is full it becomes the old one and the old one is forgotten: what is
/// in use moves along, and nothing needs an order.
#[derive(Debug)]
pub struct Recent<K, V> {
    generation_max: usize,
    generations: Mutex<Generations<K, V>>,
}

#[derive(Debug)]
struct Generations<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
}

impl<K: Eq + Hash, V: Clone> Recent<K, V> {
    /// Remembers at most `max` entries.
    pub fn new(max: usize) -> Self {
        let generations = Generations {
            young: HashMap::new(),
            old: HashMap::new(),
        };
        Self {
            generation_max: (max / 2).max(1),
            generations: Mutex::new(generations),
        }
    }

    /// What is remembered of `key`.
    pub fn lookup(&self, key: &K) -> Option<V> {
        let mut generations = self
            .generations
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = generations.young.get(key) {
            return Some(value.clone());
        }
        let (key, value) = generations.old.remove_entry(key)?;
        generations.insert(key, value.clone(), self.generation_max);
        Some(value)
    }

    /// Remembers it.
    pub fn insert(&self, key: K, value: V) {
        let mut generations = self
            .generations
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        generations.insert(key, value, self.generation_max);
    }

    /// Forgets it.
    pub fn forget(&self, key: &K) {
        let mut generations = self
            .generations
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        generations.young.remove(key);
        generations.old.remove(key);
    }
}

impl<K: Eq + Hash, V> Generations<K, V> {
    fn insert(&mut self, key: K, value: V, generation_max: usize) {
        if self.young.len() >= generation_max {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r15_no_more_is_remembered_than_the_limit() {
        const MAX: usize = 100;
        let recent = Recent::new(MAX);
        for n in 0..1_000 {
            recent.insert(n, n);
            assert_eq!(recent.lookup(&0), Some(0), "what is in use stays");
        }
        assert!((0..1_000).filter(|n| recent.lookup(n).is_some()).count() <= MAX);
        recent.forget(&999);
        assert_eq!(recent.lookup(&999), None);
    }
}
