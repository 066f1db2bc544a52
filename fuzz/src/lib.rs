//! What the fuzz targets share: the layers under test and generated values.
//!
//! The pure layers are compiled from the server's own sources, so that no fuzz build has to compile RocksDB. Each file
//! in `fuzz_targets/` opens with the properties that it checks. `make fuzz` runs all of them; `seeds/` holds readable
//! inputs to begin with and every input that once found a bug, `dictionaries/` the words of each grammar.

/// DynamoDB's nouns.
#[path = "../../src/model/mod.rs"]
pub mod model;

/// Wire syntax to model and back.
#[path = "../../src/json/mod.rs"]
#[expect(unused_macros, unused_imports, reason = "the macros that declare the parameters of operations")]
pub mod json;

/// The expression languages.
#[path = "../../src/expression/mod.rs"]
pub mod expression;

/// HTTP/1.1 as pure functions over bytes.
#[path = "../../src/http/mod.rs"]
pub mod http;

/// What DynamoDB answers when it refuses.
#[path = "../../src/error.rs"]
pub mod error;

/// The key codec.
pub mod storage;

/// Values from a fuzzer's bytes.
pub mod generate;

/// JSON as it is written.
pub mod oracle;
