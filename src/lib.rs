//! JormunDB: a DynamoDB-compatible database server. This file is the map of its layers, in the order in which a request
//! flows through them; a layer uses only those below it.

/// Flags and environment to a validated configuration.
pub mod config;

/// Maintenance of a data directory: verify, rebuild-index, backup, restore.
pub mod command;

/// Sockets: event loops over io_uring, connections, the blocking pool, shutdown.
pub mod server;

/// HTTP/1.1 as pure functions over bytes.
pub mod http;

/// DynamoDB's operations: one file each, and the table that lists them.
pub mod operation;

/// Wire syntax to model and back.
pub mod json;

/// The expression languages: parse, bind, evaluate.
pub mod expression;

/// Keys and items on disk, the commit pipeline, reads and scans.
pub mod storage;

/// DynamoDB's nouns.
pub mod model;

/// What DynamoDB answers when it refuses.
pub mod error;

/// Counters and histograms.
pub mod metrics;

/// Time as a parameter.
pub mod clock;
