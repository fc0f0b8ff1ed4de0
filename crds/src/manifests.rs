//! Reads a directory of manifests as kubectl does, without Kubernetes, and says what is wrong by file, document and line.
//!
//! Files `*.yaml`, `*.yml` and `*.json` directly in the directory are read in the order of their names; a file may hold
//! several documents, a byte order mark and `kind: List`. Documents are the three kinds and `v1/Secret`; other objects
//! of other groups get a warning. Nothing is built unless everything is right.

mod document;
mod node;
mod schema;
mod split;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use warren_model::Object;

use crate::problem::{Problem, Reason, Resource};
use crate::validate::{Declared, for_kubernetes, name, namespace, validate_site};
use node::{Node, Place};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Nothing is applied.
    Error,
    /// Something is not read.
    Warning,
}

/// One line of the report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// The file, or the directory if it is the directory that is wrong.
    pub file: PathBuf,
    /// Which document of the file, counted from 1; documents of comments alone do not count.
    pub document: Option<usize>,
    /// Line of the file, counted from 1.
    pub line: Option<usize>,
    /// Column of the line, counted from 1.
    pub column: Option<usize>,
    /// The object, if that can be told.
    pub resource: Option<Resource>,
    /// The field, such as `spec.federation.uplink.candidates[0].peer`; empty: the whole.
    pub field: String,
    /// What kind of thing.
    pub reason: Reason,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub remedy: String,
}

impl fmt::Display for Diagnostic {
    /// Two lines: `file:line:column: error: document n: object: field: what (Reason)` and the remedy.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        for number in [self.line, self.column].into_iter().flatten() {
            write!(f, "{number}:")?;
        }
        f.write_str(match self.severity {
            Severity::Error => " error: ",
            Severity::Warning => " warning: ",
        })?;
        if let Some(document) = self.document {
            write!(f, "document {document}: ")?;
        }
        if let Some(resource) = &self.resource {
            write!(f, "{resource}: ")?;
        }
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        write!(f, "{} ({})\n  help: {}", self.message, self.reason, self.remedy)
    }
}

/// What a directory holds.
#[derive(Debug, Default)]
pub struct Manifests {
    /// Everything that could be read.
    pub declared: Declared,
    /// What is wrong, by file and line.
    pub diagnostics: Vec<Diagnostic>,
    /// What `build` makes of what is right, with generation 1 (see `control::renumber`).
    objects: Vec<Object>,
}

impl Manifests {
    /// Whether nothing is wrong; warnings do not count.
    pub fn is_ok(&self) -> bool {
        self.diagnostics.iter().all(|d| d.severity != Severity::Error)
    }

    /// The objects to apply, or, if anything at all is wrong, everything that is.
    pub fn into_objects(self) -> Result<Vec<Object>, Vec<Diagnostic>> {
        if self.is_ok() { Ok(self.objects) } else { Err(self.diagnostics) }
    }
}

/// Reads a directory, or one file. Never fails: what cannot be read is a diagnostic.
pub fn read(path: &Path) -> Manifests {
    let mut unreadable = Vec::new();
    let files = match list(path) {
        Ok(files) => files,
        Err(e) => {
            unreadable.push(unreadable_file(
                path,
                format!("cannot be read: {e}"),
                "check the path and its permissions",
            ));
            Vec::new()
        }
    };
    if files.is_empty() && unreadable.is_empty() {
        let remedy = "put files *.yaml, *.yml or *.json directly into it; subdirectories are not read";
        unreadable.push(unreadable_file(path, "holds no manifests".to_owned(), remedy));
    }
    let mut texts = Vec::new();
    for file in files {
        match std::fs::read(&file) {
            Ok(bytes) => texts.push((file, bytes)),
            Err(e) => {
                unreadable.push(unreadable_file(
                    &file,
                    format!("cannot be read: {e}"),
                    "check the file and its permissions",
                ));
            }
        }
    }
    let mut manifests = parse(&texts);
    manifests.diagnostics.extend(unreadable);
    sort(&mut manifests.diagnostics);
    manifests
}

/// The files that kubectl would read, sorted.
fn list(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    if !std::fs::metadata(path)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path)? {
        let file = entry?.path();
        let known = file.extension().is_some_and(|e| e == "yaml" || e == "yml" || e == "json");
        // Mounted ConfigMaps and Secrets are links to files; a link to nowhere is reported when it is read.
        if known && !file.is_dir() {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

fn unreadable_file(file: &Path, message: String, remedy: &str) -> Diagnostic {
    Diagnostic {
        severity: Severity::Error,
        file: file.to_owned(),
        document: None,
        line: None,
        column: None,
        resource: None,
        field: String::new(),
        reason: Reason::UnreadableManifest,
        message,
        remedy: remedy.to_owned(),
    }
}

/// Where an object stands.
struct Source<'a> {
    file: &'a Path,
    document: usize,
    node: Node,
}

/// The same from texts: file names, used in the report only, and contents.
pub fn parse(files: &[(PathBuf, Vec<u8>)]) -> Manifests {
    let mut manifests = Manifests::default();
    let mut sources: BTreeMap<Resource, Source<'_>> = BTreeMap::new();
    let mut faulty = BTreeSet::new();
    let schemas = document::Schemas::new();
    for (file, bytes) in files {
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(e) => {
                let line = bytes[..e.valid_up_to()].split(|b| *b == b'\n').count();
                let mut wrong = unreadable_file(file, "is not UTF-8 text".to_owned(), "save it as UTF-8");
                wrong.line = Some(line);
                manifests.diagnostics.push(wrong);
                continue;
            }
        };
        for (at, piece) in split::documents(text).into_iter().enumerate() {
            let number = at + 1;
            let mut tree = match Node::parse(&piece.text) {
                Ok(Some(tree)) => tree,
                Ok(None) => continue,
                Err(e) => {
                    let mut wrong = unreadable_file(file, e.message, "correct the YAML there or just above");
                    wrong.document = Some(number);
                    wrong.line = e.place.map(|p| p.line + piece.before);
                    wrong.column = e.place.map(|p| p.column);
                    manifests.diagnostics.push(wrong);
                    continue;
                }
            };
            tree.shift(piece.before);
            for node in document::objects(tree) {
                let resource = document::identify(&node);
                let named = resource.clone().filter(|r| !r.name.is_empty());
                let first = named.as_ref().and_then(|r| sources.get(r));
                // A second object of one name is looked at, and does not count.
                let mut aside = Declared::default();
                let into = if first.is_some() { &mut aside } else { &mut manifests.declared };
                let mut faults = document::read(&node, &schemas, into);
                match (first, named) {
                    (Some(first), _) => faults.push(twice(&node, first)),
                    (None, Some(named)) => {
                        sources.insert(named, Source { file, document: number, node });
                    }
                    (None, None) => {}
                }
                if faults.iter().any(|f| f.reason != Reason::NotRead) {
                    faulty.extend(resource.clone());
                }
                manifests.diagnostics.extend(faults.into_iter().map(|fault| Diagnostic {
                    severity: if fault.reason == Reason::NotRead { Severity::Warning } else { Severity::Error },
                    file: file.clone(),
                    document: Some(number),
                    line: Some(fault.place.line),
                    column: Some(fault.place.column),
                    resource: resource.clone(),
                    field: fault.field,
                    reason: fault.reason,
                    message: fault.message,
                    remedy: fault.remedy,
                }));
            }
        }
    }
    finish(&mut manifests, &sources, &faulty);
    manifests
}

fn twice(node: &Node, first: &Source<'_>) -> schema::Fault {
    schema::Fault {
        place: node.locate("metadata.name"),
        field: "metadata.name".to_owned(),
        reason: Reason::DuplicateObject,
        message: format!(
            "the object is also in {}, document {}, line {}",
            first.file.display(),
            first.document,
            first.node.locate("metadata.name").line
        ),
        remedy: "delete one of them, or give it another name".to_owned(),
    }
}

/// Validates, builds, and adds what is wrong with its places.
fn finish(manifests: &mut Manifests, sources: &BTreeMap<Resource, Source<'_>>, faulty: &BTreeSet<Resource>) {
    let validated = validate_site(&manifests.declared);
    let refused: BTreeSet<_> = validated.problems.iter().map(|p| p.resource.clone()).collect();
    let named = |r: &Resource| {
        let like =
            |o: &Resource| o.kind == r.kind && o.namespace == r.namespace && (r.name.is_empty() || o.name == r.name);
        refused.contains(r) || faulty.iter().any(like)
    };
    let mut diagnostics = Vec::new();
    for problem in &validated.problems {
        // What is wrong with the object that is referred to is said there.
        if !problem.because.as_ref().is_some_and(named) {
            diagnostics.push(located(problem, sources.get(&problem.resource)));
        }
    }
    for service in &manifests.declared.services {
        for field in for_kubernetes(&service.spec) {
            let this = Resource::new("MucService", namespace(&service.metadata), name(&service.metadata));
            let problem = Problem {
                field: field.to_owned(),
                reason: Reason::NotRead,
                message: "the field says how Kubernetes runs the pods, and does nothing here".to_owned(),
                remedy: "muc-node serve has flags for what it needs; leave the field for the operator".to_owned(),
                because: None,
                resource: this.clone(),
            };
            diagnostics.push(Diagnostic { severity: Severity::Warning, ..located(&problem, sources.get(&this)) });
        }
    }
    manifests.objects = crate::build::build(&validated);
    manifests.diagnostics.extend(diagnostics);
    sort(&mut manifests.diagnostics);
}

fn located(problem: &Problem, source: Option<&Source<'_>>) -> Diagnostic {
    let place = source.map(|s| s.node.locate(&problem.field));
    Diagnostic {
        severity: Severity::Error,
        file: source.map(|s| s.file.to_owned()).unwrap_or_default(),
        document: source.map(|s| s.document),
        line: place.map(|Place { line, .. }| line),
        column: place.map(|Place { column, .. }| column),
        resource: Some(problem.resource.clone()),
        field: problem.field.clone(),
        reason: problem.reason,
        message: problem.message.clone(),
        remedy: problem.remedy.clone(),
    }
}

fn sort(diagnostics: &mut [Diagnostic]) {
    diagnostics.sort_by(|a, b| (&a.file, a.line, a.column, &a.field).cmp(&(&b.file, b.line, b.column, &b.field)));
}
