//! millrace-kafka
