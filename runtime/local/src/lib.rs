//! millrace-local
