//! The content of an event: a step of a procedure where `item_*` is given, a notice otherwise.

use pli_protocol::content::{
    ContentError, HttpsUrl, Kind, Link, Notice, Procedure, ProcedureReference, ProcedureStatus,
    Text,
};
use pli_protocol::limits;

use super::event::{Adjustment, Format};
use super::fields::Fields;

/// All or none of these.
const ITEM: [&str; 4] = [
    "item_type",
    "item_id",
    "item_status_label",
    "item_generic_status",
];
/// All or none of these; only with an item.
const PARENT: [&str; 3] = [
    "item_parent_partner_id",
    "item_parent_type",
    "item_parent_id",
];
/// Say something of an item, so they need one.
const OF_AN_ITEM: [&str; 3] = [
    "item_milestone_start_date",
    "item_milestone_end_date",
    "item_canal",
];

/// Reads the content. `None` after a fault, which is in `fields`.
pub(super) fn read(fields: &mut Fields, format: Format) -> Option<Kind> {
    // Every field is read before anything is given up, so that a partner learns every fault at once.
    let title = fields.required_line("content_title", limits::TITLE_MAX);
    let body = fields
        .required("content_body")
        .and_then(|text| fields.paragraphs("content_body", text));
    let private_body = fields
        .string("content_private_body")
        .and_then(|text| fields.paragraphs("content_private_body", text));
    let subheading = fields.line("content_subheading", limits::TITLE_MAX);
    let icon = fields.line("content_icon", limits::REFERENCE_MAX);
    let link = fields
        .string(format.link_field())
        .and_then(|url| link(fields, format, &url));
    let valid_until = fields.date("valid_until");
    let event = fields.required_date(format.date_field());

    let has_item = fields.group(&ITEM);
    let has_parent = fields.group(&PARENT);
    if !has_item {
        for field in OF_AN_ITEM.into_iter().chain(PARENT) {
            if fields.is_present(field) {
                fields.faults.add(
                    field,
                    "needs item_type, item_id, item_status_label and item_generic_status",
                );
            }
        }
    }
    let kind = fields.line("item_type", limits::REFERENCE_MAX);
    let id = fields.line("item_id", limits::REFERENCE_MAX);
    let status_label = fields.line("item_status_label", limits::TITLE_MAX);
    let status = fields
        .string("item_generic_status")
        .and_then(|text| status(fields, &text));
    let parent = parent(fields);
    let channel = fields.line("item_canal", limits::REFERENCE_MAX);
    let milestone_start = fields.date("item_milestone_start_date");
    let milestone_end = fields.date("item_milestone_end_date");
    if let (Some(start), Some(end)) = (milestone_start, milestone_end)
        && end < start
    {
        fields.faults.add(
            "item_milestone_end_date",
            "must not be before item_milestone_start_date",
        );
    }
    if !fields.faults.is_empty() {
        return None;
    }

    // The event API is in French; so is what it carries.
    let french = |line: pli_protocol::content::Line| Text::french(line.as_str());
    let notice = Notice {
        title: french(title?),
        body: Text::french(body?),
        private_body: private_body.map(Text::french),
        link,
        valid_until,
        subheading: subheading.map(french),
        icon,
    };
    if !has_item {
        return Some(Kind::Notice(notice));
    }
    Some(Kind::Procedure(Procedure {
        kind: kind?,
        id: id?,
        status: status?,
        status_label: french(status_label?),
        event: event?,
        notice,
        parent: if has_parent { Some(parent?) } else { None },
        milestone_start,
        milestone_end,
        channel,
    }))
}

fn status(fields: &mut Fields, text: &str) -> Option<ProcedureStatus> {
    match text {
        "new" => Some(ProcedureStatus::New),
        "wip" => Some(ProcedureStatus::InProgress),
        "closed" => Some(ProcedureStatus::Closed),
        _ => {
            fields
                .faults
                .add("item_generic_status", "must be new, wip or closed");
            None
        }
    }
}

fn parent(fields: &mut Fields) -> Option<ProcedureReference> {
    let [partner, kind, id] = PARENT.map(|field| fields.line(field, limits::REFERENCE_MAX));
    Some(ProcedureReference {
        partner: partner?,
        kind: kind?,
        id: id?,
    })
}

/// Brings a URL as partners write it (any case, any Unicode) into the one form that Pli carries.
fn link(fields: &mut Fields, format: Format, text: &str) -> Option<Link> {
    let field = format.link_field();
    let mut url = match url::Url::parse(text.trim()) {
        Ok(url) => url,
        Err(error) => {
            fields.faults.add(field, format!("is not a URL: {error}"));
            return None;
        }
    };
    match url.scheme() {
        "https" => {}
        "http" => {
            // Cannot fail from one special scheme to another.
            let _ = url.set_scheme("https");
            fields.adjustments.push(Adjustment::LinkToHttps { field });
        }
        _ => {
            fields.faults.add(field, "must be an https URL");
            return None;
        }
    }
    // What the WHATWG rules leave as it is, RFC 3986 wants encoded.
    let strict = encode_rest(url.as_str());
    match HttpsUrl::new(strict) {
        Ok(url) => Some(Link { url, label: None }),
        Err(problem) => {
            fields.faults.add(field, problem);
            None
        }
    }
}

/// Percent-encodes the characters that WHATWG URLs may keep and RFC 3986 does not know, and
/// every `#` after the first.
fn encode_rest(url: &str) -> String {
    let mut encoded = String::with_capacity(url.len());
    let mut fragment = false;
    for character in url.chars() {
        match character {
            '#' if fragment => encoded.push_str("%23"),
            '#' => {
                fragment = true;
                encoded.push('#');
            }
            '"' | '<' | '>' | '\\' | '^' | '`' | '{' | '|' | '}' | '[' | ']' => {
                encoded.push_str(&format!("%{:02X}", u32::from(character)));
            }
            _ => encoded.push(character),
        }
    }
    encoded
}

/// The partner's name for a field that the protocol refused.
pub(super) fn partner_field(error: &ContentError) -> &'static str {
    let path = error.field.to_string();
    let ends = |name: &str| path.contains(name);
    match () {
        () if ends("private_body") => "content_private_body",
        () if ends("body") => "content_body",
        () if ends("title") => "content_title",
        () if ends("subheading") => "content_subheading",
        () if ends("icon") => "content_icon",
        () if ends("link") => "content_link",
        () if ends("status_label") => "item_status_label",
        () => "content_body",
    }
}
