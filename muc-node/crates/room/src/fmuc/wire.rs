//! The `fmuc` element: XEP-0289's own content, and ours inside it (`fmuc.md` 6.1, 6.10), which a plain
//! node strips before anybody sees it.

use jid::{BareJid, Jid};
use warren_model::{Affiliation, Birth, Role, UnixMs};
use warren_xmpp::{ChildRef, Content, El, ns};

/// What a `fmuc` element says.
#[expect(clippy::struct_excessive_bools, reason = "each is the presence of one child")]
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Fmuc {
    /// Real JID of the user the stanza is about.
    pub from: Option<Jid>,
    pub reject: bool,
    pub left: bool,
    /// The id of this stanza in the sender's log.
    pub id: Option<Box<str>>,
    /// The id of the stanza before it on this peering.
    pub p: Option<Box<str>>,
    /// The last id that the sender has processed from us.
    pub h: Option<Box<str>>,
    /// When the message was made, as its origin says.
    pub t: Option<UnixMs>,
    /// The sender's birth.
    pub session: Option<Birth>,
    /// A Warren node joins.
    pub peering: bool,
    pub resumed: Option<Resumed>,
    pub resync: bool,
    pub synced: bool,
    /// User of its join whom the sender confirms with `synced`.
    pub with: Option<Jid>,
    /// About a user of the receiver.
    pub echo: bool,
    /// Nobody is on the joining side any more.
    pub gone: bool,
}

/// The answer to a join of a Warren node.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Resumed {
    pub session: Option<Birth>,
    /// The last id it has processed from us, if it knows us.
    pub h: Option<Box<str>>,
    /// Our last id of its, from which it continues; absent: it starts over.
    pub p: Option<Box<str>>,
}

impl Fmuc {
    /// Reads the element; of several the first counts.
    pub fn read(content: &Content) -> Option<Self> {
        let fmuc = content.find("fmuc", ns::FMUC)?;
        let mut read = Self { from: fmuc.attr("from").and_then(|jid| Jid::new(&jid).ok()), ..Self::default() };
        for child in fmuc.children().iter() {
            let text = |name: &str| child.attr(name).map(|value| Box::from(value.as_ref()));
            match (child.name, child.ns) {
                ("reject", ns::FMUC) => read.reject = true,
                ("left", ns::FMUC) => read.left = true,
                ("presence-session", ns::PRESENCE_SESSION) => {
                    read.id = text("id");
                    read.session = birth(&child).or(read.session);
                }
                ("s", ns::WARREN_FMUC) => {
                    read.p = text("p");
                    read.h = text("h");
                    read.t = child.attr("t").and_then(|t| t.parse().ok());
                    read.session = birth(&child).or(read.session);
                }
                ("peering", ns::WARREN_FMUC) => read.peering = true,
                ("resumed", ns::WARREN_FMUC) => {
                    read.resumed = Some(Resumed { session: birth(&child), h: text("h"), p: text("p") });
                }
                ("resync", ns::WARREN_FMUC) => read.resync = true,
                ("synced", ns::WARREN_FMUC) => {
                    read.synced = true;
                    read.with = child.attr("with").and_then(|jid| Jid::new(&jid).ok());
                }
                ("gone", ns::WARREN_FMUC) => read.gone = true,
                ("echo", ns::WARREN_FMUC) => read.echo = true,
                // Whatever a later version adds is not for us.
                _ => {}
            }
        }
        Some(read)
    }
}

fn birth(child: &ChildRef<'_>) -> Option<Birth> {
    child.attr("session").and_then(|value| value.parse().ok())
}

/// An `fmuc` element about a user.
pub(super) fn about(user: &Jid) -> El {
    El::ns("fmuc", ns::FMUC).attr("from", user.as_str())
}

/// An `fmuc` element without a user.
pub(super) fn control() -> El {
    El::ns("fmuc", ns::FMUC)
}

/// XEP-0311's annotation on the peering: which life of the room, which row.
pub(super) fn session(birth: Birth, id: Option<&str>) -> El {
    El::ns("presence-session", ns::PRESENCE_SESSION).attr("session", birth.to_string()).attr_opt("id", id)
}

/// The `<item/>` that a stanza between nodes carries.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Standing {
    pub affiliation: Affiliation,
    pub role: Role,
}

/// Reads role and affiliation as the peer shows them; what is absent is plain.
pub(super) fn standing(content: &Content) -> Standing {
    let Some(x) = content.find("x", ns::MUC_USER) else { return Standing::default() };
    let children = x.children();
    let Some(item) = children.find("item", ns::MUC_USER) else { return Standing::default() };
    Standing {
        affiliation: item.attr("affiliation").and_then(|a| Affiliation::parse(&a)).unwrap_or_default(),
        role: item.attr("role").and_then(|r| Role::parse(&r)).unwrap_or_default(),
    }
}

/// Status codes of a presence between nodes.
pub(super) fn codes(content: &Content) -> Vec<u16> {
    let Some(x) = content.find("x", ns::MUC_USER) else { return Vec::new() };
    x.children().iter().filter(|c| c.name == "status").filter_map(|c| c.attr("code")?.parse().ok()).collect()
}

/// `nick`, `reason` and `actor/@nick` of the item of a presence between nodes.
pub(super) fn item_words(content: &Content) -> (Option<String>, Option<String>, Option<String>) {
    let Some(x) = content.find("x", ns::MUC_USER) else { return (None, None, None) };
    let children = x.children();
    let Some(item) = children.find("item", ns::MUC_USER) else { return (None, None, None) };
    let inner = item.children();
    let reason = inner.iter().find(|c| c.name == "reason").map(|c| c.text());
    let actor = inner.iter().find(|c| c.name == "actor").and_then(|c| c.attr("nick").map(Into::into));
    (item.attr("nick").map(Into::into), reason, actor)
}

/// The stanza-id of a stanza between nodes: who gave it, and the id. Of several the one that names the peer
/// counts, else the last: nodes write theirs behind what came from elsewhere.
pub(super) fn stanza_id(content: &Content, peer: &BareJid) -> Option<(BareJid, Box<str>)> {
    let all = content.iter().filter(|child| child.is("stanza-id", ns::SID)).filter_map(|child| {
        let by = BareJid::new(&child.attr("by")?).ok()?;
        let id: Box<str> = child.attr("id")?.as_ref().into();
        (!id.is_empty() && id.len() <= 256).then_some((by, id))
    });
    let mut last = None;
    for (by, id) in all {
        if by == *peer {
            return Some((by, id));
        }
        last = Some((by, id));
    }
    last
}

/// The stamp of a delayed stanza, in the form of XEP-0203 or as XEP-0289's listings have it.
pub(super) fn delayed(content: &Content) -> Option<UnixMs> {
    content
        .iter()
        .filter(|child| {
            (child.ns == ns::DELAY && matches!(child.name, "delay" | "x")) || child.is("x", ns::LEGACY_DELAY)
        })
        .find_map(|child| child.attr("stamp")?.parse().ok())
}
