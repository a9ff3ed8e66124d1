//! A small generator of pseudo-random numbers (SplitMix64): the same on every machine and for ever, because a
//! printed seed must replay a case.

use std::cell::Cell;

/// Drawn through a shared reference, so that an expression may draw in several places.
#[derive(Clone, Debug)]
pub struct Random(Cell<u64>);

impl Random {
    /// The generator of case `number` of a run.
    pub fn new(seed: u64, number: u64) -> Self {
        let mixed = Self(Cell::new(seed ^ number.wrapping_mul(0xd6e8_feb8_6659_fd93)));
        mixed.next();
        mixed
    }

    pub fn next(&self) -> u64 {
        let mut z = self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.0.set(z);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// 0 to `below` - 1.
    pub fn below(&self, below: usize) -> usize {
        (self.next() % below.max(1) as u64) as usize
    }

    pub fn one_in(&self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub fn pick<T: Copy>(&self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    pub fn bytes(&self, length: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(length + 8);
        while out.len() < length {
            out.extend_from_slice(&self.next().to_le_bytes());
        }
        out.truncate(length);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splitmix64_reference_values() {
        // Vigna's splitmix64.c with seed 1234567.
        let random = Random(Cell::new(1_234_567));
        let got: Vec<u64> = (0..3).map(|_| random.next()).collect();
        assert_eq!(
            got,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423
            ]
        );
    }
}
