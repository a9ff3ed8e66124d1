//! The page: both languages say all there is, nothing of it is markup of somebody else, its parts are marked for
//! whoever cannot see it.

use std::collections::BTreeMap;

use pli_protocol::code::Code;
use pli_protocol::crypto::sign::SigningKey;
use pli_protocol::custody::{Receipt, Step};
use pli_protocol::envelope::{Class, Header, Importance, Sender, Urgency};
use pli_protocol::evidence::{Checkpoint, Cosignature, Entry, Event, EventKind, Noted};
use pli_protocol::id::{AuthorityId, EnvelopeId, KeyId, Timestamp};
use pli_protocol::trust::{DisplayName, Versions};

use super::super::facts::{DirectoryFacts, LetterFacts, NotProven, Read, ReceiptFacts};
use super::*;

const NOON: Timestamp = Timestamp::from_ms(1_800_000_000_000);
const HOSTILE: &str = "\"><script>alert('x')</script>&amp;\u{202e}</section>";
const KINDS: [EventKind; 10] = [
    EventKind::SubmissionAcceptance,
    EventKind::SubmissionRejection(Code::Expired),
    EventKind::RelayAcceptance,
    EventKind::RelayRejection(Code::Expired),
    EventKind::RelayFailure(Code::Expired),
    EventKind::NotificationForAcceptance,
    EventKind::ContentConsignment,
    EventKind::ContentConsignmentFailure(Code::Expired),
    EventKind::ContentHandover,
    EventKind::ContentHandoverFailure(Code::Expired),
];
const STEPS: [Step; 5] = [
    Step::Accepted,
    Step::Stored,
    Step::Retrieved,
    Step::Undeliverable(Code::Expired),
    Step::Refused(Code::Expired),
];

fn authority(name: &str) -> AuthorityId {
    name.parse().unwrap()
}

fn event(kind: EventKind) -> EventFacts {
    let node = authority("un-tres-long-nom-d-administration.interieur.gouv.fr");
    let origin = format!("{node}/log/1790000000000").parse().unwrap();
    let key = SigningKey::from_seed(&[1; 32]);
    let checkpoint = Checkpoint {
        origin,
        size: 9,
        root: [4; 32],
    };
    EventFacts {
        event: Event {
            kind,
            node,
            envelope: EnvelopeId::new([7; 32]),
            at: NOON,
        },
        logged: NOON.plus_ms(1_000),
        log: checkpoint.origin.clone(),
        index: 8,
        entry: Entry {
            at: NOON.plus_ms(1_000),
            size: 1,
            root: [5; 32],
        },
        size: 9,
        head: Noted::parse(&checkpoint.sign(&key)).unwrap(),
        key: key.public().id(),
        witnesses: vec![Cosignature {
            witness: authority("social.gouv.fr"),
            at: NOON.plus_ms(2_000),
            key: *SigningKey::from_seed(&[2; 32]).public(),
        }],
        is_final: true,
    }
}

/// Everything that a bundle may say, by an authority with these names.
fn verified(kinds: &[EventKind], names: (&str, &str)) -> Verified {
    let name = DisplayName {
        fr: names.0.to_owned(),
        en: names.1.to_owned(),
    };
    let node = authority("social.gouv.fr");
    let receipt = |(number, step): (u64, &Step)| ReceiptFacts {
        receipt: Receipt {
            step: *step,
            node: node.clone(),
            envelope: EnvelopeId::new([7; 32]),
            at: NOON.plus_ms(number * 1_000),
        },
        key: KeyId::new([3; 32]),
        logged: number.is_multiple_of(2),
    };
    let header = Header {
        sender: Sender::Service("rdv@social.gouv.fr".parse().unwrap()),
        recipient: format!("{}@social.gouv.fr", "0b".repeat(16))
            .parse()
            .unwrap(),
        created: NOON,
        expires: NOON.plus_ms(86_400_000),
        class: Class::Message,
        urgency: Urgency::Normal,
        importance: Importance::Legal,
        supersedes: None,
        extensions: Vec::new(),
    };
    Verified {
        id: EnvelopeId::new([7; 32]),
        letter: Some(LetterFacts {
            sender: "rdv@social.gouv.fr".parse().unwrap(),
            sender_name: name.clone(),
            key: KeyId::new([6; 32]),
            key_had_ended: false,
            header,
        }),
        directory: DirectoryFacts {
            versions: Versions {
                root: 1,
                timestamp: 2,
                snapshot: 3,
                targets: 4,
            },
            expires: NOON.plus_ms(86_400_000),
            authorities: 3,
            witnesses: 1,
            names: BTreeMap::from([(node.clone(), name)]),
        },
        receipts: (0..).zip(&STEPS).map(receipt).collect(),
        events: kinds.iter().map(|kind| event(*kind)).collect(),
        not_proven: vec![
            NotProven::Letter,
            NotProven::KeyEnded,
            NotProven::OldDirectory(EventKind::ContentHandover, node.clone()),
            NotProven::NotLogged(Step::Stored, node.clone()),
            NotProven::NotFinal(EventKind::ContentHandover, node),
            NotProven::NoWitnesses,
            NotProven::OneHand,
            NotProven::Consignment,
            NotProven::Handover,
            NotProven::Nothing,
        ],
        read: Read {
            bundle: [8; 32],
            root: [9; 32],
        },
    }
}

const BY: By = By {
    at: NOON,
    version: "0.1.0",
};

fn whole() -> String {
    page(
        &verified(&KINDS, ("Affaires sociales", "Social Affairs")),
        BY,
    )
}

/// The section of a language.
fn part<'a>(page: &'a str, lang: &str) -> &'a str {
    let from = page.find(&format!("<section id=\"{lang}\"")).unwrap();
    let length = page[from..].find("</section>").unwrap();
    &page[from..from + length]
}

/// The tags in their order, each closed by its own; and the text between them.
fn parsed(page: &str) -> (Vec<&str>, String) {
    let (mut open, mut tags, mut text) = (Vec::new(), Vec::new(), String::new());
    let mut rest = page.strip_prefix("<!DOCTYPE html>").unwrap();
    while let Some((before, after)) = rest.split_once('<') {
        text.push_str(before);
        let (tag, after) = after.split_once('>').expect("a tag ends");
        rest = after;
        let name = tag.split(' ').next().unwrap();
        match name.strip_prefix('/') {
            Some(closed) => assert_eq!(open.pop(), Some(closed), "{tag}"),
            None if ["meta", "br"].contains(&name) || tag.ends_with('/') => {}
            None => open.push(name),
        }
        tags.push(tag);
    }
    assert_eq!(open, [""; 0]);
    (tags, text)
}

#[test]
fn both_languages_say_the_same_number_of_things_and_none_of_the_other() {
    let page = whole();
    let (fr, en) = (part(&page, "fr"), part(&page, "en"));
    for tag in [
        "<tr>",
        "<li>",
        "<dt>",
        "<h2>",
        "<circle",
        "<th scope=\"row\">",
    ] {
        let (in_fr, in_en) = (fr.matches(tag).count(), en.matches(tag).count());
        assert!(in_fr > 0 && in_fr == in_en, "{tag}: {in_fr}, {in_en}");
    }
    for (lang, of_it, of_other) in [(Lang::Fr, fr, en), (Lang::En, en, fr)] {
        let mut said: Vec<String> = KINDS
            .map(|kind| words::event(kind, "social.gouv.fr", lang))
            .into_iter()
            .map(|said| said.replace("social.gouv.fr", event(KINDS[0]).event.node.as_str()))
            .collect();
        said.extend(STEPS.map(|step| words::step(step, lang)));
        said.extend(words::never_proven(lang).map(str::to_owned));
        let verified = verified(&KINDS, ("Affaires sociales", "Social Affairs"));
        said.extend(
            verified
                .not_proven
                .iter()
                .map(|lack| words::not_proven(lack, lang)),
        );
        for words in said {
            let words = escape(&words);
            assert!(of_it.contains(&words), "{words}");
            assert!(!of_other.contains(&format!(">{words}<")), "{words}");
        }
    }
    assert!(fr.contains("Affaires sociales") && !fr.contains("Social Affairs"));
    assert!(en.contains("Social Affairs") && !en.contains("Affaires sociales"));
}

#[test]
fn case_61_what_others_wrote_is_text_on_the_page_and_nothing_else() {
    let page = page(&verified(&KINDS, (HOSTILE, HOSTILE)), BY);
    let (tags, text) = parsed(&page);
    let harmless = whole();
    let (expected, _) = parsed(&harmless);
    assert_eq!(tags, expected, "it adds no tag and no attribute");
    assert!(text.contains("&lt;script&gt;alert(&#39;x&#39;)"), "{text}");
    assert!(!page.contains('\u{202e}') && !page.contains("<script"));
}

#[test]
fn the_page_is_marked_for_whoever_cannot_see_it() {
    let page = whole();
    let (tags, _) = parsed(&page);
    assert!(tags.contains(&"html lang=\"fr\""));
    for tag in &tags {
        let name = tag.split(' ').next().unwrap();
        let needed = match name {
            "th" => "scope=\"",
            "svg" => "role=\"img\" aria-label=\"",
            "section" => "lang=\"",
            "nav" => "aria-label=\"",
            _ => continue,
        };
        assert!(tag.contains(needed), "{tag}");
    }
    let names = tags.iter().map(|tag| tag.split(' ').next().unwrap());
    let levels: Vec<_> = names.filter(|name| ["h1", "h2"].contains(name)).collect();
    let one = ["h1", "h2", "h2", "h2", "h2", "h2"];
    assert_eq!(levels, [one, one].concat(), "no level is left out");
    let captions = tags.iter().filter(|tag| **tag == "caption").count();
    assert_eq!(captions, tags.iter().filter(|tag| **tag == "table").count());
}

#[test]
fn a_page_prints_each_language_on_its_own_sheets_and_loads_nothing() {
    let page = whole();
    for part in [
        "@media print",
        "section+section{break-before:page",
        "thead{display:table-header-group}",
        "default-src 'none'",
    ] {
        assert!(page.contains(part), "{part}");
    }
    for loads in ["src=", "url(", "@import", "<link", "http://", "https://"] {
        assert!(!page.contains(loads), "{loads}");
    }
}

#[test]
fn a_page_of_nothing_says_so() {
    let page = page(&verified(&[], ("a", "a")), BY);
    parsed(&page);
    assert!(part(&page, "fr").contains("Rien : aucune preuve"));
    assert!(part(&page, "en").contains("Nothing: no proof"));
}

#[test]
fn the_page_says_what_was_read_and_by_whom() {
    let page = whole();
    for part in ["08".repeat(32), "09".repeat(32), "pli 0.1.0".to_owned()] {
        assert_eq!(page.matches(&part).count(), 2, "in each language: {part}");
    }
}

#[test]
fn a_bundle_that_is_not_to_be_believed_has_a_page_that_says_so() {
    let broken = Broken {
        part: "receipt 2".to_owned(),
        why: HOSTILE.to_owned(),
        code: None,
    };
    let page = refused(&broken, [8; 32], BY);
    let (_, text) = parsed(&page);
    assert!(text.contains("n’est à croire") && text.contains("to be believed"));
    assert_eq!(
        text.matches("receipt 2: &quot;&gt;&lt;script&gt;").count(),
        2,
        "{text}"
    );
    assert!(!page.contains("<script") && !page.contains("verdict proven"));
}
