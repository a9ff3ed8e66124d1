//! Every text that `pli device` shows, in French and in English.

use crate::command::words::words;

words! {
    // Enrolment.
    HOME: "hébergeur", "home";
    DEVICE: "appareil", "device";
    FOLDER: "dossier", "folder";
    GRANT: "autorisation", "grant";
    NEXT_GRANT:
        "Ensuite, pour qu'une administration puisse vous écrire : pli device grant ADMINISTRATION",
        "Next, to let an authority write to you: pli device grant AUTHORITY";

    // The inbox.
    NO_LETTERS: "Aucune lettre.", "No letter.";
    NUMBER: "N°", "No";
    RECEIVED: "Reçue", "Received";
    FROM: "De", "From";
    SUBJECT: "Objet", "Subject";
    STATE: "État", "State";
    NO_LETTER: "il n'y a pas de lettre {number}", "there is no letter {number}";
    NO_ENVELOPE:
        "la lettre {number} n'a pas été remise avec son enveloppe",
        "letter {number} came without its envelope";
    PROVES_NOTHING:
        "la lettre {number} n'est pas vérifiée : elle ne prouve rien",
        "letter {number} is not verified: it proves nothing";
    LETTER_ALONE:
        "votre administration de courrier n'a pas répondu : ce dossier prouve qui a écrit la lettre, et rien de ce qui lui est arrivé ; refaites-le plus tard, sous un autre nom",
        "your mail administration did not answer: this bundle proves who wrote the letter, and nothing of what happened to it; make it again later, under another name";
    NOT_SHOWN_TITLE: "(ne peut pas être affichée)", "(cannot be shown)";

    // Where a letter stands.
    IS_VERIFIED: "vérifiée", "verified";
    IS_BY_AN_ENDED_KEY: "vérifiée, d'une clé retirée avant", "verified, by a key ended before";
    IS_UNREADABLE: "authentique, illisible", "authentic, unreadable";
    IS_EXPIRED: "expirée avant sa remise", "expired before delivery";
    IS_DAMAGED: "abîmée chez l'hébergeur", "damaged at the home";
    IS_SKIPPED: "numéros jamais utilisés, dit l'hébergeur", "never used, says the home";
    IS_ABSENT: "absente", "absent";
    IS_REFUSED: "REFUSÉE : {code}", "REFUSED: {code}";
    IS_A_REPEAT: "répète la lettre {number}", "repeats letter {number}";
    IS_REPLACED: "remplacée par {number}", "replaced by {number}";

    // A letter.
    NOT_SHOWN:
        "Cette lettre n'est pas affichée : son origine n'est pas prouvée ou elle ne vous est pas destinée.",
        "This letter is not shown: its origin is not proven or it is not for you.";
    CANNOT_BE_SHOWN:
        "Cette lettre est authentique mais ne peut pas être affichée.",
        "This letter is authentic but cannot be shown.";
    REASON: "Raison : {reason} ({code})", "Reason: {reason} ({code})";
    SENT: "Envoyée", "Sent";
    FETCHED: "Relevée", "Fetched";
    MATTER: "Portée", "Matter";
    FOR_INFORMATION: "pour information", "for information";
    FOR_ACTION: "une action est attendue de vous", "something is expected of you";
    FOR_LEGAL_EFFECT: "a des effets juridiques", "has legal effects";
    ORIGIN: "Origine", "Origin";
    PROVEN:
        "vérifiée sur cet appareil, jusqu'à la racine de la fédération",
        "verified on this device, up to the federation's root";
    CAUTION: "Attention", "Caution";
    KEY_ENDED:
        "signée d'une clé que l'expéditeur a retirée avant que cet appareil ne la reçoive ; si elle compte, demandez-lui. Clé retirée le",
        "signed with a key that its sender ended before this device got it; if it matters, ask the sender. Key ended on";
    REPLACED_BY: "Remplacée par", "Replaced by";
    VALID_UNTIL: "Valable jusqu'au", "Valid until";
    LINK: "Lien", "Link";
    UNLISTED_HOST:
        "cet hôte n'est pas parmi ceux que l'administration a déclarés",
        "this host is not among those that the authority declared";

    // What is in it.
    DETAIL: "{name} : {value}", "{name}: {value}";
    PROCEDURE: "Démarche", "Procedure";
    STATUS: "État", "State";
    STATUS_NEW: "nouvelle", "new";
    STATUS_IN_PROGRESS: "en cours", "in progress";
    STATUS_CLOSED: "terminée", "closed";
    STEP_OF: "Étape du", "Step of";
    MILESTONE_START: "Échéance, début", "Milestone, start";
    MILESTONE_END: "Échéance, fin", "Milestone, end";
    APPOINTMENT: "Rendez-vous", "Appointment";
    PLANNED: "à venir", "to come";
    MOVED: "déplacé", "moved";
    CANCELLED: "annulé", "cancelled";
    PAST: "passé", "past";
    PLACE: "Lieu", "Place";
    DOCUMENT: "Document", "Document";
    DOCUMENT_IS: "{name} ({type}, {size} octets)", "{name} ({type}, {size} bytes)";
    ASKED_BY: "Demandé par", "Asked by";
    READ_BY: "Consulté par", "Read by";
    DATA: "Données", "Data";
    PURPOSE: "Pour", "For";
    LEGAL_BASIS: "Base légale", "Legal basis";
    UNTIL: "Jusqu'au", "Until";
    ACCESSED_ON: "Le", "On";

    // Watching.
    WAITING: "En attente de lettres de {home}… (Ctrl-C)", "Waiting for letters of {home}… (Ctrl-C)";
    CONNECTED: "Connecté à {home}.", "Connected to {home}.";
    AWAY:
        "{home} ne répond pas ; vos lettres y restent, nouvel essai bientôt",
        "{home} does not answer; your letters stay there, trying again soon";
    HANDED_OVER_LATER:
        "pas encore accusées ; plus tard : pli device ack",
        "not handed over yet; later: pli device ack";

    // Handing over.
    HANDED_OVER_NONE: "{count} lettre à accuser", "{count} letters to hand over";
    HANDED_OVER_ONE: "{count} lettre accusée", "{count} letter handed over";
    HANDED_OVER_MANY: "{count} lettres accusées", "{count} letters handed over";
    NOT_VERIFIED:
        "la lettre {number} n'est pas vérifiée ; elle n'est donc pas accusée",
        "letter {number} is not verified, so it is not handed over";
}

/// Words that both languages spell alike.
#[cfg(test)]
const SAME: &[&str] = &["Document"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::words::tests::check;

    #[test]
    fn every_text_is_in_both_languages_with_the_same_facts() {
        for (name, words) in ALL {
            check(name, *words, SAME);
        }
    }

    /// A text that is not among [`ALL`] would be in one language: no file of the citizen's commands
    /// has a literal of several words.
    #[test]
    fn nothing_is_said_in_one_language() {
        let files = [
            ("mod.rs", include_str!("mod.rs")),
            ("inbox.rs", include_str!("inbox.rs")),
            ("letter.rs", include_str!("letter.rs")),
            ("state.rs", include_str!("state.rs")),
            ("watch.rs", include_str!("watch.rs")),
            ("failures.rs", include_str!("failures.rs")),
            ("usage.rs", include_str!("usage.rs")),
        ];
        let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/command/device");
        let known = ["texts.rs", "faults.rs", "codes.rs", "help.rs"];
        for file in std::fs::read_dir(here).expect("the sources") {
            let name = file.expect("the sources").file_name();
            let name = name.to_str().expect("ASCII");
            let looked_at = files.iter().any(|(file, _)| *file == name);
            assert!(
                looked_at || known.contains(&name),
                "{name} is not looked at"
            );
        }
        for (file, source) in files {
            let source = source.split("#[cfg(test)]").next().unwrap_or(source);
            for (number, line) in (1..).zip(source.lines()) {
                let code = line.trim_start();
                if code.starts_with("//") || code.contains("expect(") || code.contains("tracing::")
                {
                    continue;
                }
                for literal in line.split('"').skip(1).step_by(2) {
                    assert!(!says_something(literal), "{file}:{number}: {literal:?}");
                }
            }
        }
        assert!(says_something("no letter"));
        assert!(!says_something("{seq}  {}  {state}"));
        assert!(!says_something("sender_name"));
    }

    /// Two words that follow each other, or a letter that JSON keys do not have.
    fn says_something(literal: &str) -> bool {
        let mut shown = String::new();
        let mut rest = literal;
        while let Some((before, after)) = rest.split_once('{') {
            shown.push_str(before);
            rest = after.split_once('}').map_or("", |(_, rest)| rest);
        }
        shown.push_str(rest);
        let is_word = |word: &&str| word.chars().filter(|c| c.is_alphabetic()).count() > 1;
        shown.split_whitespace().filter(is_word).count() > 1
            || !shown.is_ascii() && shown.chars().any(|c| c.is_alphabetic() && !c.is_ascii())
    }
}
