//! The partners' own samples (`tests/fixtures/ami`, each with its source) and their neighbours.

use pli_protocol::content::{Kind, Procedure, ProcedureStatus};
use pli_protocol::envelope::Urgency;
use serde_json::{Value, json};

use super::*;

const EVENT_V2: &str = include_str!("../../tests/fixtures/ami/put-api-v2-event.json");
const NOTIFICATION_V1: &str =
    include_str!("../../tests/fixtures/ami/post-api-v1-notifications.json");
const LIFECYCLE: &str =
    include_str!("../../tests/fixtures/ami/doc-otv-lifecycle-new-wip-closed.json");
const SHAPES: &str = include_str!("../../tests/fixtures/ami/partner-payload-shapes.json");
const HASHES: &str = include_str!("../../tests/fixtures/ami/fc_hash_v1_vectors.csv");
/// Angela Claire Louise Dubois, the first official test citizen.
const ANGELA: &str = "4abd71ec1f581dce2ea2221cbeac7c973c6aea7bcb835acdfe7d6494f1528060";

fn event() -> Value {
    serde_json::from_str(EVENT_V2).expect("the sample is JSON")
}

fn procedure(event: &PartnerEvent) -> &Procedure {
    match &event.content.kind {
        Kind::Procedure(procedure) => procedure,
        other => panic!("a procedure was expected, not {other:?}"),
    }
}

/// The faults of the sample event after a change: `(field, first message)`.
fn faults(change: impl FnOnce(&mut Value)) -> Vec<(String, String)> {
    let mut value = event();
    change(&mut value);
    match convert_value(value, Format::EventV2) {
        Err(PartnerError::Fields(faults)) => faults
            .iter()
            .map(|(field, messages)| (field.to_owned(), messages[0].clone()))
            .collect(),
        other => panic!("faults were expected, not {other:?}"),
    }
}

fn fault_fields(change: impl FnOnce(&mut Value)) -> Vec<String> {
    faults(change).into_iter().map(|(field, _)| field).collect()
}

#[test]
fn the_event_of_api_v2_becomes_a_procedure_with_every_field() {
    let event = convert(EVENT_V2.as_bytes(), Format::EventV2).expect("the partners' own sample");
    assert_eq!(event.recipient.to_string(), ANGELA);
    assert!(event.try_push);
    assert_eq!(event.urgency(), Urgency::Normal);
    assert_eq!(
        event.adjustments,
        [Adjustment::LinkToHttps {
            field: "content_link"
        }]
    );

    let procedure = procedure(&event);
    assert_eq!(procedure.kind.as_str(), "OTV");
    assert_eq!(procedure.id.as_str(), "A-5-JGBJ5VMOY");
    assert_eq!(procedure.status, ProcedureStatus::New);
    assert_eq!(procedure.status_label.in_language("fr"), "Brouillon");
    assert_eq!(procedure.event.as_ms(), 1_764_240_900_000);
    assert_eq!(
        procedure.milestone_start.expect("given").as_ms(),
        1_766_790_000_000
    );
    assert_eq!(
        procedure.milestone_end.expect("given").as_ms(),
        1_767_394_800_000
    );
    assert_eq!(procedure.channel.as_ref().expect("given").as_str(), "ami");
    let parent = procedure.parent.as_ref().expect("given");
    assert_eq!(parent.partner.as_str(), "dinum-dn");
    assert_eq!(parent.kind.as_str(), "JeDéménage");
    assert_eq!(parent.id.as_str(), "B-7-CGFD6SVYT");

    let notice = &procedure.notice;
    assert_eq!(
        notice.title.in_language("fr"),
        "Brouillon de nouvelle demande de démarche d'OTV"
    );
    assert_eq!(
        notice.body.in_language("fr"),
        "Merci d'avoir initié votre demande"
    );
    let private = notice.private_body.as_ref().expect("given");
    assert_eq!(
        private.in_language("fr"),
        "Ceci est privé et ne devrait jamais être `push`é"
    );
    assert_eq!(
        notice.subheading.as_ref().expect("given").in_language("fr"),
        "Un partenaire"
    );
    assert_eq!(notice.icon.as_ref().expect("given").as_str(), "foo");
    assert_eq!(
        notice.valid_until.expect("given").as_ms(),
        1_767_398_400_000
    );
    let link = &notice.link.as_ref().expect("given").url;
    assert_eq!(
        (link.as_str(), link.host()),
        ("https://otv/a-5-jgbj5vmoy", "otv")
    );
}

#[test]
fn the_legacy_notification_says_the_same_but_for_what_it_cannot_say() {
    let legacy: Value = serde_json::from_str(NOTIFICATION_V1).expect("the sample is JSON");
    assert_eq!(Format::of(&legacy), Format::NotificationV1);
    assert_eq!(Format::of(&event()), Format::EventV2);
    let old =
        convert(NOTIFICATION_V1.as_bytes(), Format::NotificationV1).expect("their own sample");
    let new = convert(EVENT_V2.as_bytes(), Format::EventV2).expect("their own sample");
    let mut expected = procedure(&new).clone();
    expected.parent = None;
    expected.notice.subheading = None;
    assert_eq!(*procedure(&old), expected);
    assert_eq!(old.recipient, new.recipient);
}

#[test]
fn the_lifecycle_of_the_documentation_is_three_steps_of_one_procedure() {
    let mut steps: Vec<Value> = serde_json::from_str(LIFECYCLE).expect("the sample is JSON");
    // The documentation writes "abc123def456..." for the hash; that and only that is at fault.
    let Err(PartnerError::Fields(faults)) = convert_value(steps[0].clone(), Format::EventV2) else {
        panic!("an abbreviated hash is no hash");
    };
    assert_eq!(
        faults.iter().map(|(field, _)| field).collect::<Vec<_>>(),
        ["recipient_fc_hash"]
    );

    for step in &mut steps {
        step["recipient_fc_hash"] = ANGELA.into();
    }
    let steps: Vec<PartnerEvent> = steps
        .into_iter()
        .map(|step| convert_value(step, Format::EventV2).expect("as documented"))
        .collect();
    let [new, wip, closed] = [0, 1, 2].map(|index| procedure(&steps[index]));
    assert_eq!(
        [new.status, wip.status, closed.status],
        [
            ProcedureStatus::New,
            ProcedureStatus::InProgress,
            ProcedureStatus::Closed
        ]
    );
    assert_eq!((&new.kind, &new.id), (&closed.kind, &closed.id));
    // 2026-06-11T14:00:00+02:00
    assert_eq!(new.event.as_ms(), 1_781_179_200_000);
    assert!(new.event < wip.event && wip.event < closed.event);
    assert!(closed.notice.link.is_none());
    assert!(steps.iter().all(|step| step.adjustments.is_empty()));
}

/// Fills in what the shapes compute: `{…}`.
fn filled(common: &Value, step: &Value) -> Value {
    let mut event = json!({
        "recipient_fc_hash": ANGELA,
        "content_body": "Rendez-vous au guichet.",
    });
    for part in [common, step] {
        for (field, value) in part.as_object().expect("an object") {
            let value = match value.as_str() {
                Some("{now}") => json!("2026-06-11T14:00:00+02:00"),
                Some("{rdv.starts_at}") => json!("2026-06-12T09:00:00.000+02:00"),
                Some("{rdv.ends_at}") => json!("2026-06-12T09:30:00.000+02:00"),
                Some("{rdv.uuid}") => json!("7c9f1b0e-3a52-4b9a-9c0e-0d6f3f1f2a11"),
                Some("{short url with restricted token}") => {
                    json!("https://rdv.anct.gouv.fr/r/AbC123")
                }
                Some(text) => {
                    json!(
                        text.replace("{organisation}", "Mairie de Toulouse")
                            .replace("{date}", "vendredi 12 juin à 9 h")
                            .replace("{adresse}", "1 place du Capitole, 31000 Toulouse")
                    )
                }
                None => value.clone(),
            };
            event[field] = value;
        }
    }
    event
}

#[test]
fn every_event_of_rdv_service_public_converts() {
    let shapes: Value = serde_json::from_str(SHAPES).expect("the sample is JSON");
    let rdv = &shapes["rdv-service-public"];
    let expected = [
        ("created", ProcedureStatus::New, "À venir", Urgency::VeryLow),
        (
            "updated",
            ProcedureStatus::InProgress,
            "À venir",
            Urgency::Normal,
        ),
        (
            "reminder",
            ProcedureStatus::InProgress,
            "À venir",
            Urgency::Normal,
        ),
        (
            "closed",
            ProcedureStatus::Closed,
            "Terminé",
            Urgency::VeryLow,
        ),
        (
            "cancelled",
            ProcedureStatus::Closed,
            "Annulé",
            Urgency::Normal,
        ),
    ];
    assert_eq!(
        rdv.as_object().expect("an object").len(),
        expected.len() + 1
    );
    for (name, status, label, urgency) in expected {
        let event = convert_value(filled(&rdv["common"], &rdv[name]), Format::EventV2).expect(name);
        assert_eq!(event.urgency(), urgency, "{name}");
        let procedure = procedure(&event);
        assert_eq!(procedure.status, status, "{name}");
        assert_eq!(procedure.status_label.in_language("fr"), label, "{name}");
        assert_eq!(
            procedure.notice.title.in_language("fr"),
            "Rendez-vous avec Mairie de Toulouse"
        );
        assert_eq!(procedure.notice.private_body.is_some(), name == "updated");
    }
}

#[test]
fn every_state_of_demarches_simplifiees_converts() {
    let shapes: Value = serde_json::from_str(SHAPES).expect("the sample is JSON");
    let states = shapes["demarches-simplifiees"]["status_map"]
        .as_object()
        .expect("an object");
    assert_eq!(states.len(), 7);
    for (state, status) in states {
        let mut value = event();
        value["item_type"] = "12345".into();
        value["item_id"] = "67890".into();
        value["item_status_label"] = state.as_str().into();
        value["item_generic_status"] = status.clone();
        convert_value(value, Format::EventV2).expect(state);
    }
}

#[test]
fn without_an_item_it_is_a_notice() {
    let body = json!({
        "recipient_fc_hash": ANGELA,
        "content_title": "Bienvenue",
        "content_body": "Votre espace est ouvert.\r\n\r\nÀ bientôt.\t",
        "event_date": "2026-06-11T12:00:00Z",
        "content_icon": null,
        "content_link": "",
        "try_push": false,
        "brand_new_field": 3,
    });
    let event = convert(body.to_string().as_bytes(), Format::EventV2).expect("whole");
    let Kind::Notice(notice) = &event.content.kind else {
        panic!("a notice was expected")
    };
    assert_eq!(
        notice.body.in_language("fr"),
        "Votre espace est ouvert.\n\nÀ bientôt."
    );
    assert_eq!((notice.icon.is_none(), notice.link.is_none()), (true, true));
    assert_eq!(event.urgency(), Urgency::VeryLow);
    assert_eq!(
        event.adjustments,
        [
            Adjustment::WhiteSpace {
                field: "content_body"
            },
            Adjustment::Ignored {
                field: "brand_new_field".into()
            },
        ]
    );
}

#[test]
fn each_required_field_is_named_when_it_is_missing_and_all_at_once() {
    for field in [
        "recipient_fc_hash",
        "content_title",
        "content_body",
        "event_date",
    ] {
        let remove = |value: &mut Value| {
            value.as_object_mut().expect("an object").remove(field);
        };
        assert_eq!(
            faults(remove),
            [(field.to_owned(), "is required".to_owned())]
        );
        let empty = faults(|value| value[field] = " ".into());
        assert_eq!(empty, [(field.to_owned(), "must not be empty".to_owned())]);
        let typed = faults(|value| value[field] = json!(3));
        assert_eq!(typed, [(field.to_owned(), "must be a string".to_owned())]);
    }
    let Err(PartnerError::Fields(all)) = convert(b"{}", Format::EventV2) else {
        panic!("an empty object is at fault")
    };
    let fields: Vec<&str> = all.iter().map(|(field, _)| field).collect();
    assert_eq!(
        fields,
        [
            "content_body",
            "content_title",
            "event_date",
            "recipient_fc_hash"
        ]
    );
    let Err(PartnerError::Fields(all)) = convert(b"{}", Format::NotificationV1) else {
        panic!("an empty object is at fault")
    };
    assert!(all.names("send_date") && !all.names("event_date"));
}

#[test]
fn item_and_parent_fields_come_all_or_none() {
    for field in [
        "item_type",
        "item_id",
        "item_status_label",
        "item_generic_status",
    ] {
        let fields = fault_fields(|value| value[field] = Value::Null);
        assert!(fields.contains(&field.to_owned()), "{field}: {fields:?}");
    }
    for field in [
        "item_parent_partner_id",
        "item_parent_type",
        "item_parent_id",
    ] {
        let fields = fault_fields(|value| value[field] = "".into());
        assert_eq!(fields, [field], "{field}");
    }
    // A milestone, a channel or a parent says something of an item, so it needs one.
    let fields = fault_fields(|value| {
        for field in [
            "item_type",
            "item_id",
            "item_status_label",
            "item_generic_status",
        ] {
            value.as_object_mut().expect("an object").remove(field);
        }
    });
    assert!(
        fields.contains(&"item_milestone_start_date".to_owned()),
        "{fields:?}"
    );
    assert!(fields.contains(&"item_canal".to_owned()), "{fields:?}");
    assert!(fields.contains(&"item_parent_id".to_owned()), "{fields:?}");
}

#[test]
fn dates_are_iso_8601_with_an_offset() {
    for (good, ms) in [
        ("2026-06-11T14:00:00+02:00", 1_781_179_200_000),
        ("2026-06-11T12:00:00Z", 1_781_179_200_000),
        ("2026-06-11T12:00:00.123456Z", 1_781_179_200_123),
        ("20260611T120000Z", 1_781_179_200_000),
        ("2026-06-11 14:00:00 +02:00", 0),
    ] {
        let mut value = event();
        value["event_date"] = good.into();
        match convert_value(value, Format::EventV2) {
            Ok(event) => assert_eq!(procedure(&event).event.as_ms(), ms, "{good}"),
            Err(error) => assert_eq!(ms, 0, "{good}: {error}"),
        }
    }
    for bad in [
        "hier",
        "2026-06-11",
        "2026-06-11T14:00:00",
        "2026-02-30T12:00:00Z",
        "2026-06-11T25:00:00Z",
        "1960-01-01T00:00:00Z",
        "1970-01-01T00:00:00Z",
        "-002026-06-11T12:00:00Z",
        "1781179200000",
        "2024-10-03 12:44:33 +0200 CEST",
    ] {
        let fields = fault_fields(|value| value["event_date"] = bad.into());
        assert_eq!(fields, ["event_date"], "{bad}");
    }
    let swapped = fault_fields(|value| {
        value["item_milestone_end_date"] = "2025-12-26T22:59:59.999Z".into();
    });
    assert_eq!(swapped, ["item_milestone_end_date"]);
    let equal = |value: &mut Value| {
        value["item_milestone_end_date"] = value["item_milestone_start_date"].clone()
    };
    let mut value = event();
    equal(&mut value);
    convert_value(value, Format::EventV2).expect("start ≤ end");
}

#[test]
fn case_61_hostile_texts_and_links_are_faults_of_their_field() {
    for (field, hostile) in [
        ("content_title", "a\u{202e}b"),
        ("content_title", "two\nlines"),
        ("content_body", "\u{1b}[2Jb"),
        ("content_private_body", "a\0b"),
        ("content_subheading", "a\u{2066}b"),
        ("content_icon", "\"><script>"),
        ("item_status_label", "a\u{7}b"),
        ("item_canal", "a\u{9b}b"),
        ("content_link", "javascript:alert(1)"),
        ("content_link", "data:text/html,x"),
        ("content_link", "https://impots.gouv.fr@evil.example/"),
        ("content_link", "https://[::1]/"),
        ("content_link", "not a url"),
    ] {
        let fields = fault_fields(|value| value[field] = hostile.into());
        assert_eq!(fields, [field], "{hostile:?}");
    }
    let status = faults(|value| value["item_generic_status"] = "done".into());
    assert_eq!(
        status,
        [(
            "item_generic_status".to_owned(),
            "must be new, wip or closed".to_owned()
        )]
    );
    assert_eq!(
        fault_fields(|value| value["try_push"] = "yes".into()),
        ["try_push"]
    );
    let hash = fault_fields(|value| value["recipient_fc_hash"] = ANGELA.to_uppercase().into());
    assert_eq!(hash, ["recipient_fc_hash"]);
}

#[test]
fn r15_texts_over_their_limit_are_faults_of_their_field() {
    use pli_protocol::limits;
    for (field, max) in [
        ("content_title", limits::TITLE_MAX),
        ("content_body", limits::BODY_MAX),
        ("content_private_body", limits::BODY_MAX),
        ("item_type", limits::REFERENCE_MAX),
    ] {
        let fields = fault_fields(|value| value[field] = "a".repeat(max + 1).into());
        assert_eq!(fields, [field]);
    }
    // Each fits, but not together.
    let fields = fault_fields(|value| {
        value["content_body"] = "a".repeat(limits::BODY_MAX).into();
        value["content_private_body"] = "a".repeat(limits::BODY_MAX).into();
    });
    assert_eq!(fields, ["content_body"]);
}

#[test]
fn links_of_people_become_links_of_the_protocol() {
    for (written, carried) in [
        (
            "HTTPS://Www.Interieur.GOUV.fr",
            "https://www.interieur.gouv.fr/",
        ),
        (
            "https://démarche.gouv.fr/é à",
            "https://xn--dmarche-bya.gouv.fr/%C3%A9%20%C3%A0",
        ),
        (
            "https://a.gouv.fr:443/?q={x}|[1]#a#b",
            "https://a.gouv.fr/?q=%7Bx%7D%7C%5B1%5D#a%23b",
        ),
    ] {
        let mut value = event();
        value["content_link"] = written.into();
        let event = convert_value(value, Format::EventV2).expect(written);
        let link = procedure(&event).notice.link.as_ref().expect("given");
        assert_eq!(link.url.as_str(), carried);
    }
}

#[test]
fn what_is_no_object_is_told_so() {
    for body in [&b""[..], b"[]", b"3", b"{\"content_title\"", b"\xff{}"] {
        assert!(matches!(
            convert(body, Format::EventV2),
            Err(PartnerError::NotAnObject { .. })
        ));
    }
}

#[test]
fn the_eighty_official_citizens_have_their_official_hashes() {
    let mut lines = HASHES.lines();
    let header = "id,identifiant,prenoms,nomDeNaissance,dateDeNaissance,genre,codePostalLieuDeNaissance,codePaysDeNaissance,hash";
    assert_eq!(lines.next(), Some(header));
    let mut checked = 0;
    for line in lines.filter(|line| !line.is_empty()) {
        let columns: Vec<&str> = line.split(',').collect();
        let [_, _, given, family, birthdate, gender, place, country, hash] = columns[..] else {
            panic!("nine columns were expected: {line}");
        };
        let identity = FcIdentity {
            given_name: given.into(),
            family_name: family.into(),
            birthdate: birthdate.into(),
            gender: gender.into(),
            birthplace: place.into(),
            birthcountry: country.into(),
        };
        assert_eq!(identity.hash_v1().to_string(), hash, "{line}");
        assert_ne!(identity.hash_v2(), identity.hash_v1());
        checked += 1;
    }
    assert_eq!(checked, 80);
}

#[test]
fn version_2_of_the_hash_joins_with_semicolons() {
    let identity = FcIdentity {
        given_name: "Angela Claire Louise".into(),
        family_name: "DUBOIS".into(),
        birthdate: "1962-08-24".into(),
        gender: "female".into(),
        birthplace: "75107".into(),
        birthcountry: "99100".into(),
    };
    // printf 'Angela Claire Louise;DUBOIS;1962-08-24;female;75107;99100' | sha256sum
    assert_eq!(
        identity.hash_v2().to_string(),
        "01d6f14bd06de19c43c2984da5fb1a6941ac7d964f2a7c191d696e4a76aaf986"
    );
}
