//! `config example`: every key with its default and one line on it, from the table of keys.
//!
//! A default is printed as `#key = value`: uncommented it changes nothing. A key without a default is printed as
//! `# key = example`, because uncommented it would. So a copy of the example freezes no default, and a test can
//! uncomment all of them and see that nothing changed.

use std::fmt::Write as _;

use super::defaults;
use super::keys::{self, Preset, SECTIONS, Section};

/// The text of the example: a file that works once base_url, orgs and the token's file are right.
pub fn example() -> String {
    let mut out = String::from(
        "# tesa-reconciler: every key. `#key = value` is a default; `# key = value` an example of a key without one.\n\
         # Each can also be set in the environment as TESA_RECONCILER__SECTION__KEY, except jobs and rules.\n\
         # Durations are written with their unit: \"30s\", \"5m\", \"2h 30m\", \"7d\". Secrets come from files only.\n",
    );
    for section in SECTIONS {
        // Writing to a String can't fail.
        let _ = write!(out, "\n# {}\n", section.doc);
        let header = keys::header(section);
        let _ = match absent(section) {
            true => writeln!(out, "# {header}"),
            false => writeln!(out, "{header}"),
        };
        write_keys(&mut out, section);
    }
    out.push_str("\n# The jobs and rules that exist without any [[job]]:\n");
    for text in [
        defaults::RETRY_STUCK,
        defaults::STUCK_RULES,
        defaults::OTHERS,
    ] {
        out.push('\n');
        for line in text.lines() {
            let mark = if line.is_empty() { "" } else { "#" };
            let _ = writeln!(out, "{mark}{line}");
        }
    }
    out
}

/// It does not stand in the file, so its header and its keys can only be uncommented together.
fn absent(section: &Section) -> bool {
    section.repeated || section.optional
}

fn write_keys(out: &mut String, section: &Section) {
    for key in section.keys {
        let _ = writeln!(out, "# {}", key.doc);
        let live = match key.preset {
            // The token comes from one of two files; the example uses one, so that it works as it stands.
            Preset::Nothing(_) if key.name == "service_account_file" => "",
            // What stands below no live header is commented out together.
            _ if absent(section) => "# ",
            Preset::Required(_) => "",
            Preset::Default(_) => "#",
            Preset::Nothing(_) => "# ",
        };
        let default = match key.preset {
            Preset::Default(_) if absent(section) => " # the default",
            _ => "",
        };
        let _ = writeln!(out, "{live}{} = {}{default}", key.name, key.sample());
    }
}
