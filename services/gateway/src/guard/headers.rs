//! Headers that tell browsers what may be loaded, framed and read by whom.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::Origin;

/// The content security policy of the pages: nothing but this gateway, and media and
/// playlists of `alternates`.
pub fn content_security_policy(alternates: &[Origin]) -> String {
    let others: String = alternates
        .iter()
        .map(|origin| format!(" {origin}"))
        .collect();
    format!(
        "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; \
         media-src 'self' blob:; worker-src 'self' blob:; connect-src 'self'{others}; \
         object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
    )
}

/// Puts the headers on every answer that fit every answer, unless it has its own.
pub async fn security_headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let defaults = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; frame-ancestors 'none'",
        ),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
    ];
    for (name, value) in defaults {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
    response
}

/// Media may be read by pages of any origin (players on other sites, other gateways' pages):
/// it holds no secrets that this gateway could keep, and no cookies are used.
///
/// Answers preflights too, so that `Range` and the like may be sent.
pub async fn media_headers(request: Request, next: Next) -> Response {
    let preflight = request.method() == Method::OPTIONS;
    let mut response = if preflight {
        StatusCode::NO_CONTENT.into_response()
    } else {
        next.run(request).await
    };
    let headers: &mut HeaderMap = response.headers_mut();
    let mut set = |name: &'static str, value: &'static str| {
        headers.insert(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        );
    };
    set("access-control-allow-origin", "*");
    set("access-control-expose-headers", "Date, Age");
    set("cross-origin-resource-policy", "cross-origin");
    set("timing-allow-origin", "*");
    if preflight {
        set("access-control-allow-methods", "GET, HEAD, OPTIONS");
        set(
            "access-control-allow-headers",
            "Range, If-None-Match, If-Modified-Since",
        );
        set("access-control-max-age", "86400");
    }
    response
}
