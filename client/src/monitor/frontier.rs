//! The right edge of a growing tree: what suffices to add leaves and to know the root (RFC 6962, section 2.1).

use pli_protocol::evidence::tree::empty_root;
use pli_protocol::merkle::{Hash, node};

/// The roots of the whole subtrees of a tree, the largest first: one for each bit of its size.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Frontier {
    size: u64,
    roots: Vec<Hash>,
}

impl Frontier {
    /// `None` if a tree of this size has not so many whole subtrees.
    pub(super) fn of(size: u64, roots: Vec<Hash>) -> Option<Self> {
        (size.count_ones() as usize == roots.len()).then_some(Self { size, roots })
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn roots(&self) -> &[Hash] {
        &self.roots
    }

    pub(super) fn push(&mut self, leaf: Hash) {
        let mut hash = leaf;
        for _ in 0..self.size.trailing_ones() {
            let left = self.roots.pop().expect("one for each bit of the size");
            hash = node(&left, &hash);
        }
        self.roots.push(hash);
        self.size += 1;
    }

    pub(super) fn root(&self) -> Hash {
        let mut roots = self.roots.iter().rev().copied();
        let Some(last) = roots.next() else {
            return empty_root();
        };
        roots.fold(last, |right, left| node(&left, &right))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => empty_root(),
            [one] => *one,
            _ => {
                let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
                node(&root(left), &root(right))
            }
        }
    }

    #[test]
    fn the_root_is_that_of_the_definition_at_every_size() {
        let leaves: Vec<Hash> = (0..300_u16)
            .map(|number| [number.to_le_bytes()[0]; 32])
            .collect();
        let mut frontier = Frontier::default();
        for (size, leaf) in leaves.iter().enumerate() {
            assert_eq!(frontier.root(), root(&leaves[..size]), "{size}");
            let kept = Frontier::of(frontier.size(), frontier.roots().to_vec());
            assert_eq!(kept.as_ref(), Some(&frontier));
            frontier.push(*leaf);
        }
        assert_eq!(Frontier::of(3, vec![[0; 32]]), None);
    }
}
