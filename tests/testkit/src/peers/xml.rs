//! XML for tests: a reader of streams that owes nothing to Warren's codec, and what tests look for in stanzas.

use anyhow::{Context, Result, anyhow, ensure};
use minidom::Element;
use rxml::{Event, Parse, Parser, error::EndOrError};

/// Elements nested deeper than this are an error to the reader: `minidom` drops them by recursion.
pub const MAX_DEPTH: usize = 2_000;

/// What came on a stream.
#[derive(Debug)]
pub enum Incoming {
    /// The stream header, as an element without children.
    Header(Element),
    /// A whole child of the stream.
    Stanza(Element),
    /// The end of the stream.
    End,
}

/// Reads a stream that arrives in pieces.
#[derive(Debug, Default)]
pub struct StreamReader {
    parser: Parser,
    depth: usize,
    stack: Vec<Element>,
}

impl StreamReader {
    /// Takes the next bytes and returns what they completed.
    ///
    /// # Errors
    /// When it is not well-formed, or nested deeper than [`MAX_DEPTH`].
    pub fn feed(&mut self, mut bytes: &[u8]) -> Result<Vec<Incoming>> {
        let mut complete = Vec::new();
        loop {
            let event = match self.parser.parse(&mut bytes, false) {
                Ok(Some(event)) => event,
                Ok(None) | Err(EndOrError::NeedMoreData) => return Ok(complete),
                Err(EndOrError::Error(error)) => return Err(anyhow!("not well-formed: {error}")),
            };
            match event {
                Event::XmlDeclaration(..) => {}
                Event::StartElement(_, (ns, name), attrs) => {
                    let mut element = Element::builder(name.as_str(), ns.as_str()).build();
                    *element.attrs_mut() = attrs;
                    if self.depth == 0 {
                        complete.push(Incoming::Header(element));
                    } else {
                        self.stack.push(element);
                    }
                    self.depth += 1;
                    ensure!(self.depth <= MAX_DEPTH, "nested deeper than {MAX_DEPTH} levels");
                }
                Event::Text(_, text) => {
                    if let Some(top) = self.stack.last_mut() {
                        top.append_text(text);
                    }
                }
                Event::EndElement(_) => {
                    self.depth -= 1;
                    match (self.stack.pop(), self.stack.last_mut()) {
                        (Some(child), Some(parent)) => {
                            parent.append_child(child);
                        }
                        (Some(stanza), None) => complete.push(Incoming::Stanza(stanza)),
                        (None, _) => complete.push(Incoming::End),
                    }
                }
            }
        }
    }
}

/// Parses one stanza; without an `xmlns` it is in `jabber:client`.
///
/// # Errors
/// When it is not well-formed.
pub fn element(xml: &str) -> Result<Element> {
    Element::from_reader_with_prefixes(xml.as_bytes(), Some("jabber:client".to_owned()))
        .with_context(|| format!("not well-formed: {xml}"))
}

/// The error of a stanza of type `error`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StanzaError {
    /// `cancel`, `wait` …
    pub kind: String,
    /// The defined condition, as `service-unavailable`.
    pub condition: String,
    /// Who made it, if it says so.
    pub by: Option<String>,
    /// The human text.
    pub text: Option<String>,
    /// Names of application-specific conditions.
    pub extra: Vec<String>,
}

/// Reads the error of a stanza, in any content namespace. `None` for a stanza that is no error.
pub fn error_of(stanza: &Element) -> Option<StanzaError> {
    const NS: &str = "urn:ietf:params:xml:ns:xmpp-stanzas";
    if stanza.attr("type") != Some("error") {
        return None;
    }
    let error = stanza.children().find(|child| child.name() == "error")?;
    let defined = |child: &&Element| child.has_ns(NS) && child.name() != "text";
    Some(StanzaError {
        kind: error.attr("type").unwrap_or_default().to_owned(),
        condition: error.children().find(defined).map(|child| child.name().to_owned()).unwrap_or_default(),
        by: error.attr("by").map(str::to_owned),
        text: error.children().find(|child| child.is("text", NS)).map(Element::text),
        extra: error.children().filter(|child| !child.has_ns(NS)).map(|child| child.name().to_owned()).collect(),
    })
}

/// The `<body/>` of a message that is no error, in any content namespace.
pub fn body_of(stanza: &Element) -> Option<String> {
    if stanza.name() != "message" || stanza.attr("type") == Some("error") {
        return None;
    }
    stanza.children().find(|child| child.name() == "body").map(Element::text)
}
