//! Insert modes and keys.

use serde_json::json;

use super::support::{Batch, Db, Kind};

/// The table that orders go to, as users declare it.
const ORDERS: &str = "id {id}, `orderId` {text} UNIQUE NOT NULL, `customerId` {text}, quantity INT, price DECIMAL(12,2), \
    `orderTime` {datetime}, status {text} DEFAULT 'NEW'";

pub(crate) async fn insert_appends_in_order_and_leaves_defaults_to_the_database(mut db: Db) {
    db.table("ins", ORDERS).await;
    let mut sink = db.sink(&[("table.name.format", "ins")]).await;
    let orders = Batch::values(
        "orders",
        [
            json!({"orderId": "o-2", "customerId": "c", "quantity": 1, "price": 19.99, "orderTime": "2026-11-20T14:03:00Z"}),
            json!({"orderId": "o-1", "customerId": "c", "quantity": 2, "price": 5, "orderTime": "2026-11-20T14:03:01Z"}),
        ],
    );
    sink.write(&orders).await;
    sink.write(&Batch::values("orders", [json!({"orderId": "o-0", "status": "PAID"})])).await;
    let rows = db.rows("SELECT `orderId`, quantity, status FROM ins ORDER BY id").await;
    assert_eq!(rows, ["o-2|1|NEW", "o-1|2|NEW", "o-0|NULL|PAID"]);
}

pub(crate) async fn upsert_on_a_unique_column_beside_the_primary_key_is_idempotent(mut db: Db) {
    db.table("ups", ORDERS).await;
    let mode = [
        ("insert.mode", "upsert"),
        ("pk.mode", "record_value"),
        ("pk.fields", "orderId"),
        ("table.name.format", "ups"),
    ];
    let order = |n: i64| json!({"orderId": format!("o-{n}"), "quantity": n, "price": 1.5, "status": "NEW"});
    let batch = Batch::values("orders", (0..50).map(order));
    let dump = "SELECT id, `orderId`, quantity, price, status FROM ups ORDER BY id";
    let mut sink = db.sink(&mode).await;
    sink.write(&batch).await;
    let before = db.rows(dump).await;
    assert_eq!(before.len(), 50);
    // The same again, by the same task and by another one.
    sink.write(&batch).await;
    db.sink(&mode).await.write(&batch).await;
    assert_eq!(db.rows(dump).await, before);
    // A change of a row keeps its id.
    sink.write(&Batch::values("orders", [json!({"orderId": "o-7", "quantity": 70, "price": 1.5, "status": "PAID"})]))
        .await;
    assert_eq!(db.rows("SELECT quantity, status FROM ups WHERE `orderId` = 'o-7'").await, ["70|PAID"]);
    assert_eq!(db.one("SELECT COUNT(*) FROM ups").await, "50");
}

pub(crate) async fn the_last_record_of_a_key_wins_within_a_batch(mut db: Db) {
    db.table("lst", "k {text} PRIMARY KEY, v INT").await;
    let mut sink = db.sink(&[("insert.mode", "upsert"), ("pk.mode", "record_value"), ("pk.fields", "k")]).await;
    let records = [("b", 1), ("a", 1), ("b", 2), ("c", 1), ("a", 5), ("b", 3)];
    sink.write(&Batch::values("lst", records.map(|(k, v)| json!({"k": k, "v": v})))).await;
    assert_eq!(db.rows("SELECT k, v FROM lst ORDER BY k").await, ["a|5", "b|3", "c|1"]);
    if db.kind == Kind::MariaDb {
        // This collation takes these for the same key: the last one still wins.
        let records = [("ONE", 1), ("one", 2), ("One", 3), ("two", 5), ("TWO", 4)];
        sink.write(&Batch::values("lst", records.map(|(k, v)| json!({"k": k, "v": v})))).await;
        assert_eq!(
            db.rows("SELECT LOWER(k), v FROM lst WHERE LOWER(k) IN ('one', 'two') ORDER BY k").await,
            ["one|3", "two|4"]
        );
    }
}

pub(crate) async fn a_record_with_fewer_fields_leaves_the_other_columns_alone(mut db: Db) {
    db.table("few", "k {text} PRIMARY KEY, a INT, b INT").await;
    let mut sink = db.sink(&[("insert.mode", "upsert"), ("pk.mode", "record_value"), ("pk.fields", "k")]).await;
    let records = [
        json!({"k": "x", "a": 1, "b": 1}),
        json!({"a": 2, "k": "x"}),
        json!({"b": 9, "k": "y"}),
        json!({"k": "y", "b": 8, "a": 7}),
        json!({"k": "z", "b": null}),
    ];
    sink.write(&Batch::values("few", records)).await;
    assert_eq!(db.rows("SELECT k, a, b FROM few ORDER BY k").await, ["x|2|1", "y|7|8", "z|NULL|NULL"]);
}

pub(crate) async fn upsert_of_key_columns_only_does_nothing_the_second_time(mut db: Db) {
    db.table("keyonly", "a {text} NOT NULL, b INT NOT NULL, PRIMARY KEY (a, b)").await;
    let mut sink = db.sink(&[("insert.mode", "upsert"), ("pk.mode", "record_value")]).await;
    let batch =
        Batch::values("keyonly", [json!({"a": "x", "b": 1}), json!({"a": "x", "b": 2}), json!({"a": "x", "b": 1})]);
    sink.write(&batch).await;
    sink.write(&batch).await;
    assert_eq!(db.rows("SELECT a, b FROM keyonly ORDER BY b").await, ["x|1", "x|2"]);
}

pub(crate) async fn kafka_coordinates_are_a_key(mut db: Db) {
    let columns = "`__connect_topic` {text} NOT NULL, `__connect_partition` INT NOT NULL, `__connect_offset` BIGINT NOT NULL, v INT, \
        PRIMARY KEY (`__connect_topic`, `__connect_partition`, `__connect_offset`)";
    db.table("coord", columns).await;
    let mut sink = db.sink(&[("insert.mode", "upsert"), ("pk.mode", "kafka"), ("table.name.format", "coord")]).await;
    let batch = Batch::values("events", [json!({"v": 7}), json!({"v": 7})]);
    sink.write(&batch).await;
    sink.write(&batch).await;
    let dump =
        "SELECT `__connect_topic`, `__connect_partition`, `__connect_offset`, v FROM coord ORDER BY `__connect_offset`";
    assert_eq!(db.rows(dump).await, ["events|1|0|7", "events|1|1|7"]);
}

pub(crate) async fn the_record_key_is_a_key_whatever_its_form(mut db: Db) {
    db.table("rkey", "id {text} PRIMARY KEY, v INT").await;
    let mut sink = db.sink(&[("insert.mode", "upsert"), ("pk.mode", "record_key"), ("pk.fields", "id")]).await;
    let mut batch = Batch::default();
    batch.json("rkey", Some(json!("text")), Some(json!({"v": 1})));
    batch.json("rkey", Some(json!({"id": "map", "other": 3})), Some(json!({"v": 2})));
    // The key has the last word, also where the value has a field of that name.
    batch.json("rkey", Some(json!("both")), Some(json!({"id": "no", "v": 3})));
    batch.json("rkey", Some(json!(17)), Some(json!({"v": 4})));
    sink.write(&batch.done()).await;
    assert_eq!(db.rows("SELECT id, v FROM rkey ORDER BY v").await, ["text|1", "map|2", "both|3", "17|4"]);
}

pub(crate) async fn tombstones_delete_in_order_with_other_records(mut db: Db) {
    db.table("tomb", "id {text} PRIMARY KEY, v INT, w INT DEFAULT 5").await;
    let mode = [("insert.mode", "upsert"), ("pk.mode", "record_key"), ("pk.fields", "id"), ("delete.enabled", "true")];
    let mut sink = db.sink(&mode).await;
    let mut batch = Batch::default();
    for id in ["a", "b", "c", "d"] {
        batch.json("tomb", Some(json!(id)), Some(json!({"v": 1, "w": 1})));
    }
    sink.write(&batch.done()).await;
    batch.json("tomb", Some(json!("a")), None);
    batch.json("tomb", Some(json!("b")), Some(json!({"v": 2, "w": 2})));
    batch.json("tomb", Some(json!("b")), None);
    batch.json("tomb", Some(json!("c")), None);
    // Deleted and made again: what is not given is the default, not what was there.
    batch.json("tomb", Some(json!("c")), Some(json!({"v": 3})));
    batch.json("tomb", Some(json!("nobody")), None);
    let batch = batch.done();
    for _ in 0..2 {
        sink.write(&batch).await;
        assert_eq!(db.rows("SELECT id, v, w FROM tomb ORDER BY id").await, ["c|3|5", "d|1|1"]);
    }
    // Inserts that follow deletes work too.
    let mut sink = db.sink(&[("pk.mode", "record_key"), ("pk.fields", "id"), ("delete.enabled", "true")]).await;
    sink.write(&batch_of("tomb", &[("c", None), ("c", Some(9)), ("e", Some(1)), ("e", None)])).await;
    assert_eq!(db.rows("SELECT id, v FROM tomb ORDER BY id").await, ["c|9", "d|1"]);
}

fn batch_of(topic: &str, records: &[(&str, Option<i64>)]) -> millrace_api::RecordBatch {
    let mut batch = Batch::default();
    for (key, value) in records {
        batch.json(topic, Some(json!(key)), value.map(|v| json!({"v": v})));
    }
    batch.done()
}

pub(crate) async fn update_changes_rows_that_exist(mut db: Db) {
    db.table("upd", "id INT PRIMARY KEY, price DECIMAL(12,2), note {text}").await;
    db.run("INSERT INTO upd VALUES (1, 1.00, 'one'), (2, 2.00, 'two')").await;
    let mut sink = db.sink(&[("insert.mode", "update"), ("pk.mode", "record_value"), ("pk.fields", "id")]).await;
    let records = [
        json!({"id": 1, "price": 9}),
        json!({"id": 3, "price": 9}),
        json!({"price": 19.99, "id": 1}),
        json!({"id": 2}),
    ];
    sink.write(&Batch::values("upd", records)).await;
    let price = if db.kind == Kind::Sqlite { "2" } else { "2.00" };
    assert_eq!(
        db.rows("SELECT id, price, note FROM upd ORDER BY id").await,
        ["1|19.99|one".to_owned(), format!("2|{price}|two")]
    );
}

pub(crate) async fn composite_keys_are_upserted_and_deleted(mut db: Db) {
    db.table("comp", "region {text} NOT NULL, n DECIMAL(20,0) NOT NULL, v INT, PRIMARY KEY (region, n)").await;
    let mode =
        [("insert.mode", "upsert"), ("pk.mode", "record_key"), ("pk.fields", "region,n"), ("delete.enabled", "true")];
    let mut sink = db.sink(&mode).await;
    let mut batch = Batch::default();
    // Neighbours beyond 2^53: as floating point numbers they would be equal.
    for n in [9_007_199_254_740_992_i64, 9_007_199_254_740_993] {
        batch.json("comp", Some(json!({"region": "eu", "n": n})), Some(json!({"v": 1})));
    }
    batch.json("comp", Some(json!({"n": 1, "region": "us"})), Some(json!({"v": 1})));
    sink.write(&batch.done()).await;
    batch.json("comp", Some(json!({"region": "eu", "n": 9_007_199_254_740_993_i64})), None);
    batch.json("comp", Some(json!({"region": "us", "n": 1})), Some(json!({"v": 2})));
    sink.write(&batch.done()).await;
    let dump = db.rows("SELECT region, n, v FROM comp ORDER BY region").await;
    assert_eq!(dump, ["eu|9007199254740992|1", "us|1|2"]);
}

pub(crate) async fn batches_of_5000_and_several_tables(mut db: Db) {
    db.table("many_a", "k {text} PRIMARY KEY, v INT").await;
    db.table(
        "many_b",
        "k {text} PRIMARY KEY, v INT, w {text}, x {text}, y {text}, z {text}, price DECIMAL(12,2), t {datetime}",
    )
    .await;
    let mut sink = db.sink(&[("insert.mode", "upsert"), ("pk.mode", "record_value"), ("pk.fields", "k")]).await;
    let mut batch = Batch::default();
    for n in 0..5_000 {
        let wide = json!({"k": format!("k{n}"), "v": n, "w": "w", "x": null, "y": "ü", "z": "z", "price": 0.5, "t": 1_795_183_380_000_i64});
        batch.json("many_b", None, Some(wide));
        if n % 2 == 0 {
            batch.json("many_a", None, Some(json!({"k": format!("k{n}"), "v": n})));
        }
    }
    let batch = batch.done();
    for _ in 0..2 {
        sink.write(&batch).await;
        assert_eq!(db.rows("SELECT COUNT(*), SUM(v) FROM many_a").await, ["2500|6247500"]);
        assert_eq!(db.rows("SELECT COUNT(*), SUM(v), COUNT(x), MIN(y) FROM many_b").await, ["5000|12497500|0|ü"]);
    }
}

pub(crate) async fn text_without_structure_goes_into_one_column(mut db: Db) {
    db.table("txt", "record_value {text}, line {text}").await;
    db.sink(&[]).await.write(&Batch::values("txt", [json!("one")])).await;
    db.sink(&[("string.output.value.column.name", "line")]).await.write(&Batch::values("txt", [json!("two")])).await;
    assert_eq!(db.rows("SELECT record_value, line FROM txt ORDER BY line DESC").await.len(), 2);
    assert_eq!(db.one("SELECT line FROM txt WHERE record_value IS NULL").await, "two");
}

pub(crate) async fn names_without_quotes_ignore_case(mut db: Db) {
    db.table("noquotes", "orderid {text} PRIMARY KEY, quantity INT").await;
    let mode = [
        ("insert.mode", "upsert"),
        ("pk.mode", "record_value"),
        ("pk.fields", "orderId"),
        ("table.name.format", "NoQuotes"),
    ];
    if db.kind == Kind::MariaDb {
        // Names of its tables are names of files.
        db.run("DROP TABLE IF EXISTS `NoQuotes`; RENAME TABLE noquotes TO `NoQuotes`").await;
    }
    for never in [("quote.sql.identifiers", "never"), ("sql.quote.identifiers", "false")] {
        let mut sink = db.sink(&[&mode[..], &[never]].concat()).await;
        let records = [json!({"orderId": "a", "QUANTITY": 1}), json!({"orderId": "b", "quantity; --": 1})];
        let rejected = sink.put(&Batch::values("t", records)).await.expect("the other is written");
        assert_eq!(super::support::indices(&rejected), [1]);
    }
    let table = if db.kind == Kind::MariaDb { "NoQuotes" } else { "noquotes" };
    assert_eq!(db.rows(&format!("SELECT orderid, quantity FROM {table}")).await, ["a|1"]);
}
