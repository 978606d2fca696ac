//! The one unsafe module: what librdkafka offers and the safe wrapper does not.
//!
//! - [`batch`]: records read in place, a whole batch at a time;
//! - [`queue`]: a consumer whose records arrive on a queue of their own, apart from its other events;
//! - [`delivery`] and [`produce`]: one completion for all records of a call;
//! - [`admin`]: administrative requests.
//!
//! Rules: every pointer has one owner that frees it in `Drop`; whatever librdkafka may still call or read (a waker, a delivery)
//! outlives the handle it was given to; nothing in here panics, because a panic must not cross into C.
#![allow(unsafe_code, reason = "librdkafka is a C library; this is the one module that calls it directly")]

pub(crate) mod admin;
pub(crate) mod batch;
pub(crate) mod delivery;
pub(crate) mod produce;
pub(crate) mod queue;

use std::ffi::CStr;
use std::os::raw::c_char;

use rdkafka::bindings::{rd_kafka_error_code, rd_kafka_error_destroy, rd_kafka_error_string, rd_kafka_error_t};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::types::RDKafkaRespErr;

/// What librdkafka said about a failed call.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    /// Code.
    pub(crate) code: RDKafkaErrorCode,
    /// Text for people, without record contents.
    pub(crate) text: String,
}

impl Failure {
    fn new(code: RDKafkaErrorCode) -> Self {
        Self { code, text: code.to_string() }
    }
}

/// A raw code, which a broker newer than this client may have made up.
fn code_of(code: i32) -> RDKafkaErrorCode {
    RDKafkaRespErr::try_from(code).map_or(RDKafkaErrorCode::Unknown, Into::into)
}

/// Takes an error object; null is success.
///
/// # Safety
/// `error` is null or an error that the caller owns and gives up.
unsafe fn taken(error: *mut rd_kafka_error_t) -> Result<(), Failure> {
    if error.is_null() {
        return Ok(());
    }
    // SAFETY: not null and ours; the text is copied before the object is destroyed.
    unsafe {
        let failure = borrowed(error);
        rd_kafka_error_destroy(error);
        failure
    }
}

/// Reads an error object that somebody else owns; null is success.
///
/// # Safety
/// `error` is null or valid for the call.
unsafe fn borrowed(error: *const rd_kafka_error_t) -> Result<(), Failure> {
    if error.is_null() {
        return Ok(());
    }
    // SAFETY: valid by contract; both calls only read.
    unsafe {
        let code = RDKafkaErrorCode::from(rd_kafka_error_code(error));
        if code == RDKafkaErrorCode::NoError {
            return Ok(());
        }
        Err(Failure { code, text: text(rd_kafka_error_string(error)) })
    }
}

/// Copies a C string; null is empty.
///
/// # Safety
/// `chars` is null or a nul-terminated string valid for the call.
unsafe fn text(chars: *const c_char) -> String {
    if chars.is_null() {
        return String::new();
    }
    // SAFETY: nul-terminated by contract.
    unsafe { CStr::from_ptr(chars) }.to_string_lossy().into_owned()
}
