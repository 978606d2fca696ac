//! What the `Log` seam promises. Each function is one behaviour; it gets a log and a prefix for its topics, groups and
//! transactional ids that nobody else uses, so all of them can run against one Kafka cluster at once.
//!
//! An implementation runs them all with one line in its `tests/behaviour.rs`:
//!
//! ```ignore
//! millrace_behaviour::log_suite!(open_local);                                  // fn names as here
//! millrace_behaviour::log_suite!(open_kafka, ignore = "needs MILLRACE_TEST_KAFKA"); // ignored, names with `real_`
//! ```
//!
//! `open_local` is an `async fn() -> Subject`.

mod append;
mod budget;
mod consuming;
mod groups;
mod positions;
pub mod support;
mod topics;
mod transactions;
mod zombies;

pub use append::*;
pub use budget::*;
pub use consuming::*;
pub use groups::*;
pub use positions::*;
pub use topics::*;
pub use transactions::*;
pub use zombies::*;

use std::any::Any;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use millrace_api::log::Log;

/// A log under test and whatever must live as long as it does (a temporary folder).
pub struct Subject {
    /// The log.
    pub log: Arc<dyn Log>,
    /// Dropped after the log.
    pub keep: Box<dyn Any + Send>,
}

impl Subject {
    /// A log and what it stands on.
    pub fn new(log: impl Log + 'static, keep: impl Any + Send) -> Self {
        Self { log: Arc::new(log), keep: Box::new(keep) }
    }
}

/// Longest a behaviour may take. Group membership on a real cluster takes tens of them.
const DEADLINE: Duration = Duration::from_mins(3);

/// Runs one behaviour with a prefix of its own and a deadline. Called by [`crate::log_suite!`].
pub async fn run<F, B>(subject: Subject, name: &str, behaviour: B)
where
    F: Future<Output = ()>,
    B: FnOnce(Arc<dyn Log>, String) -> F,
{
    let finished = tokio::time::timeout(DEADLINE, behaviour(Arc::clone(&subject.log), unique(name))).await;
    assert!(finished.is_ok(), "{name} did not finish within {DEADLINE:?}");
}

/// A name that no other test, process or earlier run uses.
pub fn unique(name: &str) -> String {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    let number = COUNTER.fetch_add(1, Ordering::Relaxed);
    format!("{}-{}-{:x}-{number}", name.replace('_', "-"), std::process::id(), nanos & 0xffff_ffff_ffff)
}

/// Expands to one test per behaviour. See [`crate::log_suite`].
#[macro_export]
macro_rules! log_suite {
    ($factory:path) => { $crate::log_suite!(@all plain, $factory,); };
    ($factory:path, ignore = $reason:literal) => { $crate::log_suite!(@all real, $factory, $reason); };
    (@all $kind:ident, $factory:path, $($reason:literal)?) => {
        $crate::log_suite! { @each $kind, $factory, ($($reason)?),
            creating_a_topic_twice_is_no_error real_creating_a_topic_twice_is_no_error,
            illegal_topics_are_refused real_illegal_topics_are_refused,
            a_deleted_topic_is_gone_and_its_name_free real_a_deleted_topic_is_gone_and_its_name_free,
            offsets_tell_first_and_next real_offsets_tell_first_and_next,
            overrides_are_checked real_overrides_are_checked,
            the_cluster_id_stays real_the_cluster_id_stays,
            append_assigns_consecutive_offsets real_append_assigns_consecutive_offsets,
            keys_go_where_kafka_puts_them real_keys_go_where_kafka_puts_them,
            records_come_back_as_they_were real_records_come_back_as_they_were,
            sends_keep_their_order real_sends_keep_their_order,
            a_refused_record_does_not_refuse_the_others real_a_refused_record_does_not_refuse_the_others,
            assign_starts_where_it_is_told real_assign_starts_where_it_is_told,
            end_of_partition_is_reported real_end_of_partition_is_reported,
            paused_partitions_wait real_paused_partitions_wait,
            seek_reads_again real_seek_reads_again,
            next_is_cancel_safe real_next_is_cancel_safe,
            max_records_is_kept real_max_records_is_kept,
            lag_is_what_is_left real_lag_is_what_is_left,
            a_silent_consumer_keeps_to_its_budget real_a_silent_consumer_keeps_to_its_budget,
            a_group_resumes_at_its_committed_position real_a_group_resumes_at_its_committed_position,
            uncommitted_positions_are_read_again real_uncommitted_positions_are_read_again,
            from_latest_starts_at_the_end real_from_latest_starts_at_the_end,
            members_share_and_inherit_partitions real_members_share_and_inherit_partitions,
            a_revoked_partition_waits_for_its_owner real_a_revoked_partition_waits_for_its_owner,
            dropping_a_member_frees_its_partitions real_dropping_a_member_frees_its_partitions,
            groups_read_independently real_groups_read_independently,
            a_pattern_picks_up_later_topics real_a_pattern_picks_up_later_topics,
            group_offsets_can_be_set_and_removed real_group_offsets_can_be_set_and_removed,
            group_offsets_of_a_live_group_are_refused real_group_offsets_of_a_live_group_are_refused,
            a_member_that_lost_its_partition_is_fenced real_a_member_that_lost_its_partition_is_fenced,
            a_zombie_member_cannot_commit_in_a_transaction real_a_zombie_member_cannot_commit_in_a_transaction,
            a_second_producer_fences_the_first real_a_second_producer_fences_the_first,
            only_committed_transactions_are_seen real_only_committed_transactions_are_seen,
            a_transaction_over_partitions_is_seen_whole real_a_transaction_over_partitions_is_seen_whole,
            an_open_transaction_holds_back_what_follows real_an_open_transaction_holds_back_what_follows,
            records_and_positions_commit_together real_records_and_positions_commit_together,
        }
    };
    (@each plain, $factory:path, (), $($name:ident $real:ident,)*) => { $(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            let subject = $factory().await;
            $crate::log_suite::run(subject, stringify!($name), |log, prefix| async move {
                $crate::log_suite::$name(&*log, &prefix).await;
            })
            .await;
        }
    )* };
    (@each real, $factory:path, ($reason:literal), $($name:ident $real:ident,)*) => { $(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        #[ignore = $reason]
        async fn $real() {
            let subject = $factory().await;
            $crate::log_suite::run(subject, stringify!($name), |log, prefix| async move {
                $crate::log_suite::$name(&*log, &prefix).await;
            })
            .await;
        }
    )* };
}
