//! The expression languages: conditions, filters, key conditions, projections and updates, and the legacy parameters
//! that mean the same.
//!
//! ```text
//! text --parse--> tree (ast, kept by a cache) --bind--> bound form (in the request's arena) --> evaluate, apply
//!                                                ^ Substitutions: #names and :values
//! ```
//!
//! Parsing depends on the text alone. Binding reports everything that can be wrong before an item is looked at; a bound
//! form borrows only the arena and what the request's names and values borrow. Neither binding nor evaluation uses the
//! heap, and neither recurses deeper than a document nests, whatever the text.
//!
//! A request binds its expressions in DynamoDB's order (update, condition; key condition, filter, projection), so that
//! the first fault found is the one to report, and then asks [`Substitutions::check_used`].

/// Parsed expressions.
pub mod ast;

/// Placeholders to names and values.
mod bind;

/// Parsed expressions by their text.
pub mod cache;

/// Conditions and filters on documents.
pub mod condition;

/// What is refused, and in which words.
pub mod error;

/// Which items a Query reads.
pub mod key_condition;

/// The parameters that expressions replaced.
pub mod legacy;

/// Text to tokens.
mod lexer;

/// Tokens to trees.
mod parser;

/// Document paths.
pub mod path;

/// Trees to text.
mod print;

/// Which parts of an item an answer shows.
pub mod projection;

/// Words that are no attribute names.
mod reserved;

/// Sorted sets of members.
mod set;

/// ExpressionAttributeNames and ExpressionAttributeValues.
pub mod substitution;

/// Items to items.
pub mod update;

pub use cache::Cache;
pub use condition::Condition;
pub use error::{ExpressionError, ExpressionKind, UpdateError};
pub use key_condition::{KeyClauses, KeyCondition, KeyTest};
pub use path::Path;
pub use projection::Projection;
pub use substitution::Substitutions;
pub use update::Update;

#[cfg(test)]
mod tests;
