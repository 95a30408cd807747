//! `docs/configuration.md`, made from the table of keys. A test holds the file equal to it.

use std::fmt::Write as _;

use super::keys::{self, Kind, Preset, SECTIONS};

const HEAD: &str = "\
# Configuration

Made from the table of keys in the code, and a test holds the two equal; after a change there, `UPDATE_DOCS=1 cargo
nextest run configuration_page` writes it anew.

- The file is TOML: `--config FILE`, `$TESA_RECONCILER_CONFIG`, `tesa-reconciler.toml` here, or
  `/etc/tesa-reconciler/tesa-reconciler.toml`.
- Each key can also be set in the environment, as `TESA_RECONCILER__SECTION__KEY`, except jobs and rules; and a few by a
  flag. A flag wins over the environment, and that over the file.
- Durations carry their unit: `\"30s\"`, `\"5m\"`, `\"2h 30m\"`, `\"7d\"`.
- Secrets come from files only. A relative file name means a file beside the configuration, then one in
  `$CREDENTIALS_DIRECTORY`, then one in the folder `secrets` beside the configuration.
- `tesa-reconciler config check` finds every mistake at once; `config show` prints what is in force; `config example`
  prints a file with all of this.
- `config check --explain` prints for each job and org what its rules come to. With `--output json` it is a list of `job`,
  `kind`, `org`, `rules` and `lists`. A rule has `rule`, `action`, `effect`, `acts`, `reads` (what is read, and why) and
  `classes`: `status`, `flags`, `age`, `decided_by` (`lists` or `reading`), `within` and `without` (numbers of list calls,
  asked and subtracted), `after` (earlier rules that go first). A list call has `number`, `query`, `shared_by` (classes)
  and `purpose`.

";

/// The page.
pub fn markdown() -> String {
    let mut page = HEAD.to_owned();
    for section in SECTIONS {
        // Writing to a text can't fail, so its results are dropped throughout.
        let _ = write!(
            page,
            "## `{}`\n\n{}\n\n| key | takes | default | meaning |\n|---|---|---|---|\n",
            keys::header(section),
            section.doc
        );
        for key in section.keys {
            let (default, example) = match key.preset {
                Preset::Required(example) => ("*required*".to_owned(), Some(example)),
                Preset::Default(default) => (format!("`{default}`"), None),
                Preset::Nothing(example) => ("none".to_owned(), Some(example)),
            };
            let example = example.map_or_else(String::new, |text| format!(" Example: `{text}`"));
            let _ = writeln!(
                page,
                "| `{}` | {} | {default} | {}{example} |",
                key.name,
                takes(key.kind),
                key.doc
            );
        }
        page.push('\n');
    }
    page.truncate(page.trim_end().len());
    page.push('\n');
    page
}

fn takes(kind: Kind) -> &'static str {
    match kind {
        Kind::Text | Kind::Url => "text",
        Kind::File => "file name",
        Kind::Number => "number",
        Kind::Switch => "true or false",
        Kind::List => "list of texts",
        Kind::Map => "table of texts",
    }
}
