//! The tree of a log on disk: hashes of whole subtrees of 1, 256, 65,536 … entries, each level a file (C2SP tlog-tiles).
//!
//! In: the leaf of each new entry. Out: roots, inclusion paths and consistency proofs of any size up to now, and tiles.
//! Everything here can be made again of the batches, so that it is synced now and then only.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use pli_protocol::evidence::tree::empty_root;
use pli_protocol::merkle::{Hash, Tree, node};

use super::batches::open_file;

/// Hashes of a tile, and the ratio between levels.
pub const TILE: u64 = 256;
const TILE_BITS: u32 = 8;
/// 256^5 entries are 30,000 years of one a second.
const LEVELS_MAX: usize = 5;
/// Entries after which all levels are synced.
const SYNC_EVERY: u64 = 4_096;
const HASH: u64 = 32;

/// The levels.
#[derive(Debug)]
pub(super) struct Tiles {
    folder: PathBuf,
    levels: Vec<File>,
    /// Entries.
    size: u64,
}

impl Tiles {
    /// Opens a folder in which `size` entries are expected. What the files may not have kept is for the caller to
    /// [`Tiles::append`] again: everything after the size that comes back.
    pub(super) fn open(folder: &Path, size: u64) -> io::Result<Self> {
        let mut tiles = Self {
            folder: folder.to_owned(),
            levels: Vec::new(),
            // What was synced at the last full stretch but one, whatever a crash did to the last.
            size: (size / SYNC_EVERY).saturating_sub(1) * SYNC_EVERY,
        };
        for level in 0..LEVELS_MAX {
            let path = tiles.path(level);
            let expected = tiles.size >> (TILE_BITS as usize * level);
            if level > 0 && !path.exists() && expected == 0 {
                break;
            }
            let file = open_file(&path)?;
            if file.metadata()?.len() / HASH < expected {
                tiles.size = 0;
            }
            tiles.levels.push(file);
        }
        Ok(tiles)
    }

    fn path(&self, level: usize) -> PathBuf {
        self.folder.join(format!("level-{level}"))
    }

    /// Entries.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Adds the leaf of the next entry.
    pub(super) fn append(&mut self, leaf: Hash) -> io::Result<()> {
        let (mut hash, mut position) = (leaf, self.size);
        for level in 0..LEVELS_MAX {
            if level == self.levels.len() {
                self.levels.push(open_file(&self.path(level))?);
            }
            let file = &self.levels[level];
            file.write_all_at(&hash, position * HASH)?;
            if (position + 1) % TILE != 0 {
                break;
            }
            let nodes = self.nodes(level, position + 1 - TILE, TILE)?;
            hash = Tree::new(nodes).expect("256 nodes").root();
            position /= TILE;
        }
        self.size += 1;
        if self.size.is_multiple_of(SYNC_EVERY) {
            for file in &self.levels {
                file.sync_data()?;
            }
        }
        Ok(())
    }

    /// Hashes of a level: whole subtrees of 256^level entries.
    pub(super) fn nodes(&self, level: usize, from: u64, count: u64) -> io::Result<Vec<Hash>> {
        let file = self.levels.get(level).ok_or(io::ErrorKind::NotFound)?;
        let mut bytes = vec![0; usize::try_from(count * HASH).expect("at most a tile")];
        file.read_exact_at(&mut bytes, from * HASH)?;
        let (hashes, _) = bytes.as_chunks();
        Ok(hashes.to_vec())
    }

    /// The hash of a whole subtree: `count` entries, a power of two, from a multiple of it on.
    fn whole(&self, from: u64, count: u64) -> io::Result<Hash> {
        let height = count.trailing_zeros();
        let level = height / TILE_BITS;
        let nodes = self.nodes(
            level as usize,
            from >> (TILE_BITS * level),
            1 << (height % TILE_BITS),
        )?;
        Ok(Tree::new(nodes).expect("1 to 128 nodes").root())
    }

    /// MTH of RFC 6962, section 2.1, over the entries `from` to `from + count`.
    fn hash(&self, from: u64, count: u64) -> io::Result<Hash> {
        match count {
            0 => Ok(empty_root()),
            _ if count.is_power_of_two() => self.whole(from, count),
            _ => {
                let left = split(count);
                let (left, right) = (
                    self.whole(from, left)?,
                    self.hash(from + left, count - left)?,
                );
                Ok(node(&left, &right))
            }
        }
    }

    /// The root when there were `size` entries.
    pub(super) fn root(&self, size: u64) -> io::Result<Hash> {
        self.has(size)?;
        self.hash(0, size)
    }

    /// The path of an entry in the tree of `size` entries, from the leaf upwards.
    pub(super) fn inclusion(&self, index: u64, size: u64) -> io::Result<Vec<Hash>> {
        self.has(size.max(index + 1))?;
        let mut path = Vec::new();
        let (mut from, mut count) = (0, size);
        while count > 1 {
            let left = split(count);
            if index < from + left {
                path.push(self.hash(from + left, count - left)?);
                count = left;
            } else {
                path.push(self.whole(from, left)?);
                from += left;
                count -= left;
            }
        }
        path.reverse();
        Ok(path)
    }

    /// PROOF of RFC 6962, section 2.1.2: that the tree of `old` entries begins that of `new`.
    pub(super) fn consistency(&self, old: u64, new: u64) -> io::Result<Vec<Hash>> {
        self.has(new.max(old))?;
        let mut path = Vec::new();
        if old == 0 || old >= new {
            return Ok(path);
        }
        let (mut from, mut count, mut is_whole) = (0, new, true);
        while old != from + count {
            let left = split(count);
            if old <= from + left {
                path.push(self.hash(from + left, count - left)?);
                count = left;
            } else {
                path.push(self.whole(from, left)?);
                from += left;
                count -= left;
                is_whole = false;
            }
        }
        if !is_whole {
            path.push(self.hash(from, count)?);
        }
        path.reverse();
        Ok(path)
    }

    fn has(&self, size: u64) -> io::Result<()> {
        if size > self.size {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("the log has {} entries, {size} were asked for", self.size),
            ));
        }
        Ok(())
    }
}

/// Where RFC 6962 splits a tree: the largest power of two below its size.
fn split(count: u64) -> u64 {
    1 << (count - 1).ilog2()
}

#[cfg(test)]
mod tests {
    use pli_protocol::evidence::tree::{is_consistent, root_from_inclusion};
    use proptest::prelude::*;

    use super::*;

    fn leaf(number: u64) -> Hash {
        let mut leaf = [0; 32];
        leaf[..8].copy_from_slice(&number.to_be_bytes());
        leaf
    }

    fn tiles(folder: &Path, size: u64) -> Tiles {
        let mut tiles = Tiles::open(folder, 0).unwrap();
        for number in 0..size {
            tiles.append(leaf(number)).unwrap();
        }
        tiles
    }

    #[test]
    fn evd_4_1_every_entry_of_every_size_is_proven() {
        let folder = tempfile::tempdir().unwrap();
        let tiles = tiles(folder.path(), 1_000);
        for size in [1, 2, 3, 255, 256, 257, 511, 512, 700, 1_000] {
            let root = tiles.root(size).unwrap();
            let all = Tree::new((0..size).map(leaf).collect()).unwrap();
            assert_eq!(root, all.root(), "{size}");
            for index in 0..size {
                let path = tiles.inclusion(index, size).unwrap();
                assert_eq!(
                    root_from_inclusion(leaf(index), index, size, &path),
                    Some(root)
                );
            }
        }
        assert!(tiles.root(1_001).is_err());
        assert!(tiles.inclusion(1_000, 1_000).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn evd_4_2_every_size_is_the_beginning_of_every_later_one(a in 0_u64..1_500, b in 0_u64..1_500) {
            static FOLDER: std::sync::LazyLock<(tempfile::TempDir, Tiles)> = std::sync::LazyLock::new(|| {
                let folder = tempfile::tempdir().unwrap();
                let tiles = tiles(folder.path(), 1_500);
                (folder, tiles)
            });
            let tiles = &FOLDER.1;
            let (old, new) = (a.min(b), a.max(b));
            let path = tiles.consistency(old, new).unwrap();
            let (old_root, new_root) = (tiles.root(old).unwrap(), tiles.root(new).unwrap());
            prop_assert!(is_consistent((old, &old_root), (new, &new_root), &path));
        }
    }

    #[test]
    fn what_the_files_did_not_keep_is_asked_for_again() {
        let folder = tempfile::tempdir().unwrap();
        let root = tiles(folder.path(), 10_000).root(10_000).unwrap();
        for cut in [0, 32, 32 * 300, 32 * 9_999] {
            let file = open_file(&folder.path().join("level-0")).unwrap();
            file.set_len(cut).unwrap();
            let mut tiles = Tiles::open(folder.path(), 10_000).unwrap();
            let certain = tiles.size();
            assert!(certain <= cut / 32);
            for number in certain..10_000 {
                tiles.append(leaf(number)).unwrap();
            }
            assert_eq!(tiles.root(10_000).unwrap(), root);
        }
    }
}
