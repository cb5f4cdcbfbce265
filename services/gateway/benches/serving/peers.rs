//! What the gateway is measured beside: nginx with the same segments as files, and MediaMTX with
//! a stream of the same bit rate.

use std::{fs, path::Path, process::Command, time::Duration};

use reelay_testkit::{
    ScratchDir,
    ports::free_port,
    process::{Process, ProcessSpec},
    wait_until,
};

const LIMIT: Duration = Duration::from_secs(60);

async fn answers(url: &str) -> Option<()> {
    reqwest::get(url)
        .await
        .ok()?
        .status()
        .is_success()
        .then_some(())
}

/// nginx with the files at `urls`, and where it has them; `None` if there is no nginx.
pub async fn nginx(dir: &ScratchDir, urls: &[String]) -> Option<(Process, Vec<String>)> {
    let program = ["/usr/sbin/nginx", "/usr/bin/nginx"]
        .into_iter()
        .find(|path| Path::new(path).exists())?;
    let root = dir.path().join("files");
    fs::create_dir_all(&root).unwrap();
    let port = free_port();
    let mut here = Vec::new();
    for (at, url) in urls.iter().enumerate() {
        let bytes = reqwest::get(url)
            .await
            .unwrap()
            .error_for_status()
            .unwrap()
            .bytes()
            .await
            .unwrap();
        fs::write(root.join(format!("{at}.m4s")), &bytes).unwrap();
        here.push(format!("http://127.0.0.1:{port}/{at}.m4s"));
    }
    // As its package sets it up, with the log of requests off. It may not run as another user,
    // who could not read the folder.
    let (config, folder) = (dir.path().join("nginx.conf"), dir.path().display());
    fs::write(
        &config,
        format!(
            "daemon off; master_process off; worker_processes 1; pid {folder}/nginx.pid;\n\
             error_log {folder}/nginx.error.log;\n\
             events {{ worker_connections 1024; }}\n\
             http {{ access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000;\n\
             client_body_temp_path {folder}/1; proxy_temp_path {folder}/2; fastcgi_temp_path {folder}/3;\n\
             uwsgi_temp_path {folder}/4; scgi_temp_path {folder}/5;\n\
             server {{ listen 127.0.0.1:{port}; root {}; }} }}\n",
            root.display()
        ),
    )
    .unwrap();
    let spec = ProcessSpec::new("nginx", program, dir.path().join("nginx.log"))
        .arg("-c")
        .arg(&config);
    let process = Process::start(spec).unwrap();
    wait_until("nginx answers", LIMIT, async || answers(&here[0]).await)
        .await
        .unwrap();
    Some((process, here))
}

/// A running MediaMTX with a stream.
pub struct MediaMtx {
    server: Process,
    _publisher: Process,
    pub master: String,
}

impl MediaMtx {
    pub fn pid(&self) -> u32 {
        self.server.pid()
    }
}

/// MediaMTX with a stream of about 2.8 Mbit/s; `None` if it cannot be built here.
pub async fn mediamtx(dir: &ScratchDir) -> Option<MediaMtx> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/mediamtx");
    let built = Command::new(script)
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    let program = String::from_utf8(built.stdout).ok()?.trim().to_owned();
    let (rtsp, hls) = (free_port(), free_port());
    let config = serde_json::json!({
        "logLevel": "error", "rtmp": false, "webrtc": false, "srt": false,
        "rtspAddress": format!("127.0.0.1:{rtsp}"), "rtspTransports": ["tcp"],
        "hlsAddress": format!("127.0.0.1:{hls}"), "hlsAlwaysRemux": true,
        "hlsVariant": "lowLatency", "hlsPartDuration": "200ms", "hlsSegmentDuration": "2s",
        "paths": {"bench": {}},
    });
    let file = dir.path().join("mediamtx.yml");
    // JSON is YAML.
    fs::write(&file, config.to_string()).unwrap();
    let spec = ProcessSpec::new("mediamtx", program, dir.path().join("mediamtx.log")).arg(&file);
    let server = Process::start(spec).unwrap();
    let clip = dir.path().join("clip.mp4");
    make_clip(&clip);
    let spec = ProcessSpec::new("publisher", "ffmpeg", dir.path().join("publisher.log"))
        .args(["-v", "error", "-re", "-stream_loop", "-1", "-i"])
        .arg(&clip)
        .args(["-c", "copy", "-f", "rtsp", "-rtsp_transport", "tcp"])
        .arg(format!("rtsp://127.0.0.1:{rtsp}/bench"));
    let publisher = Process::start(spec).unwrap();
    let master = format!("http://127.0.0.1:{hls}/bench/index.m3u8");
    wait_until("MediaMTX serves the stream", LIMIT, async || {
        answers(&master).await
    })
    .await
    .unwrap();
    Some(MediaMtx {
        server,
        _publisher: publisher,
        master,
    })
}

/// Noise makes the bits that a camera's picture has: 2.55 Mbit/s of video and 0.25 of sound.
fn make_clip(path: &Path) {
    let video = "testsrc2=size=1280x720:rate=25:duration=60,noise=alls=20:allf=t";
    let sound = "anoisesrc=duration=60:sample_rate=48000:amplitude=0.3";
    let codecs = "-c:v libx264 -preset ultrafast -tune zerolatency -b:v 2550k -minrate 2550k -maxrate 2550k -bufsize 1000k -g 50 -bf 0 -pix_fmt yuv420p -ac 2 -c:a aac -b:a 250k";
    let status = Command::new("ffmpeg")
        .args([
            "-v", "error", "-y", "-f", "lavfi", "-i", video, "-f", "lavfi", "-i", sound,
        ])
        .args(codecs.split(' '))
        .arg(path)
        .status();
    assert!(status.unwrap().success());
}
