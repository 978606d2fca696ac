//! The clock behind deadlines: a thread that advances the engine's epoch while guests run, and sleeps while none does.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::time::Duration;

use wasmtime::Engine;

/// Resolution of deadlines.
pub(crate) const TICK: Duration = Duration::from_millis(10);

/// Ticks without any guest running before the thread sleeps: waking it for every batch would cost more than ticking.
const IDLE_TICKS: u32 = 100;

/// Owned by the engine's wrapper; the thread ends with it.
pub(crate) struct Ticker {
    shared: Arc<Shared>,
}

struct Shared {
    running: AtomicUsize,
    asleep: AtomicBool,
    lock: Mutex<()>,
    wake: Condvar,
}

/// While one lives, the epoch advances.
pub(crate) struct Running<'t> {
    shared: &'t Shared,
}

impl Ticker {
    pub(crate) fn start(engine: Engine) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            running: AtomicUsize::new(0),
            asleep: AtomicBool::new(false),
            lock: Mutex::new(()),
            wake: Condvar::new(),
        });
        let weak = Arc::downgrade(&shared);
        std::thread::Builder::new().name("wasm-epoch".to_owned()).spawn(move || tick(&engine, &weak))?;
        Ok(Self { shared })
    }

    /// Announces that a guest is about to run.
    pub(crate) fn run(&self) -> Running<'_> {
        self.shared.running.fetch_add(1, Ordering::SeqCst);
        if self.shared.asleep.load(Ordering::SeqCst) {
            let _lock = self.shared.lock.lock().unwrap_or_else(PoisonError::into_inner);
            self.shared.wake.notify_one();
        }
        Running { shared: &self.shared }
    }
}

impl Drop for Ticker {
    /// Wakes the thread, so that it sees that nobody is left.
    fn drop(&mut self) {
        let _lock = self.shared.lock.lock().unwrap_or_else(PoisonError::into_inner);
        self.shared.wake.notify_one();
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.shared.running.fetch_sub(1, Ordering::SeqCst);
    }
}

fn tick(engine: &Engine, shared: &Weak<Shared>) {
    let mut idle = 0;
    while let Some(shared) = shared.upgrade() {
        if shared.running.load(Ordering::SeqCst) > 0 {
            idle = 0;
        } else {
            idle += 1;
        }
        if idle > IDLE_TICKS {
            shared.sleep();
            idle = 0;
        }
        drop(shared);
        std::thread::sleep(TICK);
        engine.increment_epoch();
    }
}

impl Shared {
    /// Sleeps until a guest runs or the owner goes; a minute at most, should a wake-up ever be missed.
    fn sleep(&self) {
        let lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        self.asleep.store(true, Ordering::SeqCst);
        if self.running.load(Ordering::SeqCst) == 0 {
            drop(self.wake.wait_timeout(lock, Duration::from_mins(1)));
        }
        self.asleep.store(false, Ordering::SeqCst);
    }
}
