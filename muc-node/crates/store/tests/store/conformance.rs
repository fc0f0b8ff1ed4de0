//! The suite, on all backends of this crate.

use tempfile::TempDir;
use warren_store::conformance::{Fixture, suite};
use warren_store::{Memory, Model, Options, Postgres, PostgresOptions, Sqlite};
use warren_test_postgres::Server;

struct Models;

impl Fixture for Models {
    type B = Model;
    fn open(&mut self) -> Model {
        Model::new()
    }
    fn reopen(&mut self, store: Model) -> Model {
        store
    }
}

struct Memories;

impl Fixture for Memories {
    type B = Memory;
    fn open(&mut self) -> Memory {
        Memory::new()
    }
    fn reopen(&mut self, store: Memory) -> Memory {
        store
    }
}

struct Files {
    dir: TempDir,
    n: u32,
}

impl Fixture for Files {
    type B = Sqlite;
    fn open(&mut self) -> Sqlite {
        self.n += 1;
        Sqlite::open(self.dir.path().join(format!("{}.db", self.n)), Options::default()).unwrap()
    }
    fn reopen(&mut self, store: Sqlite) -> Sqlite {
        let path = store.path().to_owned();
        drop(store);
        Sqlite::open(path, Options::default()).unwrap()
    }
}

/// Databases of one server; a store's connection string beside it.
struct Databases {
    last: String,
}

impl Fixture for Databases {
    type B = Postgres;
    fn open(&mut self) -> Postgres {
        self.last = Server::shared().database().unwrap();
        Postgres::open(&self.last, PostgresOptions::default()).unwrap()
    }
    fn reopen(&mut self, store: Postgres) -> Postgres {
        drop(store);
        Postgres::open(&self.last, PostgresOptions::default()).unwrap()
    }
}

#[test]
fn model_conforms() {
    suite(&mut Models);
}

#[test]
fn memory_conforms() {
    suite(&mut Memories);
}

#[test]
fn sqlite_conforms() {
    suite(&mut Files { dir: TempDir::new().unwrap(), n: 0 });
}

#[test]
fn postgres_conforms() {
    suite(&mut Databases { last: String::new() });
}
