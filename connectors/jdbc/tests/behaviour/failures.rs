//! What happens when something is wrong with records, tables or connections.

use std::time::Duration;

use millrace_api::ErrorKind;
use serde_json::json;

use super::support::{Batch, Db, Kind, Sink, indices};

pub(crate) async fn bad_rows_are_isolated_and_the_others_written(mut db: Db) {
    db.table("iso", "id INT PRIMARY KEY, v {text} NOT NULL, n INT CHECK (n < 1000)").await;
    db.run("INSERT INTO iso VALUES (50, 'old', 0)").await;
    let mut sink = db.sink(&[]).await;
    let records = (0..200).map(|id| match id {
        3 => json!({"id": 3, "v": null, "n": 1}),
        50 => json!({"id": 50, "v": "alice@example.com", "n": 1}),
        51 => json!({"id": 51, "v": "x", "n": 5_000}),
        199 => json!({"id": 0, "v": "again", "n": 1}),
        id => json!({"id": id, "v": "v", "n": id}),
    });
    let rejected = sink.put(&Batch::values("iso", records)).await.expect("the others are written");
    assert_eq!(indices(&rejected), [3, 50, 51, 199]);
    for (_, error) in &rejected {
        assert!(!error.to_string().contains("alice") && !error.to_string().contains("again"), "{error}");
    }
    assert_eq!(
        db.rows("SELECT COUNT(*), SUM(n) FROM iso").await,
        [format!("197|{}", (0..199).sum::<i32>() - 3 - 50 - 51)]
    );
    assert_eq!(db.one("SELECT v FROM iso WHERE id = 50").await, "old");
    // The connection goes on working.
    sink.write(&Batch::values("iso", [json!({"id": 1_000, "v": "v", "n": 1})])).await;
}

pub(crate) async fn values_that_do_not_fit_are_rejected_one_by_one(mut db: Db) {
    let small = if db.kind == Kind::Sqlite { "BIGINT" } else { "SMALLINT" };
    db.table("fit", &format!("id INT PRIMARY KEY, small {small}, price DECIMAL(12,2), at {{datetime}}, s VARCHAR(5)"))
        .await;
    let records = [
        json!({"id": 0, "small": 1}),
        json!({"id": 1, "small": "many"}),
        json!({"id": 2, "small": 1.5}),
        json!({"id": 3, "price": "expensive"}),
        json!({"id": 4, "at": "yesterday"}),
        json!({"id": 5, "at": "2026-02-30T00:00:00Z"}),
        json!({"id": 6, "price": {"a": 1}}),
        json!({"id": 7, "s": "12345"}),
    ];
    let mut sink = db.sink(&[("insert.mode", "upsert"), ("pk.mode", "record_value"), ("pk.fields", "id")]).await;
    let rejected = sink.put(&Batch::values("fit", records)).await.expect("the others are written");
    assert_eq!(indices(&rejected), [1, 2, 3, 4, 5, 6]);
    assert!(rejected[2].1.message().contains("\"price\""), "{}", rejected[2].1);
    assert!(!rejected[2].1.to_string().contains("expensive"));
    assert_eq!(db.rows("SELECT id FROM fit ORDER BY id").await, ["0", "7"]);
    if db.kind != Kind::Sqlite {
        // What only the server knows: a number too large for its column, a text too long for it.
        let records = [
            json!({"id": 8, "small": 40_000}),
            json!({"id": 9, "price": 1e12}),
            json!({"id": 10, "s": "123456"}),
            json!({"id": 11}),
        ];
        let rejected = sink.put(&Batch::values("fit", records)).await.expect("the other is written");
        assert_eq!(indices(&rejected), [0, 1, 2]);
        assert_eq!(db.one("SELECT COUNT(*) FROM fit").await, "3");
    }
    if db.kind == Kind::MariaDb {
        // Whatever the server's own mode is, nothing is cut to size.
        let mode = db.one("SELECT @@GLOBAL.sql_mode").await;
        db.run("SET GLOBAL sql_mode = ''").await;
        let rejected = db.sink(&[]).await.put(&Batch::values("fit", [json!({"id": 12, "s": "123456"})])).await;
        db.run(&format!("SET GLOBAL sql_mode = '{mode}'")).await;
        assert_eq!(indices(&rejected.expect("nothing is written")), [0]);
    }
}

pub(crate) async fn a_refused_record_does_not_take_its_predecessor_along(mut db: Db) {
    db.table("pred", "k {text} PRIMARY KEY, n INT NOT NULL CHECK (n < 10)").await;
    let mut sink = db.sink(&[("insert.mode", "upsert"), ("pk.mode", "record_value"), ("pk.fields", "k")]).await;
    let records = [("a", 1), ("b", 1), ("a", 99), ("b", 2)].map(|(k, n)| json!({"k": k, "n": n}));
    let rejected = sink.put(&Batch::values("pred", records)).await.expect("the others are written");
    assert_eq!(indices(&rejected), [2]);
    assert_eq!(db.rows("SELECT k, n FROM pred ORDER BY k").await, ["a|1", "b|2"]);
}

pub(crate) async fn records_without_a_row_are_rejected(mut db: Db) {
    db.table("norow", "id INT PRIMARY KEY, v INT").await;
    let mut sink = db.sink(&[("insert.mode", "upsert"), ("pk.mode", "record_value"), ("pk.fields", "id")]).await;
    let mut batch = Batch::default();
    batch.json("norow", None, None);
    batch.json("norow", None, Some(json!(5)));
    batch.json("norow", None, Some(json!({"v": 1})));
    batch.json("norow", None, Some(json!({"id": null, "v": 1})));
    batch.json("norow", None, Some(json!({})));
    batch.json("norow", None, Some(json!({"id": 1, "v": 1})));
    let rejected = sink.put(&batch.done()).await.expect("the other is written");
    assert_eq!(indices(&rejected), [0, 1, 2, 3, 4]);
    assert!(rejected[0].1.message().contains("delete.enabled"), "{}", rejected[0].1);
    assert!(rejected[2].1.message().contains("\"id\""), "{}", rejected[2].1);
    assert_eq!(db.rows("SELECT id, v FROM norow").await, ["1|1"]);

    let mut sink = db.sink(&[("insert.mode", "upsert"), ("pk.mode", "record_key"), ("pk.fields", "id")]).await;
    let mut batch = Batch::default();
    batch.json("norow", None, Some(json!({"v": 1}))).json("norow", Some(json!({"x": 1})), Some(json!({"v": 1})));
    assert_eq!(indices(&sink.put(&batch.done()).await.expect("nothing is written")), [0, 1]);
}

pub(crate) async fn an_upsert_without_a_constraint_says_so(mut db: Db) {
    db.table("nokey", "id INT, v INT").await;
    let mode = [("insert.mode", "upsert"), ("pk.mode", "record_value"), ("pk.fields", "id")];
    let batch = Batch::values("nokey", [json!({"id": 1, "v": 1})]);
    if db.kind != Kind::MariaDb {
        let error = db.sink(&mode).await.put(&batch).await.expect_err("no constraint");
        assert_eq!(error.kind(), ErrorKind::External);
        assert!(error.message().contains("unique constraint"), "{error}");
    }
    let mode = [("insert.mode", "upsert"), ("pk.mode", "record_value"), ("pk.fields", "v")];
    let mode = [&mode[..], &[("table.name.format", "lacks")]].concat();
    db.table("lacks", "id INT").await;
    let error = db.sink(&mode).await.put(&batch).await.expect_err("no key column");
    assert_eq!(error.kind(), ErrorKind::External);
    assert!(error.message().contains("\"v\"") && error.message().contains("pk.fields"), "{error}");
}

pub(crate) async fn two_tasks_on_the_same_keys_do_not_deadlock(mut db: Db) {
    db.table("dead", "k {text} PRIMARY KEY, v INT").await;
    let mode = [("insert.mode", "upsert"), ("pk.mode", "record_value"), ("pk.fields", "k"), ("batch.size", "10")];
    let batch = |order: &mut dyn Iterator<Item = i32>, v: i32| {
        Batch::values("dead", order.map(|n| json!({"k": format!("{n:04}"), "v": v})))
    };
    db.sink(&mode).await.write(&batch(&mut (0..400), 0)).await;
    let (mut one, mut two) = (db.sink(&mode).await, db.sink(&mode).await);
    let forwards = async {
        for v in 0..15 {
            one.write(&batch(&mut (0..400), v)).await;
        }
    };
    let backwards = async {
        for v in 0..15 {
            two.write(&batch(&mut (0..400).rev(), v)).await;
        }
    };
    let both = async { tokio::join!(forwards, backwards) };
    tokio::time::timeout(Duration::from_mins(1), both).await.expect("no lock is waited for so long");
    assert_eq!(db.one("SELECT COUNT(*) FROM dead").await, "400");
}

pub(crate) async fn a_dropped_table_is_an_error_and_not_a_loop(mut db: Db) {
    db.table("gone", "id INT").await;
    let mut sink = db.sink(&[]).await;
    sink.write(&Batch::values("gone", [json!({"id": 1})])).await;
    db.run("DROP TABLE gone").await;
    let error = sink.put(&Batch::values("gone", [json!({"id": 2})])).await.expect_err("no table");
    assert_eq!(error.kind(), ErrorKind::External);
    assert!(error.message().contains("Table \"gone\" is missing"), "{error}");
    db.run("CREATE TABLE gone (id BIGINT)").await;
    sink.write(&Batch::values("gone", [json!({"id": 3})])).await;
    assert_eq!(db.rows("SELECT id FROM gone").await, ["3"]);
}

/// The connection is ended by the server: while idle, and in the middle of a transaction.
async fn connection_loss(kind: Kind) {
    let mut db = Db::open(kind).await;
    db.table("loss", "k {text} PRIMARY KEY, v INT").await;
    let mut props = db.props(&[("insert.mode", "upsert"), ("pk.mode", "record_value"), ("pk.fields", "k")]);
    // A session that can be told from those of other tests.
    if kind == Kind::MariaDb {
        db.run("CREATE USER IF NOT EXISTS 'loss'@'%' IDENTIFIED BY 'loss'; GRANT ALL ON test.* TO 'loss'@'%'").await;
        props.extend(
            [("connection.user", "loss"), ("connection.password", "loss")].map(|(k, v)| (k.to_owned(), v.to_owned())),
        );
    } else {
        props["connection.url"].push_str("?ApplicationName=loss");
    }
    let mut sink = Sink::start(&props).await.expect("started");
    let batch = |v: i32| Batch::values("loss", (0..500).map(|n| json!({"k": format!("{n}"), "v": v})));
    sink.write(&batch(1)).await;
    end_others(&mut db).await;
    let error = sink.put(&batch(2)).await.expect_err("the connection is gone");
    assert_eq!(error.kind(), ErrorKind::Retriable, "{error:?}");
    assert_eq!(sink.write_with_retries(&batch(2)).await, 0);
    assert_eq!(db.rows("SELECT COUNT(*), MIN(v), MAX(v) FROM loss").await, ["500|2|2"]);

    // A row that is locked holds the sink up in its transaction, where its connection is ended.
    db.run("BEGIN; UPDATE loss SET v = 3 WHERE k = '250'").await;
    let writing = tokio::spawn(async move {
        let outcome = sink.put(&batch(4)).await;
        (sink, outcome)
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    end_others(&mut db).await;
    let (mut sink, outcome) = writing.await.expect("no panic");
    assert_eq!(outcome.expect_err("the connection is gone").kind(), ErrorKind::Retriable);
    db.run("COMMIT").await;
    assert_eq!(
        db.rows("SELECT COUNT(*), MIN(v), MAX(v) FROM loss").await,
        ["500|2|3"],
        "nothing of the transaction is left"
    );
    sink.write_with_retries(&Batch::values("loss", (0..500).map(|n| json!({"k": format!("{n}"), "v": 5})))).await;
    assert_eq!(db.rows("SELECT COUNT(*), MIN(v), MAX(v) FROM loss").await, ["500|5|5"]);
}

/// Ends the sink's sessions on the server.
async fn end_others(db: &mut Db) {
    if db.kind == Kind::MariaDb {
        for id in db.rows("SELECT id FROM information_schema.processlist WHERE user = 'loss'").await {
            db.run(&format!("KILL {id}")).await;
        }
    } else {
        let ended =
            db.rows("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'loss'").await;
        assert_eq!(ended, ["t"]);
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
}

#[tokio::test]
#[ignore = "needs MILLRACE_TEST_MARIADB"]
async fn real_mariadb_connection_loss_recovers() {
    connection_loss(Kind::MariaDb).await;
}

#[tokio::test]
#[ignore = "needs MILLRACE_TEST_POSTGRES"]
async fn real_postgres_connection_loss_recovers() {
    connection_loss(Kind::Postgres).await;
}

#[tokio::test]
async fn sqlite_that_is_busy_is_tried_again() {
    let mut db = Db::open(Kind::Sqlite).await;
    db.table("busy", "id INT").await;
    let mut sink = db.sink(&[]).await;
    db.run("BEGIN IMMEDIATE").await;
    let batch = Batch::values("busy", [json!({"id": 1})]);
    let error = sink.put(&batch).await.expect_err("somebody else writes");
    assert_eq!(error.kind(), ErrorKind::Retriable, "{error:?}");
    db.run("ROLLBACK").await;
    assert_eq!(sink.write_with_retries(&batch).await, 0);
    assert_eq!(db.rows("SELECT id FROM busy").await, ["1"]);
}
