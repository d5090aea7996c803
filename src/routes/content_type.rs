//! Reading `Content-Type`.

use http::HeaderMap;
use http::header::CONTENT_TYPE;

/// The request has several `Content-Type` headers.
pub(super) struct SeveralContentTypes;

/// Whether the `Content-Type` is `media_type`, with or without parameters. `false` without one.
pub(super) fn is_content_type(
    headers: &HeaderMap,
    media_type: &str,
) -> Result<bool, SeveralContentTypes> {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let value = match (types.next(), types.next()) {
        (None, _) => return Ok(false),
        (Some(_), Some(_)) => return Err(SeveralContentTypes),
        (Some(value), None) => value,
    };
    let essence = value.as_bytes().split(|byte| *byte == b';').next();
    let essence = essence.unwrap_or_default().trim_ascii();
    Ok(essence.eq_ignore_ascii_case(media_type.as_bytes()))
}
