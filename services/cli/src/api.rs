//! The gateway's REST API, as far as the command line uses it.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::path::Path;
use std::time::Duration;

use reelay_model::{FieldError, Offset, Phase, Problem, RawStreamSpec, StreamId, StreamStatus};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use url::Url;

use crate::failure::Failure;

/// A stream as the gateway shows it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StreamView {
    pub spec: RawStreamSpec,
    /// Offset of the spec record in force; an edit names it.
    pub version: Offset,
    pub phase: Phase,
    #[serde(default)]
    pub problem: Option<Problem>,
    /// By component.
    #[serde(default)]
    pub status: BTreeMap<String, StreamStatus>,
    #[serde(default)]
    pub playback: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct StreamList {
    streams: Vec<StreamView>,
}

/// The body of an answer that refuses (RFC 9457).
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ProblemDetails {
    pub title: String,
    pub detail: Option<String>,
    pub errors: Vec<FieldError>,
}

/// A gateway.
pub struct Gateway {
    http: reqwest::Client,
    server: Url,
    token: Option<String>,
}

impl Gateway {
    /// Nothing is sent yet. `ca` is a PEM file with further certificate authorities.
    pub fn new(server: Url, token: Option<String>, ca: Option<&Path>) -> Result<Self, Failure> {
        let mut http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(5))
            .timeout(Duration::from_secs(30))
            .user_agent(concat!("reelay/", env!("CARGO_PKG_VERSION")));
        if let Some(path) = ca {
            let wrong =
                |e: String| Failure::other(format!("--ca-certificate {}: {e}", path.display()));
            let pem = std::fs::read(path).map_err(|e| wrong(e.to_string()))?;
            for certificate in
                reqwest::Certificate::from_pem_bundle(&pem).map_err(|e| wrong(e.to_string()))?
            {
                http = http.add_root_certificate(certificate);
            }
        }
        let http = http
            .build()
            .map_err(|e| Failure::other(format!("cannot set up HTTP: {e}")))?;
        Ok(Self {
            http,
            server,
            token,
        })
    }

    /// Where the gateway is.
    pub fn server(&self) -> &Url {
        &self.server
    }

    pub async fn streams(&self) -> Result<Vec<StreamView>, Failure> {
        let list: StreamList = self.json(self.request(Method::GET, &["streams"])).await?;
        Ok(list.streams)
    }

    pub async fn stream(&self, id: &StreamId) -> Result<StreamView, Failure> {
        self.json(self.request(Method::GET, &["streams", id.as_str()]))
            .await
    }

    pub async fn add(&self, spec: &RawStreamSpec) -> Result<StreamView, Failure> {
        self.json(self.request(Method::POST, &["streams"]).json(spec))
            .await
    }

    /// Replaces the spec if `version` is still the one in force.
    pub async fn put(
        &self,
        id: &StreamId,
        version: Offset,
        spec: &RawStreamSpec,
    ) -> Result<StreamView, Failure> {
        let request = self
            .request(Method::PUT, &["streams", id.as_str()])
            .header(reqwest::header::IF_MATCH, format!("\"{version}\""));
        self.json(request.json(spec)).await
    }

    /// Removes the stream if `version` is still the one in force.
    pub async fn remove(&self, id: &StreamId, version: Offset) -> Result<(), Failure> {
        let request = self
            .request(Method::DELETE, &["streams", id.as_str()])
            .header(reqwest::header::IF_MATCH, format!("\"{version}\""));
        self.send(request).await.map(drop)
    }

    /// What the gateway says of itself.
    pub async fn info(&self) -> Result<serde_json::Value, Failure> {
        self.json(self.request(Method::GET, &["info"])).await
    }

    fn request(&self, method: Method, path: &[&str]) -> RequestBuilder {
        let mut url = self.server.clone();
        // A URL that cannot be a base was refused by `args::server`.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(["api", "v1"]).extend(path);
        }
        let request = self.http.request(method, url);
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    async fn json<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, Failure> {
        let body = self.send(request).await?;
        serde_json::from_slice(&body).map_err(|e| {
            Failure::other(format!(
                "{} does not answer like a Reelay gateway of version {}: {e}\n\
                 Is --server the gateway's address, and are both of one version?",
                self.server,
                env!("CARGO_PKG_VERSION"),
            ))
        })
    }

    async fn send(&self, request: RequestBuilder) -> Result<Vec<u8>, Failure> {
        let response = request.send().await.map_err(|e| self.unreachable(&e))?;
        let status = response.status();
        let is_problem = response
            .headers()
            .get(reqwest::header::CONTENT_TYPE)
            .is_some_and(|t| t.as_bytes().starts_with(b"application/problem+json"));
        let body = response.bytes().await.map_err(|e| self.unreachable(&e))?;
        if status.is_success() {
            return Ok(body.into());
        }
        let problem = is_problem
            .then(|| serde_json::from_slice(&body).ok())
            .flatten();
        Err(Failure::Refused {
            status: status.as_u16(),
            problem: problem.unwrap_or_else(|| plain(status, &body)),
        })
    }

    fn unreachable(&self, error: &reqwest::Error) -> Failure {
        let mut why = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            why = cause.to_string();
            source = cause.source();
        }
        let port = self.server.port_or_known_default().unwrap_or(8080);
        Failure::Unreachable {
            what: format!("the gateway at {}", self.server),
            why,
            advice: format!(
                "Is it running (`make run`), and is --server or REELAY_SERVER right? For a gateway in Kubernetes:\n  \
                 kubectl port-forward service/reelay-gateway {port}:8080"
            ),
        }
    }
}

/// For an answer that is not the gateway's own, a proxy's for example: its first line.
fn plain(status: StatusCode, body: &[u8]) -> ProblemDetails {
    let text = String::from_utf8_lossy(body);
    let line = text.lines().map(str::trim).find(|l| !l.is_empty());
    ProblemDetails {
        title: status.canonical_reason().unwrap_or("Refused").to_owned(),
        detail: line.map(|l| l.chars().take(200).collect()),
        errors: Vec::new(),
    }
}
