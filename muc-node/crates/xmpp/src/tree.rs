//! Canonical bytes as a tree of `minidom`.

use minidom::Element;
use minidom::rxml::{Namespace, NcName};

use crate::escape::unescape;
use crate::limits::Limits;
use crate::ns;
use crate::walk::{Step, Tag, Walk};

/// The first element of `bytes`. An empty one of no name if there is none.
pub(crate) fn element(bytes: &[u8]) -> Element {
    // Not recursive: the depth of what comes here is bounded, but not by the type.
    let mut open: Vec<Element> = Vec::new();
    let mut skipped = 0_usize;
    for step in Walk::new(bytes) {
        match step {
            Step::Start { .. } if open.len() > Limits::MAX_DEPTH => skipped += 1,
            Step::Start { tag, .. } => {
                let namespace = match (tag.xmlns(), open.last()) {
                    (Some(own), _) => unescape(own).into_owned(),
                    (None, Some(parent)) => parent.ns(),
                    (None, None) => ns::CLIENT.to_owned(),
                };
                let mut element = Element::bare(tag.name, namespace);
                set_attrs(&mut element, tag);
                open.push(element);
            }
            Step::Text(text) => {
                if let (Some(element), 0) = (open.last_mut(), skipped) {
                    element.append_text(unescape(text));
                }
            }
            Step::End { .. } if skipped > 0 => skipped -= 1,
            Step::End { .. } => match (open.pop(), open.last_mut()) {
                (Some(element), Some(parent)) => {
                    parent.append_child(element);
                }
                (Some(element), None) => return element,
                (None, _) => break,
            },
        }
    }
    Element::bare("", "")
}

fn set_attrs(element: &mut Element, tag: Tag<'_>) {
    let mut prefixes: Vec<(&str, Namespace<'static>)> = Vec::new();
    for (name, value) in tag.attrs() {
        let value = unescape(value).into_owned();
        let (namespace, local) = match name.split_once(':') {
            None if name == "xmlns" => continue,
            None => (Namespace::none().clone(), name),
            Some(("xmlns", prefix)) => {
                prefixes.push((prefix, Namespace::from(value)));
                continue;
            }
            Some(("xml", local)) => (Namespace::xml().clone(), local),
            Some((prefix, local)) => match prefixes.iter().find(|(known, _)| *known == prefix) {
                Some((_, namespace)) => (namespace.clone(), local),
                None => continue,
            },
        };
        if let Ok(local) = NcName::try_from(local) {
            element.set_attr(namespace, local, value);
        }
    }
}
