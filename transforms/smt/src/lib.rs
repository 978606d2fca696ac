//! Kafka Connect's own transformations and predicates as one WebAssembly component, one file each.
//!
//! Without a schema, keys and values are maps whose bytes are copied as they lie, except for what changes. With one they are
//! structs, and what comes of a schema is worked out once and kept for the 16 schemas used last.

pub mod predicates;
pub mod regex;

mod cast;
mod drop_headers;
mod extract_field;
mod field_path;
mod filter;
mod flatten;
mod header_from;
mod hoist_field;
mod insert_field;
mod insert_header;
mod mask_field;
mod part;
mod regex_router;
mod replace_field;
mod replacement;
mod set_schema_metadata;
mod timestamp_converter;
mod timestamp_router;
mod topics;
mod value_to_key;

pub use cast::Cast;
pub use drop_headers::DropHeaders;
pub use extract_field::ExtractField;
pub use filter::Filter;
pub use flatten::Flatten;
pub use header_from::HeaderFrom;
pub use hoist_field::HoistField;
pub use insert_field::InsertField;
pub use insert_header::InsertHeader;
pub use mask_field::MaskField;
pub use part::{OnKey, OnValue, Side};
pub use regex_router::RegexRouter;
pub use replace_field::ReplaceField;
pub use set_schema_metadata::SetSchemaMetadata;
pub use timestamp_converter::TimestampConverter;
pub use timestamp_router::TimestampRouter;
pub use value_to_key::ValueToKey;

millrace_sdk::export_smt!(
    Cast<OnKey>,
    Cast<OnValue>,
    DropHeaders,
    ExtractField<OnKey>,
    ExtractField<OnValue>,
    Filter,
    Flatten<OnKey>,
    Flatten<OnValue>,
    HeaderFrom<OnKey>,
    HeaderFrom<OnValue>,
    HoistField<OnKey>,
    HoistField<OnValue>,
    InsertField<OnKey>,
    InsertField<OnValue>,
    InsertHeader,
    MaskField<OnKey>,
    MaskField<OnValue>,
    RegexRouter,
    ReplaceField<OnKey>,
    ReplaceField<OnValue>,
    SetSchemaMetadata<OnKey>,
    SetSchemaMetadata<OnValue>,
    TimestampConverter<OnKey>,
    TimestampConverter<OnValue>,
    TimestampRouter,
    ValueToKey;
    predicates predicates::HasHeaderKey, predicates::RecordIsTombstone, predicates::TopicNameMatches,
);
