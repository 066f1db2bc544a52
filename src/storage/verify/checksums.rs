//! RocksDB's own check: reads every block of every table file, index and filter blocks too, and compares checksums.
#![expect(unsafe_code, reason = "the rocksdb crate does not wrap VerifyChecksum")]

use std::ffi::{CStr, CString, c_char, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;

use librocksdb_sys as ffi;

use crate::storage::Error;

/// Open files, each with its index in memory.
const OPEN_FILE_COUNT_MAX: i32 = 64;

/// `Err` names the first file with a damaged block; RocksDB does not look at those after it.
pub(super) fn verify(path: &Path) -> Result<(), Error> {
    let name = CString::new(path.as_os_str().as_bytes()).map_err(|_| Error::engine("a path with a zero byte"))?;
    let mut error: *mut c_char = ptr::null_mut();
    // SAFETY: the options live until they are destroyed here, the name until the end of the function; RocksDB copies
    // both. `error` is null, or a C string that is ours.
    let database = unsafe {
        let options = ffi::rocksdb_options_create();
        ffi::rocksdb_options_set_max_open_files(options, OPEN_FILE_COUNT_MAX);
        let database = ffi::rocksdb_open_for_read_only(options, name.as_ptr(), 0, &raw mut error);
        ffi::rocksdb_options_destroy(options);
        database
    };
    taken(error)?;
    let mut error: *mut c_char = ptr::null_mut();
    // SAFETY: without an error the database is open. It is ours alone and not used after it is closed.
    unsafe {
        ffi::rocksdb_verify_checksum(database, &raw mut error);
        ffi::rocksdb_close(database);
    }
    taken(error)
}

/// An error of RocksDB's C functions, whose memory is given back here.
fn taken(error: *mut c_char) -> Result<(), Error> {
    if error.is_null() {
        return Ok(());
    }
    // SAFETY: RocksDB sets `error` to a C string that it allocated and that the caller frees, once.
    let text = unsafe {
        let text = CStr::from_ptr(error).to_string_lossy().into_owned();
        ffi::rocksdb_free(error.cast::<c_void>());
        text
    };
    Err(Error::corrupt(text))
}
