//! A real RTSP server, MediaMTX, as the camera of a test: FFmpeg feeds it with a clip in a loop.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use crate::{Error, Process, ProcessSpec, ScratchDir, ports::free_port, project_root, wait_until};

/// The version that `scripts/mediamtx` builds.
const PROGRAM: &str = ".run/peers/mediamtx-v1.15.3";
const LIMIT: Duration = Duration::from_secs(60);

/// How a camera asks who is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Login {
    /// Not at all.
    None,
    /// Digest authentication (RFC 7616).
    Digest,
    /// Basic authentication (RFC 7617).
    Basic,
}

/// A server on loopback; ends with this value.
#[derive(Debug)]
pub struct Camera {
    server: Process,
    feed: Option<Process>,
    port: u16,
    scratch: ScratchDir,
}

impl Camera {
    /// User name and password where a [`Login`] is asked for.
    pub const USER: &'static str = "viewer";
    /// See [`USER`](Self::USER).
    pub const PASSWORD: &'static str = "planted-Secret-4711";

    /// Starts the server. `name` names its folder and logs.
    ///
    /// # Errors
    /// The server cannot be built or does not come up.
    pub async fn start(name: &str, login: Login) -> Result<Self, Error> {
        let program = program()?;
        let scratch = ScratchDir::new(name)?;
        let port = free_port();
        // RTP ports are a pair that begins with an even one.
        let rtp = std::iter::repeat_with(free_port)
            .find(|port| port % 2 == 0)
            .unwrap_or_default();
        let reader = match login {
            Login::None => {
                "  - user: any\n    permissions: [{action: read}, {action: publish}]\n".into()
            }
            _ => format!(
                "  - user: {}\n    pass: {}\n    permissions: [{{action: read}}]\n  \
                   - user: feed\n    pass: feed\n    permissions: [{{action: publish}}]\n",
                Self::USER,
                Self::PASSWORD
            ),
        };
        let method = if login == Login::Basic {
            "basic"
        } else {
            "digest"
        };
        let config = format!(
            "logLevel: info\nrtspAddress: 127.0.0.1:{port}\nrtpAddress: 127.0.0.1:{rtp}\n\
             rtcpAddress: 127.0.0.1:{}\nrtspTransports: [tcp, udp]\nrtspAuthMethods: [{method}]\n\
             readTimeout: 60s\nrtmp: no\nhls: no\nwebrtc: no\nsrt: no\nauthInternalUsers:\n{reader}\
             paths:\n  all_others:\n",
            rtp + 1
        );
        let path = scratch.path().join("mediamtx.yml");
        std::fs::write(&path, config).map_err(Error::io(format!("writing {}", path.display())))?;
        let log = scratch.path().join("mediamtx.log");
        let server = Process::start(ProcessSpec::new(name, program, log).arg(&path))?;
        let camera = Self {
            server,
            feed: None,
            port,
            scratch,
        };
        camera.up().await?;
        Ok(camera)
    }

    async fn up(&self) -> Result<(), Error> {
        let address = ("127.0.0.1", self.port);
        wait_until("the RTSP server listens", LIMIT, || async {
            tokio::net::TcpStream::connect(address).await.ok().map(drop)
        })
        .await
        .map(drop)
    }

    /// Feeds path `/cam` with a file in a loop, as it is or encoded by `options` of FFmpeg, and
    /// waits until it can be played.
    ///
    /// # Errors
    /// FFmpeg cannot be started, or nothing comes of it.
    pub async fn feed(&mut self, file: &Path, options: &str) -> Result<(), Error> {
        let log = self.scratch.path().join("feed.log");
        let spec = ProcessSpec::new("feed", "ffmpeg", log)
            .args(["-v", "warning", "-re", "-stream_loop", "-1", "-i"])
            .arg(file)
            .args(options.split_whitespace())
            .args(["-f", "rtsp", "-rtsp_transport", "tcp"])
            .arg(format!("rtsp://feed:feed@127.0.0.1:{}/cam", self.port));
        self.feed = Some(Process::start(spec)?);
        let before = self.published();
        wait_until("the camera has a picture", LIMIT, || async {
            (self.published() > before).then_some(())
        })
        .await
        .map(drop)
    }

    fn published(&self) -> usize {
        self.server.log().matches("is publishing").count()
    }

    /// What is being fed.
    pub fn feeding(&self) -> Option<&Process> {
        self.feed.as_ref()
    }

    /// Takes the picture away: who plays is disconnected.
    pub fn unplug(&mut self) {
        if let Some(feed) = self.feed.take() {
            feed.kill();
        }
    }

    /// The server's process.
    pub const fn server(&self) -> &Process {
        &self.server
    }

    /// Where the camera is played.
    pub fn url(&self) -> String {
        format!("rtsp://127.0.0.1:{}/cam", self.port)
    }
}

/// The server's program, built if need be.
fn program() -> Result<PathBuf, Error> {
    let root = project_root();
    let built = root.join(PROGRAM);
    if built.is_file() {
        return Ok(built);
    }
    let script = root.join("scripts/mediamtx");
    let output = Command::new(&script)
        .output()
        .map_err(Error::io(format!("running {}", script.display())))?;
    if output.status.success() {
        Ok(PathBuf::from(
            String::from_utf8_lossy(&output.stdout).trim(),
        ))
    } else {
        Err(Error::Missing(
            String::from_utf8_lossy(&output.stderr).into_owned(),
        ))
    }
}
