//! What all aggregates' results have in common: the window, the group, and the key.

use millrace_dates::DateFormat;
use millrace_sdk::prelude::*;

/// Keys that all aggregates share.
#[derive(Config)]
pub struct OutputConfig {
    /// Name of the field that gets the start of the window as text; empty leaves it out.
    #[config(name = "output.window.field", default = "window", group = "Output")]
    window: String,
    /// Pattern of the window's start and end, as `java.text.SimpleDateFormat` has it; they are in UTC. The start in this form is
    /// also the key of the result.
    #[config(name = "output.window.format", default = "yyyy-MM-dd'T'HH:mm:ss'Z'", check = check_format, group = "Output")]
    format: String,
    /// Name of the field that gets the end of the window as text; without it the end is left out.
    #[config(name = "output.window.end.field", group = "Output")]
    end: Option<String>,
    /// Name of the field that gets the group, when groups are single values. The fields of a group that is a map or a struct
    /// become fields of the result under their own names.
    #[config(name = "output.group.field", default = "group", group = "Output")]
    group: String,
    /// Name of the field that tells whether this is the last result of the window; without it that is left out.
    #[config(name = "output.final.field", group = "Output")]
    closed: Option<String>,
}

/// Writes results.
pub(crate) struct Shape {
    config: OutputConfig,
    format: DateFormat,
    /// Start and end of the window at hand.
    start: String,
    end: String,
}

/// The fields of a result that is being written.
pub(crate) struct Fields<'w, 'b> {
    writer: &'w mut Writer<'b>,
    count: usize,
}

impl Shape {
    /// # Errors
    /// When the pattern is none.
    pub(crate) fn new(config: OutputConfig) -> Result<Self> {
        let format = DateFormat::new(&config.format).map_err(|cause| {
            let pattern = &config.format;
            Error::config(format!("Invalid value {pattern} for configuration output.window.format: {cause}"))
        })?;
        Ok(Self { config, format, start: String::new(), end: String::new() })
    }

    /// Emits a result: the window and the group, then what `write` adds under the names `own`, which win over fields of the
    /// group that are called the same.
    pub(crate) fn emit(
        &mut self,
        window: &Window<'_>,
        out: &mut Emitted<'_>,
        own: &[&str],
        write: impl FnOnce(&mut Fields<'_, '_>),
    ) -> Result<()> {
        self.start.clear();
        self.format.format(window.start, &mut self.start);
        self.end.clear();
        self.format.format(window.end, &mut self.end);
        let record = out.value(None, |writer| {
            let open = writer.begin_map();
            let mut fields = Fields { writer, count: 0 };
            self.window_fields(window, &mut fields);
            self.group_fields(window, own, &mut fields);
            write(&mut fields);
            let count = fields.count;
            writer.end(open, count);
            Ok(())
        })?;
        record.key(None, |writer| {
            self.key(window, writer);
            Ok(())
        })?;
        Ok(())
    }

    fn window_fields(&self, window: &Window<'_>, fields: &mut Fields<'_, '_>) {
        fields.put(Some(&self.config.window), |writer| writer.str(&self.start));
        fields.put(self.config.end.as_deref(), |writer| writer.str(&self.end));
        fields.put(self.config.closed.as_deref(), |writer| writer.bool(window.closed));
    }

    /// Fields of the group, other than those that have the name of a field of the result.
    fn group_fields(&self, window: &Window<'_>, own: &[&str], fields: &mut Fields<'_, '_>) {
        let OutputConfig { window: start, end, closed, .. } = &self.config;
        let taken = [Some(start.as_str()), end.as_deref(), closed.as_deref()];
        let is_taken = |name: &str| own.contains(&name) || taken.contains(&Some(name));
        let schema = window.key_schema.map(|schema| &**schema);
        match window.key.tag() {
            Tag::Null => {}
            Tag::Map => {
                let values = schema.and_then(|schema| schema.values.as_deref());
                for (key, value) in window.key.entries() {
                    let name = key.as_str().unwrap_or_default();
                    if !is_taken(name) {
                        fields.put(Some(name), |writer| plain(writer, value, values));
                    }
                }
            }
            Tag::Struct => {
                for (field, value) in schema.into_iter().flat_map(|schema| &schema.fields).zip(window.key.elements()) {
                    if !is_taken(&field.name) {
                        fields.put(Some(&field.name), |writer| plain(writer, value, Some(&field.schema)));
                    }
                }
            }
            _ if is_taken(&self.config.group) => {}
            _ => fields.put(Some(&self.config.group), |writer| plain(writer, window.key, schema)),
        }
    }

    /// The window as text; with groups a map of the window and the group.
    fn key(&self, window: &Window<'_>, writer: &mut Writer<'_>) {
        if window.key.is_null() {
            return writer.str(&self.start);
        }
        let open = writer.begin_map();
        let mut fields = Fields { writer, count: 0 };
        let name = if self.config.window.is_empty() { "window" } else { &self.config.window };
        fields.put(Some(name), |writer| writer.str(&self.start));
        self.group_fields(window, &[name], &mut fields);
        let count = fields.count;
        writer.end(open, count);
    }
}

impl Fields<'_, '_> {
    /// Writes a field, unless its name is absent or empty.
    pub(crate) fn put(&mut self, name: Option<&str>, write: impl FnOnce(&mut Writer<'_>)) {
        if let Some(name) = name.filter(|name| !name.is_empty()) {
            self.writer.str(name);
            write(self.writer);
            self.count += 1;
        }
    }
}

/// A value that needs no schema to be read: structs become maps.
fn plain(writer: &mut Writer<'_>, value: Value<'_>, schema: Option<&Schema>) {
    let Some(schema) = schema else { return writer.value(value) };
    match value.tag() {
        Tag::Struct => {
            let open = writer.begin_map();
            for (field, value) in schema.fields.iter().zip(value.elements()) {
                writer.str(&field.name);
                plain(writer, value, Some(&field.schema));
            }
            writer.end(open, schema.fields.len());
        }
        Tag::Array => {
            let open = writer.begin_array();
            value.elements().for_each(|element| plain(writer, element, schema.values.as_deref()));
            writer.end(open, value.count().unwrap_or(0));
        }
        Tag::Map => {
            let open = writer.begin_map();
            for (key, value) in value.entries() {
                plain(writer, key, schema.keys.as_deref());
                plain(writer, value, schema.values.as_deref());
            }
            writer.end(open, value.count().unwrap_or(0));
        }
        _ => writer.value(value),
    }
}

fn check_format(pattern: &str) -> Result<(), String> {
    DateFormat::new(pattern).map(|_| ())
}
