//! A host is reached, vanishes without a word, comes back, and is gone.

#![allow(clippy::unwrap_used)]

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use warren_test_netns::Lan;

const SHORT: Duration = Duration::from_millis(300);
const LONG: Duration = Duration::from_secs(10);

/// What reads within this time.
fn read(socket: &mut TcpStream, limit: Duration) -> Result<u8, ErrorKind> {
    socket.set_read_timeout(Some(limit)).unwrap();
    let mut byte = [0];
    socket.read_exact(&mut byte).map(|()| byte[0]).map_err(|error| error.kind())
}

#[test]
fn a_pulled_cable_is_silence_and_no_error() {
    let lan = Lan::new().unwrap();
    let host = lan.host().unwrap();
    let server = TcpListener::bind((lan.addr(), 0)).unwrap();
    let at = server.local_addr().unwrap();
    let mut inside = host.run(|| TcpStream::connect(at).unwrap()).unwrap();
    assert_eq!(inside.local_addr().unwrap().ip(), host.addr());
    let (mut outside, _) = server.accept().unwrap();
    inside.write_all(b"1").unwrap();
    assert_eq!(read(&mut outside, LONG), Ok(b'1'));
    // The other way round, and between hosts.
    let other = lan.host().unwrap();
    let listening = host.run(|| TcpListener::bind((host.addr(), 0)).unwrap()).unwrap();
    let there = listening.local_addr().unwrap();
    TcpStream::connect(there).unwrap();
    other.run(|| TcpStream::connect(there).unwrap()).unwrap();

    host.unplug().unwrap();
    inside.write_all(b"2").unwrap();
    outside.write_all(b"3").unwrap();
    assert_eq!(read(&mut outside, SHORT), Err(ErrorKind::WouldBlock), "neither the byte nor an end");
    assert_eq!(read(&mut inside, SHORT), Err(ErrorKind::WouldBlock));
    let tried = TcpStream::connect_timeout(&there, SHORT).map(drop).map_err(|error| error.kind());
    assert_eq!(tried, Err(ErrorKind::TimedOut), "nobody says that it is not there");
    let tried = host.run(|| TcpStream::connect_timeout(&at, SHORT).map(drop).map_err(|error| error.kind())).unwrap();
    assert_eq!(tried, Err(ErrorKind::TimedOut));
    other.run(|| TcpStream::connect(at).unwrap()).unwrap();

    host.plug().unwrap();
    assert_eq!(read(&mut outside, LONG), Ok(b'2'), "TCP goes on where it was");
    assert_eq!(read(&mut inside, LONG), Ok(b'3'));
}

#[test]
fn nothing_is_left() {
    let lan = Lan::new().unwrap();
    let number = lan.addr().octets();
    let number = u16::from(number[1] - 18) << 8 | u16::from(number[2]);
    let host = lan.host().unwrap();
    let (_, [namespace, _]) = host.prefix();
    let namespace = PathBuf::from(namespace.to_str().unwrap().trim_start_matches("--net="));
    let device = |name: String| Path::new("/sys/class/net").join(name);
    let all = [namespace, device(format!("warren{number}")), device(format!("warren{number}-0"))];
    assert!(all.iter().all(|path| path.exists()), "{all:?}");
    assert!(host.command("true").status().unwrap().success());
    drop(lan);
    assert!(all.iter().all(|path| path.exists()), "its host is still used");
    drop(host);
    assert!(!all.iter().any(|path| path.exists()), "{all:?}");
}

/// Is started by the next test as a process of its own.
#[test]
#[ignore = "the child of nothing_is_left_of_a_process_that_was_killed"]
fn is_killed() {
    let lan = Lan::new().unwrap();
    let _host = lan.host().unwrap();
    println!("ready {}", lan.addr());
    thread::sleep(Duration::from_mins(1));
}

#[test]
fn nothing_is_left_of_a_process_that_was_killed() {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "is_killed", "--nocapture"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = child.stdout.take().unwrap();
    let mut text = String::new();
    while !text.contains("ready ") || !text.ends_with('\n') {
        let mut byte = [0];
        said.read_exact(&mut byte).unwrap();
        text.push(char::from(byte[0]));
    }
    let mine = format!("warren-{}-", child.id());
    let left = || {
        let names = std::fs::read_dir("/run/netns").unwrap().flatten();
        let links = String::from_utf8(Command::new("ip").args(["addr", "show"]).output().unwrap().stdout).unwrap();
        let addr = text.split("ready ").nth(1).unwrap().trim();
        (
            names.filter(|name| name.file_name().to_string_lossy().starts_with(&mine)).count(),
            links.contains(&format!("{addr}/24")),
        )
    };
    assert_eq!(left(), (1, true));
    child.kill().unwrap();
    child.wait().unwrap();
    let end = Instant::now() + LONG;
    while left() != (0, false) {
        assert!(Instant::now() < end, "{:?} is left", left());
        thread::sleep(Duration::from_millis(20));
    }
}
