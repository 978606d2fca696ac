//! millrace-connector-aggregate
