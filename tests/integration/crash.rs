//! What a kill and a power cut leave behind: the server is killed at random moments under the load of [`Bank`] and
//! started again on the same directory, and after each start everything that the durability mode promises is there, and
//! everything agrees.
//!
//! A power cut is a kill after which the directory is turned into what the disk may hold (see [`crate::power_cut`]).
//!
//! `CRASH_CYCLES` kills, `CRASH_POWER_CUTS` power cuts, from `CRASH_SEED`; `make crash-test` sets them.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::bank::{Bank, Loss};
use crate::harness::Server;
use crate::power_cut::{self, Tail};
use crate::random::{Random, environment};
use crate::shim::{Disk, Word};

/// Memtables and lines of these sizes make logs and table files come and go within a cycle.
const SMALL_MEMTABLE: [&str; 2] = ["--memtable", "1MB"];
const LONG_LINE_BYTES: u64 = 12_000;

/// A bank that no power cut takes away.
fn open_bank(disk: &Disk, line_bytes: u64) -> Bank {
    let server = Server::start_on(disk, &[], false);
    let bank = Bank::open(&mut server.connect(), line_bytes);
    assert_eq!(server.terminate().code(), Some(0));
    bank
}

#[test]
fn a_kill_at_any_moment_loses_nothing_acknowledged() {
    let (cycles, seed) = (environment("CRASH_CYCLES", 4), environment("CRASH_SEED", 1));
    println!("{cycles} kills, CRASH_SEED={seed}");
    let mut random = Random(seed);
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start_in(directory.path(), &[]);
    let bank = Bank::open(&mut server.connect(), 400);
    assert_eq!(server.terminate().code(), Some(0));
    for cycle in 0..cycles {
        let durability = if cycle % 2 == 0 { "sync" } else { "os" };
        let server = Server::start_in(directory.path(), &["--durability", durability]);
        bank.check(&mut server.connect(), Loss::Nothing);
        bank.run_and_kill(server, &mut random, 20..220);
    }
    let server = Server::start_in(directory.path(), &[]);
    bank.check(&mut server.connect(), Loss::Nothing);
    let (transferred, counted) = bank.progress();
    println!("{transferred} transfers, {counted} counts acknowledged");
    assert!(transferred > 0 && counted > 0);
    assert_eq!(server.terminate().code(), Some(0));
}

#[test]
fn a_power_cut_at_any_moment_loses_nothing_acknowledged() {
    let (cuts, seed) = (environment("CRASH_POWER_CUTS", 3), environment("CRASH_SEED", 1));
    println!("{cuts} power cuts, CRASH_SEED={seed}");
    let mut random = Random(seed);
    let disk = Disk::new();
    let bank = open_bank(&disk, LONG_LINE_BYTES);
    let (mut changed_bytes, mut undone_names, mut cuts_that_changed) = (0, 0, 0);
    for _ in 0..cuts {
        let server = Server::start_on(&disk, &SMALL_MEMTABLE, true);
        bank.check(&mut server.connect(), Loss::Nothing);
        bank.run_and_kill(server, &mut random, 0..300);
        let tail = Tail::any(&mut random);
        let cut = power_cut::cut(&disk, tail, &mut random);
        changed_bytes += cut.changed_bytes;
        undone_names += cut.undone_names;
        cuts_that_changed += u64::from(cut.changed_bytes + cut.undone_names > 0);
    }
    let server = Server::start_on(&disk, &SMALL_MEMTABLE, false);
    bank.check(&mut server.connect(), Loss::Nothing);
    let (transferred, counted) = bank.progress();
    println!(
        "{transferred} transfers, {counted} counts acknowledged; {cuts_that_changed} cuts took {changed_bytes} bytes \
         and {undone_names} changes of names"
    );
    assert_eq!(server.terminate().code(), Some(0));
}

/// The promise of `interval`: what was acknowledged before the last sync began is there, and syncs come by themselves.
#[test]
fn a_power_cut_loses_at_most_what_came_after_the_last_sync_of_the_interval() {
    let mut random = Random(environment("CRASH_SEED", 1));
    let disk = Disk::new();
    // With the usual memtable no flush comes in between. It would sync the log that it closes, and so look like a sync
    // of all that was acknowledged, which it is not.
    let flags = ["--durability", "interval=20"];
    let bank = open_bank(&disk, LONG_LINE_BYTES);
    let mut synced = false;
    for tail in [Tail::Lost, Tail::Torn, Tail::Sectors] {
        let server = Server::start_on(&disk, &flags, true);
        bank.run_and_kill(server, &mut random, 200..400);
        let cut = power_cut::cut(&disk, tail, &mut random);
        synced |= cut.log_synced.is_some();
        let server = Server::start_on(&disk, &flags, false);
        bank.check(&mut server.connect(), Loss::After(cut.log_synced));
    }
    assert!(synced, "nobody asked for a sync but the clock");
}

/// In `os` a power cut may take what was acknowledged, but nothing by half, and what is left starts.
#[test]
fn a_power_cut_in_os_mode_leaves_a_whole_past() {
    let mut random = Random(environment("CRASH_SEED", 1));
    let disk = Disk::new();
    let flags = ["--durability", "os", "--memtable", "1MB"];
    let bank = open_bank(&disk, LONG_LINE_BYTES);
    for tail in [Tail::Sectors, Tail::Torn, Tail::Lost] {
        let server = Server::start_on(&disk, &flags, true);
        bank.run_and_kill(server, &mut random, 100..300);
        power_cut::cut(&disk, tail, &mut random);
        let server = Server::start_on(&disk, &flags, false);
        bank.check(&mut server.connect(), Loss::After(None));
    }
}

/// The simulation can fail: where nothing was synced, a cut takes acknowledged writes and the checker says so.
#[test]
fn a_power_cut_without_syncs_is_noticed() {
    for (durability, ignore_sync) in [("os", 0), ("sync", 1)] {
        let mut random = Random(3);
        let disk = Disk::new();
        let bank = open_bank(&disk, 400);
        let server = Server::start_on(&disk, &["--durability", durability], true);
        disk.set(Word::IgnoreSync, ignore_sync);
        bank.run_and_kill(server, &mut random, 300..301);
        disk.set(Word::IgnoreSync, 0);
        power_cut::cut(&disk, Tail::Lost, &mut random);
        let server = Server::start_on(&disk, &[], false);
        let checked = catch_unwind(AssertUnwindSafe(|| bank.check(&mut server.connect(), Loss::Nothing)));
        assert!(checked.is_err(), "{durability}: acknowledged writes are gone, and the checker must see that");
    }
}
