//! What the sink does to a database: every case on SQLite, and the same cases on real servers.

#![allow(clippy::expect_used, clippy::panic, reason = "a failed expectation is what these are for")]

#[path = "behaviour/columns.rs"]
mod columns;
#[path = "behaviour/failures.rs"]
mod failures;
#[path = "behaviour/security.rs"]
mod security;
#[path = "behaviour/support.rs"]
mod support;
#[path = "behaviour/tables.rs"]
mod tables;
#[path = "behaviour/writes.rs"]
mod writes;

use support::{Db, Kind};

/// One case on three databases.
macro_rules! cases {
    ($($module:ident::$case:ident,)*) => {
        mod sqlite {
            use super::*;
            $(#[tokio::test]
            async fn $case() {
                $module::$case(Db::open(Kind::Sqlite).await).await;
            })*
        }
        mod real_mariadb {
            use super::*;
            $(#[tokio::test]
            #[ignore = "needs MILLRACE_TEST_MARIADB"]
            async fn $case() {
                $module::$case(Db::open(Kind::MariaDb).await).await;
            })*
        }
        mod real_postgres {
            use super::*;
            $(#[tokio::test]
            #[ignore = "needs MILLRACE_TEST_POSTGRES"]
            async fn $case() {
                $module::$case(Db::open(Kind::Postgres).await).await;
            })*
        }
    };
}

cases! {
    writes::insert_appends_in_order_and_leaves_defaults_to_the_database,
    writes::upsert_on_a_unique_column_beside_the_primary_key_is_idempotent,
    writes::the_last_record_of_a_key_wins_within_a_batch,
    writes::a_record_with_fewer_fields_leaves_the_other_columns_alone,
    writes::upsert_of_key_columns_only_does_nothing_the_second_time,
    writes::kafka_coordinates_are_a_key,
    writes::the_record_key_is_a_key_whatever_its_form,
    writes::tombstones_delete_in_order_with_other_records,
    writes::update_changes_rows_that_exist,
    writes::composite_keys_are_upserted_and_deleted,
    writes::batches_of_5000_and_several_tables,
    writes::text_without_structure_goes_into_one_column,
    writes::names_without_quotes_ignore_case,
    columns::decimals_are_exact,
    columns::timestamps_dates_and_times,
    columns::time_zones_apply_to_columns_without_one,
    columns::every_type_takes_what_it_can,
    columns::nulls_and_schema_defaults,
    columns::whitelists_and_unknown_fields,
    columns::whole_numbers_may_be_micro_or_nanoseconds,
    columns::columns_the_database_computes_are_its_own,
    tables::created_from_a_schema,
    tables::created_without_a_schema,
    tables::created_with_a_key,
    tables::columns_are_added,
    tables::a_column_added_by_hand_is_found,
    tables::a_missing_table_is_an_error_that_says_what_to_do,
    tables::topics_are_mapped_to_tables,
    failures::bad_rows_are_isolated_and_the_others_written,
    failures::values_that_do_not_fit_are_rejected_one_by_one,
    failures::a_refused_record_does_not_take_its_predecessor_along,
    failures::records_without_a_row_are_rejected,
    failures::an_upsert_without_a_constraint_says_so,
    failures::two_tasks_on_the_same_keys_do_not_deadlock,
    failures::a_dropped_table_is_an_error_and_not_a_loop,
    security::names_cannot_leave_their_quotes,
    security::validation_connects_and_tells_no_more_than_that,
    security::tls_that_is_required_is_not_given_up,
}
