//! Verified evidence as one page that a person reads and prints: French, then English. No script, nothing from
//! elsewhere; every text is escaped.

use std::fmt::Write;

use pli_protocol::id::{Timestamp, to_hex};
use pli_protocol::merkle::Hash;
use pli_trust::legible;

use super::facts::{EventFacts, Verdict, Verified};
use super::verify::Broken;
use super::{picture, words};
use crate::screen::Lang;

const STYLE: &str = "\
:root{color-scheme:light}body{font:1rem/1.5 system-ui,sans-serif;color:#161616;background:#fff;max-width:52rem;\
margin:2rem auto;padding:0 1rem}h1{font-size:1.6rem;margin:0 0 .5rem}h2{font-size:1.2rem;margin:2rem 0 .5rem}\
.verdict{border-left:.4rem solid;padding:.6rem 1rem;font-weight:600}.proven{border-color:#18753c;background:#e6f4ea}\
.incomplete{border-color:#8a4b00;background:#fdf3e1}.broken{border-color:#b00020;background:#fdecea}table{border-collapse:collapse;width:100%;margin:.5rem 0}\
caption{text-align:left;font-weight:600;padding:.3rem 0}th,td{border:1px solid #767676;padding:.35rem .5rem;\
text-align:left;vertical-align:top;overflow-wrap:anywhere}th{background:#f0f0f0}code{font:0.85rem ui-monospace,monospace;overflow-wrap:anywhere}\
dl{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1rem}dt{font-weight:600}dd{margin:0;overflow-wrap:anywhere}\
svg{width:100%;height:auto}nav{margin-bottom:1.5rem}a{color:#000091}section+section{margin-top:3rem;border-top:2px solid}\
tbody th{background:none;font-weight:400;white-space:nowrap}td:last-child{width:48%}\
@media(max-width:40rem){dl{display:block}dd{margin:0 0 .4rem}tbody th{white-space:normal}}\
@page{margin:18mm}@media print{nav{display:none}body{margin:0;padding:0;max-width:none;font-size:10.5pt}\
section+section{break-before:page;border:0;margin:0;padding:0}h1,h2,caption{break-after:avoid}thead{display:table-header-group}\
tr,dl,svg,.verdict{break-inside:avoid}.verdict,th,circle{print-color-adjust:exact;-webkit-print-color-adjust:exact}}";

/// Who verified, and when: it stands on the page.
#[derive(Clone, Copy, Debug)]
pub struct By {
    /// By the clock of the machine.
    pub at: Timestamp,
    /// Of this program.
    pub version: &'static str,
}

/// The whole page.
pub fn page(verified: &Verified, by: By) -> String {
    whole(|html, lang| section(html, verified, by, lang))
}

/// The page in place of one that would say what is proven: a bundle that is not to be believed.
pub fn refused(broken: &Broken, bundle: Hash, by: By) -> String {
    whole(|html, lang| {
        open(html, words::broken(lang), "broken", lang);
        let facts = [
            (
                lang.pick("Ce qui ne va pas", "What is wrong"),
                broken.to_string(),
            ),
            (
                lang.pick("Fichier, SHA-256", "File, SHA-256"),
                to_hex(&bundle),
            ),
            (lang.pick("Vérifié", "Verified"), verified_by(by, lang)),
        ];
        listed(html, &facts);
        html.push_str("</section>\n");
    })
}

fn whole(section: impl Fn(&mut String, Lang)) -> String {
    let mut html = String::new();
    html.push_str("<!DOCTYPE html>\n<html lang=\"fr\">\n<head>\n<meta charset=\"utf-8\">\n");
    html.push_str("<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n");
    html.push_str("<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n");
    html.push_str("<title>Pli : dossier de preuve / evidence</title>\n<style>");
    html.push_str(STYLE);
    html.push_str("</style>\n</head>\n<body>\n");
    html.push_str("<nav aria-label=\"Langue / Language\"><a href=\"#fr\" lang=\"fr\">Français</a> · <a href=\"#en\" lang=\"en\">English</a></nav>\n<main>\n");
    section(&mut html, Lang::Fr);
    section(&mut html, Lang::En);
    html.push_str("</main>\n</body>\n</html>\n");
    html
}

fn section(html: &mut String, verified: &Verified, by: By, lang: Lang) {
    let class = match verified.verdict() {
        Verdict::Proven => "proven",
        Verdict::Incomplete => "incomplete",
    };
    open(html, words::verdict(verified.verdict(), lang), class, lang);
    picture::draw(html, verified, lang);
    letter(html, verified, lang);
    events(html, verified, lang);
    lacks(html, verified, lang);
    basis(html, verified, by, lang);
    let title = lang.pick("Les mots de cette page", "The words of this page");
    put(html, format_args!("<h2>{title}</h2>\n"));
    listed(
        html,
        &words::glossary(lang).map(|(word, meaning)| (word, meaning.to_owned())),
    );
    html.push_str("</section>\n");
}

fn open(html: &mut String, verdict: &str, class: &str, lang: Lang) {
    let id = lang.pick("fr", "en");
    let title = lang.pick("Dossier de preuve d’une lettre", "Evidence of one letter");
    put(
        html,
        format_args!(
            "<section id=\"{id}\" lang=\"{id}\" aria-labelledby=\"t-{id}\">\n<h1 id=\"t-{id}\">{title}</h1>\n\
             <p class=\"verdict {class}\">{}</p>\n",
            escape(verdict)
        ),
    );
}

fn listed(html: &mut String, facts: &[(&str, String)]) {
    html.push_str("<dl>\n");
    for (name, value) in facts {
        put(
            html,
            format_args!("<dt>{}</dt><dd>{}</dd>\n", escape(name), escape(value)),
        );
    }
    html.push_str("</dl>\n");
}

fn verified_by(by: By, lang: Lang) -> String {
    let at = legible(by.at);
    match lang {
        Lang::Fr => format!("le {at}, hors ligne, par pli {}", by.version),
        Lang::En => format!("on {at}, offline, by pli {}", by.version),
    }
}

fn letter(html: &mut String, verified: &Verified, lang: Lang) {
    put(
        html,
        format_args!("<h2>{}</h2>\n", lang.pick("La lettre", "The letter")),
    );
    let mut facts = vec![(lang.pick("Empreinte", "Hash"), verified.id.to_string())];
    if let Some(letter) = &verified.letter {
        let name = lang.pick(&letter.sender_name.fr, &letter.sender_name.en);
        let header = &letter.header;
        let to = &header.recipient;
        facts.extend([
            (
                lang.pick("Expéditeur", "Sender"),
                format!("{name} <{}>", letter.sender),
            ),
            (
                lang.pick("Clé de l’expéditeur", "Key of the sender"),
                letter.key.to_string(),
            ),
            (
                lang.pick("Boîte du destinataire", "Mailbox of the recipient"),
                format!("{}@{}", to.mailbox, to.home),
            ),
            (
                lang.pick("Nature", "Matter"),
                words::importance(header.importance, lang).to_owned(),
            ),
            (lang.pick("Faite le", "Made"), legible(header.created)),
            (
                lang.pick("Valable jusqu’au", "Good until"),
                legible(header.expires),
            ),
        ]);
    }
    listed(html, &facts);
}

fn events(html: &mut String, verified: &Verified, lang: Lang) {
    put(
        html,
        format_args!(
            "<h2>{}</h2>\n",
            lang.pick("Ce qui est prouvé", "What is proven")
        ),
    );
    if verified.events.is_empty() {
        let none = lang.pick(
            "Rien : aucune preuve d’un journal n’est dans ce dossier.",
            "Nothing: no proof from a log is in this bundle.",
        );
        put(html, format_args!("<p>{none}</p>\n"));
    } else {
        let heads = lang.pick(
            "<th scope=\"col\">Quand</th><th scope=\"col\">Quoi</th><th scope=\"col\">Attesté par</th>",
            "<th scope=\"col\">When</th><th scope=\"col\">What</th><th scope=\"col\">Attested by</th>",
        );
        let caption = lang.pick(
            "Faits inscrits dans les journaux des nœuds",
            "Events in the logs of the nodes",
        );
        put(
            html,
            format_args!(
                "<table><caption>{caption}</caption><thead><tr>{heads}</tr></thead><tbody>\n"
            ),
        );
        for facts in &verified.events {
            event_row(html, verified, facts, lang);
        }
        html.push_str("</tbody></table>\n");
    }
    if !verified.receipts.is_empty() {
        let caption = lang.pick("Reçus signés par les nœuds", "Receipts signed by the nodes");
        let heads = lang.pick(
            "<th scope=\"col\">Quand</th><th scope=\"col\">Étape</th><th scope=\"col\">Nœud et clé</th>",
            "<th scope=\"col\">When</th><th scope=\"col\">Step</th><th scope=\"col\">Node and key</th>",
        );
        put(
            html,
            format_args!(
                "<table><caption>{caption}</caption><thead><tr>{heads}</tr></thead><tbody>\n"
            ),
        );
        for facts in &verified.receipts {
            let said = escape(&words::step(facts.receipt.step, lang));
            let logged = match facts.logged {
                true => lang.pick("inscrit dans son journal", "in its log"),
                false => lang.pick("dans aucun journal d’ici", "in no log of this page"),
            };
            let (at, node) = (
                legible(facts.receipt.at),
                escape(&words::authority(
                    &verified.directory,
                    &facts.receipt.node,
                    lang,
                )),
            );
            put(
                html,
                format_args!(
                    "<tr><th scope=\"row\">{at}</th><td>{said}<br><small>{logged}</small></td><td>{node}<br>{} \
                     <code>{}</code></td></tr>\n",
                    lang.pick("clé", "key"),
                    facts.key
                ),
            );
        }
        html.push_str("</tbody></table>\n");
    }
}

fn event_row(html: &mut String, verified: &Verified, facts: &EventFacts, lang: Lang) {
    let directory = &verified.directory;
    let node = words::authority(directory, &facts.event.node, lang);
    let said = escape(&words::event(facts.event.kind, &node, lang));
    let finality = match facts.is_final {
        true => lang.pick("définitif", "final"),
        false => lang.pick("pas encore définitif", "not final yet"),
    };
    put(
        html,
        format_args!(
            "<tr><th scope=\"row\">{}</th><td>{said}<br><small>{} · {finality}</small></td><td>",
            legible(facts.event.at),
            facts.event.kind.name()
        ),
    );
    put(
        html,
        format_args!(
            "{} <code>{}</code>, {} {} / {}, {}<br>{} <code>{}</code>",
            lang.pick("journal", "log"),
            escape(&facts.log.to_string()),
            lang.pick("entrée", "entry"),
            facts.index,
            facts.size,
            legible(facts.logged),
            lang.pick("clé", "key"),
            facts.key
        ),
    );
    for witness in &facts.witnesses {
        let name = escape(&words::authority(directory, &witness.witness, lang));
        put(
            html,
            format_args!(
                "<br>{} {name}, {}, {} <code>{}</code>",
                lang.pick("témoin :", "witness:"),
                legible(witness.at),
                lang.pick("clé", "key"),
                witness.key.id()
            ),
        );
    }
    html.push_str("</td></tr>\n");
}

fn lacks(html: &mut String, verified: &Verified, lang: Lang) {
    put(
        html,
        format_args!(
            "<h2>{}</h2>\n<ul>\n",
            lang.pick("Ce qui n’est pas prouvé", "What is not proven")
        ),
    );
    for lack in &verified.not_proven {
        put(
            html,
            format_args!("<li>{}</li>\n", escape(&words::not_proven(lack, lang))),
        );
    }
    for line in words::never_proven(lang) {
        put(html, format_args!("<li>{}</li>\n", escape(line)));
    }
    html.push_str("</ul>\n");
}

fn basis(html: &mut String, verified: &Verified, by: By, lang: Lang) {
    let directory = &verified.directory;
    let versions = &directory.versions;
    put(
        html,
        format_args!(
            "<h2>{}</h2>\n<p>",
            lang.pick(
                "Sur quoi repose la vérification",
                "What the verification rests on"
            )
        ),
    );
    let said = match lang {
        Lang::Fr => format!(
            "L’annuaire de la fédération, racine version {}, liste version {}, instantané version {}, horodatage version {}, \
             en vigueur jusqu’au {}. Il nomme {} administrations et demande {} témoin(s). Tout a été vérifié hors ligne, \
             à partir de la racine que le lecteur a fournie.",
            versions.root,
            versions.targets,
            versions.snapshot,
            versions.timestamp,
            legible(directory.expires),
            directory.authorities,
            directory.witnesses
        ),
        Lang::En => format!(
            "The federation's directory, root version {}, list version {}, snapshot version {}, timestamp version {}, in force \
             until {}. It names {} authorities and demands {} witness(es). Everything was verified offline, from the root \
             that the reader gave.",
            versions.root,
            versions.targets,
            versions.snapshot,
            versions.timestamp,
            legible(directory.expires),
            directory.authorities,
            directory.witnesses
        ),
    };
    put(html, format_args!("{}</p>\n", escape(&said)));
    let facts = [
        (
            lang.pick("Racine, SHA-256", "Root, SHA-256"),
            to_hex(&verified.read.root),
        ),
        (
            lang.pick("Dossier, SHA-256", "Bundle, SHA-256"),
            to_hex(&verified.read.bundle),
        ),
        (lang.pick("Vérifié", "Verified"), verified_by(by, lang)),
    ];
    listed(html, &facts);
}

pub(super) fn put(html: &mut String, text: std::fmt::Arguments<'_>) {
    html.write_fmt(text).expect("a string takes everything");
}

/// Case 61: names come from directories that others write. Direction characters could turn a line round.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in crate::screen::plain(text).chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
#[path = "page_tests.rs"]
mod tests;
