//! Administrative requests. Each is sent and waited for by [`request`]; they block.

use std::ffi::{CString, c_char};
use std::ptr::{NonNull, null};
use std::time::Duration;

use millrace_api::log::{Offsets, TopicPartition, TopicSpec};
use rdkafka::bindings as c;
use rdkafka::client::{Client, ClientContext};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::topic_partition_list::TopicPartitionList;

use super::{Failure, borrowed, code_of, taken, text};

/// An offset or an error per partition.
pub(crate) type Entries = Vec<(TopicPartition, Result<i64, RDKafkaErrorCode>)>;

/// An error per partition.
pub(crate) type PartitionErrors = Vec<(TopicPartition, RDKafkaErrorCode)>;

/// Creates a topic.
pub(crate) fn create_topic<C: ClientContext>(
    client: &Client<C>,
    spec: &TopicSpec,
    wait: Duration,
) -> Result<(), Failure> {
    let topic = NewTopic::of(spec)?;
    let event =
        request(client, c::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_CREATETOPICS, wait, |client, options, queue| {
            let mut topics = [topic.0.as_ptr()];
            // SAFETY: all handles are alive for the call; the request copies the topic.
            unsafe { c::rd_kafka_CreateTopics(client, topics.as_mut_ptr(), topics.len(), options, queue) };
        })?;
    let mut count = 0;
    // SAFETY: the event is the answer to the request above and outlives what is read from it.
    unsafe {
        let result = c::rd_kafka_event_CreateTopics_result(event.0.as_ptr());
        let topics = c::rd_kafka_CreateTopics_result_topics(result, &raw mut count);
        topic_results(topics, count)
    }
}

/// Deletes a topic.
pub(crate) fn delete_topic<C: ClientContext>(client: &Client<C>, name: &str, wait: Duration) -> Result<(), Failure> {
    let name = c_string(name)?;
    // SAFETY: the name is copied; the handle is freed below.
    let topic = unsafe { c::rd_kafka_DeleteTopic_new(name.as_ptr()) };
    let event =
        request(client, c::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DELETETOPICS, wait, |client, options, queue| {
            let mut topics = [topic];
            // SAFETY: all handles are alive for the call; the request copies the topic.
            unsafe { c::rd_kafka_DeleteTopics(client, topics.as_mut_ptr(), topics.len(), options, queue) };
        });
    // SAFETY: ours, not used any more.
    unsafe { c::rd_kafka_DeleteTopic_destroy(topic) };
    let event = event?;
    let mut count = 0;
    // SAFETY: as in `create_topic`.
    unsafe {
        let result = c::rd_kafka_event_DeleteTopics_result(event.0.as_ptr());
        let topics = c::rd_kafka_DeleteTopics_result_topics(result, &raw mut count);
        topic_results(topics, count)
    }
}

/// A topic's settings, defaults included.
pub(crate) fn topic_config<C: ClientContext>(
    client: &Client<C>,
    name: &str,
    wait: Duration,
) -> Result<Vec<(String, String)>, Failure> {
    let name = c_string(name)?;
    // SAFETY: the name is copied; the handle is freed below.
    let topic =
        unsafe { c::rd_kafka_ConfigResource_new(c::rd_kafka_ResourceType_t::RD_KAFKA_RESOURCE_TOPIC, name.as_ptr()) };
    let event =
        request(client, c::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, wait, |client, options, queue| {
            let mut topics = [topic];
            // SAFETY: all handles are alive for the call; the request copies the topic.
            unsafe { c::rd_kafka_DescribeConfigs(client, topics.as_mut_ptr(), topics.len(), options, queue) };
        });
    // SAFETY: ours, not used any more.
    unsafe { c::rd_kafka_ConfigResource_destroy(topic) };
    let event = event?;
    let mut count = 0;
    // SAFETY: the event is the answer to the request above and outlives what is read from it; `topics` has `count` entries.
    unsafe {
        let result = c::rd_kafka_event_DescribeConfigs_result(event.0.as_ptr());
        let topics = c::rd_kafka_DescribeConfigs_result_resources(result, &raw mut count);
        let Some(topic) = (0..if topics.is_null() { 0 } else { count }).map(|index| *topics.add(index)).next() else {
            return Err(Failure::new(RDKafkaErrorCode::BadMessage));
        };
        settings(topic)
    }
}

/// # Safety
/// `topic` is a described resource, valid for the call.
unsafe fn settings(topic: *const c::rd_kafka_ConfigResource_t) -> Result<Vec<(String, String)>, Failure> {
    // SAFETY: by contract; texts are copied, and `entries` has `count` entries.
    unsafe {
        let code = RDKafkaErrorCode::from(c::rd_kafka_ConfigResource_error(topic));
        if code != RDKafkaErrorCode::NoError {
            return Err(Failure { code, text: text(c::rd_kafka_ConfigResource_error_string(topic)) });
        }
        let mut count = 0;
        let entries = c::rd_kafka_ConfigResource_configs(topic, &raw mut count);
        let entries = (0..if entries.is_null() { 0 } else { count }).map(|index| *entries.add(index));
        // A value that the broker keeps to itself is null.
        let told = entries.filter(|entry| !c::rd_kafka_ConfigEntry_value(*entry).is_null());
        Ok(told
            .map(|entry| (text(c::rd_kafka_ConfigEntry_name(entry)), text(c::rd_kafka_ConfigEntry_value(entry))))
            .collect())
    }
}

/// Offsets of partitions: -2 in `at` asks for the first, -1 for the next one.
pub(crate) fn list_offsets<C: ClientContext>(
    client: &Client<C>,
    at: &TopicPartitionList,
    read_committed: bool,
    wait: Duration,
) -> Result<Entries, Failure> {
    let event =
        request(client, c::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_LISTOFFSETS, wait, |client, options, queue| {
            let level = if read_committed {
                c::rd_kafka_IsolationLevel_t::RD_KAFKA_ISOLATION_LEVEL_READ_COMMITTED
            } else {
                c::rd_kafka_IsolationLevel_t::RD_KAFKA_ISOLATION_LEVEL_READ_UNCOMMITTED
            };
            // SAFETY: all handles are alive for the calls; the request copies the list. The option cannot fail for this request.
            unsafe {
                let refused = c::rd_kafka_AdminOptions_set_isolation_level(options, level);
                let _ = taken(refused);
                c::rd_kafka_ListOffsets(client, at.ptr(), options, queue);
            }
        })?;
    let mut count = 0;
    let mut found = Vec::new();
    // SAFETY: the event is the answer to the request above and outlives what is read from it; `infos` has `count` entries.
    unsafe {
        let result = c::rd_kafka_event_ListOffsets_result(event.0.as_ptr());
        let infos = c::rd_kafka_ListOffsets_result_infos(result, &raw mut count);
        for index in 0..if infos.is_null() { 0 } else { count } {
            let at = c::rd_kafka_ListOffsetsResultInfo_topic_partition(*infos.add(index));
            found.push(entry(at));
        }
    }
    Ok(found)
}

/// Committed offsets of a group. `stable`: fail while a transaction that has some is not finished.
pub(crate) fn list_group_offsets<C: ClientContext>(
    client: &Client<C>,
    group: &str,
    stable: bool,
    wait: Duration,
) -> Result<Offsets, Failure> {
    let group = c_string(group)?;
    // SAFETY: the name is copied; no list means all partitions; the handle is freed below.
    let asked = unsafe { c::rd_kafka_ListConsumerGroupOffsets_new(group.as_ptr(), null()) };
    let event = request(
        client,
        c::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS,
        wait,
        |client, options, queue| {
            let mut groups = [asked];
            // SAFETY: all handles are alive for the call; the request copies the group. The option cannot fail for it.
            unsafe {
                let _ = taken(c::rd_kafka_AdminOptions_set_require_stable_offsets(options, i32::from(stable)));
                c::rd_kafka_ListConsumerGroupOffsets(client, groups.as_mut_ptr(), groups.len(), options, queue);
            }
        },
    );
    // SAFETY: ours, not used any more.
    unsafe { c::rd_kafka_ListConsumerGroupOffsets_destroy(asked) };
    let event = event?;
    let mut count = 0;
    // SAFETY: the event is the answer to the request above and outlives what is read from it.
    let entries = unsafe {
        let result = c::rd_kafka_event_ListConsumerGroupOffsets_result(event.0.as_ptr());
        let groups = c::rd_kafka_ListConsumerGroupOffsets_result_groups(result, &raw mut count);
        group_results(groups, count)?
    };
    let mut offsets = Offsets::new();
    for (partition, result) in entries {
        match result {
            Ok(offset) if offset >= 0 => {
                offsets.insert(partition, offset);
            }
            Ok(_) => {}
            Err(code) => return Err(Failure::new(code)),
        }
    }
    Ok(offsets)
}

/// Sets offsets of a group without members.
pub(crate) fn alter_group_offsets<C: ClientContext>(
    client: &Client<C>,
    group: &str,
    offsets: &TopicPartitionList,
    wait: Duration,
) -> Result<PartitionErrors, Failure> {
    let group = c_string(group)?;
    // SAFETY: name and list are copied; the handle is freed below.
    let asked = unsafe { c::rd_kafka_AlterConsumerGroupOffsets_new(group.as_ptr(), offsets.ptr()) };
    let event = request(
        client,
        c::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_ALTERCONSUMERGROUPOFFSETS,
        wait,
        |client, options, queue| {
            let mut groups = [asked];
            // SAFETY: all handles are alive for the call; the request copies the group.
            unsafe {
                c::rd_kafka_AlterConsumerGroupOffsets(client, groups.as_mut_ptr(), groups.len(), options, queue);
            }
        },
    );
    // SAFETY: ours, not used any more.
    unsafe { c::rd_kafka_AlterConsumerGroupOffsets_destroy(asked) };
    let event = event?;
    let mut count = 0;
    // SAFETY: the event is the answer to the request above and outlives what is read from it.
    let entries = unsafe {
        let result = c::rd_kafka_event_AlterConsumerGroupOffsets_result(event.0.as_ptr());
        let groups = c::rd_kafka_AlterConsumerGroupOffsets_result_groups(result, &raw mut count);
        group_results(groups, count)?
    };
    Ok(errors(entries))
}

/// Removes offsets of a group that is not reading those topics.
pub(crate) fn delete_group_offsets<C: ClientContext>(
    client: &Client<C>,
    group: &str,
    partitions: &TopicPartitionList,
    wait: Duration,
) -> Result<PartitionErrors, Failure> {
    let group = c_string(group)?;
    // SAFETY: name and list are copied; the handle is freed below.
    let asked = unsafe { c::rd_kafka_DeleteConsumerGroupOffsets_new(group.as_ptr(), partitions.ptr()) };
    let event = request(
        client,
        c::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DELETECONSUMERGROUPOFFSETS,
        wait,
        |client, options, queue| {
            let mut groups = [asked];
            // SAFETY: all handles are alive for the call; the request copies the group.
            unsafe {
                c::rd_kafka_DeleteConsumerGroupOffsets(client, groups.as_mut_ptr(), groups.len(), options, queue);
            }
        },
    );
    // SAFETY: ours, not used any more.
    unsafe { c::rd_kafka_DeleteConsumerGroupOffsets_destroy(asked) };
    let event = event?;
    let mut count = 0;
    // SAFETY: the event is the answer to the request above and outlives what is read from it.
    let entries = unsafe {
        let result = c::rd_kafka_event_DeleteConsumerGroupOffsets_result(event.0.as_ptr());
        let groups = c::rd_kafka_DeleteConsumerGroupOffsets_result_groups(result, &raw mut count);
        group_results(groups, count)?
    };
    Ok(errors(entries))
}

fn errors(entries: Entries) -> PartitionErrors {
    entries.into_iter().filter_map(|(partition, result)| result.err().map(|code| (partition, code))).collect()
}

struct NewTopic(NonNull<c::rd_kafka_NewTopic_t>);

impl NewTopic {
    /// -1 is the broker's own default, for partitions and replicas.
    fn of(spec: &TopicSpec) -> Result<Self, Failure> {
        let name = c_string(&spec.name)?;
        let partitions = spec.partitions.unwrap_or(-1);
        let replication = spec.replication.map_or(-1, i32::from);
        let mut reason = Reason::new();
        // SAFETY: the name is copied; the reason has the length given.
        let topic = unsafe {
            c::rd_kafka_NewTopic_new(name.as_ptr(), partitions, replication, reason.0.as_mut_ptr(), reason.0.len())
        };
        let topic = NonNull::new(topic).map(Self).ok_or_else(|| reason.failure())?;
        for (key, value) in &spec.config {
            let (key, value) = (c_string(key)?, c_string(value)?);
            // SAFETY: both are copied.
            let set = unsafe { c::rd_kafka_NewTopic_set_config(topic.0.as_ptr(), key.as_ptr(), value.as_ptr()) };
            if set != c::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
                return Err(Failure::new(RDKafkaErrorCode::from(set)));
            }
        }
        Ok(topic)
    }
}

impl Drop for NewTopic {
    fn drop(&mut self) {
        // SAFETY: ours.
        unsafe { c::rd_kafka_NewTopic_destroy(self.0.as_ptr()) };
    }
}

/// An answer, freed with all that was read from it.
struct Event(NonNull<c::rd_kafka_event_t>);

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: ours.
        unsafe { c::rd_kafka_event_destroy(self.0.as_ptr()) };
    }
}

/// Sends a request and waits for its answer.
fn request<C: ClientContext>(
    client: &Client<C>,
    operation: c::rd_kafka_admin_op_t,
    wait: Duration,
    send: impl FnOnce(*mut c::rd_kafka_t, *mut c::rd_kafka_AdminOptions_t, *mut c::rd_kafka_queue_t),
) -> Result<Event, Failure> {
    let native = client.native_ptr();
    let millis = i32::try_from(wait.as_millis()).unwrap_or(i32::MAX);
    let mut reason = Reason::new();
    // SAFETY: the client outlives the call; options and queue are ours and freed here. The request has its own deadline, so the
    // answer comes at the latest with it; the second more is only for a librdkafka that is late.
    let event = unsafe {
        let queue = c::rd_kafka_queue_new(native);
        let options = c::rd_kafka_AdminOptions_new(native, operation);
        c::rd_kafka_AdminOptions_set_request_timeout(options, millis, reason.0.as_mut_ptr(), reason.0.len());
        send(native, options, queue);
        let event = c::rd_kafka_queue_poll(queue, millis.saturating_add(1_000));
        c::rd_kafka_AdminOptions_destroy(options);
        c::rd_kafka_queue_destroy(queue);
        event
    };
    let event = NonNull::new(event).map(Event).ok_or_else(|| Failure::new(RDKafkaErrorCode::OperationTimedOut))?;
    // SAFETY: the event is ours; its text is copied.
    let (code, reason) = unsafe {
        (
            RDKafkaErrorCode::from(c::rd_kafka_event_error(event.0.as_ptr())),
            text(c::rd_kafka_event_error_string(event.0.as_ptr())),
        )
    };
    if code == RDKafkaErrorCode::NoError { Ok(event) } else { Err(Failure { code, text: reason }) }
}

/// # Safety
/// `topics` has `count` results that are valid for the call.
unsafe fn topic_results(topics: *mut *const c::rd_kafka_topic_result_t, count: usize) -> Result<(), Failure> {
    for index in 0..if topics.is_null() { 0 } else { count } {
        // SAFETY: within the array, by contract.
        let (code, reason) = unsafe {
            let topic = *topics.add(index);
            (
                RDKafkaErrorCode::from(c::rd_kafka_topic_result_error(topic)),
                text(c::rd_kafka_topic_result_error_string(topic)),
            )
        };
        if code != RDKafkaErrorCode::NoError {
            return Err(Failure { code, text: reason });
        }
    }
    Ok(())
}

/// # Safety
/// `groups` has `count` results that are valid for the call.
unsafe fn group_results(groups: *mut *const c::rd_kafka_group_result_t, count: usize) -> Result<Entries, Failure> {
    let mut entries = Vec::new();
    for index in 0..if groups.is_null() { 0 } else { count } {
        // SAFETY: within the array, by contract; the list belongs to the result and has `cnt` elements.
        unsafe {
            let group = *groups.add(index);
            borrowed(c::rd_kafka_group_result_error(group))?;
            let list = c::rd_kafka_group_result_partitions(group);
            if let Some(list) = list.as_ref() {
                let len = usize::try_from(list.cnt).unwrap_or(0);
                entries.extend((0..len).map(|index| entry(list.elems.add(index))));
            }
        }
    }
    Ok(entries)
}

/// # Safety
/// `partition` is valid for the call.
unsafe fn entry(partition: *const c::rd_kafka_topic_partition_t) -> (TopicPartition, Result<i64, RDKafkaErrorCode>) {
    // SAFETY: by contract; the code is read as a number because a newer broker may send one that the enum does not have.
    let (code, topic, fields) =
        unsafe { ((&raw const (*partition).err).cast::<i32>().read(), text((*partition).topic), &*partition) };
    let result = if code == 0 { Ok(fields.offset) } else { Err(code_of(code)) };
    (TopicPartition::new(topic, fields.partition), result)
}

/// Room for librdkafka's explanation of a refusal.
struct Reason([c_char; 256]);

impl Reason {
    fn new() -> Self {
        Self([0; 256])
    }

    fn failure(&self) -> Failure {
        // SAFETY: librdkafka terminates what it writes, and it starts out as all zeroes.
        Failure { code: RDKafkaErrorCode::InvalidArgument, text: unsafe { text(self.0.as_ptr()) } }
    }
}

fn c_string(name: &str) -> Result<CString, Failure> {
    CString::new(name).map_err(|_| Failure {
        code: RDKafkaErrorCode::InvalidArgument,
        text: "a name contains a NUL character".to_owned(),
    })
}
