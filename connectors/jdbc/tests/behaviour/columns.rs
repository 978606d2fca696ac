//! Values by the type of their column.

use std::sync::Arc;

use millrace_api::Writer;
use millrace_api::schema::{Field, Kind as SchemaKind, Schema, logical};
use serde_json::json;

use super::support::{Batch, Db, Kind, indices};

pub(crate) async fn decimals_are_exact(mut db: Db) {
    db.table("dec_t", "id INT PRIMARY KEY, price DECIMAL(12,2)").await;
    let mut sink = db.sink(&[("table.name.format", "dec_t")]).await;
    let schema = Arc::new(Schema::structure(vec![
        Field::new("id", Schema::of(SchemaKind::Int32)),
        Field::new("price", Schema::decimal(2)),
    ]));
    let mut batch = Batch::default();
    let prices = [json!(19.99), json!(9_999_999_999.99), json!("0.10"), json!(5), json!(-0.01), json!(1e3), json!(0.1)];
    for (id, price) in prices.into_iter().enumerate() {
        batch.json("d", None, Some(json!({"id": id, "price": price})));
    }
    for (id, unscaled) in [(10, 123_456_789_012_i128), (11, -1)] {
        batch.structure("d", &schema, |w| {
            let open = w.begin_struct();
            w.int32(id);
            w.decimal_i128(2, unscaled);
            w.end(open, 2);
        });
    }
    sink.write(&batch.done()).await;
    let expected = match db.kind {
        // SQLite has no decimals: its NUMERIC affinity makes the shortest number.
        Kind::Sqlite => ["19.99", "9999999999.99", "0.1", "5", "-0.01", "1000", "0.1", "1234567890.12", "-0.01"],
        _ => ["19.99", "9999999999.99", "0.10", "5.00", "-0.01", "1000.00", "0.10", "1234567890.12", "-0.01"],
    };
    assert_eq!(db.rows("SELECT price FROM dec_t ORDER BY id").await, expected);
}

pub(crate) async fn timestamps_dates_and_times(mut db: Db) {
    db.table("times_t", "id INT PRIMARY KEY, a {datetime}, b {timestamptz}, d DATE, t TIME").await;
    let mut sink = db.sink(&[("table.name.format", "times_t")]).await;
    let schema = Arc::new(Schema::structure(vec![
        Field::new("id", Schema::of(SchemaKind::Int32)),
        Field::new("a", Schema::logical(SchemaKind::Int64, logical::TIMESTAMP)),
        Field::new("b", Schema::logical(SchemaKind::Int64, logical::TIMESTAMP)),
        Field::new("d", Schema::logical(SchemaKind::Int32, logical::DATE)),
        Field::new("t", Schema::logical(SchemaKind::Int32, logical::TIME)),
    ]));
    let mut batch = Batch::default();
    let (utc, seoul) = ("2026-11-20T14:03:00Z", "2026-11-20T23:03:00+09:00");
    batch.json("t", None, Some(json!({"id": 1, "a": utc, "b": seoul, "d": "2026-11-20", "t": "14:03:00"})));
    let millis = 1_795_183_380_000_i64;
    batch.json("t", None, Some(json!({"id": 2, "a": millis, "b": millis, "d": millis, "t": 50_580_000})));
    let local = "2026-11-20 14:03:00";
    batch.json("t", None, Some(json!({"id": 3, "a": local, "b": local, "d": utc, "t": "14:03"})));
    batch.structure("t", &schema, |w: &mut Writer<'_>| {
        let open = w.begin_struct();
        w.int32(4);
        w.timestamp(millis);
        w.timestamp(millis);
        w.date(20_777);
        w.time(50_580_000);
        w.end(open, 5);
    });
    sink.write(&batch.done()).await;
    // The session reads in UTC, whatever the server's zone is.
    match db.kind {
        Kind::MariaDb => db.run("SET time_zone = '+00:00'").await,
        Kind::Postgres => db.run("SET TIME ZONE 'UTC'").await,
        Kind::Sqlite => {}
    }
    let expected = match db.kind {
        Kind::Sqlite => "2026-11-20 14:03:00|2026-11-20 14:03:00|2026-11-20|14:03:00",
        Kind::MariaDb => "2026-11-20 14:03:00.000|2026-11-20 14:03:00.000|2026-11-20|14:03:00",
        Kind::Postgres => "2026-11-20 14:03:00|2026-11-20 14:03:00+00|2026-11-20|14:03:00",
    };
    assert_eq!(db.rows("SELECT a, b, d, t FROM times_t ORDER BY id").await, [expected; 4]);
}

pub(crate) async fn time_zones_apply_to_columns_without_one(mut db: Db) {
    db.table("zone_t", "id INT PRIMARY KEY, a {datetime}, b {timestamptz}").await;
    let mut sink = db.sink(&[("table.name.format", "zone_t"), ("db.timezone", "Asia/Seoul")]).await;
    let (utc, local) = ("2026-11-20T14:03:00.250Z", "2026-11-20T23:03:00.250");
    sink.write(&Batch::values("z", [json!({"id": 1, "a": utc, "b": utc}), json!({"id": 2, "a": local, "b": local})]))
        .await;
    match db.kind {
        Kind::MariaDb => db.run("SET time_zone = '+00:00'").await,
        Kind::Postgres => db.run("SET TIME ZONE 'UTC'").await,
        Kind::Sqlite => {}
    }
    let expected = match db.kind {
        // SQLite has no zones, so every column is on the clock of db.timezone.
        Kind::Sqlite => "2026-11-20 23:03:00.250000|2026-11-20 23:03:00.250000",
        Kind::MariaDb => "2026-11-20 23:03:00.250|2026-11-20 14:03:00.250",
        Kind::Postgres => "2026-11-20 23:03:00.25|2026-11-20 14:03:00.25+00",
    };
    assert_eq!(db.rows("SELECT a, b FROM zone_t ORDER BY id").await, [expected; 2]);
}

pub(crate) async fn every_type_takes_what_it_can(mut db: Db) {
    let columns = match db.kind {
        Kind::Sqlite => {
            "id INT PRIMARY KEY, small INT, big BIGINT, f DOUBLE, b BOOLEAN, s TEXT, j JSON, u TEXT, e TEXT, bin BLOB, arr TEXT"
        }
        Kind::MariaDb => {
            "id INT PRIMARY KEY, small TINYINT UNSIGNED, big BIGINT UNSIGNED, f DOUBLE, b BOOLEAN, s VARCHAR(20), j JSON, u UUID, \
             e ENUM('x','y'), bin VARBINARY(16), arr TEXT"
        }
        Kind::Postgres => {
            "id INT PRIMARY KEY, small SMALLINT, big BIGINT, f REAL, b BOOLEAN, s VARCHAR(20), j JSONB, u UUID, e INET, bin BYTEA, arr TEXT[]"
        }
    };
    db.table("types_t", columns).await;
    let mut sink = db.sink(&[("table.name.format", "types_t")]).await;
    let e = if db.kind == Kind::Postgres { "10.0.0.1" } else { "y" };
    let uuid = "123e4567-e89b-12d3-a456-426614174000";
    let mut batch = Batch::default();
    let one = json!({"id": 1, "small": 200, "big": i64::MAX, "f": 0.5, "b": true, "s": "héllo", "j": {"a": [1, null]}, "u": uuid, "e": e,
        "bin": "ab", "arr": ["x", "a\"b", null]});
    // The same from other types of values.
    let other = json!({"id": "2", "small": 200.0, "big": i64::MAX.to_string(), "f": "0.5", "b": 1, "s": "héllo", "j": "{\"a\":[1,null]}",
        "u": uuid, "e": e, "bin": "ab", "arr": ["x", "a\"b", null]});
    batch.json("t", None, Some(one)).json("t", None, Some(other));
    sink.write(&batch.done()).await;
    let expected = match db.kind {
        Kind::Postgres => {
            format!("200|{}|0.5|t|héllo|{{\"a\": [1, null]}}|{uuid}|{e}|\\x6162|{{x,\"a\\\"b\",NULL}}", i64::MAX)
        }
        _ => format!("200|{}|0.5|1|héllo|{{\"a\":[1,null]}}|{uuid}|{e}|ab|[\"x\",\"a\\\"b\",null]", i64::MAX),
    };
    assert_eq!(
        db.rows("SELECT small, big, f, b, s, j, u, e, bin, arr FROM types_t ORDER BY id").await,
        [expected.clone(), expected]
    );
}

pub(crate) async fn nulls_and_schema_defaults(mut db: Db) {
    db.table("nulls_t", "id INT PRIMARY KEY, a INT DEFAULT 7, b {text}, c DECIMAL(12,2), d {datetime}").await;
    let mut default = Vec::new();
    Writer::new(&mut default).str("fallback");
    let schema = Arc::new(Schema::structure(vec![
        Field::new("id", Schema::of(SchemaKind::Int32)),
        Field::new("b", Schema { default: Some(default), ..Schema::optional(SchemaKind::String) }),
    ]));
    let write = |id: i32| {
        move |w: &mut Writer<'_>| {
            let open = w.begin_struct();
            w.int32(id);
            w.null();
            w.end(open, 2);
        }
    };
    let mut batch = Batch::default();
    // A null is a null; a field that is not there leaves the column to its default.
    batch.json("n", None, Some(json!({"id": 1, "a": null, "b": null, "c": null, "d": null})));
    batch.json("n", None, Some(json!({"id": 2})));
    batch.structure("n", &schema, write(3));
    db.sink(&[("table.name.format", "nulls_t")]).await.write(&batch.done()).await;
    batch.structure("n", &schema, write(4));
    db.sink(&[("table.name.format", "nulls_t"), ("replace.null.with.default", "false")])
        .await
        .write(&batch.done())
        .await;
    let rows = db.rows("SELECT id, a, b, c, d FROM nulls_t ORDER BY id").await;
    assert_eq!(rows, ["1|NULL|NULL|NULL|NULL", "2|7|NULL|NULL|NULL", "3|7|fallback|NULL|NULL", "4|7|NULL|NULL|NULL"]);
}

pub(crate) async fn whitelists_and_unknown_fields(mut db: Db) {
    db.table("white_t", "id INT PRIMARY KEY, a INT").await;
    let records =
        [json!({"id": 1, "a": 1}), json!({"id": 2, "a": 2, "zzz": "secret value"}), json!({"id": 3, "zzz": null})];
    let batch = Batch::values("w", records);
    let mut sink = db.sink(&[("table.name.format", "white_t")]).await;
    let rejected = sink.put(&batch).await.expect("the others are written");
    assert_eq!(indices(&rejected), [1]);
    let message = rejected[0].1.message();
    assert!(message.contains("\"zzz\"") && message.contains("white_t") && message.contains("auto.evolve"), "{message}");
    assert!(!message.contains("secret"), "{message}");
    assert_eq!(db.rows("SELECT id, a FROM white_t ORDER BY id").await, ["1|1", "3|NULL"]);

    db.run("DELETE FROM white_t").await;
    let mode = [("fields.whitelist", "a"), ("insert.mode", "upsert"), ("pk.mode", "record_value"), ("pk.fields", "id")];
    let mut sink = db.sink(&[&mode[..], &[("table.name.format", "white_t")]].concat()).await;
    sink.write(&batch).await;
    assert_eq!(db.rows("SELECT id, a FROM white_t ORDER BY id").await, ["1|1", "2|2", "3|NULL"]);
}

pub(crate) async fn whole_numbers_may_be_micro_or_nanoseconds(mut db: Db) {
    db.table("micro_t", "id INT PRIMARY KEY, a {datetime}, b {datetime}").await;
    let (millis, micros) = (1_795_183_380_123_i64, 1_795_183_380_123_000_i64);
    let mode = [("table.name.format", "micro_t"), ("timestamp.fields.list", "t:a")];
    db.sink(&mode).await.write(&Batch::values("t", [json!({"id": 1, "a": micros, "b": millis})])).await;
    let mode = [&mode[..], &[("timestamp.precision.mode", "nanoseconds")]].concat();
    db.sink(&mode).await.write(&Batch::values("t", [json!({"id": 2, "a": micros * 1_000, "b": millis})])).await;
    let written = if db.kind == Kind::Sqlite { "2026-11-20 14:03:00.123000" } else { "2026-11-20 14:03:00.123" };
    let expected = format!("{written}|{written}");
    assert_eq!(db.rows("SELECT a, b FROM micro_t ORDER BY id").await, [expected.clone(), expected]);
}

pub(crate) async fn columns_the_database_computes_are_its_own(mut db: Db) {
    db.table("calc_t", "id INT PRIMARY KEY, n INT, twice INT GENERATED ALWAYS AS (n * 2) STORED").await;
    let mut sink = db.sink(&[("table.name.format", "calc_t")]).await;
    let records = [json!({"id": 1, "n": 4}), json!({"id": 2, "n": 4, "twice": 9})];
    let rejected = sink.put(&Batch::values("c", records)).await.expect("the other is written");
    assert_eq!(indices(&rejected), [1]);
    assert!(rejected[0].1.message().contains("fields.whitelist"), "{}", rejected[0].1);
    assert_eq!(db.rows("SELECT id, twice FROM calc_t").await, ["1|8"]);
}
