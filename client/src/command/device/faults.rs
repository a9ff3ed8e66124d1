//! What can stop a citizen's command, in French and in English.

use crate::command::words::words;

words! {
    // The device.
    NOT_ENROLLED:
        "{folder} n'est pas encore un appareil rattaché à un compte. Demandez une invitation, puis : pli device enrol --directory ADRESSE INVITATION (avec --home si son dossier est ailleurs)",
        "{folder} is no device of an account yet. Ask for an invitation, then: pli device enrol --directory ADDRESS INVITATION (with --home if its folder is elsewhere)";
    IN_USE:
        "Une autre commande pli utilise {folder}. Attendez qu'elle finisse, ou arrêtez-la.",
        "Another pli command uses {folder}. Wait for it to end, or stop it.";
    NO_FOLDER:
        "Ni XDG_DATA_HOME ni HOME n'est défini ; dites où avec --home DOSSIER",
        "Neither XDG_DATA_HOME nor HOME is set; say where with --home DIR";
    READABLE_SECRET:
        "D'autres peuvent lire le secret {path}. Exécutez : chmod 600 {path}",
        "Others may read the secret {path}. Run: chmod 600 {path}";
    SECRETS:
        "Les secrets de cet appareil, dans {folder}, ne peuvent pas être lus (détail : -v). Rétablissez-les d'une copie.",
        "The secrets of this device, in {folder}, cannot be read (details: -v). Restore them from a copy.";
    CONFIG:
        "Le fichier device.toml de cet appareil n'est pas lisible (détail : -v). Rétablissez-le d'une copie.",
        "The file device.toml of this device cannot be read (details: -v). Restore it from a copy.";
    GRANTS:
        "Les autorisations gardées par cet appareil ne sont pas lisibles (détail : -v). Rétablissez-les d'une copie.",
        "The grants that this device keeps cannot be read (details: -v). Restore them from a copy.";
    FILE:
        "Le fichier {path} ne peut pas être utilisé (détail : -v). Existe-t-il, et avez-vous le droit de l'ouvrir ?",
        "The file {path} cannot be used (details: -v). Is it there, and may you open it?";
    FILE_TOO_LARGE:
        "Le fichier {path} est plus grand que ce qu'il doit être ({max} octets au plus).",
        "The file {path} is larger than it should be ({max} bytes at most).";
    FILE_EXISTS:
        "Le fichier {path} existe déjà et n'est pas remplacé. Choisissez un autre endroit, ou déplacez-le.",
        "The file {path} exists already and is not overwritten. Choose another place, or move it away.";
    PAGE_DAMAGED:
        "Le fichier {path} de la boîte est abîmé. Déplacez-le, puis : pli device inbox ; votre hébergeur redonne ce qu'il en a encore.",
        "The file {path} of the inbox is damaged. Move it away, then run: pli device inbox; your home gives again what it still has of it.";
    PAGE_MISSING:
        "Dans {folder}, les numéros {first} à {last} manquent. Lancez : pli device inbox ; votre hébergeur redonne ce qu'il a encore.",
        "In {folder} numbers {first} to {last} are missing. Run: pli device inbox; your home gives again what it still has.";
    EVIDENCE:
        "L'annuaire de ce jour ne peut pas être gardé ou relu dans le dossier de cet appareil (détail : -v).",
        "The directory of the day cannot be kept or read in the folder of this device (details: -v).";

    // The directory.
    DIRECTORY_NO_ANSWER:
        "L'annuaire ne répond pas ; réessayez plus tard (détail : -v).",
        "The directory does not answer; try again later (details: -v).";
    DIRECTORY:
        "L'annuaire ne peut pas être utilisé (détail : -v). Si cela dure, parlez-en à votre hébergeur.",
        "The directory cannot be used (details: -v). If that lasts, tell your home.";
    UNKNOWN_AUTHORITY:
        "L'annuaire ne connaît pas l'administration {authority}. Vérifiez son nom, tel que interieur.gouv.fr.",
        "The directory knows no authority {authority}. Check its name, such as interieur.gouv.fr.";
    NOT_NOW: "L'annuaire ne le permet pas : {reason}.", "The directory does not allow it: {reason}.";

    // The home.
    NO_ANSWER:
        "Votre hébergeur ne répond pas. Vos lettres y restent ; réessayez plus tard (détail : -v).",
        "Your home does not answer. Your letters stay there; try again later (details: -v).";
    BROKEN_OFF:
        "Votre hébergeur a interrompu l'échange. Vos lettres y restent ; réessayez plus tard (détail : -v).",
        "Your home broke off. Your letters stay there; try again later (details: -v).";
    REFUSED:
        "Votre hébergeur refuse : {reason}. Parlez-en à son exploitant.",
        "Your home refuses: {reason}. Tell its operator.";
    WITHHELD:
        "Votre hébergeur ne remet pas vos lettres comme il le doit : {reason}. Rien de cet envoi n'a été accepté. Parlez-en à son exploitant, ou changez d'hébergeur.",
        "Your home does not hand over your letters as it must: {reason}. Nothing of it was taken. Tell its operator, or move to another home.";
    SPENT:
        "Votre hébergeur a plus à remettre que ce qui est pris en une fois. Ce qui est venu est gardé. Relancez la même commande pour la suite ; si cela ne finit pas, ou si presque tout est refusé, parlez-en à son exploitant.",
        "Your home has more to hand over than is taken at one time. What came is kept. Run the same command again for the rest; if it never ends, or almost all is refused, tell its operator.";
    DISK_FULL:
        "Il n'y a presque plus de place pour {folder} : {free} octets sont libres et {min} doivent le rester. Faites de la place, puis relancez la même commande : ce qui est venu est gardé, le reste est chez votre hébergeur.",
        "There is almost no room left for {folder}: {free} bytes are free and {min} must stay free. Make room, then run the same command again: what came is kept, the rest is at your home.";

    // Enrolment.
    ALREADY:
        "{folder} est déjà un appareil rattaché à un compte chez {home}. Pour un autre compte, choisissez un autre dossier avec --home.",
        "{folder} is a device of an account at {home} already. For another account choose another folder with --home.";
    ENROL_NO_ANSWER:
        "L'annuaire ne répond pas à l'adresse {place}, donnée par --directory. L'invitation reste valable ; vérifiez l'adresse ou réessayez plus tard.",
        "The directory does not answer at the address {place}, given by --directory. The invitation stays good; check the address or try again later.";
    ENROL_NO_DIRECTORY:
        "Il n'y a pas d'annuaire à l'endroit {place}, donné par --directory. Attendu : d'ordinaire l'adresse de l'hébergeur suivie de /trust, ou un dossier avec metadata et targets. L'invitation reste valable.",
        "There is no directory at {place}, given by --directory. Expected: usually the address of the home followed by /trust, or a folder with metadata and targets. The invitation stays good.";
    ENROL_OTHER_ROOT:
        "L'annuaire {place} n'est pas celui de cette invitation : l'invitation attend une racine d'empreinte {root}, et il n'y en a pas là. Recopiez l'invitation entière, et vérifiez l'adresse donnée par --directory : celle de {home}, suivie de /trust. L'invitation reste valable.",
        "The directory {place} is not the one of this invitation: it expects a root of fingerprint {root}, and none is there. Copy the whole invitation again, and check the address given by --directory: that of {home}, followed by /trust. The invitation stays good.";
    ENROL_PLACE:
        "{place}, donné par --directory, ne convient pas. Attendu : une adresse https telle que https://{home}/trust, ou un dossier ; http n'est accepté que vers cette machine.",
        "{place}, given by --directory, does not fit. Expected: an https address such as https://{home}/trust, or a folder; http is accepted to this machine alone.";
    ENROL_OTHER_HOME:
        "L'invitation nomme {link} dans son texte et {invitation} dans ce qui est signé. Ne l'utilisez pas ; demandez-en une nouvelle.",
        "The invitation names {link} in its text and {invitation} in what is signed. Do not use it; ask for a new one.";
    ENROL_INVITATION:
        "Cette invitation n'est pas valable : {reason}. Recopiez-la entière, de pli:invite?home=… jusqu'au dernier caractère, ou demandez-en une nouvelle à l'exploitant de {home}.",
        "This invitation is not good: {reason}. Copy all of it again, from pli:invite?home=… to the last character, or ask the operator of {home} for a new one.";
    ENROL_UNKNOWN_HOME:
        "L'annuaire ne connaît pas l'hébergeur {home} que nomme l'invitation. Recopiez l'invitation entière, ou dites-le à qui vous l'a donnée.",
        "The directory knows no home {home}, which the invitation names. Copy the whole invitation again, or tell whoever gave it to you.";
    ENROL_CANNOT_HOST:
        "{home} n'est pas autorisé à garder des boîtes aux lettres. Dites-le à qui vous a donné l'invitation.",
        "{home} may not keep mailboxes. Tell whoever gave you the invitation.";
    ENROL_HOME_AWAY:
        "L'hébergeur {home} ne répond pas. Rien n'a été envoyé et l'invitation reste valable ; réessayez plus tard (détail : -v).",
        "The home {home} does not answer. Nothing was sent and the invitation stays good; try again later (details: -v).";
    ENROL_UNDECIDED:
        "L'hébergeur {home} a interrompu l'échange : peut-être a-t-il déjà rattaché cet appareil. Ses clés restent dans {folder} ; relancez la même commande, qui finira avec la même invitation.",
        "The home {home} broke off: maybe it has enrolled this device already. Its keys stay in {folder}; run the same command again, which ends it with the same invitation.";
    ENROL_USED:
        "Cette invitation a déjà servi ; demandez-en une nouvelle à l'exploitant de {home}.",
        "This invitation was used already; ask the operator of {home} for a new one.";
    ENROL_EXPIRED:
        "Cette invitation a expiré ; demandez-en une nouvelle à l'exploitant de {home}.",
        "This invitation has expired; ask the operator of {home} for a new one.";
    ENROL_REFUSED:
        "L'hébergeur {home} refuse : {reason}. Parlez-en à son exploitant.",
        "The home {home} refuses: {reason}. Tell its operator.";

    // What was typed.
    USAGE_MISSING: "il manque : {what}", "missing: {what}";
    USAGE_UNKNOWN: "inconnu : {what}", "not known: {what}";
    USAGE_VALUE: "la valeur « {value} » ne convient pas pour {what}", "the value \"{value}\" does not fit {what}";
    USAGE_VALUE_OF: "possible : {values}", "possible: {values}";
    USAGE_NO_VALUE: "{what} demande une valeur", "{what} needs a value";
    USAGE_CONFLICT: "{what} ne va pas avec le reste, ou est donné deux fois", "{what} does not go with the rest, or is given twice";
    USAGE_OTHER: "la commande n'est pas comprise", "the command is not understood";
    USAGE_INVITATION:
        "attendu : l'invitation entière, telle que l'exploitant de l'hébergeur l'a donnée : pli:invite?home=…&root=…&i=…",
        "expected: the whole invitation as the operator of the home gave it: pli:invite?home=…&root=…&i=…";
    USAGE_AUTHORITY:
        "attendu : le nom d'une administration, tel que interieur.gouv.fr",
        "expected: the name of an authority, such as interieur.gouv.fr";
    USAGE_NUMBER: "attendu : un nombre, tel que 1", "expected: a number, such as 1";
    USAGE_HELP: "Aide : pli device --help", "Help: pli device --help";
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::words::tests::check;

    #[test]
    fn every_fault_is_in_both_languages_with_the_same_facts() {
        for (name, words) in ALL {
            check(name, *words, &[]);
        }
    }
}
