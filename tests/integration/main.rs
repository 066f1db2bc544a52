//! Tests against the real server over real sockets. One binary, because each one links RocksDB.
//!
//! Every test starts its own server on a free port with its own data directory, so that they run side by side and in
//! any order.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

/// Starts, stops and kills the server.
mod harness;

/// HTTP by hand, so that a test decides about every byte.
mod http;

/// Seeded randomness.
mod random;

/// Tables that change while requests name them.
mod altered;

/// The maintenance commands: verify, rebuild-index, backup, restore.
mod commands;

/// The disk that fails and forgets, from the test's side.
mod shim;

/// What a power cut leaves of a directory.
mod power_cut;

/// Clients under load, and the checker of what they were told.
mod bank;

/// What a kill and a power cut leave behind, under load and time after time.
mod crash;

/// Every answer and every state against a model, under load and kills.
mod model;

/// A disk that fails while the server runs.
mod faults;

/// Bytes that change on the disk.
mod damage;

/// What framing has to bear: cut, pipelined, chunked, compressed and malformed requests.
mod framing;

/// Request smuggling: bytes that two readers could divide into requests in different ways.
mod smuggling;

/// Bodies that are made to hurt: bombs, deep nesting, huge numbers and names.
mod hostile;

/// The checks at the door, each with its exact answer.
mod door;

/// Access keys: who gets in, and what the others are told.
mod access;

/// Many idle connections beside a busy one.
mod idle;

/// More than the server has memory for.
mod overload;

/// The README's program in Rust.
mod readme;

/// DeleteTable and CreateTable under the same name, while readers and writers go on.
mod recreate;

/// What a restart keeps, after a clean stop and after a kill.
mod restart;

/// Request and response pairs from `tests/samples`.
mod samples;

/// Whole applications written with the AWS SDK for Rust.
mod sdk;

/// A strict reader of what /metrics answers.
mod exposition;

/// The audit log.
mod audit;

/// The dashboard for Grafana.
mod dashboard;

/// Log lines, slow requests, Server-Timing.
mod logs;

/// Metrics and health.
mod monitor;

/// Command line, banner, memory at rest.
mod startup;
