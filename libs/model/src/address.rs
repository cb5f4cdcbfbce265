//! Where a stream's media comes from, as one address string.

mod rtsp;

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use url::Url;

use crate::FieldError;

pub use rtsp::{RtspAddress, RtspTransport};

const FIELD: &str = "source";
const SCHEMES: &str = "an address of scheme rtsp://, rtsps://, http://, https://, file:, v4l2: or \
                       synthetic:, such as rtsp://camera.example/main";

/// Where a stream's media comes from.
///
/// Written `synthetic:?width=1280&height=720&fps=25&bitrate=2500000&tone=440` (all optional),
/// `file:clips/door.mp4` (a path below ingest's media directory), `https://host/door.mp4`,
/// `rtsp://camera/main` (see [`RtspAddress`]) or `v4l2:/dev/video0`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceAddress {
    /// A camera drawn by ingest itself: moving shapes, a burnt-in clock and a tone.
    Synthetic(Synthetic),
    /// A file, played at its own pace and looped; the path is relative, without `..`.
    File(Box<str>),
    /// A file fetched over HTTP or HTTPS; holds no credentials.
    Http(Url),
    /// A camera or server that speaks RTSP.
    Rtsp(RtspAddress),
    /// A webcam of the machine that ingest runs on: a path below `/dev`, without `..`.
    V4l2(Box<str>),
}

impl SourceAddress {
    /// Whether the spec may name credentials for it.
    pub const fn takes_credentials(&self) -> bool {
        matches!(self, Self::Rtsp(_))
    }
}

/// Settings of the synthetic camera.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Synthetic {
    /// Width in pixels, even, 160 to 3840.
    pub width: u32,
    /// Height in pixels, even, 120 to 2160.
    pub height: u32,
    /// Frames per second, 1 to 60.
    pub fps: u32,
    /// Video bit rate in bit/s, 50,000 to 50,000,000.
    pub bitrate: u32,
    /// Frequency of the tone in Hz, 0 (no audio track) to 10,000.
    pub tone: u32,
}

impl Default for Synthetic {
    fn default() -> Self {
        Self {
            width: 1280,
            height: 720,
            fps: 25,
            bitrate: 2_500_000,
            tone: 440,
        }
    }
}

impl Synthetic {
    fn parse(query: &str) -> Result<Self, FieldError> {
        let mut synthetic = Self::default();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            let (slot, low, high, even) = match &*name {
                "width" => (&mut synthetic.width, 160, 3840, true),
                "height" => (&mut synthetic.height, 120, 2160, true),
                "fps" => (&mut synthetic.fps, 1, 60, false),
                "bitrate" => (&mut synthetic.bitrate, 50_000, 50_000_000, false),
                "tone" => (&mut synthetic.tone, 0, 10_000, false),
                other => {
                    return Err(FieldError::new(
                        format!("{FIELD}.{other}"),
                        value,
                        "the settings width, height, fps, bitrate and tone",
                    ));
                }
            };
            *slot = value
                .parse()
                .ok()
                .filter(|n| (low..=high).contains(n) && !(even && n % 2 == 1))
                .ok_or_else(|| {
                    let even = if even { "an even" } else { "a whole" };
                    FieldError::new(
                        format!("{FIELD}.{name}"),
                        &value,
                        format!("{even} number from {low} to {high}"),
                    )
                })?;
        }
        Ok(synthetic)
    }
}

impl FromStr for SourceAddress {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        let Some((scheme, rest)) = text.split_once(':') else {
            return Err(FieldError::new(FIELD, text, SCHEMES));
        };
        match scheme {
            "synthetic" => match rest.strip_prefix('?').or((rest.is_empty()).then_some("")) {
                Some(query) => Synthetic::parse(query).map(Self::Synthetic),
                None => Err(FieldError::new(
                    FIELD,
                    text,
                    "synthetic: or synthetic:?setting=value&…",
                )),
            },
            "file" => parse_path(rest, text).map(Self::File),
            "http" | "https" => parse_url(text).map(Self::Http),
            "v4l2" => parse_device(rest).map(Self::V4l2),
            "rtsp" | "rtsps" => RtspAddress::parse(text).map(Self::Rtsp),
            // The text may hold a password: the error shows the scheme alone.
            other => Err(FieldError::new(FIELD, format!("{other}:…"), SCHEMES)),
        }
    }
}

fn parse_path(path: &str, text: &str) -> Result<Box<str>, FieldError> {
    let sound = !path.is_empty()
        && path.len() <= 1024
        && !path.starts_with('/')
        && !path.contains(['\\', '\0'])
        && path
            .split('/')
            .all(|part| !part.is_empty() && part != "." && part != "..");
    if sound {
        return Ok(path.into());
    }
    Err(FieldError::new(
        FIELD,
        text,
        "file: and a path relative to the media directory, without '..', such as file:clips/door.mp4",
    ))
}

fn parse_device(path: &str) -> Result<Box<str>, FieldError> {
    let sound = path.len() <= 255
        && path.strip_prefix("/dev/").is_some_and(|rest| {
            rest.split('/').all(|part| {
                let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:".contains(c);
                !part.is_empty() && !part.starts_with('.') && part.chars().all(plain)
            })
        });
    if sound {
        return Ok(path.into());
    }
    Err(FieldError::new(
        FIELD,
        format!("v4l2:{path}"),
        "v4l2: and a device of the machine that ingest runs on, such as v4l2:/dev/video0",
    ))
}

fn parse_url(text: &str) -> Result<Url, FieldError> {
    let url = Url::parse(text)
        .map_err(|_| FieldError::new(FIELD, "an address that is no URL", "an http(s) URL"))?;
    without_credentials(url)
}

/// Refuses a URL that holds a user name or password, without repeating them.
fn without_credentials(url: Url) -> Result<Url, FieldError> {
    if !url.username().is_empty() || url.password().is_some() {
        let mut shown = url.clone();
        // Both can only fail for URLs without a host, which have none to take out.
        let _ = shown.set_username("");
        let _ = shown.set_password(None);
        return Err(FieldError::new(
            FIELD,
            format!("{shown} with a user name or password"),
            "an address without credentials: put them into a file that ingest reads and name it \
             in the field credentials",
        ));
    }
    Ok(url)
}

impl fmt::Display for SourceAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Synthetic(s) => write!(
                f,
                "synthetic:?width={}&height={}&fps={}&bitrate={}&tone={}",
                s.width, s.height, s.fps, s.bitrate, s.tone
            ),
            Self::File(path) => write!(f, "file:{path}"),
            Self::Http(url) => url.fmt(f),
            Self::Rtsp(address) => address.fmt(f),
            Self::V4l2(path) => write!(f, "v4l2:{path}"),
        }
    }
}

impl Serialize for SourceAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SourceAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for SourceAddress {
    fn schema_name() -> Cow<'static, str> {
        "SourceAddress".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^(synthetic:(\\?.*)?|file:[^/].*|v4l2:/dev/.+|(https?|rtsps?)://.+)$",
            "examples": [
                "rtsp://camera.example/main",
                "file:clips/door.mp4",
                "https://example.com/door.mp4",
                "synthetic:",
            ],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_read_back_as_written() {
        for text in [
            "synthetic:?width=640&height=360&fps=30&bitrate=800000&tone=0",
            "file:clips/a b.mp4",
            "https://example.com/a.mp4?x=1",
            "rtsp://192.168.1.20/Streaming/Channels/101?x=1&y=2",
            "rtsp://[fd00::7]:8554/main#transport=udp",
            "rtsps://camera.example:322/main",
            "v4l2:/dev/v4l/by-id/usb-046d_C920-video-index0",
        ] {
            assert_eq!(text.parse::<SourceAddress>().unwrap().to_string(), text);
        }
        assert_eq!(
            "synthetic:".parse::<SourceAddress>().unwrap(),
            SourceAddress::Synthetic(Synthetic::default())
        );
    }

    #[test]
    fn addresses_outside_the_list_are_refused() {
        for bad in [
            "",
            "clip.mp4",
            "ftp://a/b",
            "concat:a|b",
            "file:/etc/passwd",
            "file:../x",
            "file:a/../b",
            "file:",
            "file:a//b",
            "synthetic:width=3",
            "synthetic:?width=161",
            "synthetic:?fps=0",
            "synthetic:?colour=red",
            "http://",
            "rtsp://",
            "rtsp:/main",
            "rtsp://camera/main#transport=pigeon",
            "rtsp://camera/main#buffer=3",
            "rtsps://camera/main#transport=udp",
            "rtsp://camera/ma\nin",
            "v4l2:",
            "v4l2:/dev/",
            "v4l2:video0",
            "v4l2:/dev/../etc/passwd",
            "v4l2:/etc/passwd",
        ] {
            let error = bad.parse::<SourceAddress>().unwrap_err();
            assert!(error.field.starts_with("source"), "{bad}: {error}");
        }
    }

    #[test]
    fn a_password_in_an_address_is_refused_and_not_repeated() {
        for bad in [
            "http://admin:hunter2@cam/a.mp4",
            "rtsp://admin:hunter2@cam/1",
            "rtsps://hunter2@cam/1",
            "rtsp://admin:hunter2@ca m/1",
            "rtsp://admin:hunter2@/1",
            "rtsp://admin:hunter2@cam:99999/1",
        ] {
            let error = bad.parse::<SourceAddress>().unwrap_err();
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
}
