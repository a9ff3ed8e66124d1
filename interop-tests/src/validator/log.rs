//! A node's log: signed notes, checkpoints, cosignatures, what is asked of a witness, split views. Spec: EVD-3, EVD-4.2,
//! EVD-7, EVD-10, and the texts of C2SP that they name.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{INTEGER_MAX, Refused, names, refuse};
use crate::crypto::keys::PublicKey;
use crate::crypto::{Hash, merkle, sha256};

const NOTE_MAX: usize = 12_288;
const NOTE_SIGNATURES_MAX: usize = 64;
const SPLIT_VIEW_MAX: usize = 4_096;
const WITNESS_PROOF_MAX: usize = 63;
/// Of a signature line: over the text, and over the text with a time.
const ED25519: u8 = 1;
const COSIGNATURE: u8 = 4;

/// A checkpoint as a note; no signature is checked yet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Noted {
    pub origin: String,
    pub size: u64,
    pub root: Hash,
    text: String,
    /// Name, and what is behind it: four bytes of key hash, the signature.
    lines: Vec<(String, Vec<u8>)>,
}

fn form<T>(found: Option<T>, why: &'static str) -> Result<T, Refused> {
    found.ok_or(Refused {
        code: "FIELD_INVALID",
        why,
    })
}

/// Without sign or leading zeros, at most INTEGER_MAX.
fn decimal(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text && number <= INTEGER_MAX).then_some(number)
}

fn hash(text: &str) -> Option<Hash> {
    STANDARD.decode(text).ok()?.try_into().ok()
}

impl Noted {
    /// EVD-3.1
    pub fn check(note: &str) -> Result<Self, Refused> {
        if note.len() > NOTE_MAX {
            return refuse("TOO_LONG", "note");
        }
        if note.chars().any(|c| c < ' ' && c != '\n') {
            return refuse("FIELD_INVALID", "a control character");
        }
        let (text, signatures) = form(note.rsplit_once("\n\n"), "no signatures")?;
        let text = format!("{text}\n");
        let signatures = form(signatures.strip_suffix('\n'), "the last line is open")?;
        let mut lines = Vec::new();
        for line in signatures.split('\n') {
            if lines.len() == NOTE_SIGNATURES_MAX {
                return refuse("TOO_MANY", "signatures");
            }
            lines.push(form(signature_line(line), "a signature line")?);
        }
        let said: Vec<&str> = text.split('\n').collect();
        let [origin, size, root, ""] = said[..] else {
            return refuse("FIELD_INVALID", "not three lines");
        };
        let (authority, start) = form(origin.split_once("/log/"), "origin")?;
        names::authority(authority)?;
        form(decimal(start), "start")?;
        Ok(Self {
            origin: origin.to_owned(),
            size: form(decimal(size), "size")?,
            root: form(hash(root), "root")?,
            text,
            lines,
        })
    }

    pub fn authority(&self) -> &str {
        self.origin.split('/').next().unwrap_or_default()
    }

    /// The log's signature by this key, as a line.
    pub fn signed_by(&self, key: &PublicKey) -> Result<&(String, Vec<u8>), Refused> {
        let id = key_hash(&self.origin, ED25519, key);
        let ours = |(name, bytes): &&(String, Vec<u8>)| {
            let signature = bytes.strip_prefix(&id);
            *name == self.origin
                && signature
                    .is_some_and(|it| it.len() == 64 && key.verifies(self.text.as_bytes(), it))
        };
        self.lines.iter().find(ours).ok_or(Refused {
            code: "BAD_SIGNATURE",
            why: "the log's key has not signed",
        })
    }

    /// When this witness cosigned by this key, the last time. EVD-7.1
    pub fn cosigned_by(&self, witness: &str, key: &PublicKey) -> Result<u64, Refused> {
        let name = format!("{witness}/witness");
        let id = key_hash(&name, COSIGNATURE, key);
        let when = |(of, bytes): &(String, Vec<u8>)| {
            let (seconds, signature) = bytes.strip_prefix(&id)?.split_first_chunk::<8>()?;
            let seconds = u64::from_be_bytes(*seconds);
            let signed = format!("cosignature/v1\ntime {seconds}\n{}", self.text);
            let holds = signature.len() == 64 && key.verifies(signed.as_bytes(), signature);
            (*of == name && holds).then(|| seconds.saturating_mul(1_000))
        };
        self.lines.iter().filter_map(when).max().ok_or(Refused {
            code: "BAD_SIGNATURE",
            why: "that witness has not cosigned",
        })
    }

    /// The note with one line alone.
    fn with(&self, (name, bytes): &(String, Vec<u8>)) -> String {
        format!(
            "{}\n\u{2014} {name} {}\n",
            self.text,
            STANDARD.encode(bytes)
        )
    }
}

fn signature_line(line: &str) -> Option<(String, Vec<u8>)> {
    let (name, signature) = line.strip_prefix("\u{2014} ")?.split_once(' ')?;
    let plain = !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c == '+');
    let bytes = STANDARD.decode(signature).ok()?;
    (plain && bytes.len() > 4).then(|| (name.to_owned(), bytes))
}

fn key_hash(name: &str, algorithm: u8, key: &PublicKey) -> [u8; 4] {
    let [a, b, c, d, ..] = sha256(&[name.as_bytes(), &[b'\n', algorithm], &key.0]);
    [a, b, c, d]
}

/// The largest power of two below `n`, which is above 1.
fn split(n: u64) -> u64 {
    1 << (n - 1).ilog2()
}

/// The root that a leaf of a tree of any size leads to: PATH of RFC 6962, section 2.1.1, from the end.
pub fn climb(leaf: &Hash, index: u64, size: u64, path: &[Hash]) -> Option<Hash> {
    if index >= size {
        return None;
    }
    if size == 1 {
        return path.is_empty().then_some(*leaf);
    }
    let (sibling, below) = path.split_last()?;
    let k = split(size);
    Some(match index < k {
        true => merkle::node(&climb(leaf, index, k, below)?, sibling),
        false => merkle::node(sibling, &climb(leaf, index - k, size - k, below)?),
    })
}

/// Both roots by SUBPROOF of RFC 6962, section 2.1.2, read from its end. `known`: the old root, where the recursion
/// says that it is left out.
fn roots(old: u64, new: u64, path: &[Hash], known: Option<Hash>) -> Option<(Hash, Hash)> {
    if old == new {
        return match (known, path) {
            (Some(root), []) => Some((root, root)),
            (None, [root]) => Some((*root, *root)),
            _ => None,
        };
    }
    let (sibling, below) = path.split_last()?;
    let k = split(new);
    if old <= k {
        let (old_root, left) = roots(old, k, below, known)?;
        return Some((old_root, merkle::node(&left, sibling)));
    }
    let (old_right, right) = roots(old - k, new - k, below, None)?;
    Some((
        merkle::node(sibling, &old_right),
        merkle::node(sibling, &right),
    ))
}

/// EVD-4.2
pub fn consistency(old: (u64, Hash), new: (u64, Hash), path: &[Hash]) -> Result<(), Refused> {
    let empty = path.is_empty() && old.1 == sha256(&[]);
    let grown = match old.0 {
        0 if new.0 > 0 => empty,
        size if size > new.0 => false,
        size if size == new.0 => path.is_empty() && old.1 == new.1,
        size => roots(size, new.0, path, Some(old.1)) == Some((old.1, new.1)),
    };
    match grown {
        true => Ok(()),
        false => refuse(
            "BAD_INCLUSION",
            "the older log is not the beginning of the newer",
        ),
    }
}

/// What a witness is asked: the old size, the proof, the checkpoint. EVD-7.2
pub fn submission(body: &str) -> Result<(u64, Vec<Hash>, Noted), Refused> {
    let (head, note) = form(body.split_once("\n\n"), "no empty line")?;
    let mut lines = head.split('\n');
    let old = lines
        .next()
        .and_then(|line| decimal(line.strip_prefix("old ")?));
    let old = form(old, "old size")?;
    let path = lines.map(hash).collect::<Option<Vec<_>>>();
    let path = form(path.filter(|path| path.len() <= WITNESS_PROOF_MAX), "proof")?;
    let noted = Noted::check(note).map_err(|Refused { why, .. }| Refused {
        code: "FIELD_INVALID",
        why,
    })?;
    Ok((old, path, noted))
}

/// Two heads of one log: the first of them, and the exact text with one signature each. EVD-10.1
pub fn split_view(text: &str, key: &PublicKey) -> Result<(Noted, String), Refused> {
    let pair = || {
        let (first, rest) = text.split_once("\n\n")?;
        let (lines, second) = rest.split_once("\n\n")?;
        let one = Noted::check(&format!("{first}\n\n{lines}\n")).ok()?;
        let other = Noted::check(second).ok()?;
        let contradict = one.origin == other.origin && one.size == other.size;
        (text.len() <= SPLIT_VIEW_MAX && contradict && one.root < other.root)
            .then_some((one, other))
    };
    let (one, other) = form(pair(), "not two heads that contradict each other")?;
    let (first, second) = (
        one.with(one.signed_by(key)?),
        other.with(other.signed_by(key)?),
    );
    Ok((one, format!("{first}\n{second}")))
}
