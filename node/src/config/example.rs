//! The text of `node.example.toml`, made from the doc comments of the keys.

use super::section::{Key, Presence, Section};
use super::{Caps, Dial, Evidence, Listen, Log, Quotas, Store, Top, TrustKeys};

const OPENING: &str = "\
# Configuration of pli-node. Made by `pli-node --print-example-config`; do not edit by hand.
#
# A key may be left out unless it says \"Required\": the value shown is its default.
# An unknown key is refused. A relative path is taken from the directory of this file.
";

/// The example configuration, complete: every table, every key, what each is for.
pub fn example() -> String {
    let mut text = OPENING.to_owned();
    table::<Top>(&mut text);
    table::<Store>(&mut text);
    table::<Evidence>(&mut text);
    table::<Listen>(&mut text);
    table::<Dial>(&mut text);
    table::<TrustKeys>(&mut text);
    table::<Quotas>(&mut text);
    table::<Caps>(&mut text);
    table::<Log>(&mut text);
    text
}

fn table<T: Section>(text: &mut String) {
    if !T::TABLE.is_empty() {
        text.push('\n');
        comment(text, T::DOC);
        text.push_str(&format!("[{}]\n", T::TABLE));
    }
    // A key without a doc comment is a table of its own.
    for key in T::KEYS.iter().filter(|key| !key.doc.is_empty()) {
        one(text, key);
    }
}

fn one(text: &mut String, key: &Key) {
    text.push('\n');
    comment(text, key.doc);
    let Key { name, value, .. } = key;
    text.push_str(&match key.presence {
        Presence::Required => format!("# Required.\n{name} = {value}\n"),
        Presence::Default => format!("{name} = {value}\n"),
    });
}

fn comment(text: &mut String, lines: &[&str]) {
    for line in lines {
        text.push_str(format!("# {}", line.trim()).trim_end());
        text.push('\n');
    }
}
