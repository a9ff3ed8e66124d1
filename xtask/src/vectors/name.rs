//! Names: ENV-2, SIG-4.4.

use serde_json::json;

use super::annotate::Annotator;
use super::case::{Ask, File};
use super::samples::{MAILBOX, SERVICE};

pub(super) fn file(_: &Annotator) -> File {
    let mut file = File::new(
        "names",
        "L0",
        "Authorities, services, mailboxes and keys as text",
    );
    let label_63 = format!("{}.fr", "a".repeat(63));
    let label_64 = format!("{}.fr", "a".repeat(64));
    let longest = format!(
        "{}.{}.{}.{}",
        "a".repeat(63),
        "b".repeat(63),
        "c".repeat(63),
        "d".repeat(61)
    );
    let too_long = format!(
        "{}.{}.{}.{}",
        "a".repeat(63),
        "b".repeat(63),
        "c".repeat(63),
        "d".repeat(62)
    );
    let name_63 = format!("{}@a.fr", "a".repeat(63));
    let name_64 = format!("{}@a.fr", "a".repeat(64));
    let key = "ed25519:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    // Id, title, text, accepted; a refused one differs from the accepted one above it.
    #[rustfmt::skip]
    let authority: &[(&'static str, &'static str, &str, bool)] = &[
        ("authority", "a domain", "interieur.gouv.fr", true),
        ("upper-case", "an upper-case letter", "Interieur.gouv.fr", false),
        ("one-label", "one label", "interieur", false),
        ("empty", "nothing", "", false),
        ("empty-label", "an empty label", "interieur..fr", false),
        ("leading-dot", "a dot in front", ".interieur.gouv.fr", false),
        ("final-dot", "a dot at the end", "interieur.gouv.fr.", false),
        ("leading-hyphen", "a label that begins with a hyphen", "-interieur.gouv.fr", false),
        ("final-hyphen", "a label that ends with a hyphen", "interieur-.gouv.fr", false),
        ("underscore", "an underscore", "interieur_.gouv.fr", false),
        ("space", "a space", "interieur.gouv.fr ", false),
        ("nul", "a NUL", "interieur.gouv.fr\0", false),
        ("line-break", "a line break at the end", "interieur.gouv.fr\n", false),
        ("accent", "a letter outside of ASCII", "intérieur.gouv.fr", false),
        ("cyrillic", "a Cyrillic letter that looks like i", "іnterieur.gouv.fr", false),
        ("bidi", "a direction override", "interieur\u{202e}.gouv.fr", false),
        ("zero-width", "a zero-width joiner", "interieur\u{200d}.gouv.fr", false),
        ("full-width", "a full-width dot", "interieur．gouv.fr", false),
        ("port", "a port", "interieur.gouv.fr:7400", false),
        ("label-63", "a label of 63", &label_63, true),
        ("label-64", "a label of 64", &label_64, false),
        ("length-253", "253 characters in all", &longest, true),
        ("length-254", "254 characters in all", &too_long, false),
    ];
    #[rustfmt::skip]
    let service: &[(&'static str, &'static str, &str, bool)] = &[
        ("service", "a name at an authority", SERVICE, true),
        ("no-at", "no @", "rdv.interieur.gouv.fr", false),
        ("no-name", "no name", "@interieur.gouv.fr", false),
        ("no-authority", "no authority", "rdv@", false),
        ("two-at", "two @", "rdv@rdv@interieur.gouv.fr", false),
        ("leading-dash", "a name that begins with a hyphen", "-rdv@interieur.gouv.fr", false),
        ("leading-period", "a name that begins with a dot", ".rdv@interieur.gouv.fr", false),
        ("name-upper-case", "an upper-case letter in the name", "RDV@interieur.gouv.fr", false),
        ("plus", "a character outside of the grammar", "rdv+1@interieur.gouv.fr", false),
        ("name-63", "a name of 63", &name_63, true),
        ("name-64", "a name of 64", &name_64, false),
    ];
    #[rustfmt::skip]
    let mailbox: &[(&'static str, &'static str, &str, bool)] = &[
        ("mailbox", "32 digits at a home", MAILBOX, true),
        ("digits-31", "31 digits", &MAILBOX[1..], false),
        ("digits-33", "33 digits", "0000102030405060708090a0b0c0d0e0f@social.gouv.fr", false),
        ("digits-upper", "upper-case digits", "000102030405060708090A0B0C0D0E0F@social.gouv.fr", false),
        ("no-home", "no home", "000102030405060708090a0b0c0d0e0f@", false),
        ("bad-home", "a home that is no authority", "000102030405060708090a0b0c0d0e0f@social", false),
    ];
    #[rustfmt::skip]
    let keys: &[(&'static str, &'static str, &str, bool)] = &[
        ("key", "the public key of RFC 8032, 7.1, test 1", key, true),
        ("key-prefix", "no prefix", &key[8..], false),
        ("key-upper", "the prefix in upper case", "ED25519:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", false),
        ("key-padded", "base64 padding", "ed25519:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo=", false),
        ("key-alphabet", "the other base64 alphabet", "ed25519:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo", false),
        ("key-short", "31 bytes", "ed25519:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHUQ", false),
        ("key-bits", "the same bytes, other unused bits in the last character", "ed25519:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURp", false),
    ];
    let groups: [(&str, &'static [&'static str], _); 4] = [
        ("authority", &["ENV-2.1"], authority),
        ("service", &["ENV-2.2"], service),
        ("mailbox", &["ENV-2.3", "ENV-2.4"], mailbox),
        ("key", &["SIG-4.4"], keys),
    ];
    for (kind, requirements, cases) in groups {
        let mut base = "";
        for (id, title, text, accepted) in cases {
            let input = json!({ "kind": kind, "text": text });
            let ask = Ask {
                id,
                title,
                requirements,
                op: "id.parse",
                input,
            };
            if *accepted {
                base = id;
                file.accepts(ask, json!({ "text": text }));
            } else {
                file.refuses(ask, base, "FIELD_INVALID");
            }
        }
    }
    file
}
