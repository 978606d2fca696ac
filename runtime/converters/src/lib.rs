//! millrace-converters
