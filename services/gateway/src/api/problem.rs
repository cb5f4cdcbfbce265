//! Errors as `application/problem+json` (RFC 9457).

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use reelay_model::{FieldError, Invalid};
use schemars::JsonSchema;
use serde::Serialize;

const CONTENT_TYPE: &str = "application/problem+json";
/// The longest text of a foreign error that is passed on as detail, in bytes.
const DETAIL_MAX: usize = 2000;

/// What went wrong with a request (RFC 9457).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "Problem")]
pub struct Details {
    /// Always `about:blank`: the status says what kind of problem it is.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The status in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// A stable name of the problem for programs, such as `stale`.
    pub code: &'static str,
    /// What is wrong, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Each field that is not valid.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
}

/// An error on its way to the one who asked.
#[derive(Debug, Clone)]
pub struct Problem(Box<Parts>);

#[derive(Debug, Clone)]
struct Parts {
    status: StatusCode,
    details: Details,
    header: Option<(HeaderName, HeaderValue)>,
}

impl Problem {
    /// A problem of `status`, called `code`.
    pub fn new(status: StatusCode, code: &'static str) -> Self {
        let details = Details {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Error").to_owned(),
            status: status.as_u16(),
            code,
            detail: None,
            errors: Vec::new(),
        };
        Self(Box::new(Parts {
            status,
            details,
            header: None,
        }))
    }

    /// With what is wrong, for people.
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.0.details.detail = Some(detail.into());
        self
    }

    /// With a header on the answer.
    pub fn header(mut self, name: HeaderName, value: &'static str) -> Self {
        self.0.header = Some((name, HeaderValue::from_static(value)));
        self
    }

    /// Fields that are not valid: 422.
    pub fn invalid(errors: impl Into<Vec<FieldError>>) -> Self {
        let mut problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid");
        let errors: Vec<FieldError> = errors.into();
        let fields: Vec<&str> = errors.iter().map(|error| error.field.as_str()).collect();
        problem.0.details.detail = Some(format!("not valid: {}", fields.join(", ")));
        problem.0.details.errors = errors;
        problem
    }

    /// No stream has the id.
    pub fn no_stream(id: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "no-stream").detail(format!("there is no stream {id:?}"))
    }

    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        self.0.status
    }
}

impl From<Invalid> for Problem {
    fn from(Invalid(errors): Invalid) -> Self {
        Self::invalid(errors)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Parts {
            status,
            details,
            header,
        } = *self.0;
        let body = serde_json::to_vec(&details).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some((name, value)) = header {
            headers.insert(name, value);
        }
        response
    }
}

/// Turns errors that are not problems yet (the router's, the extractors') into problems.
pub async fn normalise(request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let status = response.status();
    let is_problem = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|t| t == CONTENT_TYPE);
    if is_problem || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let (parts, body) = response.into_parts();
    let mut problem = Problem::new(status, code(status));
    if let Ok(text) = axum::body::to_bytes(Body::new(body), DETAIL_MAX).await
        && let Ok(text) = std::str::from_utf8(&text)
        && !text.is_empty()
    {
        problem = problem.detail(text);
    }
    let mut response = problem.into_response();
    for name in [
        header::ALLOW,
        header::SEC_WEBSOCKET_VERSION,
        header::RETRY_AFTER,
    ] {
        if let Some(value) = parts.headers.get(&name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    response
}

fn code(status: StatusCode) -> &'static str {
    match status {
        StatusCode::NOT_FOUND => "not-found",
        StatusCode::METHOD_NOT_ALLOWED => "method-not-allowed",
        StatusCode::PAYLOAD_TOO_LARGE => "too-large",
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "unsupported-media-type",
        StatusCode::UPGRADE_REQUIRED => "upgrade-required",
        status if status.is_server_error() => "unavailable",
        _ => "bad-request",
    }
}
