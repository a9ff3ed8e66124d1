//! Trees of RFC 6962, section 2.1, with the leaf hash of signed.md:
//! leaf = SHA-256(0x00 ‖ context ‖ 0x00 ‖ payload), node = SHA-256(0x01 ‖ left ‖ right).
//! Written as the RFC's recursion reads, not as anyone's fast loop.

use super::{Hash, sha256};

/// Leaves of one tree.
pub const TREE_LEAVES_MAX: u64 = 4_096;

pub fn leaf(context: &str, payload: &[u8]) -> Hash {
    sha256(&[&[0], context.as_bytes(), &[0], payload])
}

pub fn node(left: &Hash, right: &Hash) -> Hash {
    sha256(&[&[1], left, right])
}

/// The largest power of two smaller than `n` (n > 1).
fn split(n: usize) -> usize {
    n.next_power_of_two() / 2
}

/// MTH of RFC 6962, section 2.1. `leaves` is not empty.
pub fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [only] => *only,
        _ => {
            let (left, right) = leaves.split_at(split(leaves.len()));
            node(&root(left), &root(right))
        }
    }
}

/// PATH of RFC 6962, section 2.1.1, from the leaf upwards.
pub fn path(index: usize, leaves: &[Hash]) -> Vec<Hash> {
    if leaves.len() <= 1 {
        return Vec::new();
    }
    let k = split(leaves.len());
    let (left, right) = leaves.split_at(k);
    let (mut below, sibling) = if index < k {
        (path(index, left), root(right))
    } else {
        (path(index - k, right), root(left))
    };
    below.push(sibling);
    below
}

/// The root that a leaf and its path lead to, or `None` when index, size and path do not fit.
pub fn climb(leaf: &Hash, index: u64, size: u64, path: &[Hash]) -> Option<Hash> {
    if size == 0 || size > TREE_LEAVES_MAX || index >= size {
        return None;
    }
    if size == 1 {
        return path.is_empty().then_some(*leaf);
    }
    let (sibling, below) = path.split_last()?;
    let k = split(usize::try_from(size).ok()?) as u64;
    if index < k {
        Some(node(&climb(leaf, index, k, below)?, sibling))
    } else {
        Some(node(sibling, &climb(leaf, index - k, size - k, below)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The eight inputs of the test suite that RFC 6962's reference implementation ships.
    const INPUTS: [&str; 8] = [
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    ];
    /// Their roots at sizes 1 to 8.
    const ROOTS: [&str; 8] = [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];

    /// RFC 6962's own leaf hash, without a context: SHA-256(0x00 ‖ input).
    fn rfc_leaves() -> Vec<Hash> {
        INPUTS
            .iter()
            .map(|input| sha256(&[&[0], &hex::decode(input).expect("hex")]))
            .collect()
    }

    #[test]
    fn rfc_6962_roots() {
        let leaves = rfc_leaves();
        for (at, expected) in ROOTS.iter().enumerate() {
            assert_eq!(
                hex::encode(root(&leaves[..=at])),
                *expected,
                "size {}",
                at + 1
            );
        }
    }

    #[test]
    fn rfc_6962_path_of_leaf_0_in_8() {
        let shown: Vec<String> = path(0, &rfc_leaves()).iter().map(hex::encode).collect();
        assert_eq!(
            shown,
            [
                "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
            ]
        );
    }

    #[test]
    fn leaf_is_separated_by_its_context() {
        // 0x00 "pli/1/receipt" 0x00 "x", hashed by hand with another tool's SHA-256 of the same bytes.
        let bytes = hex::decode("00706c692f312f726563656970740078").expect("hex");
        assert_eq!(leaf("pli/1/receipt", b"x"), sha256(&[&bytes]));
        assert_ne!(leaf("pli/1/receipt", b"x"), leaf("pli/1/envelope", b"x"));
    }

    #[test]
    fn every_leaf_of_every_small_tree_climbs_to_its_root() {
        let leaves: Vec<Hash> = (0..70u8).map(|i| sha256(&[&[i]])).collect();
        for size in 1..=leaves.len() {
            let tree = &leaves[..size];
            let top = root(tree);
            for index in 0..size {
                let found = path(index, tree);
                assert_eq!(
                    climb(&tree[index], index as u64, size as u64, &found),
                    Some(top)
                );
                // Neighbours: other index, other size, a hash too many or too few.
                let mut longer = found.clone();
                longer.push(top);
                assert_eq!(
                    climb(&tree[index], index as u64, size as u64, &longer),
                    None
                );
                if let Some((_, shorter)) = found.split_last() {
                    assert_eq!(
                        climb(&tree[index], index as u64, size as u64, shorter),
                        None
                    );
                    let other = (index as u64 + 1) % size as u64;
                    assert_ne!(climb(&tree[index], other, size as u64, &found), Some(top));
                }
            }
        }
    }

    #[test]
    fn r15_tree_over_its_limit_or_empty_has_no_root() {
        let leaf = [7; 32];
        assert!(climb(&leaf, 0, 4_096, &[[0; 32]; 12]).is_some());
        assert_eq!(climb(&leaf, 0, 4_097, &[[0; 32]; 13]), None);
        assert_eq!(climb(&leaf, 0, 0, &[]), None);
        assert_eq!(climb(&leaf, 1, 1, &[]), None);
    }
}
