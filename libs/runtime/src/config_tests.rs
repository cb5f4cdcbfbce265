use std::io::Write as _;

use clap::{CommandFactory as _, Parser};

use super::*;

#[derive(Debug, Parser)]
#[command(name = "demo")]
struct Demo {
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: std::net::SocketAddr,
    #[arg(long)]
    media_dir: PathBuf,
    #[arg(long)]
    public_host: Vec<String>,
    #[arg(long)]
    verify: bool,
    #[arg(long, hide_env_values = true)]
    token: Option<String>,
    // A name of its own, as tests of one process share the environment.
    #[arg(long, env = "CONFIG_TESTS_LIMIT", default_value_t = 5)]
    limit: u32,
    #[arg(long)]
    config: Option<PathBuf>,
    #[arg(long = "check-config", id = "check-config")]
    _check: bool,
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn demo(arguments: &[&str]) -> Result<Loaded<Demo>, ConfigError> {
    let arguments = std::iter::once("demo")
        .chain(arguments.iter().copied())
        .map(OsString::from);
    load(Demo::command(), arguments)
}

fn with_file(text: &str, arguments: &[&str]) -> Result<Loaded<Demo>, ConfigError> {
    let file = file(text);
    let path = file.path().to_str().unwrap().to_owned();
    demo(&[&["--config", path.as_str()], arguments].concat())
}

#[test]
fn the_file_gives_what_neither_flags_nor_environment_give() {
    let text = r#"
        media-dir = "/clips"
        listen = "127.0.0.1:9000"
        public-host = ["a.example", "b.example"]
        verify = true
        limit = 7
    "#;
    let loaded = with_file(text, &["--listen", "127.0.0.1:9001"])
        .unwrap()
        .args;
    assert_eq!(loaded.listen.port(), 9001, "a flag wins over the file");
    assert_eq!(
        loaded.media_dir,
        PathBuf::from("/clips"),
        "a required setting may stand in the file"
    );
    assert_eq!(loaded.public_host, ["a.example", "b.example"]);
    assert!(loaded.verify);
    assert_eq!(loaded.limit, 7);
}

#[test]
fn what_is_required_is_still_required() {
    let error = demo(&[]).unwrap_err().to_string();
    assert!(error.contains("--media-dir"), "{error}");
    let error = with_file("limit = 1", &[]).unwrap_err().to_string();
    assert!(error.contains("--media-dir"), "{error}");
}

#[test]
fn an_unknown_key_is_refused_with_its_name_the_file_and_what_is_allowed() {
    for (key, hint) in [
        ("media_dir", "`media-dir`"),
        ("hosts", ""),
        ("config", ""),
        ("help", ""),
    ] {
        let error = with_file(&format!("{key} = \"x\""), &[]).unwrap_err();
        let ConfigError::UnknownKey { path, .. } = &error else {
            panic!("{error}")
        };
        let text = error.to_string();
        assert!(text.contains(&format!("`{key}`")), "{text}");
        assert!(text.contains(path.to_str().unwrap()), "{text}");
        assert!(
            text.contains("allowed: ") && text.contains("public-host"),
            "{text}"
        );
        assert!(text.contains(hint), "{text}");
    }
}

#[test]
fn a_bad_value_in_the_file_is_refused_as_on_the_command_line_and_says_where_it_stands() {
    let error = with_file("listen = \"nowhere\"\nmedia-dir = \"/\"", &[])
        .unwrap_err()
        .to_string();
    assert!(error.contains("'nowhere' for '--listen"), "{error}");
    assert!(
        error.contains("the value is that of `listen` in /"),
        "{error}"
    );
}

#[test]
fn tables_and_text_that_is_not_toml_are_refused() {
    let error = with_file("[listen]\nhost = \"x\"", &[])
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("`listen`") && error.contains("is a table"),
        "{error}"
    );
    assert!(matches!(
        with_file("= 4", &[]),
        Err(ConfigError::NotToml { .. })
    ));
    assert!(matches!(
        demo(&["--config", "/not/there"]),
        Err(ConfigError::Unreadable { .. })
    ));
}

#[test]
fn the_settings_in_force_say_where_they_come_from_and_mask_secrets() {
    let text = "media-dir = \"/clips\"\npublic-host = [\"a.example\"]";
    let loaded = with_file(
        text,
        &["--token", "hunter2", "--limit", "9", "--check-config"],
    )
    .unwrap();
    assert!(loaded.check);
    let text = loaded.to_toml();
    assert!(!text.contains("hunter2"), "{text}");
    assert!(text.contains("token = \"***\" # command line"), "{text}");
    assert!(text.contains("limit = 9 # command line"), "{text}");
    assert!(
        text.contains("listen = \"127.0.0.1:8080\" # default"),
        "{text}"
    );
    assert!(text.contains("media-dir = \"/clips\" # /"), "{text}");
    assert!(text.contains("public-host = [\"a.example\"] # /"), "{text}");
    assert!(
        text.parse::<toml::Table>().is_ok(),
        "it is TOML again: {text}"
    );
}

#[test]
fn every_setting_has_an_environment_variable() {
    let command = with_environment(Demo::command());
    let variable = |long: &str| {
        let arg = command
            .get_arguments()
            .find(|arg| arg.get_long() == Some(long))
            .unwrap();
        arg.get_env().map(|name| name.to_str().unwrap().to_owned())
    };
    assert_eq!(
        variable("public-host").as_deref(),
        Some("REELAY_PUBLIC_HOST")
    );
    assert_eq!(variable("limit").as_deref(), Some("CONFIG_TESTS_LIMIT"));
    assert_eq!(variable("config").as_deref(), Some("REELAY_CONFIG"));
    assert_eq!(variable("check-config"), None);
}
