use super::*;

fn admission(change: impl FnOnce(&mut ListenerLimits)) -> Arc<Admission> {
    let mut limits = ListenerLimits::default();
    change(&mut limits);
    Admission::new(limits)
}

/// A place by QUIC, for as long as nobody takes it away.
fn admit(admission: &Arc<Admission>, address: IpAddr) -> Result<Permit, TurnedAway> {
    admission
        .admit(Via::Quic, address)
        .map(|(permit, _)| permit)
}

/// Whether the handshake must give way now.
fn must_go(gave_way: &mut GaveWay) -> bool {
    use futures_util::FutureExt;
    gave_way.wait().now_or_never().is_some()
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
    let first = admit(&total, address(1)).unwrap();
    let _second = admit(&total, address(2)).unwrap();
    assert_eq!(
        admit(&total, address(3)).unwrap_err(),
        TurnedAway::Total { limit: 2 }
    );
    drop(first);
    let _third = admit(&total, address(3)).unwrap();

    let one_address = admission(|limits| limits.connections_per_address = 2);
    let first = admit(&one_address, address(1)).unwrap();
    let _second = admit(&one_address, address(1)).unwrap();
    let turned_away = admit(&one_address, address(1)).unwrap_err();
    assert_eq!(turned_away, TurnedAway::Address { limit: 2 });
    assert_eq!(turned_away.code(), Code::TooManyConnections);
    let _other = admit(&one_address, address(2)).unwrap();
    drop(first);
    let _again = admit(&one_address, address(1)).unwrap();

    let one_key = admission(|limits| limits.connections_per_key = 1);
    let mut first = admit(&one_key, address(1)).unwrap();
    let mut second = admit(&one_key, address(2)).unwrap();
    first.authenticated(Role::Node, key(1)).unwrap();
    assert_eq!(
        second.authenticated(Role::Node, key(1)),
        Err(TurnedAway::Key { limit: 1 })
    );
    drop(first);
    second.authenticated(Role::Node, key(1)).unwrap();
}

#[test]
fn case_52_the_default_caps_are_the_registry_s() {
    use pli_protocol::limits;
    let limits = ListenerLimits {
        handshakes: usize::MAX,
        handshakes_per_address: usize::MAX,
        connections: limits::CONNECTIONS_PER_ADDRESS_MAX + 10,
        ..ListenerLimits::default()
    };
    let admission = Admission::new(limits);
    let places: Vec<_> = (0..limits::CONNECTIONS_PER_ADDRESS_MAX)
        .map(|_| admit(&admission, address(1)).unwrap())
        .collect();
    assert!(admit(&admission, address(1)).is_err());
    assert_eq!(admission.stats().open, places.len() as u64);
}

#[test]
fn ses_5_1_an_ipv6_subscriber_is_one_address() {
    let admission = admission(|limits| limits.connections_per_address = 1);
    let _first = admit(&admission, "2001:db8::1".parse().unwrap()).unwrap();
    assert!(admit(&admission, "2001:db8::ffff:2".parse().unwrap()).is_err());
    let _other = admit(&admission, "2001:db8:0:1::1".parse().unwrap()).unwrap();
    // An IPv4 address is the same one however the socket shows it.
    let _v4 = admit(&admission, address(1)).unwrap();
    assert!(admit(&admission, "::ffff:192.0.2.1".parse().unwrap()).is_err());
}

#[test]
fn case_51_load_is_the_number_of_unfinished_handshakes() {
    let admission = admission(|limits| limits.retry_from = 2);
    let mut first = admit(&admission, address(1)).unwrap();
    assert!(!admission.under_load());
    let _second = admit(&admission, address(2)).unwrap();
    assert!(admission.under_load());
    first.authenticated(Role::Node, key(1)).unwrap();
    assert!(!admission.under_load());
}

#[test]
fn r12_nothing_is_kept_of_who_has_left() {
    let admission = admission(|_| {});
    for round in 0..10_000_u32 {
        let mut place = admit(&admission, IpAddr::from(round.to_be_bytes())).unwrap();
        if round % 2 == 0 {
            place
                .authenticated(Role::Node, key((round % 200) as u8))
                .unwrap();
        }
    }
    let counts = admission.counts();
    assert_eq!((counts.total, counts.devices), (0, 0));
    assert!(counts.addresses.is_empty() && counts.keys.is_empty());
    assert!(counts.devices_of_addresses.is_empty());
    assert!(counts.handshakes.iter().all(|pool| pool.len() == 0));
}

#[test]
fn r12_nothing_is_kept_of_who_was_turned_away() {
    let admission = admission(|limits| limits.connections_per_address = 0);
    for round in 0..10_000_u32 {
        assert!(admit(&admission, IpAddr::from(round.to_be_bytes())).is_err());
    }
    assert!(admission.counts().addresses.is_empty());
}

/// SES-5.5
#[test]
fn case_52_one_address_has_its_share_of_unfinished_handshakes_and_no_more() {
    let admission = admission(|_| {});
    let limit = pli_protocol::limits::HANDSHAKES_PER_ADDRESS_MAX;
    let mut silent: Vec<_> = (0..limit)
        .map(|_| admit(&admission, address(1)).unwrap())
        .collect();
    let turned_away = admit(&admission, address(1)).unwrap_err();
    assert_eq!(turned_away, TurnedAway::Handshakes { limit });
    assert_eq!(turned_away.code(), Code::TooManyConnections);
    let _other = admit(&admission, address(2)).unwrap();
    // One that says who it is makes room for the next.
    silent[0].authenticated(Role::Node, key(1)).unwrap();
    let _next = admit(&admission, address(1)).unwrap();
}

/// SES-5.5
#[test]
fn case_52_the_oldest_handshake_of_the_fullest_address_gives_way() {
    let admission = admission(|limits| limits.handshakes = 4);
    let quic = |last| admission.admit(Via::Quic, address(last)).unwrap();
    let (_quiet, mut quiet_gave_way) = quic(1);
    let (mut oldest, mut oldest_gave_way) = quic(2);
    let (_second, mut second_gave_way) = quic(2);
    let (_third, mut third_gave_way) = quic(2);
    assert!(!must_go(&mut oldest_gave_way));

    let (_newcomer, mut newcomer_gave_way) = quic(3);
    assert!(must_go(&mut oldest_gave_way));
    assert_eq!(admission.stats().gave_way, 1);
    assert_eq!(admission.stats().handshaking, 4);
    assert_eq!(
        oldest.authenticated(Role::Node, key(1)),
        Err(TurnedAway::GaveWay),
        "too late"
    );
    drop(oldest);
    let _another = quic(4);
    assert!(must_go(&mut second_gave_way));
    // Where all have one, the oldest of all.
    let _last = quic(5);
    assert!(must_go(&mut quiet_gave_way));
    assert!(!must_go(&mut third_gave_way) && !must_go(&mut newcomer_gave_way));
    assert_eq!(admission.stats().handshaking, 4);
}

/// SES-5.5
#[test]
fn case_52_a_flood_by_tcp_leaves_quic_alone() {
    let admission = admission(|limits| {
        limits.handshakes = 2;
        limits.retry_from = 2;
    });
    let tcp = |last| admission.admit(Via::WebSocket, address(last)).unwrap();
    let _flood = [tcp(1), tcp(2)];
    assert!(!admission.under_load());
    let _quic = [1, 2].map(|last| admission.admit(Via::Quic, address(last)).unwrap());
    assert_eq!(admission.stats().gave_way, 0);
    assert!(admission.under_load());
}

/// SES-5.6
#[test]
fn case_52_devices_leave_places_to_nodes_and_services() {
    let admission = admission(|limits| {
        limits.connections = 10;
        limits.connections_per_key = usize::MAX;
    });
    let known = |role, last| {
        let mut place = admit(&admission, address(last)).unwrap();
        place.authenticated(role, key(1)).map(|()| place)
    };
    let mut devices: Vec<_> = (0..8)
        .map(|last| known(Role::Device, last).unwrap())
        .collect();
    let turned_away = known(Role::Device, 8).unwrap_err();
    assert_eq!(turned_away, TurnedAway::Devices { limit: 8 });
    let _node = known(Role::Node, 9).unwrap();
    let _service = known(Role::Service, 10).unwrap();
    devices.pop();
    let _device = known(Role::Device, 11).unwrap();
    let whole = ListenerLimits::default();
    assert_eq!(whole.devices(), CONNECTIONS_DEVICE_MAX);
}

/// SES-5.6
#[test]
fn case_52_devices_of_one_address_have_a_cap_of_their_own() {
    let admission = admission(|limits| limits.devices_per_address = 1);
    let mut first = admit(&admission, address(1)).unwrap();
    first.authenticated(Role::Device, key(1)).unwrap();
    let mut second = admit(&admission, address(1)).unwrap();
    assert_eq!(
        second.authenticated(Role::Device, key(2)),
        Err(TurnedAway::DevicesOfAddress { limit: 1 })
    );
    second.authenticated(Role::Node, key(2)).unwrap();
    let mut other = admit(&admission, address(2)).unwrap();
    other.authenticated(Role::Device, key(2)).unwrap();
    drop(first);
    let mut again = admit(&admission, address(1)).unwrap();
    again.authenticated(Role::Device, key(1)).unwrap();
    drop((second, other, again));
    assert!(admission.counts().keys.is_empty());
}
