//! Handing records over to a producer.

use std::collections::HashMap;
use std::ffi::{CString, c_int, c_void};
use std::mem::zeroed;
use std::ptr::{NonNull, null, null_mut};
use std::sync::Mutex;

use millrace_api::batch::raw::RawRecord;
use millrace_api::batch::{NO_PARTITION, NO_TIMESTAMP};
use rdkafka::bindings::{
    rd_kafka_header_add, rd_kafka_headers_destroy, rd_kafka_headers_new, rd_kafka_headers_t, rd_kafka_produceva,
    rd_kafka_topic_destroy, rd_kafka_topic_new, rd_kafka_topic_t, rd_kafka_vtype_t, rd_kafka_vu_t,
};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::{BaseProducer, Producer, ProducerContext};
use rdkafka::util::IntoOpaque;

use super::delivery::Ticket;
use super::{Failure, taken};

/// `RD_KAFKA_MSG_F_COPY`: librdkafka copies key and value before the call returns.
const COPY: c_int = 2;
/// `RD_KAFKA_PARTITION_UA`: the partitioner decides.
const UNASSIGNED: i32 = -1;

/// A producer with its topic handles.
pub(crate) struct TopicProducer<C: ProducerContext<DeliveryOpaque = Ticket> + 'static> {
    topics: Mutex<HashMap<String, Topic>>,
    base: BaseProducer<C>,
}

struct Topic(NonNull<rd_kafka_topic_t>);

// SAFETY: librdkafka's handles may be used from any thread.
unsafe impl Send for Topic {}

impl Drop for Topic {
    fn drop(&mut self) {
        // SAFETY: our own reference; `TopicProducer` drops its topics before its client.
        unsafe { rd_kafka_topic_destroy(self.0.as_ptr()) };
    }
}

impl<C: ProducerContext<DeliveryOpaque = Ticket> + 'static> TopicProducer<C> {
    /// Takes a producer.
    pub(crate) fn new(base: BaseProducer<C>) -> Self {
        Self { topics: Mutex::default(), base }
    }

    /// The safe part.
    pub(crate) fn base(&self) -> &BaseProducer<C> {
        &self.base
    }

    /// Hands a record over; what becomes of it is reported through the ticket. On failure the ticket comes back, and nothing was
    /// handed over.
    pub(crate) fn enqueue(&self, record: &RawRecord<'_>, ticket: Ticket) -> Result<(), (Failure, Ticket)> {
        let topic = match self.topic(record.topic) {
            Ok(topic) => topic,
            Err(failure) => return Err((failure, ticket)),
        };
        let headers = match Headers::of(record) {
            Ok(headers) => headers,
            Err(failure) => return Err((failure, ticket)),
        };
        let partition = if record.partition == NO_PARTITION { UNASSIGNED } else { record.partition };
        let timestamp = if record.timestamp == NO_TIMESTAMP { 0 } else { record.timestamp };
        let opaque = ticket.into_ptr();
        let mut values = [
            value(rd_kafka_vtype_t::RD_KAFKA_VTYPE_RKT, |u| u.u.rkt = topic.as_ptr()),
            value(rd_kafka_vtype_t::RD_KAFKA_VTYPE_PARTITION, |u| u.u.i32_ = partition),
            value(rd_kafka_vtype_t::RD_KAFKA_VTYPE_MSGFLAGS, |u| u.u.i = COPY),
            value(rd_kafka_vtype_t::RD_KAFKA_VTYPE_OPAQUE, |u| u.u.ptr = opaque),
            value(rd_kafka_vtype_t::RD_KAFKA_VTYPE_TIMESTAMP, |u| u.u.i64_ = timestamp),
            memory(rd_kafka_vtype_t::RD_KAFKA_VTYPE_VALUE, record.value),
            memory(rd_kafka_vtype_t::RD_KAFKA_VTYPE_KEY, record.key),
            value(rd_kafka_vtype_t::RD_KAFKA_VTYPE_HEADERS, |u| u.u.headers = null_mut()),
        ];
        let mut count = values.len() - 1;
        if let (Some(headers), Some(last)) = (&headers, values.last_mut()) {
            last.u.headers = headers.0.as_ptr();
            count += 1;
        }
        // SAFETY: every value has the type its tag says and lives for the call; key and value are copied, headers are taken over
        // on success only.
        let result = unsafe { taken(rd_kafka_produceva(self.base.client().native_ptr(), values.as_ptr(), count)) };
        match result {
            Ok(()) => {
                std::mem::forget(headers);
                Ok(())
            }
            // SAFETY: made by `into_ptr` above, and librdkafka did not keep it.
            Err(failure) => Err((failure, unsafe { Ticket::from_ptr(opaque) })),
        }
    }

    fn topic(&self, name: &str) -> Result<NonNull<rd_kafka_topic_t>, Failure> {
        let mut topics = self.topics.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(topic) = topics.get(name) {
            return Ok(topic.0);
        }
        let invalid = || Failure::new(RDKafkaErrorCode::InvalidTopic);
        let native_name = CString::new(name).map_err(|_| invalid())?;
        // SAFETY: client and name are alive; no configuration means the client's own.
        let topic = unsafe { rd_kafka_topic_new(self.base.client().native_ptr(), native_name.as_ptr(), null_mut()) };
        let topic = NonNull::new(topic).ok_or_else(invalid)?;
        topics.insert(name.to_owned(), Topic(topic));
        Ok(topic)
    }
}

/// Headers that librdkafka has not taken over yet.
struct Headers(NonNull<rd_kafka_headers_t>);

impl Headers {
    fn of(record: &RawRecord<'_>) -> Result<Option<Self>, Failure> {
        if record.headers.is_empty() {
            return Ok(None);
        }
        let refused = || Failure::new(RDKafkaErrorCode::InvalidRecord);
        // SAFETY: no preconditions.
        let headers = NonNull::new(unsafe { rd_kafka_headers_new(record.headers.len()) }).ok_or_else(refused)?;
        let headers = Self(headers);
        for (name, value) in &record.headers {
            let data = value.map_or(null(), <[u8]>::as_ptr);
            let name_len = isize::try_from(name.len()).map_err(|_| refused())?;
            let len = isize::try_from(value.map_or(0, <[u8]>::len)).map_err(|_| refused())?;
            // SAFETY: lengths match; name and value are copied.
            let added =
                unsafe { rd_kafka_header_add(headers.0.as_ptr(), name.as_ptr().cast(), name_len, data.cast(), len) };
            if added != rdkafka::types::RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
                return Err(refused());
            }
        }
        Ok(Some(headers))
    }
}

impl Drop for Headers {
    fn drop(&mut self) {
        // SAFETY: ours unless taken over, in which case it was forgotten.
        unsafe { rd_kafka_headers_destroy(self.0.as_ptr()) };
    }
}

fn value(vtype: rd_kafka_vtype_t, fill: impl FnOnce(&mut rd_kafka_vu_t)) -> rd_kafka_vu_t {
    // SAFETY: a plain C struct, for which all zeroes are valid; the tag is set to a valid one.
    let mut value = unsafe { rd_kafka_vu_t { vtype, u: zeroed() } };
    fill(&mut value);
    value
}

fn memory(vtype: rd_kafka_vtype_t, bytes: Option<&[u8]>) -> rd_kafka_vu_t {
    value(vtype, |value| {
        value.u.mem.ptr = bytes.map_or(null_mut::<c_void>(), |bytes| bytes.as_ptr().cast_mut().cast());
        value.u.mem.size = bytes.map_or(0, <[u8]>::len);
    })
}
