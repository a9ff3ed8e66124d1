//! What verified evidence says to people, in French and in English.

use pli_protocol::custody::Step;
use pli_protocol::envelope::Importance;
use pli_protocol::evidence::EventKind;
use pli_protocol::id::AuthorityId;

use super::facts::{DirectoryFacts, NotProven, Verdict};
use crate::names;
use crate::screen::Lang;

/// A name for people and the domain that it stands for.
pub(super) fn authority(directory: &DirectoryFacts, authority: &AuthorityId, lang: Lang) -> String {
    match directory.names.get(authority) {
        Some(name) => format!("{} ({authority})", lang.pick(&name.fr, &name.en)),
        None => authority.to_string(),
    }
}

/// The verdict in one sentence.
pub(super) fn verdict(verdict: Verdict, lang: Lang) -> &'static str {
    match verdict {
        Verdict::Proven => lang.pick(
            "Prouvé : chacun des faits ci-dessous est établi.",
            "Proven: each event below is established.",
        ),
        Verdict::Incomplete => lang.pick(
            "Authentique, mais incomplet : tout ce qui est ici est vrai, et il manque ce qui est dit plus bas.",
            "Genuine, but incomplete: everything here is true, and what is said below is missing.",
        ),
    }
}

/// In place of a verdict.
pub(super) fn broken(lang: Lang) -> &'static str {
    lang.pick(
        "Rien de ce fichier n’est à croire : il n’est pas ce qu’il prétend être.",
        "Nothing in this file is to be believed: it is not what it claims to be.",
    )
}

/// What happened, in one sentence.
pub(super) fn event(kind: EventKind, node: &str, lang: Lang) -> String {
    let (fr, en) = match kind {
        EventKind::SubmissionAcceptance => (
            "{} a accepté la lettre de son service et en répond.",
            "{} accepted the letter from its service and answers for it.",
        ),
        EventKind::SubmissionRejection(_) => (
            "{} a refusé la lettre de son service.",
            "{} refused the letter from its service.",
        ),
        EventKind::RelayAcceptance => (
            "{} a reçu la lettre et en répond désormais.",
            "{} received the letter and answers for it from now on.",
        ),
        EventKind::RelayRejection(_) => ("{} a refusé la lettre.", "{} refused the letter."),
        EventKind::RelayFailure(_) => (
            "{} n’a pas pu transmettre la lettre.",
            "{} could not pass the letter on.",
        ),
        EventKind::NotificationForAcceptance => (
            "{} a averti un appareil du destinataire.",
            "{} told a device of the recipient.",
        ),
        EventKind::ContentConsignment => (
            "La lettre est dans la boîte aux lettres du destinataire, chez {}.",
            "The letter is in the recipient's mailbox, at {}.",
        ),
        EventKind::ContentConsignmentFailure(_) => (
            "{} n’a pas pu déposer la lettre dans la boîte aux lettres.",
            "{} could not put the letter into the mailbox.",
        ),
        EventKind::ContentHandover => (
            "Un appareil du destinataire a signé qu’il a la lettre ; {} l’atteste.",
            "A device of the recipient signed that it has the letter; {} attests it.",
        ),
        EventKind::ContentHandoverFailure(_) => (
            "Personne n’a retiré la lettre à temps de sa boîte aux lettres, chez {}.",
            "Nobody took the letter from its mailbox in time, at {}.",
        ),
    };
    let said = lang.pick(fr, en).replace("{}", node);
    match kind.code() {
        Some(code) => format!("{said} [{code}]"),
        None => said,
    }
}

/// In a word or two, for a picture.
pub(super) fn stage(kind: EventKind, lang: Lang) -> &'static str {
    let (fr, en) = match kind {
        EventKind::SubmissionAcceptance => ("Acceptée", "Accepted"),
        EventKind::SubmissionRejection(_) | EventKind::RelayRejection(_) => ("Refusée", "Refused"),
        EventKind::RelayAcceptance => ("Transmise", "Relayed"),
        EventKind::RelayFailure(_) => ("Non transmise", "Not relayed"),
        EventKind::NotificationForAcceptance => ("Annoncée", "Notified"),
        EventKind::ContentConsignment => ("Déposée", "Consigned"),
        EventKind::ContentConsignmentFailure(_) => ("Non déposée", "Not consigned"),
        EventKind::ContentHandover => ("Remise", "Handed over"),
        EventKind::ContentHandoverFailure(_) => ("Non retirée", "Not taken"),
    };
    lang.pick(fr, en)
}

/// What is not proven, in one sentence.
pub(super) fn not_proven(lack: &NotProven, lang: Lang) -> String {
    let said = |fr: String, en: String| match lang {
        Lang::Fr => fr,
        Lang::En => en,
    };
    match lack {
        NotProven::Letter => said(
            "La lettre elle-même n’est pas dans ce dossier : elle n’y est que par son empreinte. Rien ne prouve qui l’a écrite, à qui, ni que ces nœuds soient ceux de l’expéditeur et du destinataire.".into(),
            "The letter itself is not in this bundle: it is named by its hash alone. Nothing proves who wrote it, to whom, or that these nodes are the sender's and the recipient's.".into(),
        ),
        NotProven::KeyEnded => said(
            "La clé qui a signé la lettre a pris fin avant le premier fait de ce dossier : rien ici ne prouve que la lettre ait été signée avant, par son service.".into(),
            "The key that signed the letter ended before the first event of this bundle: nothing here proves that the letter was signed before, by its service.".into(),
        ),
        NotProven::OldDirectory(kind, node) => {
            let stage = stage(*kind, lang);
            said(
                format!("« {stage} » ({node}) est postérieur à l’annuaire de ce dossier, qui ne dit pas quelles clés ont été révoquées depuis."),
                format!("\"{stage}\" ({node}) is later than the directory of this bundle, which does not say which keys were revoked since."),
            )
        }
        NotProven::NotLogged(step, node) => {
            let step = self::step(*step, lang);
            said(
                format!("Le reçu « {step} » de {node} est signé, mais aucun journal de ce dossier ne le contient."),
                format!("The receipt \"{step}\" of {node} is signed, but it is in no log of this bundle."),
            )
        }
        NotProven::NotFinal(kind, node) => {
            let stage = stage(*kind, lang);
            said(
                format!("« {stage} » ({node}) n’est pas définitif : trop peu de témoins ont vu le journal."),
                format!("\"{stage}\" ({node}) is not final: too few witnesses have seen the log."),
            )
        }
        NotProven::NoWitnesses => said(
            "La fédération ne demande pas de témoins : chaque journal n’engage que son propre nœud.".into(),
            "The federation demands no witnesses: each log is the word of its own node.".into(),
        ),
        NotProven::OneHand => said(
            "L’administration de l’expéditeur garde aussi la boîte aux lettres du destinataire : elle seule dit ce qui est arrivé à la lettre.".into(),
            "The sender's own administration keeps the recipient's mailbox too: it alone says what happened to the letter.".into(),
        ),
        NotProven::Consignment => said(
            "Rien ne prouve que la lettre soit dans la boîte aux lettres du destinataire.".into(),
            "Nothing proves that the letter is in the recipient's mailbox.".into(),
        ),
        NotProven::Handover => said(
            "Rien ne prouve qu’un appareil du destinataire ait la lettre.".into(),
            "Nothing proves that a device of the recipient has the letter.".into(),
        ),
        NotProven::Nothing => said(
            "Aucune preuve d’un journal n’est dans ce dossier ; un dossier fait quelques minutes plus tard peut en avoir.".into(),
            "No proof from a log is in this bundle; one that is made some minutes later may have some.".into(),
        ),
    }
}

/// What a receipt says, in a word or two.
pub(super) fn step(step: Step, lang: Lang) -> String {
    let (fr, en) = match step {
        Step::Accepted => ("acceptée", "accepted"),
        Step::Stored => ("déposée", "stored"),
        Step::Retrieved => ("remise", "retrieved"),
        Step::Undeliverable(_) => ("non remise", "undeliverable"),
        Step::Refused(_) => ("refusée", "refused"),
    };
    let said = lang.pick(fr, en);
    match names::step(step).1 {
        Some(code) => format!("{said} [{code}]"),
        None => said.to_owned(),
    }
}

/// How much of a matter the letter is, for its recipient.
pub(super) fn importance(importance: Importance, lang: Lang) -> &'static str {
    match importance {
        Importance::Information => lang.pick("pour information", "for information"),
        Importance::Action => lang.pick("une action est attendue", "an action is expected"),
        Importance::Legal => lang.pick("acte à portée juridique", "an act of legal effect"),
    }
}

/// What nothing here can prove, whatever the bundle holds.
pub(super) fn never_proven(lang: Lang) -> [&'static str; 4] {
    match lang {
        Lang::Fr => [
            "Que le destinataire ait lu la lettre, ou l’ait comprise.",
            "La signature d’un appareil du destinataire : le nœud qui garde sa boîte atteste l’avoir vérifiée, et elle n’est pas dans ce dossier.",
            "Les heures sont celles de chaque nœud ; les témoins attestent à quelle heure au plus tard chacun les avait écrites.",
            "Le contenu de la lettre : elle est scellée, et seul le destinataire peut l’ouvrir.",
        ],
        Lang::En => [
            "That the recipient read the letter, or understood it.",
            "A signature by a device of the recipient: the node that keeps the mailbox attests that it checked one, which is not in this bundle.",
            "Times are those of each node; witnesses attest by when at the latest each had written them down.",
            "What the letter says: it is sealed, and the recipient alone can open it.",
        ],
    }
}

/// What the words of the page mean, for whoever reads one for the first time.
pub(super) fn glossary(lang: Lang) -> [(&'static str, &'static str); 5] {
    match lang {
        Lang::Fr => [
            (
                "Nœud",
                "Le serveur d’une administration, qui signe ce qu’il fait d’une lettre.",
            ),
            (
                "Reçu",
                "Ce qu’un nœud a signé à l’instant même, pour cette lettre.",
            ),
            (
                "Journal",
                "Le registre où un nœud inscrit tout ce qu’il fait, sans pouvoir rien y changer ensuite. « Entrée 3 / 7 » : la quatrième (la première est 0) sur sept.",
            ),
            (
                "Témoin",
                "Un autre nœud, qui a vérifié que ce journal n’a fait que grandir, et l’a signé avec l’heure.",
            ),
            (
                "Définitif",
                "Autant de témoins que la fédération en demande ont signé : le nœud ne peut plus s’en dédire.",
            ),
        ],
        Lang::En => [
            (
                "Node",
                "The server of an administration, which signs what it does with a letter.",
            ),
            (
                "Receipt",
                "What a node signed at that very moment, for this letter.",
            ),
            (
                "Log",
                "The register in which a node writes all that it does, and can change nothing afterwards. \"Entry 3 / 7\": the fourth (the first is 0) of seven.",
            ),
            (
                "Witness",
                "Another node, which checked that this log has only grown, and signed it with the time.",
            ),
            (
                "Final",
                "As many witnesses as the federation demands have signed: the node cannot take it back.",
            ),
        ],
    }
}
