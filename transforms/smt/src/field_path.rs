//! Paths to fields (KIP-821): one name in syntax V1; in V2 names separated by dots, in backticks when they hold dots themselves.

use millrace_sdk::prelude::*;

use crate::part::{or_default, require_map, require_struct};

/// Steps from the outermost field inwards; at least one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct FieldPath {
    steps: Vec<String>,
}

/// A path followed through a schema.
pub(crate) struct Located {
    indexes: Vec<usize>,
    /// Schema of the field at its end.
    pub(crate) schema: SchemaRef,
}

const NESTED: &str = "nested field access";

impl FieldPath {
    /// A path of syntax V1: all of the text is one name.
    pub(crate) fn v1(path: &str) -> Self {
        Self { steps: vec![path.to_owned()] }
    }

    /// A path of syntax V2.
    ///
    /// # Errors
    /// [`Error::config`] when it is empty or a backtick is not closed.
    pub(crate) fn v2(path: &str) -> Result<Self> {
        let mut steps = Vec::new();
        let mut rest = path;
        while !rest.is_empty() {
            let after = if let Some(quoted) = rest.strip_prefix('`') {
                let (step, after) = quoted_step(quoted).ok_or_else(|| {
                    let at = path.len() - rest.len();
                    Error::config(format!(
                        "Incomplete backtick pair in path: [{path}], consider adding a backslash before backtick at \
                         position {at} to escape it"
                    ))
                })?;
                steps.push(step);
                after
            } else {
                let (step, after) = rest.split_once('.').unwrap_or((rest, ""));
                steps.push(step.to_owned());
                after
            };
            rest = after;
        }
        if path.is_empty() {
            return Err(Error::config(
                "Invalid value  for configuration field: a path of syntax V2 has at least one name",
            ));
        }
        if path.ends_with('.') {
            steps.push(String::new());
        }
        Ok(Self { steps })
    }

    /// The value at the end of the path in nested maps; null when there is none.
    pub(crate) fn in_map<'v>(&self, map: Value<'v>) -> Result<Value<'v>> {
        let mut current = map;
        for (index, step) in self.steps.iter().enumerate() {
            if index > 0 {
                if current.is_null() {
                    return Ok(Value::NULL);
                }
                require_map(current, NESTED)?;
            }
            current = current.get(step).unwrap_or(Value::NULL);
        }
        Ok(current)
    }

    /// The path followed through a schema, or `None` when a field is not there.
    ///
    /// # Errors
    /// [`Error::data`] when it leads through what is not a struct.
    pub(crate) fn locate(&self, schema: &SchemaRef) -> Result<Option<Located>> {
        let mut located = Located { indexes: Vec::new(), schema: SchemaRef::clone(schema) };
        for step in &self.steps {
            if located.schema.kind != Kind::Struct {
                return Err(Error::data("Cannot look up fields on non-struct type"));
            }
            let Some(index) = located.schema.field_index(step) else { return Ok(None) };
            let Some(field) = located.schema.fields.get(index) else { return Ok(None) };
            located.indexes.push(index);
            located.schema = SchemaRef::clone(&field.schema);
        }
        Ok(Some(located))
    }
}

impl Located {
    /// The value at the end of the path in nested structs; null when there is none. Nulls on the way become their defaults, the
    /// last one only with `replace_null`.
    pub(crate) fn in_struct<'v>(
        &'v self,
        schema: &'v Schema,
        value: Value<'v>,
        replace_null: bool,
    ) -> Result<Value<'v>> {
        let (mut current, mut schema) = (value, schema);
        for (step, index) in self.indexes.iter().enumerate() {
            if step > 0 {
                if current.is_null() {
                    return Ok(Value::NULL);
                }
                require_struct(current, NESTED)?;
            }
            let (Some(field), Some(value)) = (schema.fields.get(*index), current.field_at(*index)) else {
                return Ok(Value::NULL);
            };
            let last = step + 1 == self.indexes.len();
            current = or_default(value, &field.schema, replace_null || !last);
            schema = &field.schema;
        }
        Ok(current)
    }
}

/// The step after an opening backtick, and what follows its closing backtick and dot. A backtick closes at the end or before a
/// dot, unless a backslash stands before it; anywhere else it is part of the name.
fn quoted_step(quoted: &str) -> Option<(String, &str)> {
    let mut step = String::new();
    let mut from = 0;
    for (at, _) in quoted.match_indices('`') {
        let escaped = quoted.get(..at).is_some_and(|before| before.ends_with('\\'));
        let after = quoted.get(at + 1..)?;
        if after.is_empty() {
            step.push_str(quoted.get(from..at)?);
            return if escaped { None } else { Some((step, after)) };
        }
        let Some(after) = after.strip_prefix('.') else { continue };
        if !escaped {
            step.push_str(quoted.get(from..at)?);
            return Some((step, after));
        }
        step.push_str(quoted.get(from..at - 1)?);
        step.push('`');
        from = at + 1;
    }
    None
}
