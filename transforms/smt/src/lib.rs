//! millrace-smt
