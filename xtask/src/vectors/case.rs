//! A file of cases, and how it is written.

use serde_json::{Map, Value, json};

/// Cases on one subject.
pub(super) struct File {
    name: &'static str,
    about: &'static str,
    level: &'static str,
    cases: Vec<Case>,
}

struct Case {
    id: String,
    title: String,
    requirements: Vec<&'static str>,
    op: &'static str,
    input: Value,
    expect: Value,
    neighbour_of: Option<String>,
    annotation: Map<String, Value>,
}

/// Id, title, what is bent, code: a refused neighbour of a case that is named elsewhere.
pub(super) type Bent<M> = (&'static str, &'static str, fn(&mut M), &'static str);

/// The same with requirements, and with the accepted case that it is a neighbour of.
pub(super) type BentFrom<M> = (
    &'static str,
    &'static str,
    &'static [&'static str],
    &'static str,
    fn(&mut M),
    &'static str,
);

/// One case, to be judged by [`File::accepts`] or [`File::refuses`].
pub(super) struct Ask {
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    pub(super) requirements: &'static [&'static str],
    pub(super) op: &'static str,
    pub(super) input: Value,
}

impl File {
    pub(super) fn new(name: &'static str, level: &'static str, about: &'static str) -> Self {
        Self {
            name,
            about,
            level,
            cases: Vec::new(),
        }
    }

    pub(super) fn name(&self) -> &str {
        self.name
    }

    pub(super) fn len(&self) -> usize {
        self.cases.len()
    }

    /// The right answer is yes, with these members.
    pub(super) fn accepts(&mut self, ask: Ask, ok: Value) -> &mut Self {
        self.push(ask, json!({ "ok": ok }), None)
    }

    /// The right answer is no, with this code; `neighbour` is the accepted case of this file that
    /// it differs from.
    pub(super) fn refuses(&mut self, ask: Ask, neighbour: &str, code: &str) -> &mut Self {
        let neighbour = format!("{}/{neighbour}", self.name);
        assert!(
            self.cases
                .iter()
                .any(|case| case.id == neighbour && case.neighbour_of.is_none()),
            "{}: {neighbour} is not an accepted case above",
            ask.id
        );
        assert!(
            pli_protocol::code::Code::from_name(code).is_some(),
            "{code} is not a code"
        );
        self.push(ask, json!({ "refused": code }), Some(neighbour))
    }

    /// Explains a byte string of the last case.
    pub(super) fn annotate(&mut self, member: &str, parts: Value) -> &mut Self {
        let case = self.cases.last_mut().expect("a case before its annotation");
        case.annotation.insert(member.to_owned(), parts);
        self
    }

    fn push(&mut self, ask: Ask, expect: Value, neighbour_of: Option<String>) -> &mut Self {
        let id = format!("{}/{}", self.name, ask.id);
        assert!(self.cases.iter().all(|case| case.id != id), "{id} twice");
        self.cases.push(Case {
            id,
            title: ask.title.to_owned(),
            requirements: ask.requirements.to_vec(),
            op: ask.op,
            input: ask.input,
            expect,
            neighbour_of,
            annotation: Map::new(),
        });
        self
    }

    /// The bytes of the file.
    pub(super) fn render(&self) -> String {
        let cases: Vec<Value> = self.cases.iter().map(Case::to_json).collect();
        let file = json!({
            "$schema": "schema.json",
            "about": self.about,
            "level": self.level,
            "cases": cases,
        });
        let mut text = serde_json::to_string_pretty(&file).expect("JSON of texts and numbers");
        text.push('\n');
        text
    }
}

impl Case {
    fn to_json(&self) -> Value {
        let mut case = json!({
            "id": self.id,
            "title": self.title,
            "requirements": self.requirements,
            "op": self.op,
            "input": self.input,
            "expect": self.expect,
        });
        if let Some(neighbour) = &self.neighbour_of {
            case["neighbour_of"] = neighbour.as_str().into();
        }
        if !self.annotation.is_empty() {
            case["annotation"] = self.annotation.clone().into();
        }
        case
    }
}
