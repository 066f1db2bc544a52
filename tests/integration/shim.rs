//! The disk that fails and forgets, from the test's side: builds `tests/faults/shim.c` and writes its control page.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;

/// A word of the control page. `shim.c` has the same list and says what each does.
#[derive(Clone, Copy)]
pub enum Word {
    Budget,
    WriteError,
    SyncError,
    SyncCount,
    Paths,
    ShortWrites,
    IgnoreSync,
    HoldSync,
    Injected,
}

const WORD_COUNT: u64 = 16;

/// Values of [`Word::Paths`]; they can be added.
pub const LOGS: i64 = 1;
pub const TABLES: i64 = 2;
pub const MANIFESTS: i64 = 4;
pub const EVERYTHING: i64 = 15;

/// As the kernel numbers them, on every architecture that this server runs on.
pub const EIO: i64 = 5;
pub const ENOSPC: i64 = 28;

/// A data directory on such a disk. All starts of the server on it share the control page.
pub struct Disk {
    root: TempDir,
    control: File,
}

impl Disk {
    pub fn new() -> Disk {
        let root = tempfile::tempdir().unwrap();
        for folder in ["data", "grave"] {
            fs::create_dir(root.path().join(folder)).unwrap();
        }
        let control = root.path().join("control");
        fs::write(&control, [0; 8 * WORD_COUNT as usize]).unwrap();
        let control = OpenOptions::new().read(true).write(true).open(control).unwrap();
        let disk = Disk { root, control };
        disk.set(Word::Budget, -1);
        disk.set(Word::Paths, EVERYTHING);
        disk.boot();
        disk
    }

    /// The data directory.
    pub fn path(&self) -> PathBuf {
        self.root.path().join("data")
    }

    pub fn journal(&self) -> PathBuf {
        self.root.path().join("journal")
    }

    pub fn grave(&self) -> PathBuf {
        self.root.path().join("grave")
    }

    /// What the next start of the server takes for a new boot of the machine.
    pub fn boot(&self) {
        let id = format!("{}\n", uuid::Uuid::new_v4());
        fs::write(self.root.path().join("boot_id"), id).unwrap();
    }

    pub fn set(&self, word: Word, value: i64) {
        self.control.write_all_at(&value.to_ne_bytes(), 8 * word as u64).unwrap();
    }

    pub fn get(&self, word: Word) -> i64 {
        let mut bytes = [0; 8];
        self.control.read_exact_at(&mut bytes, 8 * word as u64).unwrap();
        i64::from_ne_bytes(bytes)
    }

    /// What servers on this disk have logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.root.path().join("log")).unwrap_or_default()
    }

    pub fn log_file(&self) -> File {
        OpenOptions::new().append(true).create(true).open(self.root.path().join("log")).unwrap()
    }

    /// Environment of a server that uses the disk. With `journal` a power cut can follow.
    pub fn environment(&self, journal: bool) -> Vec<(&'static str, OsString)> {
        let in_root = |name: &str| self.root.path().join(name).into_os_string();
        let mut variables = vec![
            ("LD_PRELOAD", library().as_os_str().to_owned()),
            ("FAULT_DIR", in_root("data")),
            ("FAULT_CONTROL", in_root("control")),
            ("FAULT_BOOT_ID", in_root("boot_id")),
        ];
        if journal {
            variables.extend([("FAULT_JOURNAL", in_root("journal")), ("FAULT_GRAVE", in_root("grave"))]);
        }
        variables
    }
}

/// A test that fails shows the servers' log.
impl Drop for Disk {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.log());
        }
    }
}

/// The compiled shim, built once per run of the tests.
fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults/shim.c");
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("shim-{}.so", std::process::id()));
        let status = Command::new("cc")
            .args(["-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror", "-o"])
            .args([&target, &source])
            .arg("-ldl")
            .status()
            .unwrap();
        assert!(status.success(), "the shim must compile");
        // Loaded by path at each start; a stable name would be replaced under a parallel run.
        let stable = target.with_file_name("shim.so");
        fs::rename(&target, &stable).unwrap();
        stable
    })
}
