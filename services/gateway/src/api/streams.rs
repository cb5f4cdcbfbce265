//! List, add, change and remove streams.

use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use reelay_model::{
    FieldError, Invalid, Micros, Offset, RawStreamSpec, SourceAddress, StreamId, StreamSpec,
    StreamUid, classify, literal_address,
};
use schemars::JsonSchema;
use serde::Serialize;

use super::Api;
use super::body::Json;
use super::problem::Problem;
use super::view::StreamView;
use crate::streams::{Stream, WriteError};

/// All streams.
#[derive(Debug, Serialize, JsonSchema)]
pub struct StreamList {
    /// The streams, by id.
    pub streams: Vec<StreamView>,
}

pub(super) async fn list(State(api): State<Api>) -> axum::Json<StreamList> {
    let now = Micros::now();
    let streams = api
        .streams
        .all()
        .iter()
        .map(|stream| StreamView::new(stream, now))
        .collect();
    axum::Json(StreamList { streams })
}

pub(super) async fn show(
    State(api): State<Api>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let stream = find(&api, &id)?;
    Ok(shown(StatusCode::OK, &stream))
}

pub(super) async fn add(
    State(api): State<Api>,
    Json(raw): Json<RawStreamSpec>,
) -> Result<Response, Problem> {
    if let Some(uid) = raw.uid {
        return Err(Problem::invalid([FieldError::new(
            "uid",
            uid,
            "none: it is given by the system",
        )]));
    }
    let spec = validate(&api, raw, StreamUid::random())?;
    let stream = api.streams.add(spec).await.map_err(refused)?;
    tracing::info!(stream = %stream.spec.id, uid = %stream.spec.uid, version = stream.version, "stream added");
    let mut response = shown(StatusCode::CREATED, &stream);
    if let Ok(place) = HeaderValue::from_str(&format!("/api/v1/streams/{}", stream.spec.id)) {
        response.headers_mut().insert(header::LOCATION, place);
    }
    Ok(response)
}

pub(super) async fn edit(
    State(api): State<Api>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Json(raw): Json<RawStreamSpec>,
) -> Result<Response, Problem> {
    let stream = find(&api, &id)?;
    let based_on = base(&headers, &stream)?;
    if raw.id != id {
        return Err(Problem::invalid([FieldError::new(
            "id",
            &raw.id,
            format!("{id}, as in the address"),
        )]));
    }
    let uid = stream.spec.uid;
    if let Some(other) = raw.uid.filter(|other| *other != uid) {
        return Err(Problem::invalid([FieldError::new(
            "uid",
            other,
            format!("{uid}, or none"),
        )]));
    }
    let spec = validate(&api, raw, uid)?;
    stream.spec.check_edit(&spec)?;
    let stream = api.streams.edit(spec, based_on).await.map_err(refused)?;
    tracing::info!(stream = %stream.spec.id, version = stream.version, "stream edited");
    Ok(shown(StatusCode::OK, &stream))
}

pub(super) async fn remove(
    State(api): State<Api>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let stream = find(&api, &id)?;
    let based_on = base(&headers, &stream)?;
    api.streams
        .remove(&stream.spec.id, based_on)
        .await
        .map_err(refused)?;
    tracing::info!(stream = %stream.spec.id, "stream removed");
    Ok(StatusCode::NO_CONTENT)
}

fn find(api: &Api, id: &str) -> Result<std::sync::Arc<Stream>, Problem> {
    let stream = id
        .parse::<StreamId>()
        .ok()
        .and_then(|id| api.streams.get(&id));
    stream.ok_or_else(|| Problem::no_stream(id))
}

fn shown(status: StatusCode, stream: &Stream) -> Response {
    let mut response = (status, axum::Json(StreamView::new(stream, Micros::now()))).into_response();
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{}\"", stream.version)) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

/// The version that an edit is based on: that of `If-Match`, or the one in force where there
/// is none or it is `*`. (RFC 9110 §13.1.1)
fn base(headers: &HeaderMap, stream: &Stream) -> Result<Offset, Problem> {
    let Some(value) = headers.get(header::IF_MATCH) else {
        return Ok(stream.version);
    };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(stream.version);
    }
    let quoted = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'));
    let version = quoted.unwrap_or(text).parse().map_err(|_| {
        Problem::new(StatusCode::BAD_REQUEST, "bad-if-match")
            .detail("allowed in If-Match: one version in quotes, such as \"17\", or *")
    })?;
    if version == stream.version {
        return Ok(version);
    }
    Err(refused(WriteError::Stale {
        id: stream.spec.id.clone(),
        based_on: version,
        in_force: stream.version,
    }))
}

fn validate(api: &Api, raw: RawStreamSpec, uid: StreamUid) -> Result<StreamSpec, Problem> {
    let spec = StreamSpec::validate(raw, uid, &api.rungs.ids())?;
    spec.check_ladder(&api.rungs)?;
    let mut errors = Vec::new();
    if let Some(partition) = spec
        .partition
        .filter(|partition| *partition >= api.streams.partitions())
    {
        let last = api.streams.partitions() - 1;
        errors.push(FieldError::new(
            "partition",
            partition,
            format!("0 to {last}"),
        ));
    }
    if !api.allow_local_sources
        && let Some(error) = local_source(&spec.source)
    {
        errors.push(error);
    }
    if errors.is_empty() {
        Ok(spec)
    } else {
        Err(Invalid(errors).into())
    }
}

/// An address by number that only the services could reach. Names are looked up, and checked
/// again, where they are connected to.
fn local_source(source: &SourceAddress) -> Option<FieldError> {
    let url = match source {
        SourceAddress::Http(url) => url,
        SourceAddress::Rtsp(address) => address.url(),
        SourceAddress::Synthetic(_) | SourceAddress::File(_) | SourceAddress::V4l2(_) => {
            return None;
        }
    };
    let class = classify(literal_address(url)?);
    (!class.allowed_by_default()).then(|| {
        FieldError::new(
            "source",
            url,
            format!(
                "an address elsewhere: this is {}, refused unless --allow-local-sources is set",
                class.describe()
            ),
        )
    })
}

fn refused(error: WriteError) -> Problem {
    let detail = error.to_string();
    let (status, code) = match error {
        WriteError::Exists { .. } => (StatusCode::CONFLICT, "exists"),
        WriteError::NoStream(_) => (StatusCode::NOT_FOUND, "no-stream"),
        WriteError::Stale { .. } => (StatusCode::PRECONDITION_FAILED, "stale"),
        WriteError::Refused(_) => (StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
        WriteError::Produce(_) => (StatusCode::SERVICE_UNAVAILABLE, "not-written"),
        WriteError::NotReadBack => (StatusCode::SERVICE_UNAVAILABLE, "not-read-back"),
    };
    let problem = Problem::new(status, code).detail(detail);
    match status {
        StatusCode::SERVICE_UNAVAILABLE => {
            problem.header(HeaderName::from_static("retry-after"), "2")
        }
        _ => problem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_only_the_services_reach_are_refused() {
        for (source, refused) in [
            ("http://127.0.0.1/a.mp4", true),
            ("http://localhost:9000/a.mp4", true),
            ("http://cam.localhost/a.mp4", true),
            ("http://[::1]/a.mp4", true),
            ("http://2130706433/a.mp4", true),
            ("http://169.254.169.254/latest", true),
            ("http://192.168.1.20/a.mp4", false),
            ("https://cams.example/a.mp4", false),
            ("rtsp://127.0.0.1:8554/a", true),
            ("rtsp://169.254.169.254/a", true),
            ("rtsp://2130706433/a", true),
            ("rtsps://192.168.1.20/a", false),
            ("synthetic:", false),
            ("file:a.mp4", false),
        ] {
            let source = source.parse().unwrap();
            assert_eq!(local_source(&source).is_some(), refused, "{source}");
        }
    }
}
