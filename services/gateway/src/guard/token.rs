//! The token that writes and updates need when one is set.

use std::fmt;

use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// What a page's WebSocket puts before the token among the subprotocols that it offers.
const SUBPROTOCOL: &str = "reelay.token.";

/// A token; only its hash is kept, and it is never shown.
#[derive(Clone)]
pub struct Token([u8; 32]);

/// A token that is too easy to guess, or that no header can hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("allowed: 8 or more printable ASCII characters without spaces")]
pub struct BadToken;

impl Token {
    /// `text` as a token.
    ///
    /// # Errors
    /// It has fewer than 8 characters, or others than printable ASCII.
    pub fn new(text: &str) -> Result<Self, BadToken> {
        if text.len() >= 8 && text.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(Self(Sha256::digest(text).into()))
        } else {
            Err(BadToken)
        }
    }

    /// Whether `shown` is the token, in a time that does not depend on how much of it is.
    pub fn matches(&self, shown: &str) -> bool {
        let shown: [u8; 32] = Sha256::digest(shown).into();
        self.0.ct_eq(&shown).into()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(***)")
    }
}

/// The token that a request shows: `Authorization: Bearer …`, or the subprotocol
/// `reelay.token.<base64url of it>` of a WebSocket.
pub(super) fn shown(headers: &HeaderMap) -> Option<String> {
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
        return scheme
            .eq_ignore_ascii_case("bearer")
            .then(|| token.trim().to_owned());
    }
    let offered = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
    let mut names = offered
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    let encoded = names.find_map(|name| name.trim().strip_prefix(SUBPROTOCOL))?;
    String::from_utf8(URL_SAFE_NO_PAD.decode(encoded).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_token_itself_matches_and_it_is_not_shown() {
        let token = Token::new("correct-horse").unwrap();
        assert!(token.matches("correct-horse"));
        for wrong in ["", "correct-hors", "correct-horse ", "Correct-horse"] {
            assert!(!token.matches(wrong));
        }
        assert_eq!(format!("{token:?}"), "Token(***)");
        assert!(Token::new("short").is_err() && Token::new("with a space").is_err());
    }

    #[test]
    fn it_is_found_in_the_header_or_the_subprotocols() {
        let headers = |name: &'static str, value: &'static str| {
            HeaderMap::from_iter([(name.parse().unwrap(), value.parse().unwrap())])
        };
        let of = |name, value| shown(&headers(name, value));
        assert_eq!(of("authorization", "Bearer abc").as_deref(), Some("abc"));
        assert_eq!(of("authorization", "bearer abc").as_deref(), Some("abc"));
        assert_eq!(of("authorization", "Basic abc"), None);
        let offered = "reelay.v1, reelay.token.Y29ycmVjdC1ob3JzZQ";
        assert_eq!(
            of("sec-websocket-protocol", offered).as_deref(),
            Some("correct-horse")
        );
        assert_eq!(
            of("sec-websocket-protocol", "reelay.v1, reelay.token.??"),
            None
        );
    }
}
