//! Every bound is set, and not left to quinn's defaults.

use super::*;

fn assert_set(config: &TransportConfig, settings: &[String]) {
    let shown = format!("{config:?}");
    for setting in settings {
        assert!(shown.contains(setting.as_str()), "{setting} in {shown}");
    }
}

#[test]
fn case_48_paths_begin_at_1200_bytes_and_never_go_below() {
    for config in [dialler_transport(), server_transport()] {
        assert_set(
            &config,
            &[
                "initial_mtu: 1200".into(),
                "min_mtu: 1200".into(),
                "upper_bound: 1452".into(),
                "mtu_discovery_config: Some".into(),
            ],
        );
    }
}

#[test]
fn r24_windows_and_streams_are_bounded_by_name() {
    let stranger = server_transport();
    assert_set(
        &stranger,
        &[
            "max_concurrent_bidi_streams: 1,".into(),
            "max_concurrent_uni_streams: 0,".into(),
            format!("receive_window: {HANDSHAKE_WINDOW},"),
            format!("stream_receive_window: {},", limits::STREAM_WINDOW_MAX),
            format!("send_window: {},", limits::STREAM_WINDOW_MAX),
            "datagram_receive_buffer_size: None".into(),
        ],
    );
    let dialler = dialler_transport();
    assert_set(
        &dialler,
        &[
            "max_concurrent_bidi_streams: 0,".into(),
            "max_concurrent_uni_streams: 0,".into(),
            format!("receive_window: {},", limits::CONNECTION_WINDOW_MAX),
            "send_fairness: false".into(),
            "enable_segmentation_offload: true".into(),
        ],
    );
    // What one connection can make this side hold, received and to be sent, stays under 64 MiB.
    const { assert!(limits::CONNECTION_WINDOW_MAX + limits::STREAM_WINDOW_MAX <= 64 << 20) }
}

#[test]
fn ses_4_2_silence_ends_a_connection_and_the_dialler_breaks_it() {
    let idle = format!("max_idle_timeout: Some({})", limits::IDLE_TIMEOUT_MS);
    assert_set(
        &server_transport(),
        &[idle.clone(), "keep_alive_interval: None".into()],
    );
    let alive = format!(
        "keep_alive_interval: Some({}s)",
        limits::KEEP_ALIVE_MS / 1_000
    );
    assert_set(&dialler_transport(), &[idle, alive]);
}

#[test]
fn ses_1_1_only_version_1_of_quic() {
    let shown = format!("{:?}", endpoint_config());
    assert!(shown.contains("supported_versions: [1]"), "{shown}");
}

#[test]
fn sockets_have_large_buffers() {
    let socket = socket("127.0.0.1:0".parse().unwrap()).unwrap();
    let received = socket2::SockRef::from(&socket).recv_buffer_size().unwrap();
    // The kernel may cap it, but never below its default.
    assert!(received >= 212_992, "{received}");
}
