//! Who may ask for what.

use serde_json::json;

use crate::start::{Answer, gateway, spec};

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_name_another_host_are_refused_whatever_they_ask_for() {
    let gateway = gateway("hosts", &["--public-host", "cams.example"]).await;
    let port = gateway.address.port();
    for path in [
        "/",
        "/api/v1/streams",
        "/api/v1/info",
        "/streams/door/hls/master.m3u8",
        "/nowhere",
    ] {
        for host in [
            "evil.example",
            "evil.example:80",
            "127.0.0.1.evil.example",
            "192.0.2.1",
        ] {
            let answer =
                Answer::of(gateway.client.get(gateway.url(path)).header("host", host)).await;
            assert_eq!(
                (answer.status, answer.problem().as_str()),
                (421, "unknown-host"),
                "{path} {host}"
            );
        }
    }
    for host in [
        format!("localhost:{port}"),
        format!("[::1]:{port}"),
        "cams.example".to_owned(),
    ] {
        let answer = Answer::of(
            gateway
                .client
                .get(gateway.url("/api/v1/streams"))
                .header("host", &host),
        )
        .await;
        assert_eq!(answer.status, 200, "{host}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn media_may_be_read_from_anywhere_and_nothing_else() {
    let gateway = gateway("cors", &[]).await;
    let from = |path: &str| {
        gateway
            .client
            .get(gateway.url(path))
            .header("origin", "https://blog.example")
    };
    let media = Answer::of(from("/streams/door/hls/master.m3u8")).await;
    assert_eq!(media.status, 404);
    assert_eq!(media.header("access-control-allow-origin"), "*");
    assert_eq!(media.header("access-control-expose-headers"), "Date, Age");
    for path in ["/", "/api/v1/streams", "/api/v1/info"] {
        let answer = Answer::of(from(path)).await;
        assert_eq!(answer.header("access-control-allow-origin"), "", "{path}");
        assert_eq!(
            answer.header("cross-origin-resource-policy"),
            "same-origin",
            "{path}"
        );
    }
    let preflight = |path: &str| {
        gateway
            .client
            .request(reqwest::Method::OPTIONS, gateway.url(path))
            .header("origin", "https://blog.example")
            .header("access-control-request-method", "POST")
    };
    let api = Answer::of(preflight("/api/v1/streams")).await;
    assert_eq!(api.header("access-control-allow-origin"), "");
    let media = Answer::of(preflight("/streams/door/hls/master.m3u8")).await;
    assert_eq!(
        media.header("access-control-allow-methods"),
        "GET, HEAD, OPTIONS"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_other_origins_cannot_write() {
    let gateway = gateway("origins", &[]).await;
    let own = format!("http://{}", gateway.address);
    let post = || {
        gateway
            .client
            .post(gateway.url("/api/v1/streams"))
            .json(&spec("door"))
    };
    for (name, value) in [
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("origin", "http://127.0.0.1:1"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
    ] {
        let answer = Answer::of(post().header(name, value)).await;
        assert_eq!(
            (answer.status, answer.problem().as_str()),
            (403, "foreign-origin"),
            "{name}: {value}"
        );
        let removal = gateway
            .client
            .delete(gateway.url("/api/v1/streams/door"))
            .header(name, value);
        assert_eq!(Answer::of(removal).await.problem(), "foreign-origin");
        let report = gateway
            .client
            .post(gateway.url("/api/v1/qoe"))
            .json(&json!([]))
            .header(name, value);
        assert_eq!(Answer::of(report).await.problem(), "foreign-origin");
    }
    let answer = Answer::of(
        post()
            .header("origin", &own)
            .header("sec-fetch-site", "same-origin"),
    )
    .await;
    assert_eq!(answer.status, 201, "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_need_json_of_a_bounded_size() {
    let gateway = gateway("bodies", &[]).await;
    let post = || gateway.client.post(gateway.url("/api/v1/streams"));
    let body = spec("door").to_string();
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "",
    ] {
        let answer = Answer::of(post().header("content-type", kind).body(body.clone())).await;
        assert_eq!(
            (answer.status, answer.problem().as_str()),
            (415, "unsupported-media-type")
        );
    }
    assert_eq!(Answer::of(post().body(body)).await.status, 415);
    let typed = || post().header("content-type", "application/json; charset=utf-8");
    let answer = Answer::of(typed().body("{\"id\":")).await;
    assert_eq!(
        (answer.status, answer.problem().as_str()),
        (400, "not-json")
    );
    let answer = Answer::of(typed().body(format!("{} {{}}", spec("door")))).await;
    assert_eq!(
        (answer.status, answer.problem().as_str()),
        (400, "not-json")
    );
    let large = json!({"id": "door", "source": "synthetic:", "name": "x".repeat(70_000)});
    let answer = Answer::of(typed().body(large.to_string())).await;
    assert_eq!(
        (answer.status, answer.problem().as_str()),
        (413, "too-large")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_need_the_token_if_one_is_set_and_reads_do_not() {
    let gateway = gateway("token", &["--token", "correct-horse"]).await;
    let post = || {
        gateway
            .client
            .post(gateway.url("/api/v1/streams"))
            .json(&spec("door"))
    };
    for request in [
        post(),
        post().header("authorization", "Bearer wrong-horse"),
        post().header("authorization", "Basic correct-horse"),
        post().header("authorization", "correct-horse"),
    ] {
        let answer = Answer::of(request).await;
        assert_eq!(
            (answer.status, answer.problem().as_str()),
            (401, "token-needed")
        );
        assert!(answer.header("www-authenticate").starts_with("Bearer"));
        assert!(!answer.text.contains("correct-horse"));
    }
    assert_eq!(
        Answer::of(post().bearer_auth("correct-horse")).await.status,
        201
    );
    assert_eq!(gateway.get("/api/v1/streams/door").await.status, 200);
    assert_eq!(
        gateway.get("/api/v1/info").await.json()["tokenNeeded"],
        true
    );
    let removal = gateway.client.delete(gateway.url("/api/v1/streams/door"));
    assert_eq!(Answer::of(removal).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_or_not_done_there_is_a_problem_too() {
    let gateway = gateway("problems", &[]).await;
    for path in [
        "/nowhere",
        "/api/v1/nothing",
        "/api/v2/streams",
        "/assets/none.js",
        "/assets/../Cargo.toml",
    ] {
        assert_eq!(gateway.get(path).await.problem(), "not-found", "{path}");
    }
    assert_eq!(
        gateway.get("/api/v1/streams/Not%20An%20Id").await.problem(),
        "no-stream"
    );
    let answer = Answer::of(gateway.client.patch(gateway.url("/api/v1/streams"))).await;
    assert_eq!(
        (answer.status, answer.problem().as_str()),
        (405, "method-not-allowed")
    );
    assert!(answer.header("allow").contains("POST"), "{answer:?}");
    let answer = gateway.get("/api/v1/updates").await;
    assert_eq!(
        answer.problem(),
        "bad-request",
        "no WebSocket was asked for"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_tells_browsers_to_be_careful() {
    let gateway = gateway("headers", &["--alternates", "http://127.0.0.1:9999"]).await;
    for path in [
        "/",
        "/api/v1/streams",
        "/nowhere",
        "/streams/door/hls/master.m3u8",
    ] {
        let answer = gateway.get(path).await;
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("referrer-policy"), "no-referrer", "{path}");
        assert!(
            answer
                .header("content-security-policy")
                .contains("frame-ancestors"),
            "{path}"
        );
        assert_eq!(answer.header("server"), "", "{path}");
    }
    let policy = gateway
        .get("/")
        .await
        .header("content-security-policy")
        .to_owned();
    for part in [
        "default-src 'self';",
        "script-src 'self';",
        "style-src 'self';",
        "object-src 'none'",
        "connect-src 'self' http://127.0.0.1:9999;",
        "base-uri 'none'",
        "media-src 'self' blob:",
    ] {
        assert!(policy.contains(part), "{part} in {policy}");
    }
    assert!(!policy.contains("unsafe"));
}
