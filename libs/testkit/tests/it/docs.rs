//! The documentation says what the code says.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use reelay_testkit::project_root;

/// All files below a folder with one of these endings, but for what was built or installed.
fn files(dir: &Path, endings: &[&str], found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            let built = ["target", "node_modules", "dist"].contains(&name.as_str());
            if !built && !name.starts_with('.') {
                files(&path, endings, found);
            }
        } else if endings.iter().any(|ending| name.ends_with(ending)) {
            found.push(path);
        }
    }
}

fn read(path: impl AsRef<Path>) -> String {
    let path = project_root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Words of a text that begin with `start` and go on with `a-z`, `0-9` and `_`.
fn words<'a>(text: &'a str, start: &'a str) -> impl Iterator<Item = &'a str> {
    text.match_indices(start).map(move |(at, _)| {
        let end = |c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        let rest = &text[at + 1..];
        &rest[..rest.find(end).unwrap_or(rest.len())]
    })
}

#[test]
fn every_metric_is_listed_and_named_by_the_rule() {
    let mut sources = Vec::new();
    for dir in ["libs", "services"] {
        files(&project_root().join(dir), &[".rs"], &mut sources);
    }
    let mut used = BTreeSet::new();
    for path in sources
        .iter()
        .filter(|p| p.components().any(|c| c.as_os_str() == "src"))
    {
        let text = fs::read_to_string(path).unwrap();
        let names = ["counter!", "gauge!", "histogram!"]
            .into_iter()
            .flat_map(|call| {
                text.match_indices(call).filter_map(|(at, _)| {
                    let arguments = text[at + call.len()..].trim_start_matches(['(', '\n', ' ']);
                    arguments
                        .strip_prefix('"')
                        .and_then(|rest| rest.split_once('"'))
                        .map(|(name, _)| name)
                })
            });
        used.extend(
            names
                .filter(|n| !n.starts_with("reelay_test_"))
                .map(str::to_owned),
        );
    }
    assert!(
        used.len() > 20,
        "the sources are not read as they should be: {used:?}"
    );
    let page = read("docs/design/telemetry.md");
    let listed: BTreeSet<_> = words(&page, "`reelay_").map(str::to_owned).collect();
    assert_eq!(
        used, listed,
        "docs/design/telemetry.md does not list the metrics that the code has"
    );

    for name in &used {
        let line = page
            .lines()
            .find(|l| l.starts_with(&format!("| `{name}` |")))
            .unwrap();
        let kind = line.split('|').nth(2).unwrap().trim();
        let fits = match kind {
            "counter" => name.ends_with("_total"),
            "histogram" => name.ends_with("_seconds") || name.ends_with("_bytes"),
            "gauge" => !name.ends_with("_total"),
            _ => false,
        };
        assert!(fits, "{name} is no good name of a {kind}");
    }
}

#[test]
fn every_problem_code_has_a_section() {
    let source = read("libs/media/src/message.rs");
    let codes = source.lines().filter_map(|line| {
        let (variant, code) = line.trim().strip_prefix("Self::")?.split_once(" => \"")?;
        variant
            .chars()
            .all(char::is_alphanumeric)
            .then(|| code.trim_end_matches("\",").to_owned())
    });
    let mut codes: BTreeSet<_> = codes.collect();
    let ladder = read("services/transcode/src/status.rs");
    codes.extend(ladder.lines().filter_map(|line| {
        let (_, code) = line.strip_prefix("const ")?.split_once(": &str = \"")?;
        Some(code.trim_end_matches("\";").to_owned())
    }));
    assert!(codes.contains("not-found") && codes.len() > 8, "{codes:?}");
    let page = read("docs/operations/troubleshooting.md");
    let heading = |l: &str| {
        l.strip_prefix("### `")
            .map(|l| l.trim_end_matches('`').to_owned())
    };
    let sections: BTreeSet<_> = page.lines().filter_map(heading).collect();
    assert_eq!(
        codes, sections,
        "docs/operations/troubleshooting.md does not explain the codes of libs/media and of transcode"
    );
}

#[test]
fn links_between_pages_lead_somewhere() {
    let mut pages = Vec::new();
    files(&project_root(), &[".md"], &mut pages);
    assert!(pages.len() > 10);
    for page in pages {
        let text = fs::read_to_string(&page).unwrap();
        for (at, _) in text.match_indices("](") {
            let target = text[at + 2..].split(')').next().unwrap_or_default();
            let target = target.split('#').next().unwrap_or_default();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            let path = page.parent().unwrap().join(target);
            assert!(
                path.exists(),
                "{} links to {target}, which is not there",
                page.display()
            );
        }
    }
}

/// What a program of this build prints for `--help`, whatever the environment is.
fn help(program: &str, arguments: &[&str]) -> String {
    let own = std::env::current_exe().unwrap();
    let dirs = own.ancestors().skip(1).take(2);
    let path = dirs
        .map(|dir| dir.join(program))
        .find(|path| path.is_file());
    let path =
        path.unwrap_or_else(|| panic!("{program} is not built: cargo build --workspace --bins"));
    let output = Command::new(path)
        .args(arguments)
        .arg("--help")
        .env_clear()
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .map(str::trim_end)
        .collect::<Vec<_>>()
        .join("\n")
}

/// The page docs/operations/configuration.md, as it has to be.
fn configuration() -> String {
    let mut page = String::from(
        "# Configuration\n\n\
         This page is generated from the programs' own help: `make schemas` writes it.\n\n\
         Each setting of a service can be given in three places. The first that has it counts:\n\n\
         1. the command line: `--listen 127.0.0.1:8081`\n\
         2. the environment: `REELAY_LISTEN=127.0.0.1:8081` (unless the help names another variable)\n\
         3. a TOML file that `--config` names: `listen = \"127.0.0.1:8081\"`\n\n\
         Keys of the file are the long names of the flags. A key that no setting has is refused. `--check-config` prints the\n\
         settings in force and where each comes from, secrets masked, and exits.\n",
    );
    for (program, arguments) in [
        ("reelay-ingest", &[][..]),
        ("reelay-transcode", &[]),
        ("reelay-gateway", &[]),
        ("reelay", &[]),
        ("reelay", &["streams", "add"]),
        ("reelay", &["topics", "create"]),
        ("reelay", &["tail"]),
        ("reelay-linearity", &["watch"]),
    ] {
        let name = [&[program], arguments].concat().join(" ");
        page += &format!(
            "\n## {name}\n\n```text\n{}\n```\n",
            help(program, arguments).trim_end()
        );
    }
    page
}

#[test]
fn the_configuration_page_is_not_stale() {
    let path = project_root().join("docs/operations/configuration.md");
    let wanted = configuration();
    if std::env::var_os("REELAY_WRITE_DOCS").is_some() {
        fs::write(&path, &wanted).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == wanted,
        "docs/operations/configuration.md is stale: `make schemas` writes it anew"
    );
}
