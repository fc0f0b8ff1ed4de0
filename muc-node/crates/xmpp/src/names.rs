//! Namespace scopes (Namespaces in XML 1.0).

use std::ops::Range;

use crate::codec::StreamFault;
use crate::error::StreamCondition;
use crate::ns;
use crate::xml::not_well_formed;

/// A namespace in force, as a position: comparing two of them seldom compares text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ns {
    /// No namespace.
    Empty,
    /// That of the prefix `xml`.
    Xml,
    /// The one declared by this binding.
    At(usize),
}

struct Binding {
    /// The level of the element that has the declaration.
    depth: usize,
    /// `None` for the default namespace.
    prefix: Option<Range<usize>>,
    ns: Range<usize>,
}

/// The declarations in force.
#[derive(Default)]
pub(crate) struct Scopes {
    /// Their prefixes and names.
    text: String,
    bindings: Vec<Binding>,
}

impl Scopes {
    /// The number of declarations in force.
    pub fn len(&self) -> usize {
        self.bindings.len()
    }

    /// Adds a declaration on the element at level `depth`. `prefix` is `None` for the default
    /// namespace.
    pub fn declare(&mut self, depth: usize, prefix: Option<&str>, ns: &str) -> Result<(), StreamFault> {
        if self.bindings.iter().rev().take_while(|b| b.depth == depth).any(|b| self.prefix_of(b) == prefix) {
            return Err(not_well_formed("duplicate attribute"));
        }
        // Namespaces in XML 1.0 section 3. The name that belongs to `xml` is let pass with other
        // prefixes, too: Prosody writes that for what its users send.
        let reserved = match prefix {
            Some("xmlns") => true,
            Some("xml") => ns != ns::XML,
            Some(_) => ns.is_empty(),
            None => false,
        };
        if reserved || ns == ns::XMLNS {
            return Err(StreamFault::new(StreamCondition::BadNamespacePrefix, "a reserved prefix or namespace"));
        }
        let prefix = prefix.map(|prefix| self.part(prefix));
        let ns = self.part(ns);
        self.bindings.push(Binding { depth, prefix, ns });
        Ok(())
    }

    fn part(&mut self, part: &str) -> Range<usize> {
        let from = self.text.len();
        self.text.push_str(part);
        from..self.text.len()
    }

    fn prefix_of(&self, binding: &Binding) -> Option<&str> {
        binding.prefix.as_ref().map(|part| self.text.get(part.clone()).unwrap_or_default())
    }

    /// Forgets the declarations of elements at `depth` and below.
    pub fn leave(&mut self, depth: usize) {
        while let Some(binding) = self.bindings.pop_if(|b| b.depth >= depth) {
            self.text.truncate(binding.prefix.map_or(binding.ns.start, |prefix| prefix.start));
        }
    }

    /// The namespace of an element with this prefix, or of an attribute if there is a prefix.
    pub fn resolve(&self, prefix: Option<&str>) -> Result<Ns, StreamFault> {
        let at = self.bindings.iter().rposition(|b| self.prefix_of(b) == prefix);
        match (at, prefix) {
            (Some(at), _) if self.name(Ns::At(at)) == ns::XML => Ok(Ns::Xml),
            (Some(at), _) => Ok(Ns::At(at)),
            (None, None) => Ok(Ns::Empty),
            (None, Some("xml")) => Ok(Ns::Xml),
            (None, Some(prefix)) => Err(StreamFault::new(
                StreamCondition::BadNamespacePrefix,
                format!("the prefix {} is not declared", prefix.chars().take(32).collect::<String>()),
            )),
        }
    }

    /// Its name.
    pub fn name(&self, ns: Ns) -> &str {
        match ns {
            Ns::Empty => "",
            Ns::Xml => ns::XML,
            Ns::At(at) => self.bindings.get(at).and_then(|b| self.text.get(b.ns.clone())).unwrap_or_default(),
        }
    }

    /// Whether two are the same.
    pub fn same(&self, a: Ns, b: Ns) -> bool {
        a == b || self.name(a) == self.name(b)
    }
}
