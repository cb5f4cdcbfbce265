//! Reads a file over HTTP(S) by ranges, from allowed addresses only.
//!
//! Addresses are checked after name resolution and on each redirect, right where the connection is
//! made: a name cannot lead elsewhere later (DNS rebinding). FFmpeg's own HTTP could not do that.

use std::{
    io::{self, Read, Seek, SeekFrom},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use reelay_model::classify;
use ureq::{
    Agent, BodyReader,
    config::Config,
    http::{StatusCode, Uri, header},
    tls::{RootCerts, TlsConfig},
    unversioned::{
        resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver},
        transport::{DefaultConnector, NextTimeout},
    },
};
use url::Url;

use super::{
    Failure,
    demux::{Media, Opener},
};
use crate::SourceProblemCode;

/// Limit for connecting, for the answer, and between two pieces of the body.
const PATIENCE: Duration = Duration::from_secs(10);
const REDIRECTS: u32 = 5;
/// Connections that break off in the middle are made again so often, in a row.
const ATTEMPTS: u32 = 3;
/// Going forward by less than this is done by reading on.
const READ_ON: u64 = 256 * 1024;

/// Opens the file at `url`; `allow_local` allows for any address.
pub(super) fn remote(url: String, allow_local: bool) -> Opener {
    Box::new(move || {
        let media: Box<dyn Media> = Box::new(HttpFile::open(&url, allow_local)?);
        Ok(media)
    })
}

/// Refuses addresses that [`classify`] does not allow.
#[derive(Debug)]
struct Guard {
    inner: DefaultResolver,
    allow_local: bool,
}

/// What stands in the error of a refused address.
#[derive(Debug, thiserror::Error)]
#[error("{address} is {what}, which may not be fetched from")]
struct Refused {
    address: SocketAddr,
    what: &'static str,
}

impl Resolver for Guard {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let addresses = self.inner.resolve(uri, config, timeout)?;
        for address in addresses.iter() {
            let class = classify(address.ip());
            if !self.allow_local && !class.allowed_by_default() {
                let refused = Refused {
                    address: *address,
                    what: class.describe(),
                };
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, refused).into());
            }
        }
        Ok(addresses)
    }
}

struct HttpFile {
    agent: Agent,
    url: String,
    /// Where the caller reads next.
    position: u64,
    length: Option<u64>,
    /// The body that is being read, and where in the file it is.
    body: Option<(u64, BodyReader<'static>)>,
}

impl HttpFile {
    fn open(url: &str, allow_local: bool) -> Result<Self, Failure> {
        let parsed = Url::parse(url)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https"))
            .filter(|url| url.username().is_empty() && url.password().is_none())
            .ok_or_else(|| {
                Failure::Problem(
                    SourceProblemCode::AddressRefused,
                    "only http(s) addresses without credentials can be fetched".to_owned(),
                )
            })?;
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::PlatformVerifier)
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .build();
        let config = Config::builder()
            .tls_config(tls)
            .proxy(None)
            .http_status_as_error(false)
            .max_redirects(REDIRECTS)
            .timeout_resolve(Some(PATIENCE))
            .timeout_connect(Some(PATIENCE))
            .timeout_recv_response(Some(PATIENCE))
            .timeout_per_read(Some(PATIENCE))
            .user_agent(concat!("reelay/", env!("CARGO_PKG_VERSION")))
            .build();
        let guard = Guard {
            inner: DefaultResolver::default(),
            allow_local,
        };
        let mut file = Self {
            agent: Agent::with_parts(config, DefaultConnector::default(), guard),
            url: parsed.into(),
            position: 0,
            length: None,
            body: None,
        };
        file.request(0)?;
        Ok(file)
    }

    /// Asks for the file from `start` on.
    fn request(&mut self, start: u64) -> Result<(), Failure> {
        self.body = None;
        let response = self
            .agent
            .get(&self.url)
            .header(header::RANGE, format!("bytes={start}-"))
            .header(header::ACCEPT_ENCODING, "identity")
            .call()
            .map_err(|error| failure(&error))?;
        let status = response.status();
        let (at, length) = match status {
            StatusCode::PARTIAL_CONTENT => {
                let range = response.headers().get(header::CONTENT_RANGE);
                let total =
                    range.and_then(|range| range.to_str().ok()?.rsplit('/').next()?.parse().ok());
                (start, total)
            }
            // A server without ranges sends all.
            StatusCode::OK => (0, response.body().content_length()),
            _ => return Err(refusal(status)),
        };
        self.length = length.or(self.length);
        self.body = Some((at, response.into_body().into_reader()));
        Ok(())
    }

    /// Brings the body to the position.
    fn approach(&mut self) -> io::Result<()> {
        let near = self.body.as_ref().is_some_and(|(at, _)| {
            self.position
                .checked_sub(*at)
                .is_some_and(|ahead| ahead < READ_ON)
        });
        if !near {
            self.request(self.position).map_err(Failure::into_io)?;
        }
        if let Some((at, body)) = &mut self.body
            && *at < self.position
        {
            let skipped = io::copy(&mut body.take(self.position - *at), &mut io::sink())?;
            *at += skipped;
        }
        Ok(())
    }
}

impl Read for HttpFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.length.is_some_and(|length| self.position >= length) || buffer.is_empty() {
            return Ok(0);
        }
        let mut attempts = 0;
        loop {
            attempts += 1;
            let result = self.approach().and_then(|()| match &mut self.body {
                Some((_, body)) => body.read(buffer),
                None => Ok(0),
            });
            match result {
                Ok(count) if count > 0 || self.length.is_none() => {
                    self.position += count as u64;
                    if let Some((at, _)) = &mut self.body {
                        *at = self.position;
                    }
                    return Ok(count);
                }
                // It ended before its length.
                Ok(_) if attempts >= ATTEMPTS => return Err(io::ErrorKind::UnexpectedEof.into()),
                Err(error) if attempts >= ATTEMPTS => return Err(error),
                _ => self.body = None,
            }
        }
    }
}

impl Seek for HttpFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let base = match to {
            SeekFrom::Start(position) => {
                self.position = position;
                return Ok(position);
            }
            SeekFrom::Current(_) => Some(self.position),
            SeekFrom::End(_) => self.length,
        };
        let (SeekFrom::Current(by) | SeekFrom::End(by)) = to else {
            return Ok(self.position);
        };
        self.position = base
            .and_then(|base| base.checked_add_signed(by))
            .ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

fn refusal(status: StatusCode) -> Failure {
    let code = match status.as_u16() {
        404 | 410 => SourceProblemCode::NotFound,
        401 | 403 | 407 | 451 => SourceProblemCode::AccessDenied,
        _ => SourceProblemCode::Unreachable,
    };
    Failure::Problem(code, format!("the server answers {status}"))
}

fn failure(error: &ureq::Error) -> Failure {
    if let ureq::Error::Io(error) = error
        && let Some(refused) = error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<Refused>())
    {
        return Failure::Problem(SourceProblemCode::AddressRefused, refused.to_string());
    }
    Failure::Problem(
        SourceProblemCode::Unreachable,
        format!("the server cannot be reached: {error}"),
    )
}
