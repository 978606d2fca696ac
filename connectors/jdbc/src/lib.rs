//! millrace-connector-jdbc
