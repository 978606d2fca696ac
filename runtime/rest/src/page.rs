//! The HTML page with which Kafka Connect's server refuses a request that it cannot even route.

use axum::http::header::CACHE_CONTROL;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;

use crate::answer;

/// A 400 with `reason` in its title. The request itself is not repeated.
pub(crate) fn bad_request(reason: &'static str) -> Response {
    let body = format!(
        "<html>\n<head>\n<meta http-equiv=\"Content-Type\" content=\"text/html;charset=ISO-8859-1\"/>\n\
         <title>Error 400 {reason}</title>\n</head>\n<body>\n<h2>HTTP ERROR 400 {reason}</h2>\n<table>\n\
         <tr><th>URI:</th><td>/badURI</td></tr>\n<tr><th>STATUS:</th><td>400</td></tr>\n\
         <tr><th>MESSAGE:</th><td>{reason}</td></tr>\n</table>\n\n</body>\n</html>\n"
    );
    let mut response = answer::typed(StatusCode::BAD_REQUEST, "text/html;charset=iso-8859-1", body);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("must-revalidate,no-cache,no-store"));
    response
}
