//! Which requests open a page.

use http::header::HeaderName;
use http::{HeaderValue, Method};

use crate::middleware::{RequestHead, SEC_FETCH_SITE, has_effects, single};

const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

/// Whether the browser opens a page (Fetch Metadata Request Headers, §2.1 to §2.4).
///
/// `in_frames`: also in a frame of another site. That site could start refreshes in a hidden frame
/// and abort them, unless the cookies are partitioned.
///
/// A browser sends each header once, with one of four sites. Anything else is ambiguous.
pub(super) fn is_navigation(head: RequestHead<'_>, in_frames: bool) -> bool {
    let value = |name| {
        let value = single(head.headers, name);
        value.map(|value| value.map(HeaderValue::as_bytes))
    };
    let (Ok(site), Ok(mode), Ok(dest)) = (
        value(&SEC_FETCH_SITE),
        value(&SEC_FETCH_MODE),
        value(&SEC_FETCH_DEST),
    ) else {
        return false;
    };
    let may_be_framed = match site {
        None | Some(b"same-origin" | b"same-site" | b"none") => true,
        Some(b"cross-site") => in_frames,
        Some(_) => return false,
    };
    matches!(*head.method, Method::GET | Method::HEAD)
        && !has_effects(head)
        && (dest == Some(b"document") || mode == Some(b"navigate") && may_be_framed)
}
