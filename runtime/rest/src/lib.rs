//! millrace-rest
