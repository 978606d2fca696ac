//! millrace-behaviour
