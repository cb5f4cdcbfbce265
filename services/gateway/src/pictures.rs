//! Pictures of streams over HTTP: plain JPEG, for walls and for programs.

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use axum::routing::get;
use reelay_model::StreamId;

use crate::hls::{count, is_known, refuse};
use crate::live::Live;

const JPEG: HeaderValue = HeaderValue::from_static("image/jpeg");
/// A new one comes about every two seconds.
const KEPT: HeaderValue = HeaderValue::from_static("public, max-age=1");

/// The routes of pictures below `/streams/{id}/`.
pub fn router(live: Live) -> Router {
    Router::new()
        .route("/streams/{id}/thumbnail.jpg", get(thumbnail))
        .with_state(live)
}

/// `GET /streams/{id}/thumbnail.jpg`: the newest picture.
async fn thumbnail(
    State(live): State<Live>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    count("thumbnail", make_thumbnail(&live, &id, &headers).await)
}

async fn make_thumbnail(
    live: &Live,
    id: &str,
    headers: &HeaderMap,
) -> Result<Response, Box<Response>> {
    let refused = |code, detail: String| Box::new(refuse(StatusCode::NOT_FOUND, code, detail));
    let none = || refused("no-such-stream", format!("there is no stream called {id}"));
    let stream: StreamId = id.parse().map_err(|_| none())?;
    let picture = live.thumbnail(&stream).await.map_err(|_| none())?;
    let picture = picture.ok_or_else(|| {
        let detail = format!("there is no picture of stream {id} from the last minute");
        refused("no-picture", detail)
    })?;
    let unchanged = is_known(headers, &picture.etag);
    let mut response = match unchanged {
        true => Response::new(Body::empty()),
        false => Response::new(Body::from(picture.jpeg.clone())),
    };
    let head = response.headers_mut();
    head.insert(header::ETAG, picture.etag.clone());
    head.insert(header::CACHE_CONTROL, KEPT);
    if unchanged {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    } else {
        head.insert(header::CONTENT_TYPE, JPEG);
        head.insert(header::CONTENT_LENGTH, picture.jpeg.len().into());
    }
    Ok(response)
}
