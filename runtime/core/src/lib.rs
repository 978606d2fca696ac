//! millrace-core
