//! What a release is made by: the workflows call what people call, the package's files are there, and the script names
//! what it lacks before it does anything.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use serde_yaml_ng::Value;

/// The `run` lines of a workflow, one after the other.
fn commands(workflow: &str) -> String {
    let text = super::text(&format!(".github/workflows/{workflow}.yml"));
    let document: Value = serde_yaml_ng::from_str(&text).unwrap();
    let jobs = document["jobs"].as_mapping().unwrap();
    let steps = jobs
        .iter()
        .flat_map(|(_, job)| job["steps"].as_sequence().unwrap());
    let lines = steps.filter_map(|step| step["run"].as_str());
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_workflows_call_what_people_call() {
    let test = commands("test");
    assert!(test.contains("tests/run --install"), "{test}");
    assert!(test.contains("cargo deny check advisories"), "{test}");
    let release = commands("release");
    assert!(
        release.lines().any(|line| line == "deploy/release"),
        "{release}"
    );
    assert!(release.contains("cargo deny check advisories"), "{release}");
    assert!(release.contains("target/dist/*"), "{release}");
}

#[test]
fn what_the_package_holds_is_there() {
    let manifest: toml::Table = super::text("Cargo.toml").parse().unwrap();
    let package = manifest["package"]["metadata"]["deb"].as_table().unwrap();
    let mut places = Vec::new();
    for asset in package["assets"].as_array().unwrap() {
        let (source, place) = (asset[0].as_str().unwrap(), asset[1].as_str().unwrap());
        places.push(place.to_owned());
        if source.starts_with("target/") {
            continue;
        }
        let source = super::path(source);
        let name = source.file_name().unwrap().to_string_lossy().into_owned();
        let found = match name.split_once('*') {
            Some((_, ending)) => {
                !super::files(source.parent().unwrap().to_str().unwrap(), ending).is_empty()
            }
            None => source.exists(),
        };
        assert!(found, "{}", source.display());
    }
    for needed in [
        "usr/bin/",
        "etc/tesa-reconciler/",
        "usr/share/man/man1/",
        "sysusers.d",
        "bash-completion",
    ] {
        assert!(
            places.iter().any(|place| place.contains(needed)),
            "{needed}"
        );
    }
    // Beside the units `cargo deb` would take one for its own, and ask for it by a name that isn't installed.
    let units = std::fs::read_dir(super::path("deploy/systemd")).unwrap();
    for entry in units {
        let name = entry.unwrap().file_name();
        assert!(
            !name.to_string_lossy().ends_with("sysusers.conf"),
            "{name:?}"
        );
    }
    let kept = package["conf-files"].as_array().unwrap();
    assert_eq!(
        kept[0].as_str(),
        Some("/etc/tesa-reconciler/tesa-reconciler.toml")
    );
}

#[test]
fn a_release_names_the_tools_that_it_lacks_and_makes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (bin, tree) = (dir.path().join("bin"), dir.path().join("tree"));
    std::fs::create_dir(&bin).unwrap();
    std::fs::create_dir_all(tree.join("deploy")).unwrap();
    std::fs::copy(super::path("deploy/release"), tree.join("deploy/release")).unwrap();
    for name in ["bash", "env", "dirname"] {
        let real = ["/usr/bin", "/bin"].map(|folder| Path::new(folder).join(name));
        let real = real.iter().find(|file| file.exists()).unwrap();
        symlink(real, bin.join(name)).unwrap();
    }
    let output = Command::new(tree.join("deploy/release"))
        .env_clear()
        .env("PATH", &bin)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    for tool in ["cargo-deny", "cargo-deb", "cargo-cyclonedx", "lintian"] {
        assert!(said.contains(tool), "{said}");
    }
    assert!(!tree.join("target").exists());
}
