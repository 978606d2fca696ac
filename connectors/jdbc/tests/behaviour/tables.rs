//! `auto.create`, `auto.evolve` and names of tables.

use std::sync::Arc;

use millrace_api::schema::{Field, Kind as SchemaKind, Schema, logical};
use millrace_api::{ErrorKind, Writer};
use serde_json::json;

use super::support::{Batch, Db, Kind, indices};

/// Name and type of a table's columns, as the database tells them.
async fn columns(db: &mut Db, table: &str) -> Vec<String> {
    let sql = match db.kind {
        Kind::Sqlite => format!("SELECT name, type FROM pragma_table_info('{table}')"),
        Kind::MariaDb => format!(
            "SELECT column_name, column_type FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = '{table}' \
             ORDER BY ordinal_position"
        ),
        Kind::Postgres => format!(
            "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = to_regclass('{table}') AND attnum > 0 \
             AND NOT attisdropped ORDER BY attnum"
        ),
    };
    db.rows(&sql).await
}

pub(crate) async fn created_from_a_schema(mut db: Db) {
    db.run("DROP TABLE IF EXISTS made").await;
    let mut default = Vec::new();
    Writer::new(&mut default).str("it's \\ here");
    let fields = vec![
        Field::new("i8", Schema::of(SchemaKind::Int8)),
        Field::new("i16", Schema::of(SchemaKind::Int16)),
        Field::new("i32", Schema::of(SchemaKind::Int32)),
        Field::new("i64", Schema::of(SchemaKind::Int64)),
        Field::new("f32", Schema::of(SchemaKind::Float32)),
        Field::new("f64", Schema::optional(SchemaKind::Float64)),
        Field::new("yes", Schema::of(SchemaKind::Boolean)),
        Field::new("txt", Schema { default: Some(default), ..Schema::of(SchemaKind::String) }),
        Field::new("bin", Schema::optional(SchemaKind::Bytes)),
        Field::new("price", Schema::decimal(2).into_optional()),
        Field::new("day", Schema::logical(SchemaKind::Int32, logical::DATE).into_optional()),
        Field::new("clock", Schema::logical(SchemaKind::Int32, logical::TIME).into_optional()),
        Field::new("at", Schema::logical(SchemaKind::Int64, logical::TIMESTAMP).into_optional()),
    ];
    let schema = Arc::new(Schema::structure(fields));
    let mut batch = Batch::default();
    batch.structure("made", &schema, |w| {
        let open = w.begin_struct();
        w.int8(-1);
        w.int16(-2);
        w.int32(-3);
        w.int64(-4);
        w.float32(0.25);
        w.null();
        w.bool(true);
        w.str("x");
        w.bytes(b"ab");
        w.decimal_i128(2, 1_999);
        w.date(20_777);
        w.time(50_580_001);
        w.timestamp(1_795_183_380_123);
        w.end(open, 13);
    });
    db.sink(&[("auto.create", "true")]).await.write(&batch.done()).await;
    let types: &[&str] = match db.kind {
        Kind::Sqlite => &[
            "INTEGER", "INTEGER", "INTEGER", "INTEGER", "REAL", "REAL", "INTEGER", "TEXT", "BLOB", "NUMERIC",
            "NUMERIC", "NUMERIC", "NUMERIC",
        ],
        Kind::MariaDb => &[
            "tinyint(4)",
            "smallint(6)",
            "int(11)",
            "bigint(20)",
            "float",
            "double",
            "tinyint(4)",
            "varchar(255)",
            "longblob",
            "decimal(65,2)",
            "date",
            "time(3)",
            "datetime(3)",
        ],
        Kind::Postgres => &[
            "smallint",
            "smallint",
            "integer",
            "bigint",
            "real",
            "double precision",
            "boolean",
            "text",
            "bytea",
            "numeric",
            "date",
            "time without time zone",
            "timestamp without time zone",
        ],
    };
    let made: Vec<String> =
        columns(&mut db, "made").await.into_iter().map(|row| row.split('|').nth(1).unwrap_or("").to_owned()).collect();
    assert_eq!(made, types);
    let expected = match db.kind {
        // SQLite has numbers for times, as the JDBC driver for SQLite writes them.
        Kind::Sqlite => "-1|-4|0.25|NULL|1|x|19.99|1795132800000|50580001|1795183380123",
        Kind::MariaDb => "-1|-4|0.25|NULL|1|x|19.99|2026-11-20|14:03:00.001|2026-11-20 14:03:00.123",
        Kind::Postgres => "-1|-4|0.25|NULL|t|x|19.99|2026-11-20|14:03:00.001|2026-11-20 14:03:00.123",
    };
    assert_eq!(db.one("SELECT i8, i64, f32, f64, yes, txt, price, day, clock, at FROM made").await, expected);
    db.run("INSERT INTO made (i8, i16, i32, i64, f32, yes) SELECT i8, i16, i32, i64, f32, yes FROM made").await;
    assert_eq!(db.one("SELECT txt FROM made WHERE txt <> 'x'").await, "it's \\ here");
}

pub(crate) async fn created_without_a_schema(mut db: Db) {
    db.run("DROP TABLE IF EXISTS guessed").await;
    let mut sink = db.sink(&[("auto.create", "true")]).await;
    let records = [
        json!({"n": 1, "x": 1, "yes": true, "txt": "t", "nested": {"a": [1, "b"]}, "list": [1, 2], "nothing": null}),
        json!({"n": 2, "x": 0.5, "yes": false, "txt": null, "nested": null, "list": [], "late": "here"}),
    ];
    sink.write(&Batch::values("guessed", records)).await;
    let types = match db.kind {
        Kind::Sqlite => ["n|INTEGER", "x|REAL", "yes|INTEGER", "txt|TEXT", "nested|TEXT", "list|TEXT", "late|TEXT"],
        Kind::MariaDb => {
            ["n|bigint(20)", "x|double", "yes|tinyint(4)", "txt|text", "nested|longtext", "list|longtext", "late|text"]
        }
        Kind::Postgres => {
            ["n|bigint", "x|double precision", "yes|boolean", "txt|text", "nested|text", "list|text", "late|text"]
        }
    };
    assert_eq!(columns(&mut db, "guessed").await, types);
    let rows = db.rows("SELECT n, x, txt, nested, list, late FROM guessed ORDER BY n").await;
    let one = if db.kind == Kind::Sqlite { "1.0" } else { "1" };
    assert_eq!(rows, [format!("1|{one}|t|{{\"a\":[1,\"b\"]}}|[1,2]|NULL"), "2|0.5|NULL|NULL|[]|here".to_owned()]);
}

pub(crate) async fn created_with_a_key(mut db: Db) {
    db.run("DROP TABLE IF EXISTS keyed; DROP TABLE IF EXISTS keyed2; DROP TABLE IF EXISTS keyed3").await;
    let upsert = [("auto.create", "true"), ("insert.mode", "upsert")];
    let mut batch = Batch::default();
    batch.json("keyed", Some(json!("k1")), Some(json!({"v": 1}))).json(
        "keyed",
        Some(json!("k1")),
        Some(json!({"v": 2})),
    );
    let key = [("pk.mode", "record_key"), ("pk.fields", "id")];
    db.sink(&[&upsert[..], &key].concat()).await.write(&batch.done()).await;
    assert_eq!(db.rows("SELECT id, v FROM keyed").await, ["k1|2"]);

    let value = [("pk.mode", "record_value"), ("pk.fields", "b,a")];
    let records =
        [json!({"a": 1, "b": "x", "v": 1}), json!({"a": 1, "b": "x", "v": 2}), json!({"a": 2, "b": "x", "v": 3})];
    db.sink(&[&upsert[..], &value].concat()).await.write(&Batch::values("keyed2", records)).await;
    assert_eq!(db.rows("SELECT b, a, v FROM keyed2 ORDER BY a").await, ["x|1|2", "x|2|3"]);
    assert!(columns(&mut db, "keyed2").await[0].starts_with("b|"), "the key's own order");

    db.sink(&[&upsert[..], &[("pk.mode", "kafka")]].concat())
        .await
        .write(&Batch::values("keyed3", [json!({"v": 1})]))
        .await;
    assert_eq!(
        db.rows("SELECT `__connect_topic`, `__connect_partition`, `__connect_offset`, v FROM keyed3").await,
        ["keyed3|1|0|1"]
    );
}

pub(crate) async fn columns_are_added(mut db: Db) {
    db.table("grow", "id INT PRIMARY KEY").await;
    db.run("INSERT INTO grow VALUES (1)").await;
    let mut sink = db.sink(&[("auto.evolve", "true")]).await;
    sink.write(&Batch::values("grow", [json!({"id": 2, "b": "x"}), json!({"id": 3, "c": 1.5, "d": null})])).await;
    sink.write(&Batch::values("grow", [json!({"id": 4, "d": true})])).await;
    assert_eq!(
        db.rows("SELECT id, b, c FROM grow ORDER BY id").await,
        ["1|NULL|NULL", "2|x|NULL", "3|NULL|1.5", "4|NULL|NULL"]
    );
    assert_eq!(columns(&mut db, "grow").await.len(), 4);

    // A column that existing rows could not have a value for is not added; the record says why.
    let fields =
        vec![Field::new("id", Schema::of(SchemaKind::Int32)), Field::new("must", Schema::of(SchemaKind::Int32))];
    let schema = Arc::new(Schema::structure(fields));
    let mut batch = Batch::default();
    batch.structure("grow", &schema, |w| {
        let open = w.begin_struct();
        w.int32(5);
        w.int32(5);
        w.end(open, 2);
    });
    batch.json("grow", None, Some(json!({"id": 6})));
    let rejected = sink.put(&batch.done()).await.expect("the other is written");
    assert_eq!(indices(&rejected), [0]);
    assert!(rejected[0].1.message().contains("make the field optional"), "{}", rejected[0].1);
    assert_eq!(db.one("SELECT MAX(id) FROM grow").await, "6");
}

pub(crate) async fn a_column_added_by_hand_is_found(mut db: Db) {
    db.table("hand", "id INT PRIMARY KEY, v INT").await;
    let mut sink = db.sink(&[]).await;
    sink.write(&Batch::values("hand", [json!({"id": 1, "v": 1})])).await;
    db.run("ALTER TABLE hand ADD COLUMN extra {text}").await;
    sink.write(&Batch::values("hand", [json!({"id": 2, "extra": "e"})])).await;
    // One taken away is noticed too, when the database says so.
    db.run("ALTER TABLE hand DROP COLUMN v").await;
    let rejected = sink.put(&Batch::values("hand", [json!({"id": 3, "v": 1}), json!({"id": 4, "extra": "f"})])).await;
    assert_eq!(indices(&rejected.expect("the other is written")), [0]);
    assert_eq!(db.rows("SELECT id, extra FROM hand ORDER BY id").await, ["1|NULL", "2|e", "4|f"]);
}

pub(crate) async fn a_missing_table_is_an_error_that_says_what_to_do(mut db: Db) {
    db.run("DROP TABLE IF EXISTS nowhere").await;
    let error = db.sink(&[]).await.put(&Batch::values("nowhere", [json!({"a": 1})])).await.expect_err("no table");
    assert_eq!(error.kind(), ErrorKind::External);
    assert_eq!(
        error.message(),
        "Table \"nowhere\" is missing and auto-creation is disabled; create it, or set auto.create to true"
    );
}

pub(crate) async fn topics_are_mapped_to_tables(mut db: Db) {
    for table in ["map_orders_v1", "map_b", "map_x"] {
        db.table(table, "a INT").await;
    }
    let mut sink = db
        .sink(&[
            ("table.name.format", "map_${topic}"),
            ("table.name.normalize", "true"),
            ("topics.to.tables.mapping", "other:map_b"),
        ])
        .await;
    let mut batch = Batch::default();
    batch.json("orders-v1", None, Some(json!({"a": 1}))).json("other", None, Some(json!({"a": 2})));
    sink.write(&batch.done()).await;
    assert_eq!(db.rows("SELECT a FROM map_orders_v1").await, ["1"]);
    assert_eq!(db.rows("SELECT a FROM map_b").await, ["2"]);
    let schema = match db.kind {
        Kind::Sqlite => "main",
        Kind::MariaDb => "test",
        Kind::Postgres => "public",
    };
    db.sink(&[("table.name.format", &format!("{schema}.map_x"))])
        .await
        .write(&Batch::values("t", [json!({"a": 3})]))
        .await;
    assert_eq!(db.rows("SELECT a FROM map_x").await, ["3"]);
}
