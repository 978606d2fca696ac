//! One completion for all records of a send: librdkafka reports each record by itself, the caller wants to wait once.

use std::ffi::c_void;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicI64, AtomicUsize, Ordering};

use rdkafka::error::RDKafkaErrorCode;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::util::IntoOpaque;
use tokio::sync::Notify;

use super::code_of;

/// The records of one send. Lives until the caller and the last report let go of it.
pub(crate) struct Delivery {
    slots: Vec<Slot>,
    /// Reports still to come, plus one while records are being handed over.
    open: AtomicUsize,
    done: Notify,
}

struct Slot {
    delivery: *const Delivery,
    partition: AtomicI32,
    offset: AtomicI64,
    code: AtomicI32,
}

// SAFETY: `delivery` is only followed by `Ticket`, and everything it leads to is atomic.
unsafe impl Send for Slot {}
// SAFETY: as above.
unsafe impl Sync for Slot {}

/// A record's place in a [`Delivery`]; librdkafka carries it from the hand-over to the report.
pub(crate) struct Ticket(*const Slot);

// SAFETY: points into a `Delivery`, which is shared between threads by design.
unsafe impl Send for Ticket {}
// SAFETY: as above.
unsafe impl Sync for Ticket {}

/// What became of a record: partition and offset, or why it was refused.
pub(crate) type Outcome = Result<(i32, i64), RDKafkaErrorCode>;

/// Hands records over, one after the other. Dropping it says that no more will come, also when the send was cancelled half-way.
pub(crate) struct HandOver {
    delivery: Arc<Delivery>,
}

impl Delivery {
    /// A delivery of `records` records.
    pub(crate) fn begin(records: usize) -> HandOver {
        let delivery = Arc::new_cyclic(|this| Self {
            slots: (0..records)
                .map(|_| Slot {
                    delivery: this.as_ptr(),
                    partition: AtomicI32::new(-1),
                    offset: AtomicI64::new(-1),
                    code: AtomicI32::new(RDKafkaRespErr::RD_KAFKA_RESP_ERR__PURGE_QUEUE as i32),
                })
                .collect(),
            open: AtomicUsize::new(1),
            done: Notify::new(),
        });
        // The reports' share: given back by whoever brings `open` to zero.
        let _ = Arc::into_raw(Arc::clone(&delivery));
        HandOver { delivery }
    }

    /// Waits until every record that was handed over has been reported.
    pub(crate) async fn finished(&self) {
        while self.open.load(Ordering::Acquire) != 0 {
            self.done.notified().await;
        }
    }

    /// What became of the records, in their order. Complete after [`Delivery::finished`].
    pub(crate) fn outcomes(&self) -> impl Iterator<Item = Outcome> + '_ {
        self.slots.iter().map(|slot| match slot.code.load(Ordering::Relaxed) {
            0 => Ok((slot.partition.load(Ordering::Relaxed), slot.offset.load(Ordering::Relaxed))),
            code => Err(code_of(code)),
        })
    }

    /// Counts one share of `open` down.
    ///
    /// # Safety
    /// `this` is alive: the caller's share of `open` has not been counted down before.
    unsafe fn close_one(this: *const Self) {
        // SAFETY: alive by contract; after the subtraction only the one who reached zero may touch it.
        if unsafe { (*this).open.fetch_sub(1, Ordering::AcqRel) } != 1 {
            return;
        }
        // SAFETY: `begin` leaked exactly one share of the Arc for whoever gets here, and `open` reaches zero exactly once: it starts
        // at one for the hand-over, and only a hand-over that is still open raises it.
        let delivery = unsafe { Arc::from_raw(this) };
        delivery.done.notify_one();
    }
}

impl HandOver {
    /// The ticket of a record that is about to be handed over. Exactly one of librdkafka's report, [`Ticket::resolve`] or
    /// [`HandOver::refused`] must follow.
    pub(crate) fn ticket(&self, index: usize) -> Option<Ticket> {
        let slot = self.delivery.slots.get(index)?;
        self.delivery.open.fetch_add(1, Ordering::Relaxed);
        Some(Ticket(slot))
    }

    /// What all are waiting for.
    pub(crate) fn delivery(&self) -> Arc<Delivery> {
        Arc::clone(&self.delivery)
    }
}

impl Drop for HandOver {
    fn drop(&mut self) {
        // SAFETY: the hand-over's own share, counted down once.
        unsafe { Delivery::close_one(Arc::as_ptr(&self.delivery)) };
    }
}

impl Ticket {
    /// Reports a record.
    pub(crate) fn resolve(self, outcome: Outcome) {
        // SAFETY: the delivery lives at least until all tickets given out have been resolved, and this one has not been.
        let slot = unsafe { &*self.0 };
        match outcome {
            Ok((partition, offset)) => {
                slot.partition.store(partition, Ordering::Relaxed);
                slot.offset.store(offset, Ordering::Relaxed);
                slot.code.store(0, Ordering::Relaxed);
            }
            Err(code) => slot.code.store(code as i32, Ordering::Relaxed),
        }
        // SAFETY: as above, and the ticket is gone after this.
        unsafe { Delivery::close_one(slot.delivery) };
    }

    /// Takes a ticket back unreported, to try its record again.
    pub(crate) fn keep(self) {
        // SAFETY: as in `resolve`.
        unsafe { Delivery::close_one((*self.0).delivery) };
    }
}

impl IntoOpaque for Ticket {
    fn into_ptr(self) -> *mut c_void {
        self.0.cast_mut().cast()
    }

    unsafe fn from_ptr(pointer: *mut c_void) -> Self {
        Self(pointer.cast_const().cast())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn outcomes_keep_the_order_of_records_whatever_the_order_of_reports() {
        let hand_over = Delivery::begin(3);
        let delivery = hand_over.delivery();
        let tickets: Vec<_> = (0..3).map(|index| hand_over.ticket(index).unwrap().into_ptr() as usize).collect();
        drop(hand_over);
        let reporter = std::thread::spawn(move || {
            for (index, ticket) in tickets.into_iter().enumerate().rev() {
                // SAFETY: made by `into_ptr` above and turned back once.
                let ticket = unsafe { Ticket::from_ptr(ticket as *mut c_void) };
                ticket.resolve(if index == 1 {
                    Err(RDKafkaErrorCode::MessageSizeTooLarge)
                } else {
                    Ok((7, i64::try_from(index).unwrap()))
                });
            }
        });
        delivery.finished().await;
        reporter.join().unwrap();
        let outcomes: Vec<_> = delivery.outcomes().collect();
        assert_eq!(outcomes, [Ok((7, 0)), Err(RDKafkaErrorCode::MessageSizeTooLarge), Ok((7, 2))]);
        assert_eq!(Arc::strong_count(&delivery), 1, "the reports' share was given back");
    }

    #[tokio::test]
    async fn a_cancelled_hand_over_ends_with_the_reports_of_what_was_handed_over() {
        let hand_over = Delivery::begin(5);
        let delivery = hand_over.delivery();
        let ticket = hand_over.ticket(0).unwrap();
        drop(hand_over);
        assert!(tokio::time::timeout(std::time::Duration::from_millis(20), delivery.finished()).await.is_err());
        ticket.resolve(Ok((0, 9)));
        delivery.finished().await;
        assert_eq!(delivery.outcomes().next(), Some(Ok((0, 9))));
        assert_eq!(delivery.outcomes().filter(Result::is_err).count(), 4);
        assert_eq!(Arc::strong_count(&delivery), 1);
    }
}
