//! `Statistics`: results computed by hand, and that it does not matter how records are spread over tasks.
#![allow(clippy::expect_used, reason = "tests may")]

mod support;

use millrace_aggregates::{Number, Summary};
use millrace_api::schema::Kind;
use millrace_api::{Schema, Writer};
use millrace_sdk::State as _;
use proptest::prelude::*;
use support::{Aggregate, batch, no_group, number_map, structure};

const CLASS: &str = "millrace.aggregates.Statistics";

fn statistics() -> Aggregate {
    Aggregate::new(CLASS, &[("aggregate.field", "price")]).expect("configured")
}

fn encoded(write: impl Fn(&mut Writer<'_>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(&mut Writer::new(&mut bytes));
    bytes
}

/// The result for records whose field `price` holds these values.
fn result(values: &[Vec<u8>]) -> String {
    let mut aggregate = statistics();
    let records = batch(None, values.len(), |index, writer| {
        number_map(writer, "price", millrace_api::Value::of(&values[index]));
    });
    let state = aggregate.update(&records, &[]).expect("folded");
    let (_, value) = aggregate.shown(&state, None, no_group);
    value.replace(r#"{"window":"2026-11-20T14:00:00Z","#, "{")
}

#[test]
fn of_integers() {
    let values = [3, -1, 10].map(|n| encoded(|writer| writer.int64(n)));
    assert_eq!(result(&values), r#"{"count":3,"sum":12,"avg":4.0,"min":-1,"max":10}"#);
}

#[test]
fn of_floats_exactly() {
    let values = [0.1, 0.2, 0.3, -0.6].map(|n| encoded(|writer| writer.float64(n)));
    // The exact sum of these four doubles is 2^-55, which is what fsum of Python says too.
    assert_eq!(
        result(&values),
        r#"{"count":4,"sum":2.7755575615628914e-17,"avg":6.938893903907228e-18,"min":-0.6,"max":0.3}"#
    );
}

#[test]
fn of_decimals() {
    let values = [encoded(|writer| writer.decimal_i128(2, 1999)), encoded(|writer| writer.decimal_i128(2, -1))];
    assert_eq!(result(&values), r#"{"count":2,"sum":19.98,"avg":9.99,"min":-0.01,"max":19.99}"#);
}

#[test]
fn of_mixed_numbers() {
    let values = [
        encoded(|writer| writer.int32(2)),
        encoded(|writer| writer.decimal_i128(1, 15)),
        encoded(|writer| writer.float32(0.5)),
    ];
    assert_eq!(result(&values[..2]), r#"{"count":2,"sum":3.5,"avg":1.75,"min":1.5,"max":2}"#);
    assert_eq!(result(&values), r#"{"count":3,"sum":4.0,"avg":1.3333333333333333,"min":0.5,"max":2}"#);
}

#[test]
fn nulls_and_records_without_the_field_do_not_count() {
    let mut aggregate = statistics();
    let records = batch(None, 3, |index, writer| match index {
        0 => writer.null(),
        1 => number_map(writer, "other", millrace_api::Value::of(&encoded(|writer| writer.int64(1)))),
        _ => number_map(writer, "price", millrace_api::Value::NULL),
    });
    let state = aggregate.update(&records, &[]).expect("folded");
    let (_, value) = aggregate.shown(&state, None, no_group);
    assert_eq!(value, r#"{"window":"2026-11-20T14:00:00Z","count":0,"sum":null,"avg":null,"min":null,"max":null}"#);
}

#[test]
fn structs_are_read_by_their_schema_and_fields_can_be_renamed_or_left_out() {
    let config = [
        ("aggregate.field", "price"),
        ("output.sum.field", "total_revenue"),
        ("output.count.field", "order_count"),
        ("output.avg.field", "avg_order_value"),
        ("output.min.field", ""),
        ("output.max.field", ""),
        ("output.group.field", "currency"),
        ("output.window.field", "window_start"),
        ("output.window.end.field", "window_end"),
    ];
    let mut aggregate = Aggregate::new(CLASS, &config).expect("configured");
    let schema = structure(vec![("id", Schema::of(Kind::String)), ("price", Schema::of(Kind::Float64))]);
    let records = batch(Some(&schema), 2, |index, writer| {
        let open = writer.begin_struct();
        writer.str("a");
        writer.float64([1.5, 2.0][index]);
        writer.end(open, 2);
    });
    let state = aggregate.update(&records, &[]).expect("folded");
    let (key, value) = aggregate.shown(&state, None, |writer| writer.str("EUR"));
    assert_eq!(key, r#"{"window_start":"2026-11-20T14:00:00Z","currency":"EUR"}"#);
    assert_eq!(
        value,
        r#"{"window_start":"2026-11-20T14:00:00Z","window_end":"2026-11-20T15:00:00Z","currency":"EUR","order_count":2,"total_revenue":3.5,"avg_order_value":1.75}"#
    );
}

#[test]
fn text_is_refused_without_showing_it() {
    let mut aggregate = statistics();
    let secret = encoded(|writer| writer.str("s3cret"));
    let records = batch(None, 1, |_, writer| number_map(writer, "price", millrace_api::Value::of(&secret)));
    let error = aggregate.update(&records, &[]).expect_err("refused");
    assert!(error.message().contains("price") && !error.message().contains("s3cret"), "{error}");
}

#[test]
fn the_form_of_states_is_kept() {
    let mut state = Summary::default();
    state.add(Number::Int(5)).expect("added");
    let mut bytes = Vec::new();
    state.encode(&mut bytes);
    let mut expected = vec![1, 1 | 8, 1, 0, 0, 0, 0, 0, 0, 0, 5];
    expected.extend([0; 15]);
    for _ in 0..2 {
        expected.extend([0, 5, 0, 0, 0, 0, 0, 0, 0]);
    }
    assert_eq!(bytes, expected);
    let version_2 = [2, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    assert!(Summary::decode(&version_2).is_err());
}

fn number() -> impl Strategy<Value = Number> {
    prop_oneof![
        any::<i64>().prop_map(|n| Number::Int(n.into())),
        (any::<i64>(), 0..6i32).prop_map(|(n, scale)| Number::Decimal(n.into(), scale)),
        any::<f64>().prop_filter("sums stay in range", |n| n.abs() < 1e300).prop_map(Number::Float),
        prop_oneof![Just(0.1), Just(1e16), Just(-1e16), Just(1e-300), Just(f64::INFINITY)].prop_map(Number::Float),
    ]
}

fn of_one_family() -> impl Strategy<Value = Vec<Number>> {
    let family = |keep: fn(&Number) -> bool| prop::collection::vec(number().prop_filter("family", keep), 0..30);
    prop_oneof![
        family(|number| matches!(number, Number::Int(_))),
        family(|number| matches!(number, Number::Decimal(..))),
        family(|number| matches!(number, Number::Float(_))),
    ]
}

fn shown(state: &Summary) -> String {
    format!("{} {:?} {:?} {:?} {:?}", state.count(), state.sum(), state.average(), state.min(), state.max())
}

fn fold(numbers: &[Number]) -> Summary {
    let mut state = Summary::default();
    for number in numbers {
        state.add(*number).expect("in range");
    }
    state
}

proptest! {
    /// Numbers spread over tasks, folded there, stored, and merged in another order give what one task would.
    #[test]
    fn spreading_does_not_matter(
        numbers in of_one_family(),
        places in prop::collection::vec(0..4usize, 30),
        order in Just([0, 1, 2, 3]).prop_shuffle(),
        left_first in any::<bool>(),
    ) {
        let mut parts = vec![Vec::new(); 4];
        for (number, place) in numbers.iter().zip(places) {
            parts[place].push(*number);
        }
        let mut merged = Summary::default();
        for place in order {
            let mut bytes = Vec::new();
            fold(&parts[place]).encode(&mut bytes);
            let mut part = Summary::decode(&bytes).expect("what was encoded");
            if left_first {
                merged.merge(&part).expect("in range");
            } else {
                part.merge(&merged).expect("in range");
                merged = part;
            }
        }
        prop_assert_eq!(shown(&merged), shown(&fold(&numbers)));
    }

    /// The sum of floats is the exact one: adding all negated values comes back to nothing.
    #[test]
    fn floats_cancel(numbers in prop::collection::vec(any::<f64>().prop_filter("finite", |n| n.abs() < 1e300), 0..40)) {
        let mut state = fold(&numbers.iter().map(|n| Number::Float(*n)).collect::<Vec<_>>());
        for number in numbers.iter().rev() {
            state.add(Number::Float(-number)).expect("in range");
        }
        let sum = state.sum().map_or(0.0, |sum| if let Number::Float(sum) = sum { sum } else { f64::NAN });
        prop_assert!(sum.abs() < f64::MIN_POSITIVE, "{sum}");
    }
}
