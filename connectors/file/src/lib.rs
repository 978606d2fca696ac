//! millrace-connector-file
