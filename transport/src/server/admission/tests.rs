use super::*;

fn admission(change: impl FnOnce(&mut ListenerLimits)) -> Arc<Admission> {
    let mut limits = ListenerLimits::default();
    change(&mut limits);
    Admission::new(limits)
}

fn address(last: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, last])
}

fn key(seed: u8) -> PublicKey {
    *pli_protocol::crypto::sign::SigningKey::from_seed(&[seed; 32]).public()
}

#[test]
fn case_52_one_more_than_each_cap_is_turned_away_and_a_freed_place_is_used_again() {
    let total = admission(|limits| limits.connections = 2);
    let first = total.admit(address(1)).unwrap();
    let _second = total.admit(address(2)).unwrap();
    assert_eq!(
        total.admit(address(3)).unwrap_err(),
        TurnedAway::Total { limit: 2 }
    );
    drop(first);
    let _third = total.admit(address(3)).unwrap();

    let one_address = admission(|limits| limits.connections_per_address = 2);
    let first = one_address.admit(address(1)).unwrap();
    let _second = one_address.admit(address(1)).unwrap();
    let turned_away = one_address.admit(address(1)).unwrap_err();
    assert_eq!(turned_away, TurnedAway::Address { limit: 2 });
    assert_eq!(turned_away.code(), Code::TooManyConnections);
    let _other = one_address.admit(address(2)).unwrap();
    drop(first);
    let _again = one_address.admit(address(1)).unwrap();

    let one_key = admission(|limits| limits.connections_per_key = 1);
    let mut first = one_key.admit(address(1)).unwrap();
    let mut second = one_key.admit(address(2)).unwrap();
    first.authenticated(key(1)).unwrap();
    assert_eq!(
        second.authenticated(key(1)),
        Err(TurnedAway::Key { limit: 1 })
    );
    drop(first);
    second.authenticated(key(1)).unwrap();

    let handshakes = admission(|limits| limits.handshakes = 1);
    let mut first = handshakes.admit(address(1)).unwrap();
    assert_eq!(
        handshakes.admit(address(2)).unwrap_err(),
        TurnedAway::Handshakes { limit: 1 }
    );
    first.authenticated(key(1)).unwrap();
    let _second = handshakes.admit(address(2)).unwrap();
}

#[test]
fn case_52_the_default_caps_are_the_registry_s() {
    use pli_protocol::limits;
    let limits = ListenerLimits {
        handshakes: usize::MAX,
        connections: limits::CONNECTIONS_PER_ADDRESS_MAX + 10,
        ..ListenerLimits::default()
    };
    let admission = Admission::new(limits);
    let places: Vec<_> = (0..limits::CONNECTIONS_PER_ADDRESS_MAX)
        .map(|_| admission.admit(address(1)).unwrap())
        .collect();
    assert!(admission.admit(address(1)).is_err());
    assert_eq!(admission.stats().open, places.len() as u64);
}

#[test]
fn ses_5_1_an_ipv6_subscriber_is_one_address() {
    let admission = admission(|limits| limits.connections_per_address = 1);
    let _first = admission.admit("2001:db8::1".parse().unwrap()).unwrap();
    assert!(
        admission
            .admit("2001:db8::ffff:2".parse().unwrap())
            .is_err()
    );
    let _other = admission.admit("2001:db8:0:1::1".parse().unwrap()).unwrap();
    // An IPv4 address is the same one however the socket shows it.
    let _v4 = admission.admit(address(1)).unwrap();
    assert!(
        admission
            .admit("::ffff:192.0.2.1".parse().unwrap())
            .is_err()
    );
}

#[test]
fn case_51_load_is_the_number_of_unfinished_handshakes() {
    let admission = admission(|limits| limits.retry_from = 2);
    let mut first = admission.admit(address(1)).unwrap();
    assert!(!admission.under_load());
    let _second = admission.admit(address(2)).unwrap();
    assert!(admission.under_load());
    first.authenticated(key(1)).unwrap();
    assert!(!admission.under_load());
}

#[test]
fn r12_nothing_is_kept_of_who_has_left() {
    let admission = admission(|_| {});
    for round in 0..10_000_u32 {
        let mut place = admission.admit(IpAddr::from(round.to_be_bytes())).unwrap();
        if round % 2 == 0 {
            place.authenticated(key((round % 200) as u8)).unwrap();
        }
    }
    let counts = admission.counts();
    assert_eq!((counts.total, counts.handshaking), (0, 0));
    assert!(counts.addresses.is_empty() && counts.keys.is_empty());
}

#[test]
fn r12_nothing_is_kept_of_who_was_turned_away() {
    let admission = admission(|limits| limits.connections_per_address = 0);
    for round in 0..10_000_u32 {
        assert!(admission.admit(IpAddr::from(round.to_be_bytes())).is_err());
    }
    assert!(admission.counts().addresses.is_empty());
}
