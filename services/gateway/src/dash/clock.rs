//! The gateway's clock, which players set theirs by (`UTCTiming`, §5.8.4.11).

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName};

/// `GET /api/v1/time`: the time now as ISO 8601, to the millisecond.
pub async fn time() -> ([(HeaderName, &'static str); 2], String) {
    (
        [
            (CONTENT_TYPE, "text/plain; charset=utf-8"),
            (CACHE_CONTROL, "no-store"),
        ],
        format!("{:.3}", jiff::Timestamp::now()),
    )
}
