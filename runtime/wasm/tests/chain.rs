//! Chains as connectors configure them.

mod common;

use common::{chain, components, config_error, done, failures, hostile, texts};
use millrace_api::transform::{ComponentKind, Components};
use millrace_api::{ErrorKind, Record};
use millrace_wasm::{Limits, WasmComponents};

fn sandbox() -> WasmComponents {
    components("hostile", hostile(), Limits::default())
}

#[test]
fn plugins_and_their_keys_come_from_the_component() {
    let plugins = sandbox().plugins();
    let names: Vec<_> = plugins.iter().map(|plugin| (plugin.class.as_str(), plugin.kind)).collect();
    assert_eq!(
        names,
        [
            ("test.Hostile$Value", ComponentKind::Transformation),
            ("test.Noop", ComponentKind::Transformation),
            ("test.Even", ComponentKind::Predicate)
        ]
    );
    let keys: Vec<_> = plugins[0].config_def.keys.iter().map(|key| (key.name.as_str(), key.kind.name())).collect();
    assert_eq!(keys, [("password", "PASSWORD"), ("refuse", "BOOLEAN"), ("hang", "BOOLEAN"), ("mode", "STRING")]);
    assert_eq!(plugins[0].version, env!("CARGO_PKG_VERSION"));
}

#[test]
fn a_chain_applies_and_drops_nothing_by_itself() {
    let components = sandbox();
    let stages = [
        ("transforms", " a , b "),
        ("transforms.a.type", "test.Hostile$Value"),
        ("transforms.b.type", "Hostile$Value"),
    ];
    let mut batch = texts(&vec!["fine"; 1200]);
    let report = chain(&components, &stages).apply(&mut batch).expect("applies");
    assert_eq!((done(&batch), report.dropped.len(), report.failed.len()), (1200, 0, 0));
}

#[test]
fn no_transforms_make_an_empty_chain() {
    let mut batch = texts(&["fine"]);
    chain(&sandbox(), &[("name", "c")]).apply(&mut batch).expect("applies");
    assert_eq!(batch.get(0).map(Record::topic), Some("t"));
}

#[test]
fn predicates_choose_records() {
    let components = sandbox();
    let with = |negate: &str| {
        let stages = [
            ("transforms", "h"),
            ("transforms.h.type", "test.Hostile$Value"),
            ("transforms.h.predicate", "even"),
            ("transforms.h.negate", negate),
            ("predicates", "even"),
            ("predicates.even.type", "Even"),
        ];
        let mut batch = texts(&["fine"; 5]);
        chain(&components, &stages).apply(&mut batch).expect("applies");
        batch.iter().map(|record| record.topic().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(with("false"), ["done", "t", "done", "t", "done"]);
    assert_eq!(with("TRUE"), ["t", "done", "t", "done", "t"]);
}

#[test]
fn a_predicate_of_another_component_chooses_records() {
    let components = sandbox();
    components.load_builtin("other", &common::renamed(hostile())).expect("the same under other names");
    for negate in ["false", "true"] {
        let stages = [
            ("transforms", "first,h"),
            ("transforms.first.type", "test.Hostile$Value"),
            ("transforms.h.type", "best.Hostile$Value"),
            ("transforms.h.predicate", "even"),
            ("transforms.h.negate", negate),
            ("predicates", "even"),
            ("predicates.even.type", "test.Even"),
        ];
        let mut batch = texts(&["fail"; 20]);
        // The first stage fails on every record that says so; let only the guarded one see them.
        let stages = &[("transforms", "h")].into_iter().chain(stages.into_iter().skip(2)).collect::<Vec<_>>()[..];
        let report = chain(&components, stages).apply(&mut batch).expect("applies");
        let wanted: Vec<i64> = (0..20).filter(|n| *n != 13 && (n % 2 == 0) == (negate == "false")).collect();
        let by_stage: Vec<i64> = failures(&report).iter().filter(|f| f.1.contains("refused")).map(|f| f.0).collect();
        assert_eq!(by_stage, wanted, "the stage saw what the predicate sent it");
        let by_predicate: Vec<_> = failures(&report).into_iter().filter(|f| f.1.contains("neither")).collect();
        assert_eq!(by_predicate, [(13, "13 is neither")]);
        assert!(report.failed.iter().all(|(_, class)| &**class == "best.Hostile$Value"));
        let left: Vec<i64> = (0..20).filter(|n| *n != 13 && !wanted.contains(n)).collect();
        assert_eq!(batch.iter().map(Record::offset).collect::<Vec<_>>(), left);
    }
}

#[test]
fn configuration_errors_name_the_key_as_kafka_does() {
    let components = sandbox();
    let error = |pairs: &[(&str, &str)]| config_error(&components, pairs);
    let hostile = ("transforms.a.type", "test.Hostile$Value");
    assert_eq!(
        error(&[("transforms", "a")]),
        "Missing required configuration \"transforms.a.type\" which has no default value."
    );
    assert_eq!(
        error(&[("transforms", "a"), ("transforms.a.type", "test.Hostil$Value")]),
        "Invalid value test.Hostil$Value for configuration transforms.a.type: Class test.Hostil$Value could not be found. \
         Did you mean test.Hostile$Value?"
    );
    assert_eq!(
        error(&[("transforms", "a"), ("transforms.a.type", "org.example.Unheard")]),
        "Invalid value org.example.Unheard for configuration transforms.a.type: Class org.example.Unheard could not be found."
    );
    assert_eq!(
        error(&[("transforms", "a"), hostile, ("transforms.a.mode", "odd")]),
        "Invalid value odd for configuration transforms.a.mode: String must be one of: plain, fancy"
    );
    assert_eq!(
        error(&[("transforms", "a"), hostile, ("transforms.a.refuse", "perhaps")]),
        "Invalid value perhaps for configuration transforms.a.refuse: Expected value to be either true or false"
    );
    assert_eq!(
        error(&[("transforms", "a"), hostile, ("transforms.a.negate", "true")]),
        "Config 'transforms.a.negate' was provided but there is no config 'transforms.a.predicate' defining a predicate to be \
         negated."
    );
    assert_eq!(
        error(&[("transforms", "a"), hostile, ("transforms.a.predicate", "p")]),
        "Invalid value p for configuration transforms.a.predicate: there is no such predicate; none are defined in \
         'predicates'."
    );
    assert_eq!(
        error(&[("transforms", "a,a"), hostile]),
        "Invalid value [a, a] for configuration transforms: Duplicate alias provided."
    );
    assert_eq!(
        error(&[("transforms", "a"), ("transforms.a.type", "test.Even")]),
        "Invalid value test.Even for configuration transforms.a.type: Not a Transformation"
    );
}

#[test]
fn a_component_cannot_give_secrets_away() {
    let components = sandbox();
    let stage = [("transforms", "a"), ("transforms.a.type", "test.Hostile$Value"), ("transforms.a.password", "s3cret")];
    let refused = [stage[0], stage[1], stage[2], ("transforms.a.refuse", "true")];
    assert_eq!(
        config_error(&components, &refused),
        "Invalid value true for configuration transforms.a.refuse: in mode plain, [hidden] is not secret enough"
    );
    let report = chain(&components, &stage).apply(&mut texts(&["fail"])).expect("applies");
    assert_eq!(failures(&report), [(0, "refused, knowing [hidden]")]);
    assert_eq!(report.failed[0].0.error.kind(), ErrorKind::Data);
}

#[test]
fn a_class_may_be_offered_once() {
    let components = sandbox();
    let error = components.load_builtin("again", hostile()).expect_err("refused");
    assert_eq!(
        common::message(&error),
        "The component again cannot be used: test.Hostile$Value is offered by hostile too"
    );
}
