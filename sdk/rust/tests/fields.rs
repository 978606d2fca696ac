//! Stages that edit fields of a map which is taken apart, among stages that want it whole. What comes out is compared with a model
//! that knows neither bytes nor stages: names and numbers in a list.

#![allow(clippy::expect_used, reason = "tests may")]

use millrace_sdk::api::batch::{NO_PARTITION, RecordBatch, Row};
use millrace_sdk::prelude::*;
use millrace_sdk::testing::{TestChain, props};
use millrace_sdk::{StageConfig, encoded};
use proptest::prelude::*;

/// One edit of the value's fields.
struct Touch(TouchConfig);

#[derive(Config)]
struct TouchConfig {
    /// What is done: `set`, `keep`, `remove` or `rename`.
    #[config(name = "what")]
    what: String,
    /// The field.
    #[config(name = "field")]
    field: String,
    /// The number that is set, or the new name.
    #[config(name = "to")]
    to: String,
}

impl Transform for Touch {
    const CLASS: &'static str = "test.Touch";
    type Config = TouchConfig;

    fn configure(config: TouchConfig) -> Result<Self> {
        Ok(Self(config))
    }

    fn apply(&mut self, _record: &Record<'_>, _out: &mut Output<'_>) -> Result<Verdict> {
        Err(Error::data("the value is no map"))
    }

    fn edits(&self) -> Option<Part> {
        Some(Part::Value)
    }

    fn edit(&mut self, record: &Record<'_>, fields: &mut Fields<'_>) -> Result<()> {
        assert!(record.value().is_null(), "a part that is taken apart reads as null");
        let Self(TouchConfig { what, field, to }) = self;
        let name = encoded(field);
        match (what.as_str(), fields.find(&name, 0)) {
            // Adds to the number that is there.
            ("set", _) => fields.set(&name, |writer, present| {
                let number: i64 = to.parse().map_err(|_| Error::data("no number"))?;
                writer.int64(number + present.and_then(Value::as_i64).unwrap_or(0));
                Ok(true)
            })?,
            ("keep", _) => fields.set(&name, |writer, _| {
                writer.str("half of something, which is taken back");
                Ok(false)
            })?,
            ("remove", Some(index)) => fields.remove(index),
            ("rename", Some(index)) => fields.rename(index, &encoded(to)),
            _ => {}
        }
        Ok(())
    }
}

/// Reads the whole value, and puts its count of fields into a header; with `double` it sends the record on twice.
struct Whole {
    double: bool,
}

#[derive(Config)]
struct WholeConfig {
    /// Whether records are sent on twice.
    #[config(name = "double", default = "false")]
    double: bool,
}

impl Transform for Whole {
    const CLASS: &'static str = "test.Whole";
    type Config = WholeConfig;

    fn configure(config: WholeConfig) -> Result<Self> {
        Ok(Self { double: config.double })
    }

    fn apply(&mut self, record: &Record<'_>, out: &mut Output<'_>) -> Result<Verdict> {
        let count = record.value().count().ok_or_else(|| Error::data("the value is no map"))?;
        for _ in 0..=usize::from(self.double) {
            out.add_header("count", None, |writer| writer.str(&count.to_string()));
            if self.double {
                out.emit()?;
            }
        }
        Ok(if self.double { Verdict::Emit } else { Verdict::Keep })
    }
}

/// Sends records to another topic without a look at their parts.
struct Route;

impl Transform for Route {
    const CLASS: &'static str = "test.Route";
    type Config = NoConfig;

    fn configure(_: NoConfig) -> Result<Self> {
        Ok(Self)
    }

    fn needs(&self) -> Needs {
        Needs::NOTHING
    }

    fn apply(&mut self, _record: &Record<'_>, out: &mut Output<'_>) -> Result<Verdict> {
        out.topic("elsewhere");
        Ok(Verdict::Keep)
    }
}

/// Whether the value has a field `a`.
struct HasA;

impl Predicate for HasA {
    const CLASS: &'static str = "test.HasA";
    type Config = NoConfig;

    fn configure(_: NoConfig) -> Result<Self> {
        Ok(Self)
    }

    fn test(&mut self, record: &Record<'_>) -> Result<bool> {
        Ok(record.field(Part::Value, "a").is_some())
    }
}

millrace_sdk::export_smt!(Touch, Whole, Route; predicates HasA);

#[derive(Debug, Clone)]
enum Step {
    Touch { what: &'static str, field: &'static str, to: String, if_a: bool },
    Whole,
    Double,
    Route,
}

impl Step {
    fn stage(&self) -> StageConfig {
        let stage = |class: &str, config: &[(&str, &str)]| StageConfig {
            class: class.to_owned(),
            config: props(config),
            ..StageConfig::default()
        };
        match self {
            Self::Touch { what, field, to, if_a } => StageConfig {
                predicate: if_a.then(|| ("test.HasA".to_owned(), props(&[]))),
                ..stage("test.Touch", &[("what", what), ("field", field), ("to", to)])
            },
            Self::Whole => stage("test.Whole", &[]),
            Self::Double => stage("test.Whole", &[("double", "true")]),
            Self::Route => stage("test.Route", &[]),
        }
    }

    /// The same on a list.
    fn model(&self, fields: &mut Vec<(String, i64)>) {
        let Self::Touch { what, field, to, if_a } = self else { return };
        if *if_a && !fields.iter().any(|(name, _)| name == "a") {
            return;
        }
        let found = fields.iter().position(|(name, _)| name == field);
        match (*what, found) {
            ("set", None) => fields.push(((*field).to_owned(), to.parse().expect("a number"))),
            ("set", Some(_)) => {
                for (_, number) in fields.iter_mut().filter(|(name, _)| name == field) {
                    *number += to.parse::<i64>().expect("a number");
                }
            }
            ("remove", Some(index)) => drop(fields.remove(index)),
            ("rename", Some(index)) => fields[index].0.clone_from(to),
            _ => {}
        }
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    // Long names, and ones of the same length, beginning and end.
    let field = || prop::sample::select(vec!["a", "b", "ab", "xyz", "xqz", "a-name-of-more-than-sixteen-bytes"]);
    let set = (field(), 0..1000i64, any::<bool>());
    let touch = |what: &'static str| {
        (field(), field(), any::<bool>()).prop_map(move |(field, to, if_a)| Step::Touch {
            what,
            field,
            to: to.to_owned(),
            if_a,
        })
    };
    let step = prop_oneof![
        4 => set.prop_map(|(field, to, if_a)| Step::Touch { what: "set", field, to: to.to_string(), if_a }),
        1 => touch("keep"),
        2 => touch("remove"),
        2 => touch("rename"),
        1 => Just(Step::Whole),
        1 => Just(Step::Double),
        1 => Just(Step::Route),
    ];
    prop::collection::vec(step, 0..9)
}

fn batch(maps: &[Vec<(&'static str, i64)>]) -> RecordBatch {
    let mut batch = RecordBatch::new();
    let topic = batch.intern_topic("t");
    for (origin, fields) in (0..).zip(maps) {
        let written = batch.append(|heap| {
            let mut writer = Writer::new(heap);
            let open = writer.begin_map();
            for (name, number) in fields {
                writer.str(name);
                writer.int64(*number);
            }
            writer.end(open, fields.len());
            Ok(())
        });
        let (value, ()) = written.expect("fits");
        batch.push(Row { topic, value, origin, partition: NO_PARTITION, ..Row::EMPTY });
    }
    batch
}

fn shown(fields: &[(String, i64)]) -> String {
    let fields: Vec<_> = fields.iter().map(|(name, number)| format!("\"{name}\":{number}")).collect();
    format!("{{{}}}", fields.join(","))
}

proptest! {
    #[test]
    fn edits_give_what_a_list_gives(
        steps in steps(),
        maps in prop::collection::vec(
            prop::sample::subsequence(vec![("b", 1), ("a", 2), ("xyz", 3), ("last", 4)], 0..=4), 1..4),
    ) {
        let stages: Vec<_> = steps.iter().map(Step::stage).collect();
        let mut batch = batch(&maps);
        let applied = TestChain::of(plugins(), &stages).expect("valid").apply(&mut batch).expect("applies");
        prop_assert_eq!((applied.failed.len(), applied.dropped.len()), (0, 0));
        let copies = 1usize << steps.iter().filter(|step| matches!(step, Step::Double)).count();
        let expected: Vec<_> = maps
            .iter()
            .flat_map(|map| {
                let mut fields: Vec<_> = map.iter().map(|(name, number)| ((*name).to_owned(), *number)).collect();
                for step in &steps {
                    step.model(&mut fields);
                }
                vec![shown(&fields); copies]
            })
            .collect();
        let values: Vec<_> = batch.iter().map(|record| record.value().to_string()).collect();
        prop_assert_eq!(values, expected);
        let routed = steps.iter().any(|step| matches!(step, Step::Route));
        let topic = if routed { "elsewhere" } else { "t" };
        prop_assert!(batch.iter().all(|record| record.topic() == topic));
    }
}

#[test]
fn what_is_no_map_goes_the_usual_way() {
    let mut batch = RecordBatch::new();
    let topic = batch.intern_topic("t");
    let (value, ()) = batch
        .append(|heap| {
            Writer::new(heap).int64(7);
            Ok(())
        })
        .expect("fits");
    batch.push(Row { topic, value, ..Row::EMPTY });
    let stages = [("what", "set"), ("field", "a"), ("to", "1")];
    let applied = TestChain::one(plugins(), "test.Touch", &stages).expect("valid").apply(&mut batch).expect("applies");
    assert_eq!(applied.failed[0].error.message(), "the value is no map");
}
