//! The web app, embedded in the binary.
//!
//! `build.rs` has cargo look at `web/dist` again when that is built anew.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use rust_embed::{EmbeddedFile, RustEmbed};

use crate::api::problem::Problem;
use crate::guard::{Origin, content_security_policy};

const NOT_BUILT: &str = "The web app is not part of this build.\n\n\
    Build it with `make web` and then build the gateway again.\n\
    Streams are served all the same: see /api/v1/streams.\n";

#[derive(RustEmbed)]
#[folder = "web/dist"]
#[allow_missing = true]
struct Dist;

#[derive(Clone)]
struct Web {
    policy: Arc<HeaderValue>,
}

/// The routes of the pages and what they load.
pub fn router(alternates: &[Origin]) -> Router {
    let policy = content_security_policy(alternates);
    // Origins are ASCII without control characters, as `Origin` makes sure.
    let policy =
        HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'self'"));
    Router::new()
        .route(
            "/",
            get(|state, headers| page(state, headers, "index.html")),
        )
        .route(
            "/watch/{id}",
            get(|state, headers| page(state, headers, "watch.html")),
        )
        .route("/assets/{name}", get(asset))
        .route(
            "/favicon.svg",
            get(|headers: HeaderMap| async move { file("favicon.svg", &headers, REVALIDATE) }),
        )
        .with_state(Web {
            policy: Arc::new(policy),
        })
}

/// Names of assets hold a hash of their content.
const IMMUTABLE: &str = "public, max-age=31536000, immutable";
const REVALIDATE: &str = "no-cache";

async fn page(State(web): State<Web>, headers: HeaderMap, name: &'static str) -> Response {
    let mut response = if Dist::get(name).is_some() {
        file(name, &headers, REVALIDATE)
    } else {
        (StatusCode::NOT_FOUND, NOT_BUILT).into_response()
    };
    response
        .headers_mut()
        .insert(header::CONTENT_SECURITY_POLICY, (*web.policy).clone());
    response
}

async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Response {
    file(&format!("assets/{name}"), &headers, IMMUTABLE)
}

/// An embedded file: compressed if there is such a copy and the client takes it, and 304 for
/// one who has it.
fn file(name: &str, request: &HeaderMap, caching: &'static str) -> Response {
    let Some(plain) = Dist::get(name) else {
        return not_found();
    };
    let packed = Dist::get(&format!("{name}.gz"));
    let varies = packed.is_some();
    let (file, packed) = match packed {
        Some(packed) if takes_gzip(request) => (packed, true),
        _ => (plain, false),
    };
    let tag = tag(&file);
    let mut headers = HeaderMap::new();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(header::ETAG, tag);
    }
    if varies {
        headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    }
    if has(request, &tag) {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static(content_type(name)),
    );
    if packed {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    (headers, file.data).into_response()
}

fn not_found() -> Response {
    Problem::new(StatusCode::NOT_FOUND, "not-found").into_response()
}

fn tag(file: &EmbeddedFile) -> String {
    format!("\"{}\"", hex::encode(&file.metadata.sha256_hash()[..12]))
}

/// Whether the client names `tag` among those that it has (RFC 9110 §13.1.2).
fn has(request: &HeaderMap, tag: &str) -> bool {
    let mut known = request
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok());
    known.any(|known| {
        known
            .split(',')
            .map(|one| one.trim().trim_start_matches("W/"))
            .any(|one| one == tag || one == "*")
    })
}

/// Whether the client takes gzip (RFC 9110 §12.5.3), leaving finer weights aside.
fn takes_gzip(request: &HeaderMap) -> bool {
    let accepted = request
        .get(header::ACCEPT_ENCODING)
        .and_then(|value| value.to_str().ok())
        .unwrap_or("");
    accepted.split(',').any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        name.trim().eq_ignore_ascii_case("gzip")
            && !matches!(weight.trim(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000")
    })
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("json" | "map") => "application/json",
        Some("png") => "image/png",
        Some("woff2") => "font/woff2",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(name: header::HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn gzip_is_sent_to_those_who_take_it() {
        for (accepted, takes) in [
            ("gzip, deflate, br", true),
            ("br;q=1.0, GZIP;q=0.5", true),
            ("gzip;q=0", false),
            ("br", false),
            ("", false),
        ] {
            assert_eq!(
                takes_gzip(&request(header::ACCEPT_ENCODING, accepted)),
                takes,
                "{accepted}"
            );
        }
    }

    #[test]
    fn one_who_has_the_file_is_told_so() {
        for (known, is_known) in [
            ("\"a\"", true),
            ("W/\"a\", \"b\"", true),
            ("*", true),
            ("\"b\"", false),
        ] {
            assert_eq!(
                has(&request(header::IF_NONE_MATCH, known), "\"a\""),
                is_known,
                "{known}"
            );
        }
    }

    #[test]
    fn names_cannot_lead_out_of_the_app() {
        for name in ["assets/../../Cargo.toml", "../Cargo.toml", "assets/", ""] {
            assert_eq!(
                file(name, &HeaderMap::new(), IMMUTABLE).status(),
                StatusCode::NOT_FOUND
            );
        }
    }
}
