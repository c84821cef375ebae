//! Session locks of SQLite: a file beside the database, locked as long as somebody has it open.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::FlockOperation;
use rustix::io::Errno;

use crate::store::error::OpenError;
use crate::store::key;

/// The file beside the database that stands for a session lock.
pub(super) struct LockFile {
    pub(super) file: File,
    place: String,
}

impl LockFile {
    pub(super) fn open(database: &Path, name: &str) -> Result<LockFile, OpenError> {
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
        let suffix = if name.len() <= 100 && name.bytes().all(is_plain) {
            name.to_owned()
        } else {
            let hash = key::of_text(name);
            format!("{:032x}", u128::from_be_bytes(hash[..16].try_into().expect("a hash has 32 bytes")))
        };
        let mut path = database.to_owned().into_os_string();
        path.push(format!(".{suffix}.lock"));
        let place = format!("lock file {}", Path::new(&path).display());
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
        match file {
            Ok(file) => Ok(LockFile { file, place }),
            Err(why) => Err(OpenError::NotPermitted { what: place, why: why.to_string() }),
        }
    }

    /// Whether the lock is ours now; it stays so as long as the file is open.
    pub(super) fn is_taken(&self) -> Result<bool, OpenError> {
        match rustix::fs::flock(&self.file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(true),
            Err(Errno::WOULDBLOCK) => Ok(false),
            Err(why) => Err(OpenError::Other { what: self.place.clone(), why: why.to_string() }),
        }
    }
}
