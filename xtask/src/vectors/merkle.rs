//! Trees and paths: SIG-3.

use pli_protocol::merkle::{Hash, Tree};
use serde_json::json;

use super::annotate::Annotator;
use super::case::{Ask, File};
use super::samples::{hex, hexes, unhex};

pub(super) fn file(_: &Annotator) -> File {
    let mut file = File::new("merkle", "L1", "Trees of RFC 6962 and paths in them");
    let leaves: Vec<Hash> = LEAVES.iter().map(|leaf| hash(leaf)).collect();
    let root_of = |id, title, leaves: &[Hash]| Ask {
        id,
        title,
        requirements: &["SIG-3.1", "SIG-3.2", "SIG-3.3"],
        op: "merkle.root",
        input: json!({ "leaves": hexes(leaves) }),
    };
    for (size, (id, root)) in (1..).zip(ROOTS) {
        let title = "a reference tree of Certificate Transparency (RFC 6962)";
        file.accepts(root_of(id, title, &leaves[..size]), json!({ "root": root }));
    }
    file.refuses(
        root_of("root-0", "no leaf, no tree", &[]),
        "root-1",
        "BAD_INCLUSION",
    );
    for id in [
        "root-2", "root-3", "root-4", "root-5", "root-6", "root-7", "root-8",
    ] {
        let size: usize = id[5..].parse().expect("the size ends the id");
        let tree = tree(&leaves[..size]);
        // Taken for the root of a tree of another size, or with its first two leaves swapped.
        let mut swapped = leaves[..size].to_vec();
        swapped.swap(0, 1);
        let other = Tree::new(swapped).expect("not too many leaves").root();
        let path = tree.path(0).expect("a leaf of the tree");
        let ask = verify(
            SWAPPED[size - 2],
            "the same tree with two leaves swapped has another root",
            &leaves[0],
            0,
            size,
            &path,
            &other,
        );
        file.refuses(ask, id, "BAD_INCLUSION");
    }
    paths(&mut file, &leaves);
    file
}

fn paths(file: &mut File, leaves: &[Hash]) {
    for (index, size) in PLACES {
        let tree = tree(&leaves[..*size]);
        let path = tree.path(*index).expect("a leaf of the tree");
        let id = |what: &str| -> &'static str { format!("{what}-{index}-of-{size}").leak() };
        let (root, leaf) = (tree.root(), leaves[*index]);
        let ask = Ask {
            id: id("path"),
            title: "the siblings from the leaf upwards",
            requirements: &["SIG-3.4"],
            op: "merkle.path",
            input: json!({ "leaves": hexes(&leaves[..*size]), "index": index }),
        };
        file.accepts(ask, json!({ "path": hexes(&path) }));
        let ask = Ask {
            id: id("path-beyond"),
            title: "an index that the tree does not have",
            requirements: &["SIG-3.3"],
            op: "merkle.path",
            input: json!({ "leaves": hexes(&leaves[..*size]), "index": size }),
        };
        file.refuses(ask, id("path"), "BAD_INCLUSION");
        let place = id("verify");
        file.accepts(
            verify(
                place,
                "leaf, place and path give the root",
                &leaf,
                *index,
                *size,
                &path,
                &root,
            ),
            json!({}),
        );
        let mut extra = path.clone();
        extra.push([0; 32]);
        let title = "one hash too many";
        file.refuses(
            verify(id("extra"), title, &leaf, *index, *size, &extra, &root),
            place,
            "BAD_INCLUSION",
        );
        let title = "an index that the tree does not have";
        file.refuses(
            verify(id("beyond"), title, &leaf, *size, *size, &path, &root),
            place,
            "BAD_INCLUSION",
        );
        if path.is_empty() {
            let title = "another leaf in a tree of one";
            file.refuses(
                verify(id("leaf"), title, &leaves[1], *index, *size, &path, &root),
                place,
                "BAD_INCLUSION",
            );
            continue;
        }
        let title = "one hash too few";
        file.refuses(
            verify(id("short"), title, &leaf, *index, *size, &path[1..], &root),
            place,
            "BAD_INCLUSION",
        );
        let mut flipped = path.clone();
        flipped[0][31] ^= 1;
        let title = "one bit of a sibling is wrong";
        file.refuses(
            verify(id("bit"), title, &leaf, *index, *size, &flipped, &root),
            place,
            "BAD_INCLUSION",
        );
    }
    let (size, path) = (4_096, vec![[0x11; 32]; 12]);
    let root = pli_protocol::merkle::root_from_path(leaves[0], 0, size, &path).expect("fits");
    let title = "the largest tree: 4,096 leaves, twelve hashes";
    file.accepts(
        verify("largest", title, &leaves[0], 0, size, &path, &root),
        json!({}),
    );
    let path = vec![[0x11; 32]; 13];
    let title = "one leaf more than TREE_LEAVES_MAX";
    file.refuses(
        verify("too-large", title, &leaves[0], 0, size + 1, &path, &root),
        "largest",
        "BAD_INCLUSION",
    );
    file.refuses(
        verify(
            "size-0",
            "a tree without leaves",
            &leaves[0],
            0,
            0,
            &[],
            &leaves[0],
        ),
        "largest",
        "BAD_INCLUSION",
    );
}

fn verify(
    id: &'static str,
    title: &'static str,
    leaf: &Hash,
    index: usize,
    size: usize,
    path: &[Hash],
    root: &Hash,
) -> Ask {
    Ask {
        id,
        title,
        requirements: &["SIG-3.3", "SIG-3.4"],
        op: "merkle.verify",
        input: json!({ "leaf": hex(leaf), "index": index, "tree_size": size, "path": hexes(path), "root": hex(root) }),
    }
}

fn tree(leaves: &[Hash]) -> Tree {
    Tree::new(leaves.to_vec()).expect("not too many leaves")
}

fn hash(text: &str) -> Hash {
    unhex(text).try_into().expect("32 bytes")
}

const SWAPPED: [&str; 7] = [
    "swapped-2",
    "swapped-3",
    "swapped-4",
    "swapped-5",
    "swapped-6",
    "swapped-7",
    "swapped-8",
];

/// First, last, middle, and the odd node that moves up.
const PLACES: &[(usize, usize)] = &[
    (0, 1),
    (0, 2),
    (1, 2),
    (2, 3),
    (0, 5),
    (4, 5),
    (5, 6),
    (6, 7),
    (3, 8),
    (7, 8),
];

include!("merkle_reference.rs");
