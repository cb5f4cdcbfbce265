//! JSON bodies: bounded, of the right type, and refused with the field that is wrong.

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::{StatusCode, header};
use reelay_model::FieldError;
use serde::de::DeserializeOwned;

use super::problem::Problem;

/// The greatest body of a request, in bytes.
pub const BODY_MAX: usize = 64 * 1024;
/// How long a client may take to send a body.
const BODY_TIME: std::time::Duration = std::time::Duration::from_secs(10);

/// A JSON body of up to [`BODY_MAX`] bytes.
#[derive(Debug)]
pub struct Json<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let kind = request
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|kind| kind.to_str().ok());
        let kind = kind
            .and_then(|kind| kind.split(';').next())
            .unwrap_or_default()
            .trim();
        // Also what keeps forms of foreign pages out: they cannot send this type unasked.
        if !kind.eq_ignore_ascii_case("application/json") {
            return Err(
                Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type")
                    .detail("allowed: content-type application/json"),
            );
        }
        let body = read(request.into_body()).await?;
        let mut json = serde_json::Deserializer::from_slice(&body);
        let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
            let path = error.path().to_string();
            let error = error.into_inner();
            if error.is_data() {
                let field = if path == "." {
                    "(body)".to_owned()
                } else {
                    path
                };
                Problem::invalid([FieldError {
                    field,
                    value: String::new(),
                    allowed: error.to_string(),
                }])
            } else {
                not_json(&error)
            }
        })?;
        json.end().map_err(|error| not_json(&error))?;
        Ok(Self(value))
    }
}

fn not_json(error: &serde_json::Error) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "not-json")
        .detail(format!("the body is not JSON: {error}"))
}

async fn read(body: Body) -> Result<axum::body::Bytes, Problem> {
    match tokio::time::timeout(BODY_TIME, axum::body::to_bytes(body, BODY_MAX)).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(error)) => {
            let mut source = std::error::Error::source(&error);
            while let Some(inner) = source {
                if inner.is::<http_body_util::LengthLimitError>() {
                    return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large")
                        .detail(format!("the body has more than {BODY_MAX} bytes")));
                }
                source = inner.source();
            }
            Err(Problem::new(StatusCode::BAD_REQUEST, "body-cut-short").detail(error.to_string()))
        }
        Err(_) => Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "body-too-slow")
            .detail(format!("the body took more than {} s", BODY_TIME.as_secs()))),
    }
}
