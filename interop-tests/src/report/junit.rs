//! JUnit XML, one suite per level. `unsupported` is skipped, `harness-error` is an error.

use std::fmt::Write as _;

use super::{Level, Report, Verdict, escape};

pub fn junit(report: &Report) -> String {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let name = escape(&format!("{} {}", report.implementation, report.version));
    let _ = writeln!(out, "<testsuites name=\"{name}\">");
    for level in Level::ALL {
        let rows: Vec<_> = report
            .outcomes
            .iter()
            .filter(|outcome| outcome.level == level)
            .collect();
        if rows.is_empty() {
            continue;
        }
        let count = |verdict| {
            rows.iter()
                .filter(|outcome| outcome.verdict == verdict)
                .count()
        };
        let seconds: f64 = rows
            .iter()
            .map(|outcome| outcome.took_us as f64 / 1e6)
            .sum();
        let _ = writeln!(
            out,
            "  <testsuite name=\"{} {}\" tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\" time=\"{seconds:.6}\">",
            level.name(),
            level.title(),
            rows.len(),
            count(Verdict::Fail),
            count(Verdict::HarnessError),
            count(Verdict::Unsupported),
        );
        for outcome in rows {
            let _ = write!(
                out,
                "    <testcase classname=\"{}\" name=\"{}: {}\" time=\"{:.6}\"",
                level.name(),
                escape(&outcome.case),
                escape(&outcome.title),
                outcome.took_us as f64 / 1e6,
            );
            let detail = escape(&outcome.detail);
            let _ = match outcome.verdict {
                Verdict::Pass => writeln!(out, "/>"),
                Verdict::Fail => writeln!(out, "><failure message=\"{detail}\"/></testcase>"),
                Verdict::HarnessError => writeln!(out, "><error message=\"{detail}\"/></testcase>"),
                Verdict::Unsupported => {
                    writeln!(out, "><skipped message=\"{detail}\"/></testcase>")
                }
            };
        }
        out.push_str("  </testsuite>\n");
    }
    out.push_str("</testsuites>\n");
    out
}

#[cfg(test)]
mod tests {
    use super::super::tests::sample;
    use super::*;

    #[test]
    fn counts_and_escapes() {
        let xml = junit(&sample());
        assert!(xml.contains(
            "<testsuite name=\"L0 codec\" tests=\"2\" failures=\"1\" errors=\"0\" skipped=\"0\""
        ));
        assert!(
            xml.contains("message=\"got &lt;EXPIRED&gt; &amp; expected &quot;OK&quot;\u{fffd}\"")
        );
        assert!(xml.contains("<skipped message=\"no QUIC port\"/>"));
        assert!(xml.contains("<error message=\"no route\"/>"));
        assert_eq!(xml.matches("<testcase").count(), 4);
        assert_eq!(
            xml.matches("<testsuite ").count(),
            xml.matches("</testsuite>").count()
        );
    }
}
