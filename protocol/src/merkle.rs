//! The Merkle tree of RFC 6962, section 2.1, over at most 4,096 leaves (SIG-3).
//!
//! Leaf hashes come in; roots and inclusion paths go out. Leaves are hashed by
//! [`crate::signed::leaf_hash`], which separates the types.

use sha2::{Digest, Sha256};

use crate::limits;

/// A SHA-256 value: a leaf, an inner node or a root.
pub type Hash = [u8; 32];

const NODE: [u8; 1] = [0x01];

/// The hash of two children. SIG-3.2.
pub fn node(left: &Hash, right: &Hash) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update(NODE);
    hasher.update(left);
    hasher.update(right);
    hasher.finalize().into()
}

/// A tree with all its inner nodes, so that each path costs only copies. SIG-3.1.
#[derive(Clone, Debug)]
pub struct Tree {
    /// `levels[0]` are the leaves; each level above has half as many, rounded up. An odd
    /// last node moves up unchanged, which gives exactly RFC 6962's shape.
    levels: Vec<Vec<Hash>>,
}

impl Tree {
    /// Builds the tree of 1 to [`limits::TREE_LEAVES_MAX`] leaves; `None` outside of that.
    pub fn new(leaves: Vec<Hash>) -> Option<Self> {
        if leaves.is_empty() || leaves.len() > limits::TREE_LEAVES_MAX {
            return None;
        }
        let mut levels = vec![leaves];
        while let Some(level) = levels.last().filter(|level| level.len() > 1) {
            let above = level
                .chunks(2)
                .map(|pair| match pair {
                    [left, right] => node(left, right),
                    [odd] => *odd,
                    _ => unreachable!("chunks of two"),
                })
                .collect();
            levels.push(above);
        }
        Some(Self { levels })
    }

    /// How many leaves.
    pub fn size(&self) -> usize {
        self.levels[0].len()
    }

    /// The root hash.
    pub fn root(&self) -> Hash {
        self.levels[self.levels.len() - 1][0]
    }

    /// The siblings from leaf `index` upwards; `None` if there is no such leaf.
    pub fn path(&self, index: usize) -> Option<Vec<Hash>> {
        if index >= self.size() {
            return None;
        }
        let siblings = self
            .levels
            .iter()
            .enumerate()
            .filter_map(|(height, level)| {
                let sibling = (index >> height) ^ 1;
                level.get(sibling).copied()
            });
        // The root has no sibling: its level holds one node and index >> height is 0.
        Some(siblings.collect())
    }
}

/// The root that `leaf` at `index` of a tree of `size` leads to by `path`.
///
/// RFC 9162, section 2.1.3.2. `None` if the path has not exactly the length that the
/// position asks for, or if there is no such position. SIG-3.4.
pub fn root_from_path<'a>(
    leaf: Hash,
    index: usize,
    size: usize,
    path: impl IntoIterator<Item = &'a Hash>,
) -> Option<Hash> {
    if index >= size || size > limits::TREE_LEAVES_MAX {
        return None;
    }
    let mut path = path.into_iter();
    let mut hash = leaf;
    let (mut position, mut last) = (index, size - 1);
    while last > 0 {
        // The last node of a level without a sibling moves up unchanged.
        if position != last || position % 2 == 1 {
            let sibling = path.next()?;
            hash = if position % 2 == 1 {
                node(sibling, &hash)
            } else {
                node(&hash, sibling)
            };
        }
        position /= 2;
        last /= 2;
    }
    path.next().is_none().then_some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn leaf(data: &[u8]) -> Hash {
        Sha256::new()
            .chain_update([0])
            .chain_update(data)
            .finalize()
            .into()
    }

    /// MTH of RFC 6962, section 2.1, written as the RFC writes it.
    fn reference(leaves: &[Hash]) -> Hash {
        if let [one] = leaves {
            return *one;
        }
        let split = leaves.len().next_power_of_two() / 2;
        node(&reference(&leaves[..split]), &reference(&leaves[split..]))
    }

    fn leaves(count: usize) -> Vec<Hash> {
        (0..count).map(|i| leaf(&i.to_be_bytes())).collect()
    }

    #[test]
    fn sig_3_1_the_known_root_of_seven_leaves() {
        // The test tree of the Certificate Transparency sources.
        let data: [&[u8]; 7] = [
            b"",
            b"\x00",
            b"\x10",
            b"\x20\x21",
            b"\x30\x31",
            b"\x40\x41\x42\x43",
            b"\x50\x51\x52\x53\x54\x55\x56\x57",
        ];
        let tree = Tree::new(data.iter().map(|d| leaf(d)).collect()).unwrap();
        assert_eq!(
            crate::id::to_hex(&tree.root()),
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c"
        );
    }

    #[test]
    fn sig_3_3_a_tree_has_1_to_4096_leaves() {
        assert!(Tree::new(vec![]).is_none());
        assert!(Tree::new(leaves(limits::TREE_LEAVES_MAX)).is_some());
        assert!(Tree::new(leaves(limits::TREE_LEAVES_MAX + 1)).is_none());
        assert!(root_from_path(leaf(b""), 0, limits::TREE_LEAVES_MAX + 1, &leaves(13)).is_none());
    }

    #[test]
    fn sig_3_4_a_path_of_another_length_or_place_is_refused() {
        let tree = Tree::new(leaves(5)).unwrap();
        let path = tree.path(2).unwrap();
        assert_eq!(root_from_path(leaves(5)[2], 2, 5, &path), Some(tree.root()));
        assert!(root_from_path(leaves(5)[2], 2, 5, &path[..2]).is_none());
        assert!(root_from_path(leaves(5)[2], 5, 5, &path).is_none());
        assert_ne!(root_from_path(leaves(5)[2], 3, 5, &path), Some(tree.root()));
        let longer: Vec<_> = path.iter().chain(&path).copied().collect();
        assert!(root_from_path(leaves(5)[2], 2, 5, &longer).is_none());
    }

    proptest! {
        #[test]
        fn every_leaf_of_every_tree_leads_to_the_root(count in 1_usize..200) {
            let all = leaves(count);
            let tree = Tree::new(all.clone()).unwrap();
            prop_assert_eq!(tree.root(), reference(&all));
            for (index, leaf) in all.iter().enumerate() {
                let path = tree.path(index).unwrap();
                prop_assert_eq!(root_from_path(*leaf, index, count, &path), Some(tree.root()));
            }
        }
    }
}
