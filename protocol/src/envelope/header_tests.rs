use super::*;

pub(crate) fn header() -> Header {
    Header {
        sender: Sender::Service("rdv@interieur.gouv.fr".parse().unwrap()),
        recipient: "000102030405060708090a0b0c0d0e0f@social.gouv.fr"
            .parse()
            .unwrap(),
        created: Timestamp::from_ms(1_800_000_000_000),
        expires: Timestamp::from_ms(1_800_000_600_000),
        class: Class::Message,
        urgency: Urgency::Normal,
        importance: Importance::Action,
        supersedes: Some([7; 16]),
        extensions: vec![Extension {
            id: 9,
            critical: false,
            value: Bytes::from_static(b"x"),
        }],
    }
}

fn refused(edit: impl FnOnce(&mut wire::Header)) -> Code {
    let mut wire: wire::Header = codec::decode_canonical(&header().encode(), HEADER_MAX).unwrap();
    edit(&mut wire);
    Header::decode(&codec::encode(&wire))
        .expect_err("must be refused")
        .code()
}

#[test]
fn env_4_1_a_header_reads_back() {
    assert_eq!(Header::decode(&header().encode()).unwrap(), header());
}

#[test]
fn case_05_an_unknown_extension_that_is_not_critical_is_kept() {
    let read = Header::decode(&header().encode()).unwrap();
    assert_eq!(read.extensions, header().extensions);
    assert_eq!(read.encode(), header().encode());
    assert_eq!(
        refused(|h| h.extensions[0].critical = true),
        Code::UnknownCriticalExtension
    );
}

#[test]
fn case_06_another_version_is_refused() {
    for version in [0, 2, u32::MAX] {
        assert_eq!(refused(|h| h.version = version), Code::UnsupportedVersion);
    }
}

#[test]
fn env_4_3_every_field_is_required() {
    assert_eq!(refused(|h| h.sender = None), Code::FieldMissing);
    assert_eq!(refused(|h| h.recipient = None), Code::FieldMissing);
    assert_eq!(refused(|h| h.created_ms = 0), Code::FieldMissing);
    assert_eq!(refused(|h| h.expires_ms = 0), Code::FieldMissing);
    assert_eq!(refused(|h| h.class = 0), Code::FieldMissing);
    assert_eq!(refused(|h| h.urgency = 0), Code::FieldMissing);
    assert_eq!(refused(|h| h.importance = 0), Code::FieldMissing);
    assert_eq!(refused(|h| h.class = 5), Code::FieldInvalid);
    assert_eq!(refused(|h| h.urgency = -1), Code::FieldInvalid);
    assert_eq!(
        refused(|h| h.supersedes = vec![1; 15].into()),
        Code::FieldInvalid
    );
}

#[test]
fn case_10_times_at_the_edges() {
    assert_eq!(refused(|h| h.created_ms = u64::MAX), Code::FieldInvalid);
    assert_eq!(
        refused(|h| h.expires_ms = INTEGER_MAX + 1),
        Code::FieldInvalid
    );
    assert_eq!(
        refused(|h| h.expires_ms = INTEGER_MAX),
        Code::LifetimeTooLong
    );
    assert_eq!(refused(|h| h.expires_ms = h.created_ms), Code::FieldInvalid);
}

#[test]
fn env_4_5_a_lifetime_of_400_days_and_a_millisecond_is_refused() {
    let mut longest = header();
    longest.expires = longest.created.plus_ms(ENVELOPE_LIFETIME_MAX_MS);
    assert!(Header::decode(&longest.encode()).is_ok());
    longest.expires = longest.expires.plus_ms(1);
    assert_eq!(
        Header::decode(&longest.encode()),
        Err(HeaderError::LifetimeTooLong {
            lifetime_ms: ENVELOPE_LIFETIME_MAX_MS + 1
        })
    );
}

#[test]
fn case_17_clock_skew_of_minutes_hours_and_years() {
    const HOUR: u64 = 3_600_000;
    const TEN_YEARS: u64 = 10 * 365 * 24 * HOUR;
    let header = header();
    let at = |ms: u64| {
        header
            .check_time(Timestamp::from_ms(ms))
            .map_err(|e| e.code())
    };
    let (created, expires) = (header.created.as_ms(), header.expires.as_ms());
    assert_eq!(at(created), Ok(()));
    assert_eq!(at(created - CLOCK_SKEW_MAX_MS), Ok(()));
    assert_eq!(at(created - CLOCK_SKEW_MAX_MS - 1), Err(Code::NotYetValid));
    assert_eq!(at(created - HOUR), Err(Code::NotYetValid));
    assert_eq!(at(created - TEN_YEARS), Err(Code::NotYetValid));
    assert_eq!(at(expires - 1), Ok(()));
    assert_eq!(at(expires), Err(Code::Expired));
    assert_eq!(at(created + HOUR), Err(Code::Expired));
    assert_eq!(at(created + TEN_YEARS), Err(Code::Expired));
}

#[test]
fn env_4_8_extensions_are_bounded_and_ascend() {
    let extension = |id, length| wire::Extension {
        id,
        critical: false,
        value: vec![1; length].into(),
    };
    let full = |count: u32| {
        (0..count)
            .map(|id| extension(id + 1, EXTENSION_VALUE_MAX))
            .collect()
    };
    let limit = u32::try_from(EXTENSIONS_MAX).unwrap();
    let mut wire: wire::Header = codec::decode_canonical(&header().encode(), HEADER_MAX).unwrap();
    wire.extensions = full(limit);
    assert!(Header::decode(&codec::encode(&wire)).is_ok());
    assert_eq!(refused(|h| h.extensions = full(limit + 1)), Code::TooMany);
    assert_eq!(
        refused(|h| h.extensions = vec![extension(1, EXTENSION_VALUE_MAX + 1)]),
        Code::TooLong
    );
    assert_eq!(
        refused(|h| h.extensions = vec![extension(2, 1), extension(1, 1)]),
        Code::NotCanonical
    );
    assert_eq!(
        refused(|h| h.extensions = vec![extension(2, 1), extension(2, 1)]),
        Code::NotCanonical
    );
}

#[test]
fn case_07_look_alike_names_in_a_header_are_refused() {
    let service = |name: &str| wire::header::Sender::Service(name.into());
    assert_eq!(
        refused(|h| h.sender = Some(service("rdv@intérieur.gouv.fr"))),
        Code::FieldInvalid
    );
    assert_eq!(
        refused(|h| h.sender = Some(service("rdv@interieur.gouv.fr\0"))),
        Code::FieldInvalid
    );
    assert_eq!(
        refused(|h| h.recipient.as_mut().unwrap().home = "\u{202e}a.fr".into()),
        Code::FieldInvalid
    );
    assert_eq!(
        refused(|h| h.recipient.as_mut().unwrap().mailbox = vec![0; 17].into()),
        Code::FieldInvalid
    );
}
