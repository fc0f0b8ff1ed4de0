//! One process per store.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use crate::StoreError;

/// Holds the lock file beside the database; the system lets go of it with the process, however that ends.
///
/// SQLite's own locks would only show at the first write, and not who holds them.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes it or says who has it.
    pub fn take(database: &Path) -> Result<Self, StoreError> {
        let mut name = database.as_os_str().to_owned();
        name.push(".lock");
        let unreadable = |e: std::io::Error| StoreError::Unreadable { path: database.to_owned(), why: e.to_string() };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(PathBuf::from(name))
            .map_err(unreadable)?;
        match file.try_lock() {
            Ok(()) => {
                // For people and for the error below; the lock is what counts.
                let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
                Ok(Self { _file: file })
            }
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                let _ = file.read_to_string(&mut pid);
                let holder = match pid.trim() {
                    "" => String::new(),
                    pid => format!(" (pid {pid})"),
                };
                Err(StoreError::Locked { path: database.to_owned(), holder })
            }
            Err(TryLockError::Error(e)) => Err(unreadable(e)),
        }
    }
}
