//! What a camera hears, and what it should answer (RFC 2326).

use std::{
    io::{BufRead, BufReader},
    net::TcpStream,
};

/// A request.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub method: String,
    pub cseq: String,
    /// With credentials.
    pub authorized: bool,
}

impl Asked {
    /// An answer with this status, these headers and this body.
    pub(crate) fn reply(&self, status: &str, headers: &str, body: &str) -> Vec<u8> {
        let length = match body.len() {
            0 => String::new(),
            length => format!("Content-Length: {length}\r\n"),
        };
        format!(
            "RTSP/1.0 {status}\r\nCSeq: {}\r\n{headers}{length}\r\n{body}",
            self.cseq
        )
        .into_bytes()
    }

    pub(crate) fn is(&self, method: &str) -> bool {
        self.method == method
    }
}

/// What a camera does about a request.
pub(crate) enum Answer {
    /// What it should.
    Well,
    Bytes(Vec<u8>),
    BytesThenClose(Vec<u8>),
    Silence,
    Close,
}

/// Reads requests until the other side hangs up.
pub(crate) fn requests(connection: TcpStream) -> impl Iterator<Item = Asked> {
    let mut lines = BufReader::new(connection)
        .split(b'\n')
        .map_while(Result::ok);
    std::iter::from_fn(move || {
        let mut asked: Option<Asked> = None;
        loop {
            let line = lines.next()?;
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            match (&mut asked, line.as_str()) {
                (Some(_), "") => return asked,
                // Receiver reports and the like come in between.
                (None, line) if !line.ends_with("RTSP/1.0") => {}
                (None, line) => {
                    let method = line.split(' ').next().unwrap_or_default();
                    let method = method.rsplit(|c: char| !c.is_ascii_uppercase() && c != '_');
                    asked = Some(Asked {
                        method: method.into_iter().next().unwrap_or_default().to_owned(),
                        cseq: String::new(),
                        authorized: false,
                    });
                }
                (Some(asked), line) => {
                    if let Some((name, value)) = line.split_once(':') {
                        match name.to_ascii_lowercase().as_str() {
                            "cseq" => asked.cseq = value.trim().to_owned(),
                            "authorization" => asked.authorized = true,
                            _ => {}
                        }
                    }
                }
            }
        }
    })
}

/// A camera that does as it should.
pub(crate) struct Well {
    port: u16,
}

/// A description of H.264 whose parameter sets come with the pictures.
pub(crate) const SDP: &str = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=camera\r\nt=0 0\r\n\
    m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1\r\n\
    a=control:track1\r\n";

impl Well {
    pub(crate) const fn new(port: u16) -> Self {
        Self { port }
    }

    pub(crate) fn answer(&mut self, asked: &Asked) -> Vec<u8> {
        match asked.method.as_str() {
            "DESCRIBE" => {
                let base = format!(
                    "Content-Base: rtsp://127.0.0.1:{}/cam/\r\nContent-Type: application/sdp\r\n",
                    self.port
                );
                asked.reply("200 OK", &base, SDP)
            }
            "SETUP" => asked.reply(
                "200 OK",
                "Session: 12345678;timeout=60\r\n\
                 Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n",
                "",
            ),
            "PLAY" => asked.reply("200 OK", "Session: 12345678\r\nRange: npt=0.000-\r\n", ""),
            _ => asked.reply("200 OK", "Public: DESCRIBE, SETUP, PLAY, TEARDOWN\r\n", ""),
        }
    }
}
