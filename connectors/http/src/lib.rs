//! millrace-connector-http
