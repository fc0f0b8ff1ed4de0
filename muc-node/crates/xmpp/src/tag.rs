//! A start tag while it is read, in buffers that are used again.

use std::ops::Range;

use crate::xml::Name;

/// An attribute that is no namespace declaration.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attr<'a> {
    pub prefix: Option<&'a str>,
    pub name: &'a str,
    pub value: &'a str,
}

/// Where a part of the tag stands in its text.
type Part = Range<usize>;

/// A start tag.
#[derive(Debug, Default)]
pub(crate) struct Tag {
    text: String,
    prefix: Option<Part>,
    name: Part,
    attrs: Vec<(Option<Part>, Part, Part)>,
    /// Namespace declarations on it, which are kept elsewhere.
    pub declarations: usize,
}

impl Tag {
    /// Begins a new one.
    pub fn open(&mut self, name: Name<'_>) {
        self.text.clear();
        self.attrs.clear();
        self.declarations = 0;
        self.prefix = name.prefix.map(|prefix| self.part(prefix));
        self.name = self.part(name.local);
    }

    /// Adds an attribute.
    pub fn push(&mut self, name: Name<'_>, value: &str) {
        let prefix = name.prefix.map(|prefix| self.part(prefix));
        let attr = (prefix, self.part(name.local), self.part(value));
        self.attrs.push(attr);
    }

    fn part(&mut self, part: &str) -> Part {
        let from = self.text.len();
        self.text.push_str(part);
        from..self.text.len()
    }

    fn at(&self, part: &Part) -> &str {
        self.text.get(part.clone()).unwrap_or_default()
    }

    /// Its local name.
    pub fn name(&self) -> &str {
        self.at(&self.name)
    }

    /// Its prefix.
    pub fn prefix(&self) -> Option<&str> {
        self.prefix.as_ref().map(|part| self.at(part))
    }

    /// The number of attributes.
    pub fn len(&self) -> usize {
        self.attrs.len()
    }

    /// The attributes in order.
    pub fn attrs(&self) -> impl Iterator<Item = Attr<'_>> + Clone {
        self.attrs.iter().map(|(prefix, name, value)| Attr {
            prefix: prefix.as_ref().map(|part| self.at(part)),
            name: self.at(name),
            value: self.at(value),
        })
    }

    /// Gives back what one large tag took.
    pub fn shrink(&mut self) {
        const KEPT: usize = 4 * 1024;
        self.text.clear();
        self.text.shrink_to(KEPT);
        self.attrs.clear();
        self.attrs.shrink_to(KEPT / size_of::<(Option<Part>, Part, Part)>());
    }
}
