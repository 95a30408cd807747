//! The files that people look for first are there, and say what they must.

use std::path::Path;

/// Each file, and words that it can't be without.
const EXPECTED: &[(&str, &[&str])] = &[
    (
        "CHANGELOG.md",
        &["Keep a Changelog", "## [Unreleased]", "### Added"],
    ),
    ("CONTRIBUTING.md", &["tests/run", "CHANGELOG.md"]),
    ("SECURITY.md", &["Report"]),
    (
        "LICENSE-MIT",
        &[
            "Permission is hereby granted",
            "the tesa-reconciler authors",
        ],
    ),
    (
        "LICENSE-APACHE",
        &["Apache License", "END OF TERMS AND CONDITIONS"],
    ),
    (".editorconfig", &["root = true"]),
    (".github/pull_request_template.md", &["tests/run"]),
    (".github/ISSUE_TEMPLATE/bug.yml", &["explain", "--version"]),
    (".github/ISSUE_TEMPLATE/wish.yml", &["name:"]),
    (
        ".github/ISSUE_TEMPLATE/config.yml",
        &["blank_issues_enabled"],
    ),
];

#[test]
fn the_usual_files_are_there() {
    for (name, words) in EXPECTED {
        let text = super::text(name);
        for word in *words {
            assert!(text.contains(word), "{name} lacks {word:?}");
        }
    }
}

#[test]
fn the_index_names_every_page() {
    let index = super::text("docs/README.md");
    for folder in ["docs", "docs/decisions"] {
        for entry in std::fs::read_dir(super::path(folder)).unwrap() {
            let page = entry.unwrap().path();
            let is_page = page.extension().is_some_and(|ending| ending == "md");
            if !is_page || page.ends_with("docs/README.md") {
                continue;
            }
            let link = page.strip_prefix(super::path("docs")).unwrap();
            let link = format!("({})", link.display());
            assert!(index.contains(&link), "docs/README.md has no link {link}");
        }
    }
}

#[test]
fn links_of_the_top_pages_lead_somewhere() {
    for name in [
        "README.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
    ] {
        for link in super::text(name).split("](").skip(1) {
            let target = link.split([')', '#']).next().unwrap();
            if target.is_empty() || target.starts_with("http") {
                continue;
            }
            assert!(super::path(target).exists(), "{name}: {target}");
        }
    }
}

#[test]
fn the_issue_forms_are_what_the_host_reads() {
    for name in ["bug", "wish"] {
        let file = format!(".github/ISSUE_TEMPLATE/{name}.yml");
        let form: serde_yaml_ng::Value = serde_yaml_ng::from_str(&super::text(&file)).unwrap();
        for key in ["name", "description", "body"] {
            assert!(!form[key].is_null(), "{file}: {key}");
        }
        for part in form["body"].as_sequence().unwrap() {
            let kind = part["type"].as_str().unwrap();
            assert!(
                ["markdown", "input", "textarea", "dropdown", "checkboxes"].contains(&kind),
                "{file}: {kind}"
            );
        }
    }
}

#[test]
fn the_manifest_tells_what_it_is() {
    let manifest: toml::Table = super::text("Cargo.toml").parse().unwrap();
    let package = manifest["package"].as_table().unwrap();
    for key in ["description", "license", "readme", "keywords", "categories"] {
        assert!(package.contains_key(key), "{key}");
    }
    assert!(Path::new(package["readme"].as_str().unwrap()).ends_with("README.md"));
    let version = package["version"].as_str().unwrap();
    let stated = super::text("deploy/Dockerfile");
    assert!(stated.contains(&format!("ARG VERSION={version}\n")));
}
