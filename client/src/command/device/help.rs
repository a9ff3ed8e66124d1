//! `pli device … --help` in French. The English is beside each command and argument, where clap reads it.

use clap::builder::Str;
use clap::{Arg, Command};

/// The name of a command or of an argument, of which command, and its French.
const FRENCH: &[(&str, &str, &str)] = &[
    (
        "device",
        "",
        "Lire ses lettres, comme appareil d'un citoyen",
    ),
    (
        "enrol",
        "",
        "Rattacher cet appareil à un compte, avec l'invitation de l'exploitant",
    ),
    (
        "enrol",
        "home",
        "Son dossier ; sinon device, dans $XDG_DATA_HOME/pli",
    ),
    ("enrol", "link", "L'invitation entière : pli:invite?home=…"),
    (
        "enrol",
        "directory",
        "Où lire l'annuaire : un dossier ou une adresse https ; sinon la variable PLI_DIRECTORY",
    ),
    (
        "enrol",
        "dev",
        "Pour le développement seulement : accepte les clés d'exemple publiées",
    ),
    (
        "grant",
        "",
        "Permettre à une administration d'écrire ; affiche l'autorisation à lui donner",
    ),
    (
        "grant",
        "home",
        "Son dossier ; sinon device, dans $XDG_DATA_HOME/pli",
    ),
    ("grant", "authority", "Qui peut écrire : interieur.gouv.fr"),
    (
        "grant",
        "accept",
        "Ce qu'elle peut écrire : message, alert ou control ; sinon message",
    ),
    (
        "grant",
        "renew",
        "Faire une nouvelle autorisation, même s'il y en a une",
    ),
    (
        "grant",
        "out",
        "Écrire l'autorisation dans ce fichier au lieu de l'afficher",
    ),
    (
        "inbox",
        "",
        "Relever ce qui est nouveau et lister les lettres",
    ),
    (
        "inbox",
        "home",
        "Son dossier ; sinon device, dans $XDG_DATA_HOME/pli",
    ),
    ("inbox", "offline", "Seulement ce qui est déjà ici"),
    ("show", "", "Afficher une lettre, vérifiée à nouveau"),
    (
        "show",
        "home",
        "Son dossier ; sinon device, dans $XDG_DATA_HOME/pli",
    ),
    ("show", "seq", "Son numéro dans la boîte"),
    (
        "show",
        "signed",
        "Écrire aussi dans ce fichier l'enveloppe signée de la lettre, octet par octet : pour pli inspect",
    ),
    (
        "evidence",
        "",
        "Faire un fichier qui prouve, hors ligne et des années après, qui a envoyé une lettre et quand elle est venue",
    ),
    (
        "evidence",
        "home",
        "Son dossier ; sinon device, dans $XDG_DATA_HOME/pli",
    ),
    (
        "evidence",
        "letter",
        "Son numéro dans la boîte, ou son identifiant",
    ),
    ("evidence", "out", "Où va le fichier ; rien n'est remplacé"),
    (
        "watch",
        "",
        "Rester connecté et afficher les lettres quand elles viennent",
    ),
    (
        "watch",
        "home",
        "Son dossier ; sinon device, dans $XDG_DATA_HOME/pli",
    ),
    ("watch", "count", "S'arrêter après tant de lettres"),
    (
        "watch",
        "ack",
        "Accuser à l'hébergeur ce qui a été reçu, à mesure",
    ),
    (
        "ack",
        "",
        "Dire à l'hébergeur, signé, que cet appareil a ses lettres",
    ),
    (
        "ack",
        "home",
        "Son dossier ; sinon device, dans $XDG_DATA_HOME/pli",
    ),
    (
        "ack",
        "seqs",
        "Quelles lettres ; sinon toutes celles qui ne sont pas encore accusées",
    ),
    ("help", "", "Afficher cette aide, ou celle d'une commande"),
    // Of every command.
    (
        "",
        "json",
        "Écrire en JSON : une valeur, ou une valeur par ligne",
    ),
    (
        "",
        "lang",
        "La langue : fr ou en ; sinon le français où LC_ALL, LC_MESSAGES ou LANG est fr ou fr_…, l'anglais ailleurs",
    ),
    (
        "",
        "verbose",
        "En dire plus sur la sortie d'erreur : -v ce qui se passe, -vv tout",
    ),
    ("", "help", "Afficher cette aide"),
    ("", "version", "Afficher la version"),
];

/// What stands for a value, and its French.
const VALUES: &[(&str, &str)] = &[
    ("ACCEPT", "GENRE"),
    ("AUTHORITY", "ADMINISTRATION"),
    ("DIR", "DOSSIER"),
    ("DIR|URL", "DOSSIER|URL"),
    ("FILE", "FICHIER"),
    ("INVITATION", "INVITATION"),
    ("LANG", "LANGUE"),
    ("LETTERS", "LETTRES"),
    ("NUMBER", "NUMÉRO"),
    ("NUMBER|ID", "NUMÉRO|ID"),
];

const TEMPLATE: &str = "{about-with-newline}\nUtilisation : {usage}\n\n{all-args}{after-help}\n";
const EXIT_CODES: &str = "Fin : 0 fait · 1 pas fait · 2 commande pas comprise · 3 fait en partie · \
4 personne ne répond, réessayez plus tard · 5 quelqu'un enfreint le protocole";

fn french(command: &str, argument: &str) -> Option<&'static str> {
    let find = |command: &str| {
        FRENCH
            .iter()
            .find(|(of, name, _)| (*of, *name) == (command, argument))
    };
    let found = find(command).or_else(|| find("").filter(|_| !argument.is_empty()));
    found.map(|(_, _, text)| *text)
}

/// The same command line, whose citizen's commands explain themselves in French.
pub(in crate::command) fn in_french(mut cli: Command) -> Command {
    // What clap adds by itself must be there to be translated.
    cli.build();
    for command in cli.get_subcommands_mut() {
        if command.get_name() == "device" {
            translate(command);
        }
    }
    cli
}

fn translate(command: &mut Command) {
    let name = command.get_name().to_owned();
    let mut translated = std::mem::take(command)
        .help_template(TEMPLATE)
        .subcommand_help_heading("Commandes")
        .subcommand_value_name("COMMANDE")
        .mut_args(|argument| translate_argument(&name, argument));
    if let Some(text) = french(&name, "") {
        translated = translated.about(text).long_about(text);
    }
    if name == "device" {
        translated = translated.after_help(EXIT_CODES);
    }
    translated.get_subcommands_mut().for_each(translate);
    *command = translated;
}

fn translate_argument(command: &str, argument: Arg) -> Arg {
    let text = french(command, argument.get_id().as_str());
    let argument = argument
        .hide_default_value(true)
        .hide_possible_values(true)
        .hide_env(true);
    let values = argument.get_value_names().unwrap_or_default().to_vec();
    let argument = match values.is_empty() {
        true => argument,
        false => argument.value_names(values.iter().map(value)),
    };
    match text {
        Some(text) => argument.help(text).long_help(text),
        None => argument,
    }
}

fn value(name: &Str) -> Str {
    let known = VALUES.iter().find(|(english, _)| name == english);
    known.map_or_else(|| name.clone(), |(_, french)| (*french).into())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::command::Cli;

    #[test]
    fn every_command_and_argument_of_a_citizen_is_explained_in_french_and_in_english() {
        let english = built(Cli::command());
        let in_french = in_french(Cli::command());
        let mut used = vec![("help", "")];
        walk(&english, &in_french, &mut used);
        for (command, argument, _) in FRENCH {
            let used = used.contains(&(command, argument)) || command.is_empty();
            assert!(used, "{command} {argument} is explained and not there");
        }
    }

    fn built(mut cli: Command) -> Command {
        cli.build();
        let device = cli.find_subcommand("device").expect("there");
        device.clone()
    }

    fn walk<'a>(english: &'a Command, french: &'a Command, used: &mut Vec<(&'a str, &'a str)>) {
        let french = match french.get_name() {
            "pli" => french.find_subcommand("device").expect("there"),
            _ => french,
        };
        let name = english.get_name();
        let about = |command: &Command| command.get_about().map(ToString::to_string);
        assert!(
            about(english).is_some_and(|text| !text.is_empty()),
            "{name}"
        );
        assert_ne!(about(english), about(french), "{name}");
        used.push((name, ""));
        for argument in english.get_arguments() {
            let id = argument.get_id().as_str();
            used.push((name, id));
            let same = french
                .get_arguments()
                .find(|other| other.get_id() == argument.get_id())
                .expect("the same arguments");
            let help = |argument: &Arg| argument.get_help().map(ToString::to_string);
            assert!(
                help(argument).is_some_and(|text| !text.is_empty()),
                "{name} {id}"
            );
            assert_ne!(help(argument), help(same), "{name} {id}");
            for name in argument.get_value_names().into_iter().flatten() {
                let takes_one = argument.get_action().takes_values();
                let known = VALUES.iter().any(|(english, _)| english == name);
                assert!(known || !takes_one, "{id}: {name} is in one language");
            }
            let long = |argument: &Arg| argument.get_long_help().map(ToString::to_string);
            assert_eq!(long(same), help(same), "{name} {id}");
        }
        for command in english.get_subcommands() {
            let same = french.find_subcommand(command.get_name());
            if command.get_name() != "help" {
                walk(command, same.expect("the same commands"), used);
            }
        }
    }

    #[test]
    fn the_french_help_holds_no_english() {
        let mut cli = in_french(Cli::command());
        for command in cli.get_subcommands_mut() {
            if command.get_name() != "device" {
                continue;
            }
            for command in command.get_subcommands_mut() {
                let help = command.render_long_help().to_string();
                for english in [
                    "Usage",
                    "Print",
                    "Its folder",
                    "[default",
                    "[possible",
                    "[env",
                ] {
                    assert!(!help.contains(english), "{help}");
                }
                assert!(help.contains("Utilisation : pli device "), "{help}");
                assert!(help.ends_with('\n') && !help.contains("\n\n\n"), "{help}");
            }
        }
    }
}
