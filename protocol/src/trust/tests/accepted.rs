//! Keys of envelopes that were accepted elsewhere before.

use super::*;

#[test]
fn tru_4_8_what_the_origin_accepted_before_a_key_ended_is_good_after_it() {
    let ends = NOW;
    let mut builder = two_ministries();
    let keys = vec![
        listed(40, Timestamp::from_ms(1), Some(ends)),
        listed(41, ends, None),
    ];
    let record = service_record("titres@interieur.gouv.fr", keys);
    builder
        .service(&authority("interieur.gouv.fr"), record)
        .unwrap();
    let directory = builder.build();
    let titres = service("titres@interieur.gouv.fr");
    let (old, new) = (key(40).public().id(), key(41).public().id());
    let later = NOW.plus_ms(DAY_MS / 24);
    let code = |refusal: TrustRefusal| refusal.code();
    let accepted = |key, created: u64| {
        let created = Timestamp::from_ms(created);
        directory
            .accepted_key(&titres, key, created, later)
            .map(drop)
            .map_err(code)
    };
    // The clock that wrote `created` may have been ahead of the origin's by the allowed skew, and no more.
    let last = ends.as_ms() + limits::CLOCK_SKEW_MAX_MS - 1;
    assert_eq!(accepted(&old, ends.as_ms() - 1), Ok(()));
    assert_eq!(accepted(&old, last), Ok(()));
    assert_eq!(accepted(&old, last + 1), Err(Code::KeyNotValid));
    // What was written before the new key began can have been accepted since.
    assert_eq!(accepted(&new, ends.as_ms() - 1), Ok(()));
    let early = Timestamp::from_ms(ends.as_ms() - 1);
    let too_early = directory.accepted_key(&titres, &new, early, early);
    assert_eq!(too_early.map_err(code), Err(Code::KeyNotValid));
    // A home may take it, whoever it came from: not in the name of somebody who is suspended or gone.
    let expired = directory.expires();
    let refused = directory.accepted_key(&titres, &old, early, expired);
    assert_eq!(refused.map_err(code), Err(Code::DirectoryExpired));
}
