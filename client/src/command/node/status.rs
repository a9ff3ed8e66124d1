//! `pli node status`: what a node says of itself on its operations address.

use std::time::Duration;

use clap::Args;
use pli_protocol::id::Timestamp;
use pli_trust::legible;
use serde_json::Value;

use super::super::exit::{Exit, Failed};
use super::super::fact;
use crate::screen::{Colour, Output, plain, table};

const STATUS_MAX: usize = 4 * 1024 * 1024;
const STATUS_TIME: Duration = Duration::from_secs(10);

#[derive(Debug, Args)]
pub(in crate::command) struct StatusArgs {
    /// Its operations address
    #[arg(long, default_value = "http://127.0.0.1:7404", value_parser = http_url)]
    url: String,
}

fn http_url(text: &str) -> Result<String, String> {
    if text.starts_with("http://") || text.starts_with("https://") {
        return Ok(text.to_owned());
    }
    Err(format!(
        "expected an address with its scheme; write http://{text}"
    ))
}

pub(super) async fn run(args: &StatusArgs, out: Output) -> Result<Exit, Failed> {
    let url = format!("{}/status", args.url.trim_end_matches('/'));
    let status = match fetch(&url).await {
        Ok(status) => status,
        Err(Unread::NoAnswer(reason)) => {
            let message =
                format!("{url}: {reason}; does the node run, and is this its operations address?");
            return Err(Failed {
                exit: Exit::TryLater,
                ..Failed::new(message)
            });
        }
        Err(Unread::NotAStatus(reason)) => {
            return Err(Failed::new(format!(
                "{url}: {reason}; somebody answers there, but not as a node's operations address (listen.ops in its configuration)"
            )));
        }
    };
    let ready = status["ready"]["ready"].as_bool().unwrap_or(false);
    if out.json {
        out.json(&status);
    } else {
        tell(&status, ready, out);
    }
    Ok(if ready { Exit::Done } else { Exit::NotDone })
}

/// Why there is no status.
enum Unread {
    NoAnswer(String),
    NotAStatus(String),
}

async fn fetch(url: &str) -> Result<Value, Unread> {
    let client = reqwest::Client::builder()
        .timeout(STATUS_TIME)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(|error| Unread::NoAnswer(error.to_string()))?;
    let mut response = client
        .get(url)
        .send()
        .await
        .map_err(|error| Unread::NoAnswer(chain(&error)))?;
    if !response.status().is_success() {
        return Err(Unread::NotAStatus(format!("HTTP {}", response.status())));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|error| Unread::NoAnswer(chain(&error)))?
    {
        body.extend_from_slice(&chunk);
        if body.len() > STATUS_MAX {
            return Err(Unread::NotAStatus(format!("more than {STATUS_MAX} bytes")));
        }
    }
    serde_json::from_slice(&body)
        .map_err(|error| Unread::NotAStatus(format!("not a status: {error}")))
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(this) = cause {
        text = format!("{text}: {this}");
        cause = this.source();
    }
    text
}

fn tell(status: &Value, ready: bool, out: Output) {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    };
    let many = |value: &Value, one: &str, more: &str| {
        let noun = if value.as_u64() == Some(1) { one } else { more };
        format!("{} {noun}", text(value))
    };
    fact(out, "node", &text(&status["authority"]));
    fact(out, "version", &text(&status["version"]));
    // As the directory and commands name it, and as logs and signed objects do; an older node says the second alone.
    if let Some(key) = status["key"].as_str() {
        fact(out, "key", key);
    }
    fact(out, "key id", &text(&status["key_id"]));
    fact(out, "up", &format!("{} s", text(&status["uptime_s"])));
    let word = if ready {
        out.paint(Colour::Good, "yes")
    } else {
        out.paint(Colour::Bad, "no")
    };
    out.line(format!(
        "{} {word}",
        out.paint(Colour::Faint, &format!("{:<14}", "ready"))
    ));
    for reason in status["ready"]["because"].as_array().into_iter().flatten() {
        out.line(format!("               {}", plain(&text(reason))));
    }
    let directory = &status["directory"];
    fact(
        out,
        "directory",
        &format!(
            "in force: {}, {}, root {} targets {} snapshot {} timestamp {}",
            text(&directory["in_force"]),
            many(&directory["authorities"], "authority", "authorities"),
            text(&directory["versions"]["root"]),
            text(&directory["versions"]["targets"]),
            text(&directory["versions"]["snapshot"]),
            text(&directory["versions"]["timestamp"]),
        ),
    );
    let moment = |value: &Value| match value.as_u64() {
        Some(ms) => legible(Timestamp::from_ms(ms)),
        None => "-".to_owned(),
    };
    fact(
        out,
        "",
        &format!(
            "holds until {}, refreshed {}",
            moment(&directory["expires_ms"]),
            moment(&directory["refreshed_ms"]),
        ),
    );
    fact(out, "clock", &text(&status["clock"]["state"]));
    let sessions = &status["sessions"];
    fact(
        out,
        "sessions",
        &format!(
            "{}, {}, {} in, {} out",
            many(&sessions["services"], "service", "services"),
            many(&sessions["devices"], "device", "devices"),
            many(&sessions["nodes"], "node", "nodes"),
            text(&sessions["dialled"]),
        ),
    );
    let store = &status["store"];
    fact(
        out,
        "store",
        &format!(
            "{}, writable: {}, {} bytes used, {} free, {} put aside",
            text(&store["url"]),
            text(&store["writable"]),
            text(&store["used_bytes"]),
            text(&store["free_bytes"]),
            text(&store["quarantined"]),
        ),
    );
    for (name, lines) in [
        ("evidence", evidence_lines(&status["evidence"], &moment)),
        ("gossip", gossip(status)),
    ] {
        let mut name = name;
        for line in lines {
            fact(out, std::mem::take(&mut name), &plain(&line));
        }
    }
    let queues = status["queues"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    if !queues.is_empty() {
        out.line("");
        let rows = queues.iter().map(|queue| {
            [
                "destination",
                "priority",
                "bulk",
                "bytes",
                "reports",
                "reachable",
                "postponed",
                "last_error",
            ]
            .map(|field| match &queue[field] {
                // Of codes, how many of each.
                Value::Object(codes) => {
                    let each = codes.iter().map(|(code, count)| format!("{count} {code}"));
                    let each = each.collect::<Vec<_>>().join(", ");
                    if each.is_empty() {
                        "-".to_owned()
                    } else {
                        each
                    }
                }
                other => text(other),
            })
        });
        out.line(table(
            [
                "Queue",
                "Priority",
                "Bulk",
                "Bytes",
                "Reports",
                "Reachable",
                "Put off",
                "Last error",
            ],
            rows,
        ));
    }
    for queue in queues {
        if let Some(line) = stuck(queue, &moment) {
            out.line("");
            out.line(plain(&line));
        }
    }
    let alarms = status["alarms"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    if !alarms.is_empty() {
        out.line("");
        let rows = alarms.iter().map(|alarm| {
            [
                text(&alarm["alarm"]),
                moment(&alarm["since_ms"]),
                text(&alarm["detail"]),
            ]
        });
        out.line(table(["Alarm", "Since", "Detail"], rows));
    }
}

/// The node's log and who has cosigned it. Nothing of a node that is older than the log.
fn evidence_lines(evidence: &Value, moment: &dyn Fn(&Value) -> String) -> Vec<String> {
    match evidence["enabled"].as_bool() {
        None => return Vec::new(),
        Some(false) => {
            return vec!["switched off: only receipts prove what this node does".to_owned()];
        }
        Some(true) => {}
    }
    let number = |name: &str| evidence[name].as_u64().unwrap_or_default();
    let mut lines = vec![format!(
        "log {}: {} in {}, of which {} are shown to others",
        evidence["log"].as_str().unwrap_or_default(),
        counted(number("events"), "event", "events"),
        counted(number("entries"), "entry", "entries"),
        number("published"),
    )];
    if evidence["closed_ms"].is_u64() {
        let waiting = match evidence["waiting"].as_u64() {
            Some(0) => "no event waits".to_owned(),
            Some(waiting) => format!(
                "{} to be shown",
                counted(waiting, "event waits", "events wait")
            ),
            None => "how many events wait cannot be read".to_owned(),
        };
        let closed = moment(&evidence["closed_ms"]);
        lines.push(format!("newest entry {closed}, {waiting}"));
    }
    let needed = number("witnesses_needed");
    // Of an empty log there is nothing to cosign.
    let reached = evidence["witnesses_reached"]
        .as_u64()
        .filter(|_| number("entries") > 0);
    lines.push(match (needed, reached) {
        (0, _) => "the federation asks for no witness".to_owned(),
        (_, None) => format!(
            "the federation asks for {}",
            counted(needed, "witness", "witnesses")
        ),
        (_, Some(reached)) => {
            let lately = counted(reached, "witness", "witnesses");
            let too_few = match reached < needed {
                true => {
                    ": nothing new is accepted if that lasts; can the others' `http` addresses be reached from here?"
                }
                false => "",
            };
            format!("{lately} cosigned lately, {needed} needed{too_few}")
        }
    });
    let witnesses = evidence["witnesses"].as_array().into_iter().flatten();
    lines.extend(witnesses.map(|witness| {
        let who = witness["authority"].as_str().unwrap_or_default();
        format!("cosigned by {who} {}", moment(&witness["at_ms"]))
    }));
    lines
}

fn counted(count: u64, one: &str, more: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { more })
}

/// The other nodes, by gossip, and why one is not there.
fn gossip(status: &Value) -> Vec<String> {
    let gossip = &status["gossip"];
    match gossip["enabled"].as_bool() {
        None => return Vec::new(),
        Some(false) => {
            return vec!["switched off: what is new comes with the next refresh".to_owned()];
        }
        Some(true) => {}
    }
    let peers = gossip["peers"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let connected = |peer: &&Value| peer["connected"] == true;
    let mut lines = vec![format!(
        "{} of {} other nodes are connected",
        peers.iter().filter(connected).count(),
        peers.len()
    )];
    let missing = peers.iter().filter(|peer| !connected(peer));
    lines.extend(missing.map(|peer| {
        let because = peer["because"].as_str().unwrap_or("it is dialled now");
        let cut = match peer["cut_off"] == true {
            true => "cut off for a while: ",
            false => "",
        };
        format!(
            "{}: {cut}{because}",
            peer["authority"].as_str().unwrap_or_default()
        )
    }));
    lines
}

/// A letter that is tried again and again, and what can be done.
fn stuck(queue: &Value, moment: &dyn Fn(&Value) -> String) -> Option<String> {
    let stuck = &queue["stuck"];
    let (envelope, reason) = (stuck["envelope"].as_str()?, stuck["reason"].as_str()?);
    Some(format!(
        "{} does not answer letter {envelope}: {} tries since {}, the last: {reason}. It is tried until it expires; \
         the operator of that node sees in its log what it does with it.",
        queue["destination"].as_str()?,
        stuck["tries"].as_u64()?,
        moment(&stuck["since_ms"]),
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn evidence_is_told_with_what_waits_and_with_too_few_witnesses() {
        let moment = |value: &Value| format!("moment {value}");
        let told = |evidence: &Value| evidence_lines(evidence, &moment);
        assert_eq!(
            told(&Value::Null),
            [""; 0],
            "an older node says nothing of it"
        );
        assert!(told(&json!({ "enabled": false }))[0].starts_with("switched off"));
        let mut evidence = json!({
            "enabled": true, "log": "social.gouv.fr/log/7", "events": 9, "entries": 1, "closed_ms": 5,
            "published": 0, "waiting": 9, "witnesses_reached": 1, "witnesses_needed": 2,
            "witnesses": [{ "authority": "justice.gouv.fr", "at_ms": 6 }],
        });
        let [log, newest, witnesses, justice] = &told(&evidence)[..] else {
            panic!("{:?}", told(&evidence));
        };
        assert_eq!(
            log,
            "log social.gouv.fr/log/7: 9 events in 1 entry, of which 0 are shown to others"
        );
        assert_eq!(newest, "newest entry moment 5, 9 events wait to be shown");
        let too_few = "1 witness cosigned lately, 2 needed: nothing new is accepted";
        assert!(witnesses.starts_with(too_few), "{witnesses}");
        assert_eq!(justice, "cosigned by justice.gouv.fr moment 6");
        evidence["waiting"] = 0.into();
        evidence["witnesses_reached"] = 2.into();
        assert_eq!(told(&evidence)[1], "newest entry moment 5, no event waits");
        assert_eq!(told(&evidence)[2], "2 witnesses cosigned lately, 2 needed");
        // Of an empty log nobody can cosign anything.
        evidence["entries"] = 0.into();
        evidence["closed_ms"] = Value::Null;
        assert_eq!(told(&evidence)[1], "the federation asks for 2 witnesses");
    }

    #[test]
    fn a_stuck_letter_is_told_with_its_reason_and_its_tries() {
        let moment = |value: &Value| format!("moment {value}");
        let mut queue = json!({ "destination": "social.gouv.fr", "bulk": 1 });
        assert_eq!(
            stuck(&queue, &moment),
            None,
            "an older node says nothing of it"
        );
        queue["stuck"] = Value::Null;
        assert_eq!(stuck(&queue, &moment), None);
        queue["stuck"] = json!({ "envelope": "ab12", "tries": 7, "since_ms": 5, "reason": "closed by the peer" });
        let line = stuck(&queue, &moment).unwrap();
        for part in [
            "social.gouv.fr",
            "ab12",
            "7 tries",
            "moment 5",
            "closed by the peer",
        ] {
            assert!(line.contains(part), "{line}");
        }
    }
}
