//! Files over HTTP.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    thread,
};

use reelay_media::{SourceInput, SourceJob, SourceProblemCode};
use reelay_model::{LatencyMode, Micros, Track};

use crate::{
    clips::{clip, source_times},
    collect::Collected,
};

/// Serves `bytes` at any path but `/gone` (404) and `/away` (a redirect to `away`); with ranges
/// if `ranges`. The thread ends with the test's process.
fn serve(bytes: Vec<u8>, ranges: bool, away: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, bytes) = (stream.unwrap(), bytes.clone());
            thread::spawn(move || {
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
                while let Some(Ok(request)) = lines.next() {
                    let mut from = 0;
                    for header in lines
                        .by_ref()
                        .map_while(Result::ok)
                        .take_while(|line| !line.is_empty())
                    {
                        if let Some(range) =
                            header.to_ascii_lowercase().strip_prefix("range: bytes=")
                        {
                            from = range.trim_end_matches('-').parse().unwrap();
                        }
                    }
                    let (head, body) = if request.contains("/gone") {
                        ("404 Not Found\r\n".to_owned(), &[][..])
                    } else if request.contains("/away") {
                        (format!("302 Found\r\nLocation: {away}\r\n"), &[][..])
                    } else if ranges {
                        let end = bytes.len() - 1;
                        let range = format!(
                            "206 Partial\r\nContent-Range: bytes {from}-{end}/{}\r\n",
                            bytes.len()
                        );
                        (range, &bytes[from..])
                    } else {
                        ("200 OK\r\n".to_owned(), &bytes[..])
                    };
                    let head = format!("HTTP/1.1 {head}Content-Length: {}\r\n\r\n", body.len());
                    // A reader that seeks hangs up in the middle.
                    if stream
                        .write_all(head.as_bytes())
                        .and_then(|()| stream.write_all(body))
                        .is_err()
                    {
                        return;
                    }
                }
            });
        }
    });
    format!("http://{address}")
}

fn job(url: String, allow_local: bool) -> SourceJob {
    SourceJob::new(
        "http",
        SourceInput::Http { url, allow_local },
        LatencyMode::Low,
        Micros(6_000_000),
    )
}

#[tokio::test]
async fn a_file_plays_from_servers_with_and_without_ranges() {
    let folder = tempfile::tempdir().unwrap();
    // The index is at the end: it has to be sought.
    let path = clip(folder.path(), "clip.mp4", "25", "2", "-g 50 -c:a aac");
    let source = source_times(&path, "v:0", 90_000.0);
    for ranges in [true, false] {
        let server = serve(fs::read(&path).unwrap(), ranges, "");
        let job = job(format!("{server}/clip.mp4"), true);
        let seen = Collected::run(&job, |seen| seen.segments(&Track::Audio) == 2).await;
        assert_eq!(seen.problems, []);
        seen.check(&Track::Video);
        seen.check(&Track::Audio);
        assert_eq!(
            seen.presentation_times(&Track::Video)[..source.len()],
            source
        );
    }
}

#[tokio::test]
async fn addresses_of_this_machine_are_refused() {
    let server = serve(Vec::new(), true, "");
    let numbers = server.clone();
    let name = server.replace("127.0.0.1", "localhost");
    for url in [
        numbers,
        name,
        "http://169.254.169.254/latest/meta-data".to_owned(),
    ] {
        let seen = Collected::run(&job(url, false), |_| false).await;
        assert_eq!(seen.problems.len(), 1);
        assert_eq!(seen.problems[0].code, SourceProblemCode::AddressRefused);
        assert!(seen.problems[0].fatal);
    }
}

#[tokio::test]
async fn answers_that_are_no_file_are_named() {
    let server = serve(vec![b'x'; 100_000], true, "ftp://example.com/");
    for (path, code) in [
        ("/gone", SourceProblemCode::NotFound),
        ("/away", SourceProblemCode::Unreachable),
        ("/garbage.mp4", SourceProblemCode::InvalidFormat),
    ] {
        let seen = Collected::run(&job(format!("{server}{path}"), true), |_| false).await;
        assert_eq!(seen.problems.len(), 1, "{path}");
        assert_eq!(seen.problems[0].code, code, "{path}: {}", seen.problems[0]);
    }
    let nobody = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let seen = Collected::run(&job(format!("http://{nobody}/"), true), |_| false).await;
    assert_eq!(seen.problems[0].code, SourceProblemCode::Unreachable);
}
