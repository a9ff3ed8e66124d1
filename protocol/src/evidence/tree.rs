//! Proofs in the tree of a log, whose size has no bound: RFC 6962, section 2.1 (EVD-4).
//!
//! Both verifiers follow RFC 9162, sections 2.1.3.2 and 2.1.4.2. A path has at most 64 hashes.

use sha2::{Digest, Sha256};

use crate::merkle::{Hash, node};

/// The root of the tree of no leaves.
pub fn empty_root() -> Hash {
    Sha256::digest([]).into()
}

/// The root that `leaf` at `index` of a tree of `size` leads to; `None` if the path has not exactly the length that
/// the position asks for, or if there is no such position. EVD-4.1.
pub fn root_from_inclusion(leaf: Hash, index: u64, size: u64, path: &[Hash]) -> Option<Hash> {
    if index >= size {
        return None;
    }
    let mut path = path.iter();
    let (mut position, mut last) = (index, size - 1);
    let mut hash = leaf;
    while last > 0 {
        // The last node of a level without a sibling moves up unchanged.
        if position != last || position % 2 == 1 {
            let sibling = path.next()?;
            hash = match position % 2 {
                1 => node(sibling, &hash),
                _ => node(&hash, sibling),
            };
        }
        position /= 2;
        last /= 2;
    }
    path.next().is_none().then_some(hash)
}

/// Whether the tree of `new` leaves begins with the tree of `old` leaves. EVD-4.2.
///
/// Of sizes that are equal the roots must be, and the path is empty; a tree of no leaves is the beginning of each.
pub fn is_consistent(old: (u64, &Hash), new: (u64, &Hash), path: &[Hash]) -> bool {
    let ((old_size, old_root), (new_size, new_root)) = (old, new);
    if old_size > new_size {
        return false;
    }
    if old_size == new_size {
        return path.is_empty() && old_root == new_root;
    }
    if old_size == 0 {
        return path.is_empty() && *old_root == empty_root();
    }
    walk(old, new, path)
        .is_some_and(|(from_old, from_new)| from_old == *old_root && from_new == *new_root)
}

/// The roots of both trees by the path, 0 < old < new.
fn walk(old: (u64, &Hash), new: (u64, &Hash), path: &[Hash]) -> Option<(Hash, Hash)> {
    // The right edge of the old tree, as far down as it is whole.
    let whole = (old.0 - 1).trailing_ones();
    let (mut position, mut last) = ((old.0 - 1) >> whole, (new.0 - 1) >> whole);
    let mut path = path.iter();
    // A whole old tree is a node of the new one: its root begins the path without being sent.
    let first = match old.0.is_power_of_two() {
        true => old.1,
        false => path.next()?,
    };
    let (mut from_old, mut from_new) = (*first, *first);
    for sibling in path {
        if last == 0 {
            return None;
        }
        if position % 2 == 1 || position == last {
            from_old = node(sibling, &from_old);
            from_new = node(sibling, &from_new);
            while position % 2 == 0 && position != 0 {
                position /= 2;
                last /= 2;
            }
        } else {
            from_new = node(&from_new, sibling);
        }
        position /= 2;
        last /= 2;
    }
    (last == 0).then_some((from_old, from_new))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// MTH, PATH and PROOF as RFC 6962 writes them.
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

    fn path(index: usize, leaves: &[Hash]) -> Vec<Hash> {
        if leaves.len() == 1 {
            return vec![];
        }
        let split = leaves.len().next_power_of_two() / 2;
        let (left, right) = leaves.split_at(split);
        let (mut path, sibling) = match index < split {
            true => (path(index, left), root(right)),
            false => (path(index - split, right), root(left)),
        };
        path.push(sibling);
        path
    }

    fn proof(old: usize, leaves: &[Hash], known: bool) -> Vec<Hash> {
        if old == leaves.len() {
            return if known { vec![] } else { vec![root(leaves)] };
        }
        let split = leaves.len().next_power_of_two() / 2;
        let (left, right) = leaves.split_at(split);
        let (mut proof, sibling) = match old <= split {
            true => (proof(old, left, known), root(right)),
            false => (proof(old - split, right, false), root(left)),
        };
        proof.push(sibling);
        proof
    }

    fn leaves(count: usize) -> Vec<Hash> {
        let leaf = |number: usize| Sha256::digest(number.to_be_bytes()).into();
        (0..count).map(leaf).collect()
    }

    #[test]
    fn evd_4_1_every_leaf_leads_to_the_root_and_to_no_other() {
        for size in 1..=70 {
            let all = leaves(size);
            for (index, leaf) in all.iter().enumerate() {
                let path = path(index, &all);
                let led = |index: usize, size: usize, path: &[Hash]| {
                    root_from_inclusion(*leaf, index as u64, size as u64, path)
                };
                assert_eq!(led(index, size, &path), Some(root(&all)));
                assert_eq!(led(size, size, &path), None);
                if !path.is_empty() {
                    assert_eq!(led(index, size, &path[1..]), None);
                }
                assert_eq!(led(index, size, &[&path[..], &[*leaf]].concat()), None);
            }
        }
        assert_eq!(root_from_inclusion([0; 32], 0, 0, &[]), None);
        // The largest tree neither panics nor takes a path of another length.
        assert!(root_from_inclusion([0; 32], 0, u64::MAX, &leaves(64)).is_some());
        assert_eq!(root_from_inclusion([0; 32], 0, u64::MAX, &leaves(65)), None);
    }

    #[test]
    fn evd_4_2_every_beginning_is_consistent() {
        for new in 0..=70 {
            let all = leaves(new);
            for old in 0..=new {
                let path = match old {
                    0 => vec![],
                    _ => proof(old, &all, true),
                };
                let (old_root, new_root) = (root(&all[..old]), root(&all));
                let ask = |path: &[Hash]| {
                    is_consistent((old as u64, &old_root), (new as u64, &new_root), path)
                };
                assert!(ask(&path), "{old} of {new}");
                assert!(!ask(&[&path[..], &[new_root]].concat()), "{old} of {new}");
                if !path.is_empty() {
                    assert!(!ask(&path[1..]), "{old} of {new}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn evd_4_2_another_history_is_not_consistent(new in 2_usize..200, old in 1_usize..200, at in 0_usize..200) {
            let old = old % (new - 1) + 1;
            let all = leaves(new);
            let mut other = all[..old].to_vec();
            other[at % old] = [0xff; 32];
            let path = proof(old, &all, true);
            prop_assert!(!is_consistent((old as u64, &root(&other)), (new as u64, &root(&all)), &path));
        }
    }
}
