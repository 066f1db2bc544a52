//! What a power cut leaves of a directory, made from the journal that `tests/faults/shim.c` keeps.
//!
//! Durable is what a finished sync covers: a file's bytes and size up to the begin of its last sync, the directory's
//! names up to the begin of the directory's last. Of all later changes a disk may have kept any part:
//!
//! - bytes: none, those before some byte, or any subset of the 512-byte sectors, with zeros where a file grew over a
//!   sector that did not survive;
//! - names: changes that concern the same names are kept in their order, up to some point; changes of other names are
//!   independent of them.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::random::Random;
use crate::shim::Disk;

const SECTOR_BYTES: usize = 512;
const HEAD_BYTES: usize = 48;

/// One record; `shim.c` describes the fields.
struct Record {
    kind: u32,
    inode: u64,
    offset: u64,
    old_size: u64,
    time: SystemTime,
    data: Vec<u8>,
}

const WRITE: u32 = 1;
const TRUNCATE: u32 = 2;
const SYNC_BEGIN: u32 = 3;
const SYNC_END: u32 = 4;
const CREATE: u32 = 5;
const RENAME: u32 = 6;
const UNLINK: u32 = 7;

/// What became of unsynced bytes.
#[derive(Clone, Copy, Debug)]
pub enum Tail {
    Lost,
    /// Up to some byte.
    Torn,
    /// Any sectors.
    Sectors,
    /// All of them happened to be on the disk.
    Kept,
}

impl Tail {
    pub fn any(random: &mut Random) -> Tail {
        [Tail::Lost, Tail::Torn, Tail::Sectors, Tail::Sectors, Tail::Kept][random.below(5) as usize]
    }
}

/// What a cut did.
#[derive(Debug)]
pub struct Cut {
    /// Bytes that differ from what the server had written.
    pub changed_bytes: usize,
    /// Changes of names that were undone.
    pub undone_names: usize,
    /// When the last finished sync of a log began: what was written before it is durable.
    pub log_synced: Option<SystemTime>,
}

/// Cuts the power of a machine whose server has just been killed, and boots it again.
pub fn cut(disk: &Disk, tail: Tail, random: &mut Random) -> Cut {
    let journal = read(&disk.journal());
    let durable_until = durable_positions(&journal);
    let mut cut = Cut { changed_bytes: 0, undone_names: 0, log_synced: None };
    let names_until = durable_until.get(&0).copied().unwrap_or(0);
    cut.log_synced = last_log_sync(&journal, names_until);
    let paths = inodes(&[disk.path(), disk.grave()]);
    let mut changes: BTreeMap<u64, Vec<&Record>> = BTreeMap::new();
    for (position, record) in journal.iter().enumerate() {
        let until = durable_until.get(&record.inode).copied().unwrap_or(0);
        if matches!(record.kind, WRITE | TRUNCATE) && position >= until {
            changes.entry(record.inode).or_default().push(record);
        }
    }
    for (inode, changes) in changes {
        let Some(path) = paths.get(&inode) else { continue };
        let latest = fs::read(path).unwrap();
        let after = survivor(&latest, &durable_image(&latest, &changes), tail, random);
        cut.changed_bytes += latest.iter().zip(&after).filter(|(old, new)| old != new).count();
        cut.changed_bytes += latest.len().abs_diff(after.len());
        fs::write(path, after).unwrap();
    }
    let unsynced = journal.iter().skip(names_until).filter(|record| matches!(record.kind, CREATE | RENAME | UNLINK));
    cut.undone_names = undo_names(disk, &unsynced.collect::<Vec<_>>(), tail, random);
    for entry in fs::read_dir(disk.grave()).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    fs::remove_file(disk.journal()).unwrap();
    disk.boot();
    cut
}

/// All complete records.
fn read(journal: &Path) -> Vec<Record> {
    let bytes = fs::read(journal).unwrap_or_default();
    let mut records = Vec::new();
    let mut rest = &bytes[..];
    while rest.len() >= HEAD_BYTES {
        let (head, after) = rest.split_at(HEAD_BYTES);
        let half = |at: usize| u32::from_ne_bytes(head[at..at + 4].try_into().unwrap());
        let word = |at: usize| u64::from_ne_bytes(head[at..at + 8].try_into().unwrap());
        let data_length = half(4) as usize;
        if after.len() < data_length {
            break;
        }
        let time = UNIX_EPOCH + Duration::from_nanos(word(40));
        let data = after[..data_length].to_vec();
        records.push(Record { kind: half(0), inode: word(8), offset: word(16), old_size: word(32), time, data });
        rest = &after[data_length..];
    }
    records
}

/// By inode: how many records of the journal its last finished sync covers.
fn durable_positions(journal: &[Record]) -> HashMap<u64, usize> {
    let mut begun = HashMap::new();
    let mut durable: HashMap<u64, usize> = HashMap::new();
    for (position, record) in journal.iter().enumerate() {
        match record.kind {
            SYNC_BEGIN => {
                begun.insert(record.offset, position);
            }
            SYNC_END => {
                let until = durable.entry(record.inode).or_default();
                *until = begun[&record.offset].max(*until);
            }
            _ => {}
        }
    }
    durable
}

/// The begin of the last finished sync of a log that had a durable name then: an older log that is written over gets
/// its new name from a rename.
fn last_log_sync(journal: &[Record], names_until: usize) -> Option<SystemTime> {
    let had_durable_name = |(position, end): &(usize, &Record)| {
        let names = |record: &Record| matches!(record.kind, CREATE | RENAME) && record.inode == end.inode;
        let named = journal[..*position].iter().rposition(names);
        named.is_some_and(|named| named < names_until && journal[named].data.ends_with(b".log"))
    };
    let mut ends = journal.iter().enumerate().filter(|(_, record)| record.kind == SYNC_END);
    let (_, end) = ends.rfind(had_durable_name)?;
    let begin = journal.iter().find(|record| record.kind == SYNC_BEGIN && record.offset == end.offset)?;
    Some(begin.time)
}

fn inodes(folders: &[PathBuf]) -> HashMap<u64, PathBuf> {
    let entries = folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap());
    entries.map(|entry| entry.unwrap()).map(|entry| (entry.metadata().unwrap().ino(), entry.path())).collect()
}

/// A file as it was when its last sync began.
fn durable_image(latest: &[u8], changes: &[&Record]) -> Vec<u8> {
    let mut image = latest.to_vec();
    for record in changes.iter().rev() {
        image.resize(record.old_size as usize, 0);
        let start = record.offset as usize;
        if let Some(old) = image.get_mut(start..start + record.data.len()) {
            old.copy_from_slice(&record.data);
        }
    }
    image
}

/// What is on the disk of a file that is `latest` in memory and `durable` for certain.
fn survivor(latest: &[u8], durable: &[u8], tail: Tail, random: &mut Random) -> Vec<u8> {
    match tail {
        Tail::Lost => durable.to_vec(),
        Tail::Kept => latest.to_vec(),
        Tail::Torn => {
            let same = latest.iter().zip(durable).take_while(|(new, old)| new == old).count();
            let end = same + random.below((latest.len() - same) as u64 + 1) as usize;
            let mut image = latest[..end].to_vec();
            image.extend_from_slice(durable.get(end..).unwrap_or_default());
            image
        }
        Tail::Sectors => {
            let odds = random.below(4) + 1;
            // The size is written with the file's metadata, at a time of its own.
            let length = if random.below(2) == 0 { latest.len() } else { durable.len() };
            let mut image = durable.to_vec();
            image.resize(length, 0);
            for start in (0..length).step_by(SECTOR_BYTES) {
                let end = (start + SECTOR_BYTES).min(length);
                let kept = end.min(latest.len());
                if start < kept && random.below(5) < odds {
                    image[start..kept].copy_from_slice(&latest[start..kept]);
                }
            }
            image
        }
    }
}

/// Undoes changes of names, newest first, and says how many.
fn undo_names(disk: &Disk, changes: &[&Record], tail: Tail, random: &mut Random) -> usize {
    // Names that a rename ties together form one group, in which order is kept.
    let mut group_of: HashMap<&[u8], usize> = HashMap::new();
    for (number, record) in changes.iter().enumerate() {
        let names: Vec<&[u8]> = record.data.split(|&byte| byte == 0).collect();
        let known: Vec<usize> = names.iter().filter_map(|name| group_of.get(name).copied()).collect();
        let group = known.first().copied().unwrap_or(number);
        group_of.values_mut().filter(|other| known.contains(other)).for_each(|other| *other = group);
        group_of.extend(names.into_iter().map(|name| (name, group)));
    }
    let group = |record: &Record| group_of[record.data.split(|&byte| byte == 0).next().unwrap()];
    let mut sizes: BTreeMap<usize, u64> = BTreeMap::new();
    changes.iter().for_each(|record| *sizes.entry(group(record)).or_default() += 1);
    let mut undone_left: HashMap<usize, u64> = HashMap::new();
    for (group, size) in sizes {
        let undone = match tail {
            Tail::Lost => size,
            Tail::Kept => 0,
            Tail::Torn | Tail::Sectors => random.below(size + 1),
        };
        undone_left.insert(group, undone);
    }
    let mut undone = 0;
    for record in changes.iter().rev() {
        let left = undone_left.get_mut(&group(record)).unwrap();
        if *left > 0 {
            *left -= 1;
            undone += 1;
            undo_name(disk, record);
        }
    }
    undone
}

/// A change that was recorded and did not happen, because the kill came between, leaves nothing to undo.
fn undo_name(disk: &Disk, record: &Record) {
    let mut names = record.data.split(|&byte| byte == 0).map(|name| disk.path().join(str::from_utf8(name).unwrap()));
    let name = names.next().unwrap();
    let restore = |inode: u64, name: &Path| {
        let kept = disk.grave().join(inode.to_string());
        if inode != 0 && !name.exists() {
            fs::hard_link(kept, name).unwrap();
        }
    };
    match record.kind {
        CREATE => {
            fs::remove_file(name).ok();
        }
        UNLINK => restore(record.inode, &name),
        _ => {
            let new_name = names.next().unwrap();
            if !name.exists() && new_name.exists() {
                fs::rename(&new_name, name).unwrap();
            }
            restore(record.offset, &new_name);
        }
    }
}

#[test]
fn only_what_no_sync_covers_is_lost() {
    let record = |kind, offset: u64, old_size, data: &[u8]| Record {
        kind,
        inode: 1,
        offset,
        old_size,
        time: UNIX_EPOCH,
        data: data.to_vec(),
    };
    // "abcdef", synced; then "XY" over "cd", "ghi" at the end, and a cut to seven bytes.
    let journal = [
        record(WRITE, 0, 0, b""),
        record(SYNC_BEGIN, 1, 0, b""),
        record(SYNC_END, 1, 0, b""),
        record(WRITE, 2, 6, b"cd"),
        record(WRITE, 6, 6, b""),
        record(TRUNCATE, 7, 9, b"hi"),
    ];
    assert_eq!(durable_positions(&journal), HashMap::from([(1, 1)]));
    let changes: Vec<&Record> = journal[3..].iter().collect();
    let durable = durable_image(b"abXYefg", &changes);
    assert_eq!(durable, b"abcdef");
    let mut random = Random(7);
    assert_eq!(survivor(b"abXYefg", &durable, Tail::Lost, &mut random), durable);
    for _ in 0..100 {
        let torn = survivor(b"abXYefg", &durable, Tail::Torn, &mut random);
        assert!(torn.starts_with(b"ab") && [&b"abcdef"[..], b"abXdef", b"abXYef", b"abXYefg"].contains(&&torn[..]));
    }
}
