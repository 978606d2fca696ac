//! `ReplaceField`: leaves out or renames fields. Fields are chosen by their original names and renamed afterwards.

use std::marker::PhantomData;

use millrace_sdk::encoded;
use millrace_sdk::prelude::*;
use millrace_sdk::same;

use crate::part::{Side, class, or_default, put, require_map, require_struct, with_fields};

const PURPOSE: &str = "field replacement";

/// Keys of [`ReplaceField`].
#[derive(Config)]
pub struct ReplaceFieldConfig {
    /// Fields to leave out, also those that `include` names.
    #[config(default = "")]
    exclude: Vec<String>,
    /// The only fields to keep; without any all are kept.
    #[config(default = "")]
    include: Vec<String>,
    /// Fields to rename, as pairs `old:new`.
    #[config(default = "", check = check_renames)]
    renames: Vec<String>,
    /// Whether a field that is null becomes its default when its schema has one; else it stays null.
    #[config(default = "true")]
    replace_null_with_default: bool,
}

/// `org.apache.kafka.connect.transforms.ReplaceField`.
pub struct ReplaceField<S> {
    rules: Rules,
    /// Of the fields of the map at hand.
    fates: Vec<Fate>,
    replace_null: bool,
    schemas: SchemaCache<Plan>,
    side: PhantomData<S>,
}

/// Which fields stay, and under which name. Names are encoded.
struct Rules {
    exclude: Vec<Box<[u8]>>,
    include: Vec<Box<[u8]>>,
    renames: Vec<Rename>,
}

/// Old and new name, encoded.
struct Rename {
    from: Box<[u8]>,
    to: Box<[u8]>,
    name: String,
}

/// What becomes of a field of a map.
#[derive(Clone, Copy)]
enum Fate {
    Stays,
    Goes,
    /// Gets the new name of the renaming at this index.
    Renamed(usize),
}

/// What becomes of the structs of a schema.
struct Plan {
    /// Which fields of the original stay.
    kept: Vec<bool>,
    schema: SchemaRef,
}

impl<S: Side> Transform for ReplaceField<S> {
    const CLASS: &'static str = class!(S, "ReplaceField");
    type Config = ReplaceFieldConfig;

    fn configure(config: ReplaceFieldConfig) -> Result<Self> {
        let encode = |names: &[String]| names.iter().map(|name| encoded(name)).collect();
        let mut renames: Vec<Rename> = Vec::new();
        for mapping in &config.renames {
            let (from, to) = parse_rename(mapping).map_err(Error::config)?;
            let rename = Rename { from: encoded(from), to: encoded(to), name: to.to_owned() };
            renames.retain(|known| known.from != rename.from);
            renames.push(rename);
        }
        Ok(Self {
            rules: Rules { exclude: encode(&config.exclude), include: encode(&config.include), renames },
            fates: Vec::new(),
            replace_null: config.replace_null_with_default,
            schemas: SchemaCache::default(),
            side: PhantomData,
        })
    }

    fn needs(&self) -> Needs {
        S::NEEDS
    }

    fn apply(&mut self, record: &Record<'_>, out: &mut Output<'_>) -> Result<Verdict> {
        let value = record.get(S::PART);
        if value.is_null() {
            return Ok(Verdict::Keep);
        }
        match record.schema(S::PART) {
            None => require_map(value, PURPOSE)?,
            Some(schema) => self.in_struct(value, schema, out)?,
        }
        Ok(Verdict::Keep)
    }

    fn edits(&self) -> Option<Part> {
        Some(S::PART)
    }

    fn edit(&mut self, _record: &Record<'_>, fields: &mut Fields<'_>) -> Result<()> {
        if !self.rules.edit_simply(fields) {
            self.rules.edit(fields, &mut self.fates);
        }
        Ok(())
    }
}

impl<S: Side> ReplaceField<S> {
    fn in_struct(&mut self, value: Value<'_>, schema: &SchemaRef, out: &mut Output<'_>) -> Result<()> {
        require_struct(value, PURPOSE)?;
        let Self { rules, schemas, replace_null, .. } = self;
        let plan = schemas.get_or_try(schema, |schema| rules.plan(schema))?;
        out.write(S::PART, Some(&plan.schema), |writer| {
            let open = writer.begin_struct();
            let fields = schema.fields.iter().zip(value.elements()).zip(&plan.kept);
            for ((field, value), _) in fields.filter(|(_, kept)| **kept) {
                put(writer, field, or_default(value, &field.schema, *replace_null))?;
            }
            writer.end(open, plan.schema.fields.len());
            Ok(())
        })
    }
}

impl Rules {
    /// The common case, rule by rule: nothing to include, and at most one new name, which no field has. Answers `false`, and has
    /// changed nothing, in other cases.
    fn edit_simply(&self, fields: &mut Fields<'_>) -> bool {
        let taken = |rename: &Rename| fields.find(&rename.to, 0).is_some();
        if !self.include.is_empty() || self.renames.len() > 1 || self.renames.iter().any(taken) {
            return false;
        }
        for name in &self.exclude {
            fields.remove_called(name);
        }
        for rename in &self.renames {
            fields.rename_called(&rename.from, &rename.to);
        }
        true
    }

    /// Fields are chosen by the names they came with, so nothing changes before all are.
    fn edit(&self, fields: &mut Fields<'_>, fates: &mut Vec<Fate>) {
        fates.clear();
        fates.extend((0..fields.len()).map(|index| self.fate(fields.name(index), fields)));
        for (index, fate) in fates.iter().enumerate().rev() {
            match fate {
                Fate::Stays => {}
                Fate::Goes => fields.remove(index),
                Fate::Renamed(rename) => {
                    fields.rename(index, self.renames.get(*rename).map_or(&[], |rename| &rename.to));
                }
            }
        }
    }

    #[inline]
    fn fate(&self, name: &[u8], fields: &Fields<'_>) -> Fate {
        let rename = self.renames.iter().position(|rename| same(&rename.from, name));
        if !self.keeps(name) || self.is_displaced(name, rename.and_then(|index| self.renames.get(index)), fields) {
            return Fate::Goes;
        }
        rename.map_or(Fate::Stays, Fate::Renamed)
    }

    fn plan(&self, schema: &Schema) -> Result<Plan> {
        let names: Vec<_> = schema.fields.iter().map(|field| encoded(&field.name)).collect();
        let kept: Vec<_> = names.iter().map(|name| self.keeps(name)).collect();
        let fields =
            schema.fields.iter().zip(&names).zip(&kept).filter(|(_, kept)| **kept).map(|((field, name), _)| {
                let to = self.rename(name).map_or(&field.name, |rename| &rename.name);
                Field::new(to, SchemaRef::clone(&field.schema))
            });
        let schema = with_fields(schema, fields.collect())?;
        Ok(Plan { kept, schema })
    }

    #[inline]
    fn keeps(&self, name: &[u8]) -> bool {
        let among = |names: &[Box<[u8]>]| names.iter().any(|known| same(known, name));
        !among(&self.exclude) && (self.include.is_empty() || among(&self.include))
    }

    #[inline]
    fn rename(&self, name: &[u8]) -> Option<&Rename> {
        self.renames.iter().find(|rename| same(&rename.from, name))
    }

    /// Whether another entry is renamed to the name this one would have: a map cannot hold both, and the one named last in the
    /// configuration stays.
    #[inline]
    fn is_displaced(&self, name: &[u8], rename: Option<&Rename>, fields: &Fields<'_>) -> bool {
        let becomes = rename.map_or(name, |rename| &*rename.to);
        let later = self.renames.iter().rev().take_while(|other| rename.is_none_or(|rename| rename.from != other.from));
        later
            .filter(|other| *other.to == *becomes && *other.from != *name)
            .any(|other| fields.find(&other.from, 0).is_some() && self.keeps(&other.from))
    }
}

/// `old:new`. As in Java colons at the end do not count.
fn parse_rename(mapping: &str) -> Result<(&str, &str), String> {
    match mapping.trim_end_matches(':').split_once(':') {
        Some((from, to)) if !to.contains(':') => Ok((from, to)),
        _ => Err(format!("Invalid rename mapping: {mapping}")),
    }
}

fn check_renames(renames: &str) -> Result<(), String> {
    let mut mappings = renames.split(',').map(str::trim);
    if renames.is_empty() { Ok(()) } else { mappings.try_for_each(|mapping| parse_rename(mapping).map(|_| ())) }
}
