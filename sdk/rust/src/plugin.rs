//! What authors implement, and how a component lists it.

use millrace_api::batch::wire::Needs;
use millrace_api::config::{Config, ConfigDef, Props};
use millrace_api::{Error, ErrorKind, Result};

use crate::fields::Fields;
use crate::output::Output;
use crate::record::{Part, Record};

/// What becomes of a record after a stage. A record at fault is an `Err`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on, with the changes made to [`Output`].
    Keep,
    /// It is dropped on purpose.
    Drop,
    /// It is replaced by the records sent on with [`Output::emit`]; by nothing when there were none.
    Emit,
}

/// A transformation. One instance serves one stage of one connector's chain and sees its records in order.
pub trait Transform: Sized + 'static {
    /// Name in `transforms.<alias>.type`, for instance `com.example.Redact$Value`.
    const CLASS: &'static str;

    /// Its keys.
    type Config: Config;

    /// Makes an instance of a configuration whose keys were checked one by one.
    ///
    /// # Errors
    /// [`Error::config`] when keys contradict each other, as `Invalid value V for configuration K: cause`.
    fn configure(config: Self::Config) -> Result<Self>;

    /// Which parts of a record it reads: the others are not copied into the guest, unless another stage needs them.
    fn needs(&self) -> Needs {
        Needs::ALL
    }

    /// Looks at a record and writes what changes to `out`.
    ///
    /// # Errors
    /// [`Error::data`] when the record cannot be processed: it goes to the error tolerance of the connector. The message must
    /// not hold the record's contents.
    fn apply(&mut self, record: &Record<'_>, out: &mut Output<'_>) -> Result<Verdict>;

    /// The part of which it changes single fields, if that is all it does. Where that part is a map without a schema such a stage
    /// is asked to [`Transform::edit`] instead, and stages that follow each other share one walk over the map.
    fn edits(&self) -> Option<Part> {
        None
    }

    /// Changes fields of the part that [`Transform::edits`] names, which reads as null in `record` meanwhile. The record goes on.
    ///
    /// # Errors
    /// As [`Transform::apply`].
    fn edit(&mut self, record: &Record<'_>, fields: &mut Fields<'_>) -> Result<()> {
        let _ = (record, fields);
        Ok(())
    }
}

/// A predicate.
pub trait Predicate: Sized + 'static {
    /// Name in `predicates.<alias>.type`.
    const CLASS: &'static str;

    /// Its keys.
    type Config: Config;

    /// As [`Transform::configure`].
    ///
    /// # Errors
    /// As [`Transform::configure`].
    fn configure(config: Self::Config) -> Result<Self>;

    /// As [`Transform::needs`].
    fn needs(&self) -> Needs {
        Needs::ALL
    }

    /// Whether the record matches.
    ///
    /// # Errors
    /// As [`Transform::apply`].
    fn test(&mut self, record: &Record<'_>) -> Result<bool>;
}

/// A plugin without keys has this configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoConfig;

impl Config for NoConfig {
    fn def() -> ConfigDef {
        ConfigDef::default()
    }

    fn parse(_props: &Props) -> Result<Self> {
        Ok(Self)
    }
}

/// A [`Transform`] whose type was forgotten.
pub(crate) trait Stage {
    fn needs(&self) -> Needs;
    fn apply(&mut self, record: &Record<'_>, out: &mut Output<'_>) -> Result<Verdict>;
    fn edits(&self) -> Option<Part>;
    fn edit(&mut self, record: &Record<'_>, fields: &mut Fields<'_>) -> Result<()>;
}

impl<T: Transform> Stage for T {
    fn needs(&self) -> Needs {
        Transform::needs(self)
    }

    fn apply(&mut self, record: &Record<'_>, out: &mut Output<'_>) -> Result<Verdict> {
        Transform::apply(self, record, out)
    }

    fn edits(&self) -> Option<Part> {
        Transform::edits(self)
    }

    fn edit(&mut self, record: &Record<'_>, fields: &mut Fields<'_>) -> Result<()> {
        Transform::edit(self, record, fields)
    }
}

/// A [`Predicate`] whose type was forgotten.
pub(crate) trait Test {
    fn needs(&self) -> Needs;
    fn test(&mut self, record: &Record<'_>) -> Result<bool>;
}

impl<T: Predicate> Test for T {
    fn needs(&self) -> Needs {
        Predicate::needs(self)
    }

    fn test(&mut self, record: &Record<'_>) -> Result<bool> {
        Predicate::test(self, record)
    }
}

/// An entry of a component's list of plugins: see [`crate::export_smt!`].
pub struct Plugin {
    pub(crate) class: &'static str,
    pub(crate) def: fn() -> ConfigDef,
    pub(crate) make: Make,
}

#[derive(Clone, Copy)]
pub(crate) enum Make {
    Transform(fn(&Props) -> Result<Box<dyn Stage>>),
    Predicate(fn(&Props) -> Result<Box<dyn Test>>),
}

impl Plugin {
    /// The entry of a transformation.
    #[must_use]
    pub const fn transform<T: Transform>() -> Self {
        fn make<T: Transform>(props: &Props) -> Result<Box<dyn Stage>> {
            Ok(Box::new(T::configure(T::Config::parse(props)?)?))
        }
        Self { class: T::CLASS, def: T::Config::def, make: Make::Transform(make::<T>) }
    }

    /// The entry of a predicate.
    #[must_use]
    pub const fn predicate<P: Predicate>() -> Self {
        fn make<P: Predicate>(props: &Props) -> Result<Box<dyn Test>> {
            Ok(Box::new(P::configure(P::Config::parse(props)?)?))
        }
        Self { class: P::CLASS, def: P::Config::def, make: Make::Predicate(make::<P>) }
    }

    /// Name of its class.
    #[must_use]
    pub fn class(&self) -> &'static str {
        self.class
    }

    /// Its keys.
    #[must_use]
    pub fn config_def(&self) -> ConfigDef {
        (self.def)()
    }
}

pub(crate) fn unknown(class: &str) -> Error {
    Error::new(ErrorKind::Config, format!("Class {class} could not be found."))
}
