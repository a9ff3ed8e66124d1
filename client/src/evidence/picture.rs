//! The way of a letter as a drawing.

use pli_trust::legible;

use super::facts::{EventFacts, Verified};
use super::page::{escape, put};
use super::words;
use crate::screen::Lang;

/// Characters of a node's name.
const NAME_MAX: usize = 22;

/// The way of the letter. What it shows stands in words in the table below.
pub(super) fn draw(html: &mut String, verified: &Verified, lang: Lang) {
    if verified.events.is_empty() {
        return;
    }
    let stages: Vec<&EventFacts> = verified.events.iter().collect();
    let step = 170;
    let width = stages.len() * step + 10;
    let alt: Vec<String> = stages
        .iter()
        .map(|facts| {
            format!(
                "{} {}",
                words::stage(facts.event.kind, lang),
                legible(facts.event.at)
            )
        })
        .collect();
    let alt = escape(&alt.join(" → "));
    put(
        html,
        format_args!("<svg viewBox=\"0 0 {width} 110\" role=\"img\" aria-label=\"{alt}\">"),
    );
    let last = (stages.len() - 1) * step + 90;
    put(
        html,
        format_args!(
            "<line x1=\"90\" y1=\"30\" x2=\"{last}\" y2=\"30\" stroke=\"#161616\" stroke-width=\"3\"/>"
        ),
    );
    for (number, facts) in stages.iter().enumerate() {
        let x = number * step + 90;
        let failed = facts.event.kind.code().is_some();
        let fill = match (failed, facts.is_final) {
            (true, _) => "#b34000",
            (false, true) => "#18753c",
            (false, false) => "#ffffff",
        };
        put(
            html,
            format_args!(
                "<circle cx=\"{x}\" cy=\"30\" r=\"13\" fill=\"{fill}\" stroke=\"#161616\" stroke-width=\"3\"/>"
            ),
        );
        let at = legible(facts.event.at);
        let (day, hour) = at.split_once(' ').unwrap_or((&at, ""));
        let node = fitting(facts.event.node.as_str());
        let lines = [words::stage(facts.event.kind, lang), &node, day, hour];
        for (line, text) in lines.iter().enumerate() {
            let y = 62 + line * 15;
            let weight = if line == 0 { 700 } else { 400 };
            let text = escape(text);
            put(
                html,
                format_args!(
                    "<text x=\"{x}\" y=\"{y}\" font-size=\"13\" font-weight=\"{weight}\" text-anchor=\"middle\">{text}</text>"
                ),
            );
        }
    }
    html.push_str("</svg>\n");
}

/// A name as it fits beside its neighbours; whole it stands in the table.
fn fitting(name: &str) -> String {
    match name.chars().count() > NAME_MAX {
        true => name.chars().take(NAME_MAX - 1).chain(['…']).collect(),
        false => name.to_owned(),
    }
}
