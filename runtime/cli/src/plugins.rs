//! THE list of connectors. A new one is one line here.

use std::sync::Arc;

use millrace_api::connector::ConnectorPlugin;

/// Every connector this binary has.
pub(crate) fn connectors() -> Vec<Arc<dyn ConnectorPlugin>> {
    vec![
        Arc::new(millrace_connector_aggregate::AggregatePlugin),
        Arc::new(millrace_connector_elasticsearch::ElasticsearchPlugin),
        Arc::new(millrace_connector_file::FileStreamSinkPlugin),
        Arc::new(millrace_connector_file::FileStreamSourcePlugin),
        Arc::new(millrace_connector_http::HttpPlugin),
        Arc::new(millrace_connector_jdbc::JdbcSinkPlugin),
    ]
}
