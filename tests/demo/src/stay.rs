//! How a person joins.

use std::fmt::Write as _;

use anyhow::Result;
use warren_testkit::{
    node::{Node, binary},
    peers::{Site, World, world::PASSWORD},
};

/// A free account at each site, by [`Site`].
const GUESTS: [&str; 2] = ["dodo", "yorick"];

/// Makes an account for a guest at each site and says how to use them.
///
/// # Errors
/// When an account cannot be made.
pub async fn invitation(world: &World, nodes: &[Node; 2]) -> Result<String> {
    let mut text = String::from("Everything stays up until Ctrl-C. Join with any XMPP client:\n\n");
    let _ = writeln!(text, "  {:22}{:10}{:30}room", "account", "password", "server and port, set by hand");
    let muc_node = binary()?;
    let mut examples = String::new();
    let mut shells = String::new();
    for (node, name) in nodes.iter().zip(GUESTS) {
        let account = world.account(node.site(), name).await?;
        let (addr, room) = (world.c2s(node.site()), node.room());
        let server = format!("{} {}", addr.ip(), addr.port());
        let _ = writeln!(text, "  {account:22}{PASSWORD:10}{server:30}{room}");
        if node.site() == Site::Wonderland {
            let _ = write!(
                examples,
                "  /connect {account} server {} port {} tls trust\n  /join {room} nick {name}\n",
                addr.ip(),
                addr.port()
            );
        }
        let _ = writeln!(shells, "  {muc_node} log {room} --store sqlite:{}", node.store().display());
        let _ = writeln!(shells, "  http://{}/metrics", node.admin());
    }
    let certificates = world.ca().map(|ca| ca.path().display().to_string()).unwrap_or_default();
    let _ = write!(
        text,
        "\nThe servers' certificates are of a CA made for this run; let the client accept them, or trust\n  {certificates}\n\
         \nIn profanity, for example:\n{examples}\
         \nWhat is said in the room appears here too. To look at the sites:\n{shells}"
    );
    Ok(text)
}
