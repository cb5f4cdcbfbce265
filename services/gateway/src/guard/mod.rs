//! Who may ask for what: known hosts, same origin, the token, and the headers that tell
//! browsers to hold to it.
//!
//! What it guards against: a page of somebody else that makes a viewer's browser write
//! (CSRF) or read (DNS rebinding), and a page of ours that is made to load something foreign.

mod headers;
mod hosts;
mod origin;
mod token;

pub use headers::{content_security_policy, media_headers, security_headers};
pub use hosts::Hosts;
pub use origin::{Origin, same_origin};
pub use token::Token;

use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use crate::api::problem::Problem;

/// What is checked on requests.
#[derive(Debug, Clone)]
pub struct Guard {
    /// Hosts that requests may name.
    pub hosts: Hosts,
    /// What writes must show, if anything.
    pub token: Option<Token>,
}

/// Refuses requests that name a host which is not ours: such a page was loaded from a
/// name that somebody points at this address (DNS rebinding).
pub async fn known_host(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    match request_host(&request) {
        Some(host) if guard.hosts.knows(&host) => next.run(request).await,
        Some(host) => Problem::new(StatusCode::MISDIRECTED_REQUEST, "unknown-host")
            .detail(format!(
                "this gateway is not known as {host:?}; if it is right, start it with --public-host"
            ))
            .into_response(),
        None => Problem::new(StatusCode::BAD_REQUEST, "no-host")
            .detail("the request names no host")
            .into_response(),
    }
}

/// Refuses writes that come from another origin, or without the token if one is set.
///
/// Reports of players pass without the token: viewers have none.
pub async fn writes(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    if matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS
    ) {
        return next.run(request).await;
    }
    if let Err(problem) = guard.same_origin(&request) {
        return problem.into_response();
    }
    if request.uri().path() != crate::api::QOE
        && let Err(problem) = guard.token(&request)
    {
        return problem.into_response();
    }
    next.run(request).await
}

/// Refuses WebSocket requests that come from another origin, or without the token if one is
/// set: as header, or as subprotocol, since pages cannot set headers there.
pub async fn websocket(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let passed = guard
        .same_origin(&request)
        .and_then(|()| guard.token(&request));
    match passed {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

impl Guard {
    fn same_origin(&self, request: &Request) -> Result<(), Problem> {
        let host = request_host(request).unwrap_or_default();
        if same_origin(request.headers(), &host) {
            Ok(())
        } else {
            Err(Problem::new(StatusCode::FORBIDDEN, "foreign-origin")
                .detail("only pages of this gateway itself may do this"))
        }
    }

    fn token(&self, request: &Request) -> Result<(), Problem> {
        let Some(token) = &self.token else {
            return Ok(());
        };
        match token::shown(request.headers()) {
            Some(shown) if token.matches(&shown) => Ok(()),
            shown => Err(Problem::new(StatusCode::UNAUTHORIZED, "token-needed")
                .detail(match shown {
                    Some(_) => "the token is not the one that this gateway was started with",
                    None => "this needs the token that the gateway was started with",
                })
                .header(header::WWW_AUTHENTICATE, "Bearer realm=\"reelay\"")),
        }
    }
}

/// The host (and port) that the request names: `:authority` in HTTP/2, `Host` in HTTP/1.1.
fn request_host(request: &Request) -> Option<String> {
    let named = request
        .uri()
        .authority()
        .map(|authority| authority.as_str().to_owned());
    // More than one Host is an attack on whoever reads the other one (RFC 9112 §3.2).
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let host = hosts
        .next()
        .and_then(|host| host.to_str().ok())
        .map(str::to_owned);
    if hosts.next().is_some() {
        return None;
    }
    match (named, host) {
        (Some(named), Some(host)) if !named.eq_ignore_ascii_case(&host) => None,
        (named, host) => named.or(host),
    }
}
