//! The server itself, over real sockets.

use std::sync::Arc;

use leveret_admin_ui::{router, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::broker::basic;
use crate::fake::Fake;

#[tokio::test]
async fn a_connection_is_kept_for_several_requests_and_knows_its_address_until_the_server_stops() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let router = router(Arc::new(Fake::new()));
    let server = tokio::spawn(serve(listener, router, async { drop(stopped.await) }));
    let mut stream = TcpStream::connect(address).await.unwrap();
    let authorization = basic("admin", "admin");
    for _ in 0..2 {
        let request = format!(
            "GET /api/whoami HTTP/1.1\r\nhost: x\r\nauthorization: {authorization}\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let answer = read_until(&mut stream, "}").await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        // Only from this machine may this user log in.
        assert!(answer.contains("\"name\":\"admin\""), "{answer}");
    }
    stop.send(()).unwrap();
    server.await.unwrap();
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 0, "the server has closed the connection");
    TcpStream::connect(address).await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_finish_a_head_is_let_go() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(listener, router(Arc::new(Fake::new())), std::future::pending()));
    for sent in ["", "GET /api/whoami HTTP/1.1\r\nhost: x\r\n"] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(sent.as_bytes()).await.unwrap();
        // The clock moves on by itself when nothing else can happen.
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
        assert!(!rest.starts_with(b"HTTP/1.1 200"), "{sent}");
    }
}

async fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut text = String::new();
    while !text.ends_with(end) {
        let mut buffer = [0; 4096];
        let len = stream.read(&mut buffer).await.unwrap();
        assert_ne!(len, 0, "closed after {text}");
        text.push_str(std::str::from_utf8(&buffer[..len]).unwrap());
    }
    text
}
