use std::time::Duration;

use tokio::io::duplex;

use super::*;

/// What the server makes of these bytes of a client, and what it answers.
async fn served(request: &str) -> (io::Result<Wanted>, String) {
    let (mut client, server) = duplex(64 * 1_024);
    client.write_all(request.as_bytes()).await.unwrap();
    client.shutdown().await.unwrap();
    let wanted = accept(Box::new(server)).await;
    let mut answer = vec![0; 4_096];
    let reading = tokio::time::timeout(Duration::from_millis(50), client.read(&mut answer));
    let length = reading.await.map_or(0, |read| read.unwrap_or(0));
    (
        wanted,
        String::from_utf8_lossy(&answer[..length]).into_owned(),
    )
}

fn upgrade(path: &str, protocol: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Protocol: {protocol}\r\n\r\n"
    )
}

#[tokio::test]
async fn ses_6_1_an_upgrade_at_the_path_is_a_session() {
    let (wanted, answer) = served(&upgrade(WEBSOCKET_PATH, "other, pli.1")).await;
    assert!(matches!(wanted, Ok(Wanted::Session(_))));
    assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
    assert!(
        answer
            .to_ascii_lowercase()
            .contains("sec-websocket-protocol: pli.1"),
        "{answer}"
    );
}

#[tokio::test]
async fn ses_6_1_another_protocol_is_refused() {
    let (wanted, answer) = served(&upgrade(WEBSOCKET_PATH, "chat")).await;
    assert!(wanted.is_err());
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
}

#[tokio::test]
async fn ses_6_1_a_plain_request_is_given_on_from_its_first_byte() {
    for request in [
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
        "POST /pli/1 HTTP/1.1\r\nUpgrade: websocket\r\n\r\n{}".to_owned(),
        upgrade("/pli/2", "pli.1"),
    ] {
        let (wanted, answer) = served(&request).await;
        let Ok(Wanted::Http(mut io)) = wanted else {
            panic!("{request}")
        };
        assert_eq!(answer, "");
        let mut read = String::new();
        io.read_to_string(&mut read).await.unwrap();
        assert_eq!(read, request);
    }
}

#[tokio::test]
async fn case_69_a_head_over_the_limit_or_without_end_is_refused() {
    let padding = |length: usize| {
        let head = "GET / HTTP/1.1\r\nX: ";
        format!("{head}{}\r\n\r\n", "x".repeat(length - head.len() - 4))
    };
    assert!(matches!(
        served(&padding(HEAD_MAX)).await.0,
        Ok(Wanted::Http(_))
    ));
    let endless = "x".repeat(HEAD_MAX + 1);
    assert!(served(&endless).await.0.is_err());
    assert!(served("GET / HTTP/1.1\r\n").await.0.is_err(), "cut");
}

#[tokio::test]
async fn bytes_in_small_pieces_are_the_same_request() {
    let (mut client, server) = duplex(1);
    let request = upgrade(WEBSOCKET_PATH, "pli.1");
    let sending = tokio::spawn(async move {
        client.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let mut one = [0];
        while !answer.ends_with(HEAD_END) {
            client.read_exact(&mut one).await.unwrap();
            answer.push(one[0]);
        }
    });
    assert!(matches!(
        accept(Box::new(server)).await,
        Ok(Wanted::Session(_))
    ));
    sending.await.unwrap();
}
