//! Wire syntax to model and back.

/// Attribute values, items and the faults found in them.
pub mod attribute_value;

/// Why an attribute value is refused, in both of AWS's wordings.
pub mod fault;

/// Request bodies to typed parameters, without copying.
pub mod reader;

/// Answers, straight from stored items.
pub mod writer;

pub use attribute_value::{AttributeMap, AttributeValue};
pub use fault::ValueFault;
pub use reader::{Context, Entries, Long, Shape, Structure, decode, is_json};
pub use writer::Writer;
