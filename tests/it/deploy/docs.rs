//! Pages made from the code are what the code says, and no page names what isn't there.

#[test]
fn the_configuration_page_is_made_from_the_keys() {
    let file = super::path("docs/configuration.md");
    let made = tesa_reconciler::config::markdown();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&file, &made).unwrap();
    }
    assert_eq!(
        super::text("docs/configuration.md"),
        made,
        "UPDATE_DOCS=1 cargo nextest run configuration_page writes it anew"
    );
}

#[test]
fn links_between_pages_lead_somewhere() {
    let mut pages = super::files("docs", ".md");
    pages.extend(super::files("docs/decisions", ".md"));
    for page in pages {
        let text = std::fs::read_to_string(&page).unwrap();
        for link in text.split("](").skip(1) {
            let target = link.split([')', '#']).next().unwrap();
            if target.is_empty() || target.starts_with("http") {
                continue;
            }
            let file = page.parent().unwrap().join(target);
            assert!(file.exists(), "{}: {target}", page.display());
        }
    }
}

/// The words of a line as a shell would split it, up to where its output goes or a remark begins.
fn words(line: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for (nth, part) in line.split('"').enumerate() {
        if nth % 2 == 1 {
            words.push(part.to_owned());
            continue;
        }
        for word in part.split_whitespace() {
            if word.starts_with(['>', '#', '|']) || word.starts_with("2>") {
                return words;
            }
            words.push(word.to_owned());
        }
    }
    words
}

#[test]
fn commands_on_pages_are_what_the_command_line_takes() {
    use clap::Parser;
    let mut pages = super::files("docs", ".md");
    pages.extend(super::files("deploy/runbooks", ".md"));
    pages.extend(["README.md", "CONTRIBUTING.md", "examples/README.md"].map(super::path));
    let mut tried = 0;
    for page in pages {
        let text = std::fs::read_to_string(&page).unwrap();
        let begins = [
            "`tesa-reconciler ",
            "\ntesa-reconciler ",
            "-- /tesa-reconciler ",
        ];
        let found = begins.iter().flat_map(|begin| text.match_indices(begin));
        for (at, begin) in found {
            let end = if begin.starts_with('`') { '`' } else { '\n' };
            let line = text[at + begin.len()..].split(end).next().unwrap();
            let names = ["ID", "ID…", "N"];
            let line = words(line).into_iter().map(|word| {
                let number = names.contains(&word.as_str());
                if number { "7".to_owned() } else { word }
            });
            let line: Vec<String> = line.collect();
            let program = std::iter::once("tesa-reconciler".to_owned());
            let Err(error) = tesa_reconciler::cli::Cli::try_parse_from(program.chain(line.clone()))
            else {
                tried += 1;
                continue;
            };
            // A command that is only named, without what it needs, is a word for it.
            let named = matches!(
                error.kind(),
                clap::error::ErrorKind::MissingRequiredArgument
                    | clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
                    | clap::error::ErrorKind::DisplayHelp
                    | clap::error::ErrorKind::DisplayVersion
            );
            assert!(named, "{}: {line:?}: {error}", page.display());
        }
    }
    assert!(tried > 100, "only {tried} commands were found");
}
