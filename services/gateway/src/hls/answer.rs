//! Answers: validators, cache rules, compression and ranges (RFC 9110, RFC 9111).

use std::ops::Range;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use reelay_model::Track;

use super::{hold::refuse, media::media_type};
use crate::live::Rendered;

const PLAYLIST: HeaderValue = HeaderValue::from_static("application/vnd.apple.mpegurl");
const IMMUTABLE: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
const GZIP: HeaderValue = HeaderValue::from_static("gzip");
const BYTES: HeaderValue = HeaderValue::from_static("bytes");
const ACCEPT_ENCODING: HeaderValue = HeaderValue::from_static("accept-encoding");

/// Counts an answer by kind and status.
pub fn count(kind: &'static str, answer: Result<Response, Box<Response>>) -> Response {
    let response = answer.unwrap_or_else(|refusal| *refusal);
    let status = match response.status().as_u16() {
        200..=299 => "2xx",
        300..=399 => "3xx",
        400..=499 => "4xx",
        _ => "5xx",
    };
    metrics::counter!("reelay_gateway_media_requests_total", "kind" => kind, "status" => status)
        .increment(1);
    let length = response
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse().ok());
    if let (true, Some(length)) = (response.status().is_success(), length) {
        metrics::counter!("reelay_gateway_media_served_bytes_total", "kind" => kind)
            .increment(length);
    }
    response
}

/// A playlist that caches may keep for `kept_seconds`.
pub fn playlist(request: &HeaderMap, rendered: &Rendered, kept_seconds: u32) -> Response {
    let kept = HeaderValue::try_from(format!("public, max-age={kept_seconds}"));
    // A number makes a valid header.
    let kept = kept.unwrap_or_else(|_| HeaderValue::from_static("no-cache"));
    document(request, rendered, PLAYLIST, kept)
}

/// A document that changes, and what caches may do with it.
pub fn document(
    request: &HeaderMap,
    rendered: &Rendered,
    media_type: HeaderValue,
    kept: HeaderValue,
) -> Response {
    let gzip = accepts_gzip(request);
    let (body, etag) = match gzip {
        true => (&rendered.gzip, &rendered.gzip_etag),
        false => (&rendered.plain, &rendered.etag),
    };
    let unchanged = is_known(request, etag);
    let mut response = Response::new(if unchanged {
        Body::empty()
    } else {
        body.clone().into()
    });
    let headers = response.headers_mut();
    headers.insert(header::ETAG, etag.clone());
    headers.insert(header::VARY, ACCEPT_ENCODING);
    headers.insert(header::CACHE_CONTROL, kept);
    if unchanged {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return response;
    }
    headers.insert(header::CONTENT_TYPE, media_type);
    headers.insert(header::CONTENT_LENGTH, body.len().into());
    if gzip {
        headers.insert(header::CONTENT_ENCODING, GZIP);
    }
    response
}

/// Whether gzip is named in `Accept-Encoding` with a quality above 0 (RFC 9110 §12.5.3).
fn accepts_gzip(request: &HeaderMap) -> bool {
    let named = request.get_all(header::ACCEPT_ENCODING).iter();
    named
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|coding| {
            let (name, parameters) = coding.split_once(';').unwrap_or((coding, ""));
            let quality = parameters.trim().strip_prefix("q=").map(str::trim);
            name.trim().eq_ignore_ascii_case("gzip")
                && quality.is_none_or(|q| q.parse::<f32>().is_ok_and(|q| q > 0.0))
        })
}

/// Whether the one who asks has what `etag` stands for (RFC 9110 §13.1.2).
fn is_known(request: &HeaderMap, etag: &HeaderValue) -> bool {
    let known = request.get_all(header::IF_NONE_MATCH).iter();
    known
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|known| {
            let known = known.trim();
            known == "*" || known.strip_prefix("W/").unwrap_or(known).as_bytes() == etag.as_bytes()
        })
}

/// Some bytes of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByteRange {
    /// Which.
    pub bytes: Range<u64>,
    /// The length of the file.
    pub of: u64,
}

impl ByteRange {
    /// All of a file of this length.
    pub const fn whole(of: u64) -> Self {
        Self { bytes: 0..of, of }
    }

    /// Whether it is the whole file.
    pub const fn is_whole(&self) -> bool {
        self.bytes.start == 0 && self.bytes.end == self.of
    }

    /// The range that `text` asks for; `None` if it is to be ignored (another unit, several
    /// ranges, nonsense), an error if the file has no such bytes (RFC 9110 §14.1.2, §14.2).
    fn parse(text: &str, of: u64) -> Option<Result<Self, ()>> {
        let (first, last) = text.strip_prefix("bytes=")?.trim().split_once('-')?;
        let (start, end) = match (first.trim(), last.trim()) {
            ("", suffix) => (of.saturating_sub(suffix.parse().ok()?), of),
            (first, "") => (first.parse().ok()?, of),
            (first, last) => {
                let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
                if last < first {
                    return None;
                }
                (first, last.saturating_add(1).min(of))
            }
        };
        Some(if start < end {
            Ok(Self {
                bytes: start..end,
                of,
            })
        } else {
            Err(())
        })
    }
}

/// Decides what of a media file is sent: the range, and a function that makes the answer of its
/// bytes.
///
/// # Errors
/// An answer without bytes: 304 or 416.
pub fn media(
    request: &HeaderMap,
    track: &Track,
    name: &str,
    whole: ByteRange,
) -> Result<(ByteRange, impl FnOnce(Body) -> Response + use<>), Box<Response>> {
    let etag = unknown(request, name)?;
    let applies = request
        .get(header::IF_RANGE)
        .is_none_or(|known| Some(known) == etag.as_ref());
    let asked = request.get(header::RANGE).filter(|_| applies);
    let asked = asked.and_then(|range| ByteRange::parse(range.to_str().ok()?, whole.of));
    let (range, partial) = match asked {
        None => (whole, false),
        Some(Ok(range)) => (range, true),
        Some(Err(())) => {
            let detail = format!("the file has {} bytes", whole.of);
            let mut response = refuse(StatusCode::RANGE_NOT_SATISFIABLE, "no-such-range", detail);
            if let Ok(length) = HeaderValue::try_from(format!("bytes */{}", whole.of)) {
                response.headers_mut().insert(header::CONTENT_RANGE, length);
            }
            return Err(Box::new(response));
        }
    };
    let media_type = HeaderValue::from_static(media_type(track));
    let sent = range.clone();
    Ok((range, move |body| {
        let mut response = Response::new(body);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, media_type);
        headers.insert(header::CACHE_CONTROL, IMMUTABLE);
        headers.insert(header::ACCEPT_RANGES, BYTES);
        headers.insert(
            header::CONTENT_LENGTH,
            (sent.bytes.end - sent.bytes.start).into(),
        );
        if let Some(etag) = etag {
            headers.insert(header::ETAG, etag);
        }
        if partial {
            let of = format!(
                "bytes {}-{}/{}",
                sent.bytes.start,
                sent.bytes.end - 1,
                sent.of
            );
            if let Ok(of) = HeaderValue::try_from(of) {
                headers.insert(header::CONTENT_RANGE, of);
            }
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        }
        response
    }))
}

/// Makes the answer for a media file whose length is not known yet. Ranges of it are not served:
/// all of it is the answer to whoever asks for some (RFC 9110 §14.2).
///
/// # Errors
/// An answer without bytes: 304.
pub fn growing(
    request: &HeaderMap,
    track: &Track,
    name: &str,
) -> Result<impl FnOnce(Body) -> Response + use<>, Box<Response>> {
    let etag = unknown(request, name)?;
    let media_type = HeaderValue::from_static(media_type(track));
    Ok(move |body| {
        let mut response = Response::new(body);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, media_type);
        headers.insert(header::CACHE_CONTROL, IMMUTABLE);
        if let Some(etag) = etag {
            headers.insert(header::ETAG, etag);
        }
        response
    })
}

/// The validator of a media file, unless the one who asks has it already.
fn unknown(request: &HeaderMap, name: &str) -> Result<Option<HeaderValue>, Box<Response>> {
    // The name says all that fixes the bytes, so it is their validator, too.
    let Ok(etag) = HeaderValue::try_from(format!("\"{name}\"")) else {
        return Ok(None);
    };
    if !is_known(request, &etag) {
        return Ok(Some(etag));
    }
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    let headers = response.headers_mut();
    headers.insert(header::ETAG, etag);
    headers.insert(header::CACHE_CONTROL, IMMUTABLE);
    Err(Box::new(response))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_the_rfc_says() {
        let range = |text| ByteRange::parse(text, 100).map(|range| range.map(|r| r.bytes));
        assert_eq!(range("bytes=0-9"), Some(Ok(0..10)));
        assert_eq!(range("bytes=90-"), Some(Ok(90..100)));
        assert_eq!(range("bytes=-5"), Some(Ok(95..100)));
        assert_eq!(range("bytes=-500"), Some(Ok(0..100)));
        assert_eq!(range("bytes=50-500"), Some(Ok(50..100)));
        assert_eq!(range("bytes=100-"), Some(Err(())));
        assert_eq!(range("bytes=-0"), Some(Err(())));
        assert_eq!(range("bytes=5-1"), None);
        assert_eq!(range("bytes=0-1,4-5"), None);
        assert_eq!(range("lines=0-1"), None);
    }

    #[test]
    fn gzip_is_sent_to_those_who_take_it() {
        let accepts = |value: &'static str| {
            let value = HeaderValue::from_static(value);
            accepts_gzip(&HeaderMap::from_iter([(header::ACCEPT_ENCODING, value)]))
        };
        assert!(accepts("gzip, deflate, br"));
        assert!(accepts("br;q=1.0, GZIP;q=0.5"));
        assert!(!accepts("br"));
        assert!(!accepts("gzip;q=0"));
        assert!(!accepts_gzip(&HeaderMap::new()));
    }

    #[test]
    fn validators_match_as_a_list() {
        let etag = HeaderValue::from_static("\"a\"");
        let known = |value: &'static str| {
            let value = HeaderValue::from_static(value);
            is_known(
                &HeaderMap::from_iter([(header::IF_NONE_MATCH, value)]),
                &etag,
            )
        };
        assert!(known("\"b\", \"a\""));
        assert!(known("W/\"a\""));
        assert!(known("*"));
        assert!(!known("\"b\""));
    }
}
