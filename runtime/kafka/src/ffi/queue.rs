//! A consumer whose records arrive on a queue of their own. The safe wrapper has one queue for records, rebalances, errors and logs,
//! so who stops taking records misses the rebalance too; here the thread of a full consumer goes on serving everything else.

use std::ffi::{CString, c_void};
use std::ptr::{NonNull, addr_of, null_mut};
use std::sync::{Arc, OnceLock};
use std::thread::Thread;
use std::time::Duration;

use millrace_api::log::TopicPartition;
use rdkafka::bindings::{
    rd_kafka_consume_batch_queue, rd_kafka_get_watermark_offsets, rd_kafka_message_destroy, rd_kafka_message_errstr,
    rd_kafka_message_t, rd_kafka_queue_cb_event_enable, rd_kafka_queue_destroy, rd_kafka_queue_forward,
    rd_kafka_queue_get_consumer, rd_kafka_queue_get_partition, rd_kafka_queue_length, rd_kafka_queue_new,
    rd_kafka_queue_t, rd_kafka_resp_err_t, rd_kafka_t, rd_kafka_topic_name,
};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaResult, RDKafkaErrorCode};

use super::batch::KafkaBatch;
use super::{Failure, code_of, text};

/// Records that the first pull of a consumer has room for.
const FIRST_ROOM: usize = 64;

/// A consumer and its record queue.
pub(crate) struct QueueConsumer<C: ConsumerContext + 'static> {
    /// `Some` until dropped.
    base: Option<BaseConsumer<C>>,
    data: NonNull<rd_kafka_queue_t>,
    control: NonNull<rd_kafka_queue_t>,
    /// librdkafka points into this box until the queues' callbacks are switched off.
    waker: Box<Waker>,
}

// SAFETY: librdkafka's clients and queues may be used from any thread; the waker is a `OnceLock`.
unsafe impl<C: ConsumerContext + 'static> Send for QueueConsumer<C> {}
// SAFETY: as above.
unsafe impl<C: ConsumerContext + 'static> Sync for QueueConsumer<C> {}

/// The thread to wake when a queue is no longer empty.
#[derive(Default)]
struct Waker {
    thread: OnceLock<Thread>,
}

/// What came out of the record queue.
pub(crate) struct Pulled {
    /// Records; may be empty.
    pub(crate) batch: KafkaBatch,
    /// Partitions whose end was reached, with the offset of the next record to come.
    pub(crate) ends: Vec<(TopicPartition, i64)>,
    /// Errors of partitions.
    pub(crate) failures: Vec<(TopicPartition, Failure)>,
}

impl<C: ConsumerContext + 'static> QueueConsumer<C> {
    /// Takes a consumer that has a group, before it subscribes or assigns anything.
    pub(crate) fn new(base: BaseConsumer<C>) -> Option<Self> {
        let client = base.client().native_ptr();
        // SAFETY: the client is alive; both queues are references of our own, given back in `drop`.
        let (control, data) = unsafe { (rd_kafka_queue_get_consumer(client), rd_kafka_queue_new(client)) };
        let consumer = Self {
            control: NonNull::new(control)?,
            data: NonNull::new(data)?,
            waker: Box::default(),
            base: Some(base),
        };
        let waker = std::ptr::from_ref::<Waker>(&consumer.waker).cast_mut().cast();
        for queue in [consumer.control, consumer.data] {
            // SAFETY: the waker is boxed and outlives the callback, which `drop` switches off.
            unsafe { rd_kafka_queue_cb_event_enable(queue.as_ptr(), Some(wake), waker) };
        }
        Some(consumer)
    }

    /// The safe part.
    pub(crate) fn base(&self) -> Option<&BaseConsumer<C>> {
        self.base.as_ref()
    }

    /// Makes the calling thread the one that is unparked when something arrives.
    pub(crate) fn wake_this_thread(&self) {
        let _ = self.waker.thread.set(std::thread::current());
    }

    /// Serves at most one event other than records: rebalances and logs go to the context, errors are returned.
    /// `None` when there was none.
    pub(crate) fn serve(&self, wait: Duration) -> Option<KafkaResult<()>> {
        let base = self.base.as_ref()?;
        // SAFETY: our own reference to the queue.
        if wait.is_zero() && unsafe { rd_kafka_queue_length(self.control.as_ptr()) } == 0 {
            // Polling even so: it tells librdkafka that the application is alive (max.poll.interval.ms).
            return base.poll(Duration::ZERO).map(|polled| polled.map(drop));
        }
        match base.poll(wait) {
            Some(polled) => Some(polled.map(drop)),
            None => Some(Ok(())),
        }
    }

    /// Has a partition's records arrive on the record queue. Called before every assignment of the partition.
    pub(crate) fn attach(&self, partition: &TopicPartition) {
        let (Some(client), Ok(topic)) = (self.client(), CString::new(&*partition.topic)) else { return };
        // SAFETY: client and name are alive for the call; the reference to the partition's queue is given back at once, the
        // forwarding stays.
        unsafe {
            let queue = rd_kafka_queue_get_partition(client, topic.as_ptr(), partition.partition);
            if !queue.is_null() {
                rd_kafka_queue_forward(queue, self.data.as_ptr());
                rd_kafka_queue_destroy(queue);
            }
        }
    }

    /// Takes up to `most` records without waiting, and at first fewer: `buffer` is to be the one of the last call, and grows as it fills
    /// up, so that an idle consumer has a small one. The batch keeps the consumer alive.
    pub(crate) fn pull(self: &Arc<Self>, most: usize, buffer: &mut Vec<*mut rd_kafka_message_t>) -> Pulled {
        let room = buffer.len().clamp(FIRST_ROOM.min(most), most);
        buffer.resize(room, null_mut());
        // SAFETY: room for so many pointers; what is written to it is ours to destroy.
        let count = unsafe { rd_kafka_consume_batch_queue(self.data.as_ptr(), 0, buffer.as_mut_ptr(), room) };
        let count = usize::try_from(count).unwrap_or(0);
        let mut pulled =
            Pulled { batch: KafkaBatch::new(Arc::clone(self) as _, count), ends: Vec::new(), failures: Vec::new() };
        for message in buffer.iter().take(count).filter_map(|message| NonNull::new(*message)) {
            // SAFETY: a message we own, given up here.
            unsafe { pulled.sort(message) };
        }
        if count == room {
            buffer.resize(room.saturating_mul(8).min(most), null_mut());
        }
        pulled
    }

    /// First and next offset of a partition that is being read, as of the last fetch.
    pub(crate) fn watermarks(&self, partition: &TopicPartition) -> Option<(i64, i64)> {
        let topic = CString::new(&*partition.topic).ok()?;
        let (mut low, mut high) = (-1, -1);
        // SAFETY: client, name and both numbers are alive for the call.
        let result = unsafe {
            rd_kafka_get_watermark_offsets(
                self.client()?,
                topic.as_ptr(),
                partition.partition,
                &raw mut low,
                &raw mut high,
            )
        };
        (result == rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR && high >= 0).then_some((low, high))
    }

    fn client(&self) -> Option<*mut rd_kafka_t> {
        self.base.as_ref().map(|base| base.client().native_ptr())
    }
}

impl Pulled {
    /// # Safety
    /// `message` is a fetched message that the caller owns and gives up.
    unsafe fn sort(&mut self, message: NonNull<rd_kafka_message_t>) {
        // SAFETY: valid by contract. The code is read as a number: a newer broker may send one that the enum does not have.
        let (code, fields) = unsafe { (addr_of!((*message.as_ptr()).err).cast::<i32>().read(), message.as_ref()) };
        if code == 0 {
            // SAFETY: a message without error, given up.
            unsafe { self.batch.push(message) };
            return;
        }
        // SAFETY: valid until destroyed below; topic names and error texts are nul-terminated and copied.
        let (topic, reason) = unsafe {
            let topic = if fields.rkt.is_null() { String::new() } else { text(rd_kafka_topic_name(fields.rkt)) };
            (topic, text(rd_kafka_message_errstr(message.as_ptr())))
        };
        let partition = TopicPartition::new(topic, fields.partition);
        let code = code_of(code);
        if code == RDKafkaErrorCode::PartitionEOF {
            self.ends.push((partition, fields.offset));
        } else {
            self.failures.push((partition, Failure { code, text: reason }));
        }
        // SAFETY: ours, not referred to any more.
        unsafe { rd_kafka_message_destroy(message.as_ptr()) };
    }
}

impl<C: ConsumerContext + 'static> Drop for QueueConsumer<C> {
    fn drop(&mut self) {
        for queue in [self.control, self.data] {
            // SAFETY: our own references, given back once and before the client goes. Switching a callback off takes the lock under
            // which it is called, so nobody is in it afterwards and the waker may be freed.
            unsafe {
                rd_kafka_queue_cb_event_enable(queue.as_ptr(), None, null_mut());
                rd_kafka_queue_destroy(queue.as_ptr());
            }
        }
        // Destroying a client waits for its threads, and the last batch may be dropped on a thread that must not wait.
        if let Some(base) = self.base.take() {
            let _ = std::thread::Builder::new().name("kafka-destroy".to_owned()).spawn(move || drop(base));
        }
    }
}

unsafe extern "C" fn wake(_client: *mut rd_kafka_t, waker: *mut c_void) {
    // SAFETY: the box of the consumer, which outlives the callback.
    let waker = unsafe { &*waker.cast_const().cast::<Waker>() };
    if let Some(thread) = waker.thread.get() {
        thread.unpark();
    }
}
