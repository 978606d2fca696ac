//! Chains of stages on the host. Expected values are worked out by hand.

#![allow(clippy::expect_used, reason = "tests may")]

use millrace_sdk::api::batch::{NO_PARTITION, RecordBatch, Row};
use millrace_sdk::api::schema::Kind;
use millrace_sdk::prelude::*;
use millrace_sdk::testing::{TestChain, props};
use millrace_sdk::{Plugin, StageConfig};

/// Sets, inserts, renames and removes fields as its configuration tells.
struct Edit(EditConfig);

#[derive(Config)]
struct EditConfig {
    /// Field to set to the number of the record's offset.
    #[config(name = "set")]
    set: Option<String>,
    /// Field to insert unless it is there.
    #[config(name = "insert")]
    insert: Option<String>,
    /// Field to remove.
    #[config(name = "remove")]
    remove: Option<String>,
    /// `from:to`.
    #[config(name = "rename")]
    rename: Option<String>,
}

impl Transform for Edit {
    const CLASS: &'static str = "test.Edit";
    type Config = EditConfig;

    fn configure(config: EditConfig) -> Result<Self> {
        Ok(Self(config))
    }

    fn apply(&mut self, record: &Record<'_>, out: &mut Output<'_>) -> Result<Verdict> {
        if let Some(field) = &self.0.set {
            out.set(Part::Value, field, None, |w| w.int64(record.offset().unwrap_or(-1)));
        }
        if let Some(field) = &self.0.insert {
            out.insert(Part::Value, field, None, |w| w.str("new"));
        }
        if let Some(field) = &self.0.remove {
            out.remove(Part::Value, field);
        }
        if let Some((from, to)) = self.0.rename.as_ref().and_then(|names| names.split_once(':')) {
            out.rename(Part::Value, from, to);
        }
        Ok(Verdict::Keep)
    }
}

/// Splits a record in two, numbered by a header; fails on offset 13; drops offset 14.
struct Split;

impl Transform for Split {
    const CLASS: &'static str = "test.Split";
    type Config = NoConfig;

    fn configure(_: NoConfig) -> Result<Self> {
        Ok(Self)
    }

    fn apply(&mut self, record: &Record<'_>, out: &mut Output<'_>) -> Result<Verdict> {
        match record.offset() {
            Some(13) => return Err(Error::data("13 brings bad luck")),
            Some(14) => return Ok(Verdict::Drop),
            _ => {}
        }
        let schema = SchemaRef::new(Schema::of(Kind::Int8));
        for half in 0..2 {
            out.add_header("half", Some(&schema), |w| w.int8(half));
            out.topic(if half == 0 { "left" } else { "right" });
            out.emit()?;
        }
        Ok(Verdict::Emit)
    }
}

/// Matches even offsets.
struct Even;

impl Predicate for Even {
    const CLASS: &'static str = "test.Even";
    type Config = NoConfig;

    fn configure(_: NoConfig) -> Result<Self> {
        Ok(Self)
    }

    fn test(&mut self, record: &Record<'_>) -> Result<bool> {
        Ok(record.offset().is_some_and(|offset| offset % 2 == 0))
    }
}

millrace_sdk::export_smt!(Edit, Split; predicates Even);

/// Records at `offsets` on topic `t` with the map `{"a": 1, "b": "x"}`.
fn maps(offsets: std::ops::Range<i64>) -> RecordBatch {
    let mut batch = RecordBatch::new();
    let topic = batch.intern_topic("t");
    for (origin, offset) in (0..).zip(offsets) {
        let (value, ()) = batch
            .append(|heap| {
                let mut writer = Writer::new(heap);
                let map = writer.begin_map();
                writer.str("a");
                writer.int64(1);
                writer.str("b");
                writer.str("x");
                writer.end(map, 2);
                Ok(())
            })
            .expect("fits");
        batch.push(Row { offset, topic, value, origin, partition: NO_PARTITION, ..Row::EMPTY });
    }
    batch
}

fn stage(class: &str, config: &[(&str, &str)]) -> StageConfig {
    StageConfig { class: class.to_owned(), config: props(config), ..StageConfig::default() }
}

fn shown(batch: &RecordBatch) -> Vec<String> {
    batch.iter().map(|record| format!("{} {}", record.topic(), record.value())).collect()
}

#[test]
fn fields_of_maps_are_edited_in_one_pass() {
    let mut batch = maps(5..6);
    let edits = [("set", "a"), ("insert", "b"), ("rename", "b:c")];
    TestChain::one(plugins(), "test.Edit", &edits).expect("valid").apply(&mut batch).expect("applies");
    assert_eq!(shown(&batch), [r#"t {"a":5,"c":"x"}"#]);

    let mut batch = maps(6..7);
    let edits = [("set", "n"), ("insert", "m"), ("remove", "b")];
    TestChain::one(plugins(), "test.Edit", &edits).expect("valid").apply(&mut batch).expect("applies");
    assert_eq!(shown(&batch), [r#"t {"a":1,"n":6,"m":"new"}"#]);
}

#[test]
fn structs_get_a_derived_schema_once() {
    let schema = SchemaRef::new(Schema::structure(vec![
        Field::new("a", Schema::of(Kind::Int64)),
        Field::new("b", Schema::optional(Kind::String)),
    ]));
    let mut batch = RecordBatch::new();
    let topic = batch.intern_topic("t");
    let value_schema = batch.intern_schema(&schema);
    for offset in 0..3 {
        let (value, ()) = batch
            .append(|heap| {
                let mut writer = Writer::new(heap);
                let open = writer.begin_struct();
                writer.int64(7);
                writer.null();
                writer.end(open, 2);
                Ok(())
            })
            .expect("fits");
        batch.push(Row { offset, topic, value, value_schema, ..Row::EMPTY });
    }
    let edits = [("set", "n"), ("remove", "a"), ("rename", "b:c")];
    let mut chain = TestChain::one(plugins(), "test.Edit", &edits).expect("valid");
    chain.apply(&mut batch).expect("applies");
    let expected = Schema::structure(vec![
        Field::new("c", Schema::optional(Kind::String)),
        Field::new("n", Schema::optional(Kind::Int64)),
    ]);
    assert_eq!(shown(&batch), ["t [null,0]", "t [null,1]", "t [null,2]"]);
    assert_eq!(batch.schemas().len(), 2, "one new schema for all records");
    for record in batch.iter() {
        assert_eq!(record.value_schema().map(|schema| &**schema), Some(&expected));
    }
}

#[test]
fn a_chain_sees_what_the_stages_before_wrote() {
    let mut batch = maps(0..2);
    let stages = [
        stage("test.Edit", &[("set", "n")]),
        stage("test.Split", &[]),
        stage("test.Edit", &[("rename", "n:offset"), ("remove", "b")]),
        stage("test.Edit", &[("set", "a")]),
    ];
    let applied = TestChain::of(plugins(), &stages).expect("valid").apply(&mut batch).expect("applies");
    assert!(applied.dropped.is_empty() && applied.failed.is_empty());
    assert_eq!(
        shown(&batch),
        [
            r#"left {"a":0,"offset":0}"#,
            r#"right {"a":0,"offset":0}"#,
            r#"left {"a":1,"offset":1}"#,
            r#"right {"a":1,"offset":1}"#
        ]
    );
    let halves: Vec<_> = batch
        .iter()
        .map(|record| {
            let header = record.headers().last("half").expect("half");
            assert_eq!(header.schema.map(|schema| schema.kind), Some(Kind::Int8));
            (record.row().origin, header.value.as_i64())
        })
        .collect();
    assert_eq!(halves, [(0, Some(0)), (0, Some(1)), (1, Some(0)), (1, Some(1))]);
}

#[test]
fn records_are_dropped_and_failed_by_themselves() {
    let mut batch = maps(12..16);
    let stages = [stage("test.Edit", &[("set", "n")]), stage("test.Split", &[])];
    let applied = TestChain::of(plugins(), &stages).expect("valid").apply(&mut batch).expect("applies");
    assert_eq!(applied.dropped, [2]);
    let failed: Vec<_> = applied.failed.iter().map(|f| (f.row.offset, f.stage, f.error.message())).collect();
    assert_eq!(failed, [(13, 1, "13 brings bad luck")]);
    assert_eq!(batch.iter().map(millrace_api::Record::offset).collect::<Vec<_>>(), [12, 12, 15, 15]);
}

#[test]
fn predicates_choose_records() {
    let on = |negate| StageConfig {
        predicate: Some(("test.Even".to_owned(), props(&[]))),
        negate,
        ..stage("test.Edit", &[("set", "a")])
    };
    let values = |stages: &[StageConfig]| {
        let mut batch = maps(4..6);
        TestChain::of(plugins(), stages).expect("valid").apply(&mut batch).expect("applies");
        batch.iter().map(|record| record.field("a").and_then(Value::as_i64).expect("a")).collect::<Vec<_>>()
    };
    assert_eq!(values(&[on(false)]), [4, 1]);
    assert_eq!(values(&[on(true)]), [1, 5]);
    assert_eq!(values(&[stage("test.Even", &[])]), [1], "a predicate as a stage drops what does not match");
}

#[test]
fn header_schemas_survive_dictionaries_that_know_them() {
    let mut batch = maps(0..1);
    // The batch knows INT8 as its second schema, so the delta's new one must not be taken for another.
    batch.intern_schema(&SchemaRef::new(Schema::of(Kind::Boolean)));
    let mut chain = TestChain::one(plugins(), "test.Split", &[]).expect("valid");
    chain.apply(&mut batch).expect("applies");
    let mut again = maps(0..1);
    for kind in [Kind::Bytes, Kind::Int8] {
        again.intern_schema(&SchemaRef::new(Schema::of(kind)));
    }
    chain.apply(&mut again).expect("applies");
    for batch in [&batch, &again] {
        let kinds: Vec<_> = batch.iter().filter_map(|r| r.headers().last("half")?.schema.map(|s| s.kind)).collect();
        assert_eq!(kinds, [Kind::Int8, Kind::Int8]);
    }
}

#[test]
fn plugins_are_listed_with_their_keys() {
    let classes: Vec<_> = plugins().iter().map(Plugin::class).collect();
    assert_eq!(classes, ["test.Edit", "test.Split", "test.Even"]);
    let described = millrace_sdk::export::describe(plugins(), "1.2.3");
    assert_eq!(described.first().map(|plugin| plugin.keys.len()), Some(4));
}
