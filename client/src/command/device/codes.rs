//! What a code of the registry means to a citizen, in French and in English. Spec: registry/codes.toml.

use pli_protocol::code::Code;

use crate::command::words::Words;

/// What this code means to a citizen.
pub(in crate::command) fn meaning(code: Code) -> Words {
    let known = CODES.iter().find(|(known, _, _)| *known == code);
    let (_, fr, en) = known.expect("every code is here, as a test shows");
    Words { fr, en }
}

const CODES: &[(Code, &str, &str)] = &[
    (
        Code::FrameTooLarge,
        "un message est trop grand",
        "a message is too large",
    ),
    (
        Code::FrameEmpty,
        "un message est vide",
        "a message is empty",
    ),
    (
        Code::Truncated,
        "un message est incomplet",
        "a message is incomplete",
    ),
    (
        Code::Decode,
        "ce ne sont pas des données de Pli",
        "these are not data of Pli",
    ),
    (
        Code::NotCanonical,
        "les données ne sont pas écrites comme elles le doivent",
        "the data are not written as they must be",
    ),
    (
        Code::TooMany,
        "il y a plus d'éléments que permis",
        "there are more items than allowed",
    ),
    (
        Code::TooLong,
        "un texte est plus long que permis",
        "a text is longer than allowed",
    ),
    (
        Code::FieldMissing,
        "il manque une information obligatoire",
        "something that is required is missing",
    ),
    (
        Code::FieldInvalid,
        "une information n'est pas valable",
        "something in it is not valid",
    ),
    (
        Code::UnsupportedVersion,
        "elle est d'une version que ce programme ne connaît pas ; mettez-le à jour",
        "it is of a version that this program does not know; update it",
    ),
    (
        Code::UnknownCriticalExtension,
        "elle demande ce que ce programme ne connaît pas ; mettez-le à jour",
        "it asks for what this program does not know; update it",
    ),
    (
        Code::UnexpectedMessage,
        "la réponse n'est pas celle qui était attendue",
        "the answer is not the one that was due",
    ),
    (
        Code::UnsupportedCall,
        "le serveur ne propose pas cela",
        "the server does not offer this",
    ),
    (
        Code::BadSignature,
        "la signature n'est pas de la clé annoncée, ou le texte a été changé",
        "the signature is not by the key that it names, or the text was changed",
    ),
    (Code::WeakKey, "une clé n'est pas sûre", "a key is not safe"),
    (
        Code::UnknownKey,
        "la clé n'est pas parmi celles de l'expéditeur",
        "the key is not one of the sender's",
    ),
    (
        Code::KeyNotValid,
        "la clé n'était pas valable à ce moment",
        "the key was not valid at that time",
    ),
    (
        Code::BadInclusion,
        "la preuve de signature ne va pas avec la lettre",
        "the proof of the signature does not fit the letter",
    ),
    (
        Code::SignatureCount,
        "le nombre de signatures n'est pas le bon",
        "the number of signatures is not the right one",
    ),
    (
        Code::UnknownSuite,
        "elle est scellée d'une manière que ce programme ne connaît pas",
        "it is sealed in a way that this program does not know",
    ),
    (
        Code::OpenFailed,
        "elle ne s'ouvre pas avec vos clés",
        "it does not open with your keys",
    ),
    (
        Code::BadPadding,
        "son contenu est mal fermé",
        "its content is badly closed",
    ),
    (
        Code::PublishedKey,
        "la clé est un exemple publié, que tout le monde possède",
        "the key is a published example that everybody has",
    ),
    (
        Code::UnknownAuthority,
        "l'annuaire ne connaît pas cette administration",
        "the directory knows no such authority",
    ),
    (
        Code::UnknownService,
        "l'annuaire ne connaît pas ce service",
        "the directory knows no such service",
    ),
    (
        Code::Suspended,
        "l'expéditeur est suspendu",
        "the sender is suspended",
    ),
    (
        Code::NotAuthoritative,
        "une administration parle pour une autre",
        "one authority speaks for another",
    ),
    (
        Code::ClassNotAllowed,
        "l'expéditeur n'a pas le droit d'envoyer ce genre de lettre",
        "the sender may not send this kind of letter",
    ),
    (
        Code::DirectoryExpired,
        "l'annuaire n'est plus à jour",
        "the directory is out of date",
    ),
    (
        Code::DirectoryRollback,
        "un annuaire plus ancien est proposé",
        "an older directory is offered",
    ),
    (
        Code::DirectoryInvalid,
        "l'annuaire n'est pas signé comme il le doit",
        "the directory is not signed as it must be",
    ),
    (
        Code::CannotHost,
        "cette administration n'a pas le droit de garder des boîtes aux lettres",
        "this authority may not keep mailboxes",
    ),
    (Code::Expired, "son délai est passé", "its time is over"),
    (
        Code::NotYetValid,
        "elle est datée d'un moment à venir",
        "it is dated at a time to come",
    ),
    (
        Code::LifetimeTooLong,
        "son délai est plus long que permis",
        "its time is longer than allowed",
    ),
    (
        Code::SenderMismatch,
        "l'expéditeur annoncé n'est pas celui qui a signé",
        "the sender that it names is not the one who signed",
    ),
    (
        Code::EnvelopeTooLarge,
        "elle est trop grande",
        "it is too large",
    ),
    (
        Code::WrongHome,
        "elle est pour un autre hébergeur",
        "it is for another home",
    ),
    (
        Code::Sequence,
        "des numéros manquent ou se répètent",
        "numbers are missing or repeated",
    ),
    (
        Code::TooManyInFlight,
        "trop d'envois à la fois",
        "too much is sent at once",
    ),
    (
        Code::AckMismatch,
        "l'accusé ne va pas avec ce qui a été envoyé",
        "the acknowledgement does not fit what was sent",
    ),
    (
        Code::QuotaExceeded,
        "la limite du jour est atteinte",
        "the limit of the day is reached",
    ),
    (
        Code::Overloaded,
        "le serveur est trop chargé en ce moment",
        "the server is too busy at the moment",
    ),
    (
        Code::ShuttingDown,
        "le serveur s'arrête",
        "the server is about to stop",
    ),
    (
        Code::Unreachable,
        "l'hébergeur n'a pas été joint à temps",
        "the home was not reached in time",
    ),
    (
        Code::Damaged,
        "elle a été abîmée là où elle était gardée",
        "it was damaged where it was kept",
    ),
    (
        Code::SetAside,
        "elle a été mise de côté après trop d'essais",
        "it was put aside after too many tries",
    ),
    (
        Code::Unwitnessed,
        "le journal de ce serveur n'est plus vérifié par d'autres",
        "nobody checks this server's log any more",
    ),
    (
        Code::UnknownMailbox,
        "elle n'est pas pour une de vos boîtes aux lettres",
        "it is not for one of your mailboxes",
    ),
    (
        Code::MailboxClosed,
        "la boîte aux lettres est fermée",
        "the mailbox is closed",
    ),
    (
        Code::NotGranted,
        "vous ne l'avez pas autorisée",
        "you did not allow it",
    ),
    (
        Code::MailboxFull,
        "la boîte aux lettres est pleine",
        "the mailbox is full",
    ),
    (
        Code::InvitationUsed,
        "cette invitation a déjà servi",
        "this invitation was used already",
    ),
    (
        Code::InvitationExpired,
        "cette invitation a expiré",
        "this invitation has expired",
    ),
    (
        Code::UnknownDevice,
        "l'hébergeur ne connaît pas cet appareil",
        "the home does not know this device",
    ),
    (
        Code::AlreadyEnrolled,
        "cet appareil est déjà rattaché à un compte",
        "this device belongs to an account already",
    ),
    (
        Code::UnknownEnvelope,
        "cette lettre n'est pas connue",
        "this letter is not known",
    ),
    (
        Code::StaleGrant,
        "une autorisation plus récente existe",
        "there is a newer grant",
    ),
    (
        Code::AuthFailed,
        "la connexion n'a pas prouvé qui parle",
        "the connection did not prove who speaks",
    ),
    (
        Code::RoleNotAllowed,
        "cela n'est pas permis à un appareil",
        "a device may not do this",
    ),
    (
        Code::HandshakeTimeout,
        "la connexion n'a pas abouti à temps",
        "the connection was not made in time",
    ),
    (
        Code::TooSlow,
        "la réponse n'est pas venue à temps",
        "the answer did not come in time",
    ),
    (
        Code::TooManyConnections,
        "trop de connexions à la fois",
        "too many connections at once",
    ),
    (
        Code::TooManyCalls,
        "trop de demandes à la fois",
        "too many requests at once",
    ),
    (
        Code::PeerCut,
        "la connexion a été coupée après trop d'erreurs",
        "the connection was cut after too many errors",
    ),
    (
        Code::ServerKeyMismatch,
        "le serveur n'a pas la clé que l'annuaire lui donne",
        "the server does not have the key that the directory gives it",
    ),
    (
        Code::IdleTimeout,
        "plus rien n'est venu",
        "nothing came any more",
    ),
    (
        Code::Internal,
        "une panne du serveur ou de ce programme",
        "a fault of the server or of this program",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::words::tests::check;

    #[test]
    fn every_code_is_explained_once_and_in_both_languages() {
        for code in Code::ALL {
            let explained = CODES.iter().filter(|(known, _, _)| known == code).count();
            assert_eq!(explained, 1, "{code}");
            check(code.name(), meaning(*code), &[]);
        }
    }
}
