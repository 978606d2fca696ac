//! Converters: the bytes of a record to tagged values and back, with Kafka Connect's class names, keys, schemas and errors.
//!
//! [`plugins`] is the list; [`by_class`] finds one by the names that Kafka Connect takes.

mod bytes;
mod header;
mod headers;
mod json;
mod primitive;
mod string;

pub use bytes::{ByteArrayConverter, ByteArrayPlugin};
pub use header::{SimpleHeaderConverter, SimpleHeaderPlugin};
pub use json::{JsonConverter, JsonPlugin, json_string};
pub use primitive::{PrimitiveConverter, PrimitivePlugin};
pub use string::{StringConverter, StringPlugin};

use millrace_api::config::Props;
use millrace_api::converter::{ConverterPlugin, ConverterUse};
use millrace_api::value::Tag;
use millrace_macros::Config;

/// Every converter, by class name.
#[must_use]
pub fn plugins() -> Vec<Box<dyn ConverterPlugin>> {
    let mut plugins: Vec<Box<dyn ConverterPlugin>> =
        vec![Box::new(ByteArrayPlugin), Box::new(JsonPlugin), Box::new(SimpleHeaderPlugin), Box::new(StringPlugin)];
    plugins.extend(PrimitivePlugin::ALL.map(|plugin| Box::new(plugin) as Box<dyn ConverterPlugin>));
    plugins
}

/// The converter that `name` means: a class name, its last part, or that without `Converter` (for a header converter without
/// `HeaderConverter`).
#[must_use]
pub fn by_class(name: &str) -> Option<Box<dyn ConverterPlugin>> {
    plugins().into_iter().find(|plugin| {
        let class = plugin.class();
        let simple = class.rsplit('.').next().unwrap_or(class);
        let pruned = simple.strip_suffix("HeaderConverter").or_else(|| simple.strip_suffix("Converter"));
        name == class || name == simple || Some(name) == pruned || plugin.aliases().contains(&name)
    })
}

/// Configuration of a converter that has no settings of its own.
#[derive(Debug, Config)]
struct PlainConfig {
    /// How this converter will be used.
    #[config(importance = "low", one_of("key", "value", "header"))]
    #[allow(dead_code, reason = "checked, and of no consequence")]
    converter_type: String,
}

/// The properties of a converter with `converter.type`, which the worker sets from how it is used.
fn with_type(props: &Props, usage: ConverterUse) -> Props {
    let usage = match usage {
        ConverterUse::Key => "key",
        ConverterUse::Value => "value",
        ConverterUse::Header => "header",
    };
    let mut props = props.clone();
    props.insert("converter.type".to_owned(), usage.to_owned());
    props
}

/// Java class of a value, for messages.
pub(crate) fn java_class(tag: Tag) -> &'static str {
    match tag {
        Tag::Null => "null",
        Tag::False | Tag::True => "class java.lang.Boolean",
        Tag::Int8 => "class java.lang.Byte",
        Tag::Int16 => "class java.lang.Short",
        Tag::Int32 => "class java.lang.Integer",
        Tag::Int64 => "class java.lang.Long",
        Tag::Float32 => "class java.lang.Float",
        Tag::Float64 => "class java.lang.Double",
        Tag::String => "class java.lang.String",
        Tag::Bytes => "class [B",
        Tag::Array => "class java.util.ArrayList",
        Tag::Map => "class java.util.HashMap",
        Tag::Struct => "class org.apache.kafka.connect.data.Struct",
        Tag::Decimal => "class java.math.BigDecimal",
        Tag::Date | Tag::Time | Tag::Timestamp => "class java.util.Date",
    }
}
