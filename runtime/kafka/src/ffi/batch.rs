//! Records where librdkafka put them.

use std::any::Any;
use std::ffi::c_void;
use std::ptr::{NonNull, null, null_mut};
use std::sync::Arc;

use millrace_api::batch::NO_TIMESTAMP;
use millrace_api::batch::raw::{RawRecord, RawRecords};
use millrace_api::log::TopicPartition;
use rdkafka::bindings::{
    rd_kafka_header_get_all, rd_kafka_headers_t, rd_kafka_message_destroy, rd_kafka_message_headers,
    rd_kafka_message_t, rd_kafka_message_timestamp, rd_kafka_resp_err_t, rd_kafka_timestamp_type_t,
    rd_kafka_topic_name, rd_kafka_topic_t,
};

use super::text;

/// What librdkafka keeps per record beside its bytes, roughly; counted so that small records do not slip past byte budgets.
const RECORD_OVERHEAD: usize = 256;

/// Fetched records, read where librdkafka decompressed them. Dropping the batch frees them.
pub(crate) struct KafkaBatch {
    messages: Vec<NonNull<rd_kafka_message_t>>,
    /// Parsed headers by record, null for none; empty when no record has any.
    headers: Vec<*mut rd_kafka_headers_t>,
    /// Names of the topics that occur, by handle.
    topics: Vec<(*const rd_kafka_topic_t, Arc<str>)>,
    bytes: usize,
    /// The client the records belong to: it must not be destroyed before them.
    _owner: Arc<dyn Any + Send + Sync>,
}

// SAFETY: fetched messages are not tied to a thread, and the batch is their only owner.
unsafe impl Send for KafkaBatch {}
// SAFETY: all access through `&self` only reads: the one thing librdkafka does lazily, parsing headers, was done on construction.
unsafe impl Sync for KafkaBatch {}

impl KafkaBatch {
    /// An empty batch of a client.
    pub(super) fn new(owner: Arc<dyn Any + Send + Sync>, capacity: usize) -> Self {
        Self {
            messages: Vec::with_capacity(capacity),
            headers: Vec::new(),
            topics: Vec::new(),
            bytes: 0,
            _owner: owner,
        }
    }

    /// Appends a fetched record.
    ///
    /// # Safety
    /// `message` is a message without error of the batch's owner, given up to the batch.
    pub(super) unsafe fn push(&mut self, message: NonNull<rd_kafka_message_t>) {
        // SAFETY: valid until destroyed, which only this batch does; nobody else refers to it yet.
        let fields = unsafe { message.as_ref() };
        self.bytes += fields.len + fields.key_len + RECORD_OVERHEAD;
        self.learn_topic(fields.rkt);
        let mut headers = null_mut();
        // SAFETY: as above; parses headers on first use, and the result lives as long as the message.
        let parsed = unsafe { rd_kafka_message_headers(message.as_ptr(), &raw mut headers) };
        if parsed == rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR && !headers.is_null() {
            self.headers.resize(self.messages.len(), null_mut());
            self.headers.push(headers);
        }
        self.messages.push(message);
    }

    fn learn_topic(&mut self, topic: *const rd_kafka_topic_t) {
        if self.topics.iter().rev().any(|(known, _)| *known == topic) {
            return;
        }
        // SAFETY: the message holds a reference to its topic, whose name never changes.
        let name = unsafe { text(rd_kafka_topic_name(topic)) };
        self.topics.push((topic, Arc::from(name)));
    }

    /// Moves the records of `later` behind the records of this batch.
    pub(crate) fn append(&mut self, mut later: Self) {
        if !later.headers.is_empty() {
            self.headers.resize(self.messages.len(), null_mut());
            self.headers.append(&mut later.headers);
        }
        self.messages.append(&mut later.messages);
        self.bytes += later.bytes;
        for topic in later.topics.drain(..) {
            if !self.topics.iter().any(|(known, _)| *known == topic.0) {
                self.topics.push(topic);
            }
        }
    }

    /// Frees the records of a partition and returns the offset of the first of them.
    pub(crate) fn discard(&mut self, partition: &TopicPartition) -> Option<i64> {
        let first = self.first_offset(partition)?;
        self.headers.clear();
        self.bytes = 0;
        for message in std::mem::take(&mut self.messages) {
            // SAFETY: taken out of the batch, each message goes to exactly one place: freed here or back into the batch.
            unsafe {
                if self.is_of(message, partition) {
                    rd_kafka_message_destroy(message.as_ptr());
                } else {
                    self.push(message);
                }
            }
        }
        Some(first)
    }

    /// The offset of the first record of a partition.
    pub(crate) fn first_offset(&self, partition: &TopicPartition) -> Option<i64> {
        self.offsets(partition).next()
    }

    /// The offset of the last record of a partition.
    pub(crate) fn last_offset(&self, partition: &TopicPartition) -> Option<i64> {
        self.offsets(partition).next_back()
    }

    fn offsets(&self, partition: &TopicPartition) -> impl DoubleEndedIterator<Item = i64> {
        let of_partition = self.messages.iter().filter(|message| {
            // SAFETY: owned by the batch.
            unsafe { self.is_of(**message, partition) }
        });
        // SAFETY: owned by the batch.
        of_partition.map(|message| unsafe { message.as_ref() }.offset)
    }

    /// # Safety
    /// `message` is valid for the call.
    unsafe fn is_of(&self, message: NonNull<rd_kafka_message_t>, partition: &TopicPartition) -> bool {
        // SAFETY: by contract.
        let fields = unsafe { message.as_ref() };
        fields.partition == partition.partition && self.topic(fields.rkt) == &*partition.topic
    }

    fn topic(&self, topic: *const rd_kafka_topic_t) -> &str {
        self.topics.iter().find(|(known, _)| *known == topic).map_or("", |(_, name)| name)
    }

    fn headers_at(&self, index: usize) -> Vec<(&str, Option<&[u8]>)> {
        let Some(headers) = self.headers.get(index).copied().filter(|headers| !headers.is_null()) else {
            return Vec::new();
        };
        let mut found = Vec::new();
        loop {
            let (mut name, mut value, mut size) = (null(), null(), 0);
            // SAFETY: parsed on construction and owned by the message; the call only reads. An index past the end is an error.
            let result =
                unsafe { rd_kafka_header_get_all(headers, found.len(), &raw mut name, &raw mut value, &raw mut size) };
            if result != rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR || name.is_null() {
                return found;
            }
            // SAFETY: nul-terminated and alive as long as the message, which `self` owns.
            let name = unsafe { std::ffi::CStr::from_ptr(name) }.to_str().unwrap_or("\u{fffd}");
            // SAFETY: `size` bytes at `value`, alive as above; null is a null header.
            found.push((name, unsafe { bytes(value, size) }));
        }
    }
}

impl RawRecords for KafkaBatch {
    fn len(&self) -> usize {
        self.messages.len()
    }

    fn get(&self, index: usize) -> Option<RawRecord<'_>> {
        let message = self.messages.get(index)?;
        // SAFETY: owned by the batch and never written after construction.
        let fields = unsafe { message.as_ref() };
        let mut kind = rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: as above; the call only reads.
        let timestamp = unsafe { rd_kafka_message_timestamp(message.as_ptr(), &raw mut kind) };
        let has_timestamp = kind != rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE && timestamp >= 0;
        Some(RawRecord {
            topic: self.topic(fields.rkt),
            partition: fields.partition,
            offset: fields.offset,
            timestamp: if has_timestamp { timestamp } else { NO_TIMESTAMP },
            log_append_time: kind == rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME,
            // SAFETY: librdkafka's own lengths, alive as long as the message; null means null.
            key: unsafe { bytes(fields.key, fields.key_len) },
            // SAFETY: as the key.
            value: unsafe { bytes(fields.payload, fields.len) },
            headers: self.headers_at(index),
        })
    }

    fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for KafkaBatch {
    fn drop(&mut self) {
        for message in &self.messages {
            // SAFETY: owned by the batch, destroyed once, before `_owner` lets go of the client.
            unsafe { rd_kafka_message_destroy(message.as_ptr()) };
        }
    }
}

/// # Safety
/// `data` is null or `len` readable bytes that live for `'a`.
unsafe fn bytes<'a>(data: *const c_void, len: usize) -> Option<&'a [u8]> {
    if data.is_null() {
        return None;
    }
    // SAFETY: by contract.
    Some(unsafe { std::slice::from_raw_parts(data.cast(), len) })
}
