//! What may be a path. Names come from users, and whatever a proxy in front could read in another way than this worker does is
//! refused before it is routed, as Jetty refuses it.

use axum::http::Uri;

/// The path to route: without path parameters (`;a=b`) and without the one trailing slash that is allowed.
///
/// # Errors
/// The reason for the 400.
pub(crate) fn normalize(uri: &Uri) -> Result<Uri, &'static str> {
    let Some(path) = uri.path().strip_prefix('/') else { return Err("Bad URI path") };
    let trimmed = path.strip_suffix('/').unwrap_or(path);
    let mut routed = String::with_capacity(uri.path().len());
    if trimmed.is_empty() {
        routed.push('/');
        if !path.is_empty() {
            return Err("Ambiguous URI empty segment");
        }
    } else {
        for segment in trimmed.split('/') {
            let (name, parameters) = segment.split_once(';').map_or((segment, None), |(name, rest)| (name, Some(rest)));
            check(segment, name)?;
            if parameters.is_some() && matches!(name, "" | "." | "..") {
                return Err("Ambiguous URI path parameter");
            }
            routed.push('/');
            routed.push_str(name);
        }
    }
    if let Some(query) = uri.query() {
        routed.push('?');
        routed.push_str(query);
    }
    routed.parse().map_err(|_| "Bad URI path")
}

fn check(segment: &str, name: &str) -> Result<(), &'static str> {
    if segment.is_empty() {
        return Err("Ambiguous URI empty segment");
    }
    if segment.contains('\\') {
        return Err("Suspicious Path Character, Illegal Path Character");
    }
    if !segment.bytes().all(|byte| byte == b'%' || stays(byte)) {
        return Err("Illegal Path Character");
    }
    if segment.contains("%u") {
        return Err("UTF-16 encoding");
    }
    let decoded = decode(name)?;
    match decoded.as_slice() {
        _ if decoded.contains(&b'/') => Err("Ambiguous URI path separator"),
        b"." | b".." if name.contains('%') => Err("Ambiguous URI path segment"),
        _ if decoded.contains(&b'%') => Err("Ambiguous URI path encoding"),
        _ if decoded.iter().any(|byte| byte.is_ascii_control() || *byte == b'\\') => Err("Suspicious Path Character"),
        _ if std::str::from_utf8(&decoded).is_err() => Err("Bad UTF-8 encoding"),
        _ => Ok(()),
    }
}

fn decode(name: &str) -> Result<Vec<u8>, &'static str> {
    let mut decoded = Vec::with_capacity(name.len());
    let mut bytes = name.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let mut digit = || bytes.next().and_then(|byte| char::from(byte).to_digit(16));
        let code = digit().zip(digit()).and_then(|(high, low)| u8::try_from(high * 16 + low).ok());
        decoded.push(code.filter(|code| *code != 0).ok_or("Bad Request")?);
    }
    Ok(decoded)
}

/// Whether a byte may stand in a path as it is (RFC 3986 `pchar`, and `;` before parameters).
fn stays(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&byte)
}

/// The path of a resource of a connector.
pub(crate) fn of(connector: &str, resource: &str) -> String {
    let slash = if resource.is_empty() { "" } else { "/" };
    format!("/connectors/{}{slash}{resource}", segment(connector))
}

/// A name as one segment of a path: a slash in it leads nowhere else.
pub(crate) fn segment(name: &str) -> String {
    match encode(name).replace('/', "%2F").as_str() {
        dots @ ("." | "..") => dots.replace('.', "%2E"),
        encoded => encoded.to_owned(),
    }
}

/// A name as a part of a `Location`. A slash stays one, although such a name cannot be addressed: Kafka Connect's does.
pub(crate) fn encode(name: &str) -> String {
    let mut encoded = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte == b'/' || stays(byte) {
            encoded.push(char::from(byte));
        } else {
            let digit = |half: u8| char::from_digit(half.into(), 16).unwrap_or('0').to_ascii_uppercase();
            encoded.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
    encoded
}
