//! What the commands print. `WARREN_GOLDEN=1 cargo test -p warren-muc-node` writes the golden files anew.

use std::fmt::Write as _;
use std::path::Path;

use warren_testkit::acceptor::Acceptor;

use crate::common::{ALICE, PATIENCE, ROOM, SECRET, Site, groupchat, run};

fn golden(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/node/golden").join(name);
    if std::env::var_os("WARREN_GOLDEN").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(expected == text, "{name} differs; if that is meant, set WARREN_GOLDEN=1\n--- now:\n{text}");
}

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[tokio::test]
async fn help() {
    let mut text = String::new();
    for args in [&["--help"][..], &["serve", "--help"], &["check", "--help"], &["log", "--help"]] {
        let said = run(args, here()).await;
        assert_eq!((said.code, said.err.as_str()), (0, ""));
        let _ = writeln!(text, "$ muc-node {}\n{}", args.join(" "), said.out);
    }
    golden("help.txt", &text);
}

#[tokio::test]
async fn a_wrong_command_line_is_2() {
    for args in
        [&["serve"][..], &["serve", "--store", "rooms.db"], &["log", "no room", "--store", "sqlite:x"], &["srve"]]
    {
        let said = run(args, here()).await;
        assert_eq!(said.code, 2, "{args:?}: {}", said.err);
        assert!(said.err.contains("error:"), "{}", said.err);
    }
}

#[tokio::test]
async fn check_says_what_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let broken = here().join("../crds/tests/broken");
    std::fs::create_dir(dir.path().join("broken")).unwrap();
    for file in ["a-service.yaml", "b-peers.yml", "c-rooms.yaml", "d-kinds.json", "e-syntax.yaml"] {
        std::fs::copy(broken.join(file), dir.path().join("broken").join(file)).unwrap();
    }
    let said = run(&["check", "broken"], dir.path()).await;
    assert_eq!((said.code, said.err.as_str()), (1, ""));
    golden("check.txt", &said.out);
}

#[tokio::test]
async fn check_finds_the_examples_right() {
    let examples = here().join("../examples");
    for (dir, says) in [
        ("minimal", "rooms.example.org with 1 rooms and 0 peers"),
        ("demo/wonderland", "rooms.wonderland.lit with 1 rooms and 1 peers"),
        ("demo/denmark", "talk.denmark.lit with 1 rooms and 1 peers"),
    ] {
        let said = run(&["check", dir], &examples).await;
        assert!(said.code == 0 && said.out.contains(says), "{}{}", said.out, said.err);
    }
}

#[tokio::test]
async fn log_prints_what_a_room_knows() {
    let acceptor = Acceptor::bind(SECRET).await.unwrap();
    let site = Site::of(&acceptor);
    let node = site.serve();
    let mut link = acceptor.accept(PATIENCE).await.unwrap();
    link.join(ALICE, &format!("{ROOM}/Alice"), PATIENCE).await.unwrap();
    link.send(groupchat(ALICE, ROOM, "m1", "one\nline")).await.unwrap();
    let shown = link.expect("reflection", PATIENCE, |s| s.attr("id") == Some("m1")).await.unwrap();
    let sid = shown.get_child("stanza-id", "urn:xmpp:sid:0").expect("a stanza-id").attr("id").unwrap().to_owned();

    // The node runs: reading needs no lock.
    let text = run(&["log", ROOM, "--store", &site.store()], here()).await;
    assert_eq!(text.code, 0, "{}", text.err);
    let line = text.out.lines().find(|line| line.contains("message")).expect("a message");
    assert!(line.contains("Alice: one\\nline") && line.contains(&format!("jid={ALICE}")), "{line}");
    assert!(line.ends_with(&format!("id={sid}")), "the id on the wire: {line}");

    let json = run(&["log", ROOM, "--store", &site.store(), "--format", "json"], here()).await;
    let rows: Vec<serde_json::Value> = json.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let message = rows.iter().find(|row| row["kind"] == "message").expect("a message");
    assert_eq!((&message["body"], &message["client_id"]), (&"one\nline".into(), &"m1".into()));
    assert_eq!(message["id"], sid.as_str());
    assert!(rows.iter().any(|row| row["kind"] == "join" && row["nick"] == "Alice" && row["affiliation"] == "owner"));
    let after = message["seq"].to_string();
    let rest = run(&["log", ROOM, "--store", &site.store(), "--after", &after], here()).await;
    assert_eq!((rest.code, rest.out.as_str()), (0, ""));

    let none = run(&["log", "attic@rooms.wonderland.lit", "--store", &site.store()], here()).await;
    assert!(none.code == 1 && none.err.contains("there is no room attic@rooms.wonderland.lit"), "{}", none.err);
    let none = run(&["log", ROOM, "--store", "sqlite:/no/such/file"], here()).await;
    assert!(none.code == 1 && none.err.contains("there is no store"), "{}", none.err);
    node.kill().await;
    let text = run(&["log", ROOM, "--store", &site.store()], here()).await;
    assert!(text.code == 0 && text.out.contains("one\\nline"), "after a kill: {}", text.err);
}
