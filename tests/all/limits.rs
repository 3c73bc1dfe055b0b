//! The limits of the listener, through a real socket, and the table of all limits in the documentation.

use crate::support::database::{database_of, execute};
use crate::support::process::{Process, port};
use crate::support::{SITES, Setup, TestConsole, binary, config_with, people, repository, stand_in};
use raxx_console::server::config::Limits;
use raxx_console::server::demo::stand_in::Scenario;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::process::Command;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{interval, timeout};

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(30);
/// A limit that a test waits for; on a busy machine, what is to come sooner still does.
const SHORT: Duration = Duration::from_secs(1);
const ALIVE: &str = "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";
const HALF_A_HEAD: &str = "GET /healthz HTTP/1.1\r\nhost: x\r\nx-slow: ";

async fn console(change: impl FnOnce(&mut Limits)) -> TestConsole {
    let mut setup = Setup::default();
    change(&mut setup.limits);
    setup.start().await
}

async fn connect(console: &TestConsole) -> TcpStream {
    TcpStream::connect(console.running.addr()).await.unwrap()
}

async fn say(stream: &mut TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).await.unwrap();
}

/// What the console says from now on until it closes the connection.
async fn until_closed(stream: &mut TcpStream) -> String {
    let mut said = Vec::new();
    let read = timeout(PATIENCE, stream.read_to_end(&mut said)).await;
    // A connection may be reset: what was not read of us is thrown away.
    let _reset = read.expect("the connection stays open");
    String::from_utf8_lossy(&said).into_owned()
}

/// An answer of which there is nothing but its head.
async fn head(stream: &mut TcpStream) -> String {
    let mut said = String::new();
    while !said.ends_with("\r\n\r\n") {
        let byte = timeout(PATIENCE, stream.read_u8()).await.expect("no answer").unwrap();
        said.push(char::from(byte));
    }
    said
}

async fn is_alive(stream: &mut TcpStream) {
    say(stream, ALIVE).await;
    assert!(head(stream).await.starts_with("HTTP/1.1 204"));
}

/// Sends a byte every 20 ms for as long as the other side takes it.
async fn trickle(stream: TcpStream) -> String {
    let (mut reading, mut writing) = stream.into_split();
    let sending = tokio::spawn(async move {
        let mut beat = interval(Duration::from_millis(20));
        loop {
            beat.tick().await;
            if writing.write_all(b"x").await.is_err() {
                return;
            }
        }
    });
    let mut said = Vec::new();
    let _reset = timeout(PATIENCE, reading.read_to_end(&mut said))
        .await
        .expect("the connection stays open");
    sending.abort();
    String::from_utf8_lossy(&said).into_owned()
}

#[tokio::test]
async fn a_head_that_does_not_end_is_cut_off() {
    let console = console(|limits| limits.head_within = SHORT).await;
    let mut trickling = connect(&console).await;
    say(&mut trickling, HALF_A_HEAD).await;
    assert_eq!(trickle(trickling).await, "");
    let mut silent = connect(&console).await;
    assert_eq!(until_closed(&mut silent).await, "");
    let mut second = connect(&console).await;
    is_alive(&mut second).await;
    say(&mut second, HALF_A_HEAD).await;
    assert_eq!(until_closed(&mut second).await, "");
}

#[tokio::test]
async fn a_body_that_does_not_end_is_408() {
    let console = console(|limits| limits.body_within = SHORT).await;
    let deploy = "/api/internal/deploys/0199a8f0-0000-7000-8000-000000000000";
    let json = "content-type: application/json";
    let form = "content-type: application/x-www-form-urlencoded";
    for (path, header) in [
        (&*format!("{deploy}/status"), json),
        ("/api/internal/github/webhooks", json),
        ("/sign-in", form),
    ] {
        let mut stream = connect(&console).await;
        let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\n{header}\r\ncontent-length: 9000\r\n\r\n");
        say(&mut stream, &head).await;
        let answer = trickle(stream).await;
        assert!(answer.starts_with("HTTP/1.1 408"), "{path}: {answer}");
        assert!(
            answer.contains("problem:too-slow") && answer.contains("connection: close"),
            "{path}: {answer}"
        );
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{path}: {answer}");
    }
}

#[tokio::test]
async fn a_body_may_take_longer_than_a_head() {
    let console = console(|limits| limits.head_within = SHORT).await;
    let mut slow = connect(&console).await;
    let path = "/api/internal/deploys/0199a8f0-0000-7000-8000-000000000000/status";
    let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n");
    say(&mut slow, &head).await;
    // By now the head was read, and what follows is body.
    assert!(self::head(&mut slow).await.starts_with("HTTP/1.1 100"));
    say(&mut slow, "{").await;
    // When this one is cut off, as much time has gone by.
    assert_eq!(until_closed(&mut connect(&console).await).await, "");
    say(&mut slow, "}").await;
    assert!(self::head(&mut slow).await.starts_with("HTTP/1.1 401"));
}

#[tokio::test]
async fn an_idle_connection_is_kept_for_a_while() {
    let console = console(|limits| {
        limits.head_within = SHORT;
        limits.idle_within = 2 * SHORT;
    })
    .await;
    let mut stream = connect(&console).await;
    is_alive(&mut stream).await;
    let since = Instant::now();
    assert_eq!(until_closed(&mut stream).await, "");
    assert!(since.elapsed() > SHORT * 3 / 2, "{:?}", since.elapsed());
}

#[tokio::test]
async fn heads_are_bounded() {
    let console = console(|_| ()).await;
    let with =
        |path: &str, headers: &str| format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n");
    let many = |count: usize| {
        (2..count)
            .map(|number| format!("x-{number}: x\r\n"))
            .collect::<String>()
    };
    let long = |bytes: usize| format!("x-long: {}\r\n", "x".repeat(bytes));
    let path = |bytes: usize| format!("/healthz?{}", "x".repeat(bytes - "/healthz?".len()));
    for (text, status) in [
        (with("/healthz", &many(100)), "204"),
        (with("/healthz", &many(101)), "431"),
        (with("/healthz", &long(63 * 1024)), "204"),
        (with("/healthz", &long(64 * 1024)), "431"),
        (with(&path(8 * 1024), ""), "204"),
        (with(&path(8 * 1024 + 1), ""), "414"),
    ] {
        let mut stream = connect(&console).await;
        say(&mut stream, &text).await;
        let answer = until_closed(&mut stream).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{status}: {answer}");
    }
}

#[tokio::test]
async fn http_2_is_not_spoken() {
    let console = console(|_| ()).await;
    let mut stream = connect(&console).await;
    // RFC 9113, section 3.4: the preface, and an empty SETTINGS frame.
    say(&mut stream, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\u{4}\0\0\0\0\0").await;
    let answer = until_closed(&mut stream).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer:?}");
}

#[tokio::test]
async fn one_connection_more_waits_until_another_ends() {
    let console = console(|limits| limits.connections = 2).await;
    let (mut first, mut second) = (connect(&console).await, connect(&console).await);
    is_alive(&mut first).await;
    is_alive(&mut second).await;
    let mut third = connect(&console).await;
    say(&mut third, ALIVE).await;
    assert!(timeout(SHORT, third.read_u8()).await.is_err(), "it had its answer");
    drop(first);
    assert!(head(&mut third).await.starts_with("HTTP/1.1 204"));
    is_alive(&mut second).await;
}

#[tokio::test]
async fn every_connection_may_be_a_file_that_is_open() {
    let (data, github) = (tempfile::tempdir().unwrap(), stand_in(Scenario::Queued).await);
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "ulimit -S -n 200; exec \"$0\""]).arg(binary());
    let database = database_of(data.path());
    let process = Process::start_as(command, data.path(), SITES, &database, &github.url(), port()).await;
    assert!(process.most_files() > Limits::default().connections.try_into().unwrap());
}

/// A connection that comes from `address`.
async fn connect_from(console: &TestConsole, address: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("{address}:0").parse().unwrap()).unwrap();
    let to = (Ipv4Addr::LOCALHOST, console.running.addr().port());
    socket.connect(to.into()).await.unwrap()
}

#[tokio::test]
async fn one_address_cannot_take_the_others_connections() {
    let mut setup = Setup {
        file: format!("trusted_proxies = [\"127.0.0.9\"]\n{SITES}"),
        ..Setup::default()
    };
    setup.limits.connections_of_an_address = 2;
    let console = setup.start().await;
    let mut held = Vec::new();
    for address in [
        "127.0.0.2",
        "127.0.0.2",
        "127.0.0.3",
        "127.0.0.9",
        "127.0.0.9",
        "127.0.0.9",
    ] {
        held.push(connect_from(&console, address).await);
        is_alive(held.last_mut().unwrap()).await;
    }
    let mut too_many = connect_from(&console, "127.0.0.2").await;
    // It may be closed by now. One that is not would answer.
    let _said = too_many.write_all(ALIVE.as_bytes()).await;
    assert_eq!(until_closed(&mut too_many).await, "");
    drop(held);
    // Each that ends makes room for another; when it is seen to have ended is not ours to say.
    let again = timeout(PATIENCE, async {
        loop {
            let mut stream = connect_from(&console, "127.0.0.2").await;
            let said = stream.write_all(ALIVE.as_bytes()).await;
            if said.is_ok() && stream.read_u8().await.is_ok() {
                return;
            }
        }
    });
    assert!(again.await.is_ok(), "its places are never free again");
}

#[tokio::test]
async fn on_an_address_of_both_kinds_each_of_ipv4_is_still_its_own() {
    if std::net::TcpListener::bind((Ipv6Addr::UNSPECIFIED, 0)).is_err() {
        // This machine has no IPv6, and so no such address.
        return;
    }
    let (data, github) = (tempfile::tempdir().unwrap(), stand_in(Scenario::Queued).await);
    let file = format!("trusted_proxies = [\"127.0.0.9\"]\n{SITES}");
    let mut config = config_with(&data, &github.url(), &file);
    config.addr = (Ipv6Addr::UNSPECIFIED, 0).into();
    config.limits.connections_of_an_address = 1;
    let console = TestConsole::start(config, github, data).await;
    let mut held = Vec::new();
    for address in ["127.0.0.2", "127.0.0.3", "127.0.0.9", "127.0.0.9"] {
        held.push(connect_from(&console, address).await);
        is_alive(held.last_mut().unwrap()).await;
    }
}

/// A request whose answer is 256 KiB and a little more, and costs next to nothing.
async fn large(console: &TestConsole) -> String {
    let callback = console.bound("docs").await;
    for seq in 1..=8 {
        let report = callback.number(seq).prints(&"x".repeat(32 * 1024));
        assert_eq!(console.report(&report).await.status(), 200);
    }
    let token = people::token(&console.running, &[]).await;
    let path = format!("/api/internal/deploys/{}?after=0", callback.deploy);
    format!("GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\r\n")
}

#[tokio::test]
async fn an_answer_that_nobody_reads_is_given_up() {
    let mut console = console(|limits| {
        limits.connections = 2;
        limits.write_within = SHORT;
    })
    .await;
    let large = large(&console).await;
    // It would keep a connection.
    console.http = reqwest::Client::new();
    let (mut deaf, mut other) = (connect(&console).await, connect(&console).await);
    is_alive(&mut other).await;
    // More answers than any buffer on the way takes, and the connection is as busy as can be.
    let asking = tokio::spawn(async move {
        while deaf.write_all(large.as_bytes()).await.is_ok() {}
        deaf
    });
    let mut waiting = connect(&console).await;
    say(&mut waiting, ALIVE).await;
    assert!(head(&mut waiting).await.starts_with("HTTP/1.1 204"));
    let ended = timeout(PATIENCE, asking).await;
    assert!(ended.is_ok(), "it is still listened to");
    is_alive(&mut other).await;
}

#[tokio::test]
async fn an_answer_that_is_read_slowly_is_given_whole() {
    const ANSWERS: usize = 40;
    let console = console(|limits| limits.write_within = SHORT).await;
    let large = large(&console).await;
    let mut slow = connect(&console).await;
    say(&mut slow, &large.repeat(ANSWERS)).await;
    // No buffer takes as much, so the console waits for us again and again, and for longer in all than it would once.
    let (mut read, mut beat) = (Vec::new(), interval(Duration::from_millis(50)));
    while read.len() < ANSWERS * 256 * 1024 {
        beat.tick().await;
        let piece = timeout(PATIENCE, (&mut slow).take(128 * 1024).read_to_end(&mut read)).await;
        assert!(
            piece.expect("it does not go on").unwrap() > 0,
            "given up after {}",
            read.len()
        );
    }
}

#[tokio::test]
async fn two_hundred_that_are_slow_keep_nobody_waiting() {
    let console = console(|_| ()).await;
    let callback = console.bound("docs").await;
    let mut slow = Vec::new();
    for _ in 0..200 {
        let mut stream = connect(&console).await;
        say(&mut stream, HALF_A_HEAD).await;
        slow.push(stream);
    }
    for seq in 1..=20 {
        let report = callback.number(seq).prints("a line\n");
        let sent = console.report(&report);
        assert_eq!(timeout(PATIENCE, sent).await.expect("it waits").status(), 200);
        let board = console.http.get(console.url("/api/internal/board")).send();
        assert_eq!(timeout(PATIENCE, board).await.expect("it waits").unwrap().status(), 200);
    }
    assert_eq!(
        console.read(callback.deploy).await["log"]["text"],
        "a line\n".repeat(20)
    );
}

#[tokio::test]
async fn a_log_ends_at_64_mib_and_says_so() {
    let console = console(|_| ()).await;
    let callback = console.bound("docs").await;
    let most = 64 * 1024 * 1024;
    let sql = format!(
        "UPDATE console_deploys SET log_bytes = {} WHERE id = '{}'",
        most - 10,
        callback.deploy
    );
    execute(&console.database(), sql).await;
    for (seq, text) in [(1, "12345\n"), (2, "6789\nabc\n"), (3, "never\n")] {
        let report = callback.number(seq).prints(text);
        assert_eq!(console.report(&report).await.status(), 200);
    }
    let path = format!("/api/internal/deploys/{}?after={}", callback.deploy, most - 10);
    let record = console.http.get(console.url(&path)).send().await.unwrap();
    let record: serde_json::Value = record.json().await.unwrap();
    let log = record["log"]["text"].as_str().unwrap();
    let end = "\n[the log ends here: it reached 64 MiB, and the rest was not kept]\n";
    assert_eq!(log, format!("12345\n6789\nabc\n{end}"));
}

/// The rows of the table: what, and its limit.
fn documented() -> Vec<(String, String)> {
    let text = std::fs::read_to_string(repository().join("docs/architecture.md")).unwrap();
    let table = text.split("\n## Limits\n").nth(1).unwrap();
    let rows = table.lines().filter(|line| line.starts_with("| ")).skip(2);
    rows.map(|row| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        (cells[1].to_owned(), cells[2].to_owned())
    })
    .collect()
}

#[test]
fn the_documentation_has_the_limits_that_hold() {
    let limits = Limits::default();
    let seconds = |duration: Duration| format!("{} s", duration.as_secs());
    let rows = documented();
    for (what, limit) in [
        ("connections at once", limits.connections.to_string()),
        (
            "connections at once from one address",
            limits.connections_of_an_address.to_string(),
        ),
        ("time for the head of a request", seconds(limits.head_within)),
        ("time for the body of a request", seconds(limits.body_within)),
        ("connection without a request", seconds(limits.idle_within)),
        ("answer of which nothing is read", seconds(limits.write_within)),
        (
            "deploys of one operator",
            format!("{} a minute", limits.deploys_a_minute),
        ),
        (
            "reports of one deploy",
            format!("{} a minute", limits.callbacks_a_minute),
        ),
        ("what is under way at a stop", seconds(limits.stop_within)),
    ] {
        let found = rows.iter().find(|(row, _)| row == what);
        assert_eq!(found.map(|(_, found)| found), Some(&limit), "{what}");
    }
}
