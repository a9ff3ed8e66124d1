//! A self-contained HTML matrix: one row per case, one column per implementation. No script, no outside
//! reference; readable by a screen reader (scopes, captions, words beside signs) and on paper.

use std::fmt::Write as _;

use super::{Level, Outcome, Report, Verdict, escape};

const STYLE: &str = "
:root { color-scheme: light dark; --line: #8886; --pass: #1a7f37; --fail: #b3261e; --unsupported: #5f6368; --error: #8a4b00; }
@media (prefers-color-scheme: dark) {
  :root { --pass: #6fdd8b; --fail: #ff8a80; --unsupported: #b0b5ba; --error: #ffb95c; }
}
body { font: 1rem/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 76rem; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; margin: 0 0 2rem; }
caption { text-align: left; font-weight: 600; font-size: 1.15rem; padding: .5rem 0; }
th, td { border: 1px solid var(--line); padding: .3rem .6rem; text-align: left; vertical-align: top; }
th[scope=row] { font-weight: 400; }
code { font-size: .9em; overflow-wrap: anywhere; }
.count { text-align: right; font-variant-numeric: tabular-nums; }
.pass { color: var(--pass); } .fail { color: var(--fail); font-weight: 600; }
.unsupported { color: var(--unsupported); } .harness-error { color: var(--error); font-weight: 600; }
.why { display: block; font-size: .85rem; color: inherit; overflow-wrap: anywhere; }
.ids { font-size: .85rem; }
@media print {
  body { margin: 0; max-width: none; font-size: 9pt; }
  thead { display: table-header-group; } tr { break-inside: avoid; } caption { break-after: avoid; }
  :root { --pass: #000; --fail: #000; --unsupported: #000; --error: #000; --line: #000; }
}
";

/// The first report gives the order of the rows; cases that only another one has follow.
pub fn html(reports: &[Report]) -> String {
    let mut out =
        String::from("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    out.push_str("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    let _ = write!(
        out,
        "<title>Pli conformance</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
    );
    out.push_str("<h1>Pli conformance</h1>\n");
    counts(&mut out, reports);
    out.push_str(
        "<p>✓ pass · ✗ fail: not what the specification says · – unsupported: not offered, or not ",
    );
    out.push_str("configured in this run · ! harness-error: the suite could not ask, or doubts its own answer.</p>\n");
    for level in Level::ALL {
        cases(&mut out, reports, level);
    }
    out.push_str("</main>\n</body>\n</html>\n");
    out
}

fn name(report: &Report) -> String {
    escape(format!("{} {}", report.implementation, report.version).trim())
}

fn counts(out: &mut String, reports: &[Report]) {
    out.push_str("<table>\n<caption>Counts</caption>\n<thead><tr><th scope=\"col\">Implementation</th><th scope=\"col\">Begun (UTC)</th>");
    for verdict in Verdict::ALL {
        let _ = write!(
            out,
            "<th scope=\"col\">{} {}</th>",
            verdict.sign(),
            verdict.word()
        );
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for report in reports {
        let _ = write!(
            out,
            "<tr><th scope=\"row\">{}</th><td>{}</td>",
            name(report),
            utc(report.started_ms)
        );
        for verdict in Verdict::ALL {
            let _ = write!(out, "<td class=\"count\">{}</td>", report.count(verdict));
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody>\n</table>\n");
}

fn cases(out: &mut String, reports: &[Report], level: Level) {
    let mut rows: Vec<&Outcome> = Vec::new();
    for outcome in reports
        .iter()
        .flat_map(|report| &report.outcomes)
        .filter(|o| o.level == level)
    {
        if !rows.iter().any(|row| row.case == outcome.case) {
            rows.push(outcome);
        }
    }
    if rows.is_empty() {
        return;
    }
    let _ = write!(
        out,
        "<table>\n<caption>{} {}</caption>\n<thead><tr><th scope=\"col\">Case</th><th scope=\"col\">Requirements</th>",
        level.name(),
        level.title()
    );
    for report in reports {
        let _ = write!(out, "<th scope=\"col\">{}</th>", name(report));
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for row in rows {
        let _ = write!(
            out,
            "<tr><th scope=\"row\"><code>{}</code><span class=\"why\">{}</span></th><td class=\"ids\">{}</td>",
            escape(&row.case),
            escape(&row.title),
            escape(&row.requirements.join(", "))
        );
        for report in reports {
            match report
                .outcomes
                .iter()
                .find(|o| o.level == level && o.case == row.case)
            {
                Some(found) => cell(out, found),
                None => out.push_str("<td>not run</td>"),
            }
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody>\n</table>\n");
}

fn cell(out: &mut String, outcome: &Outcome) {
    let word = outcome.verdict.word();
    let _ = write!(
        out,
        "<td class=\"{word}\"><span aria-hidden=\"true\">{}</span> {word}",
        outcome.verdict.sign()
    );
    if !outcome.detail.is_empty() {
        let _ = write!(
            out,
            "<span class=\"why\">{}</span>",
            escape(&outcome.detail)
        );
    }
    out.push_str("</td>");
}

/// `2023-11-14 22:13:20`. Days to civil date after Howard Hinnant's `civil_from_days`.
fn utc(ms: u64) -> String {
    let seconds = ms / 1_000;
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let z = days + 719_468;
    let (era, day_of_era) = (z / 146_097, z % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}",
        rest / 3_600,
        rest / 60 % 60,
        rest % 60
    )
}

#[cfg(test)]
mod tests {
    use super::super::tests::sample;
    use super::*;

    #[test]
    fn one_row_per_case_and_one_column_per_implementation() {
        let mut other = sample();
        other.implementation = "other".to_owned();
        other.outcomes.remove(0);
        let page = html(&[sample(), other]);
        assert_eq!(page.matches("<th scope=\"row\"><code>").count(), 4);
        assert_eq!(page.matches("<td>not run</td>").count(), 1);
        assert_eq!(page.matches("<caption>").count(), 4);
        for (open, close) in [
            ("<tr>", "</tr>"),
            ("<table>", "</table>"),
            ("<tbody>", "</tbody>"),
        ] {
            assert_eq!(page.matches(open).count(), page.matches(close).count());
        }
    }

    #[test]
    fn nothing_from_outside_and_nothing_unescaped() {
        let page = html(&[sample()]);
        assert!(!page.contains("http") && !page.contains("<script") && !page.contains("<EXPIRED>"));
        assert!(page.contains("pli-&lt;node&gt;"));
    }

    #[test]
    fn dates() {
        assert_eq!(utc(0), "1970-01-01 00:00:00");
        assert_eq!(utc(1_700_000_000_000), "2023-11-14 22:13:20");
        assert_eq!(utc(1_709_164_800_000), "2024-02-29 00:00:00");
    }
}
