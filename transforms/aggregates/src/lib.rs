//! millrace-aggregates
