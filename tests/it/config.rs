//! The configuration as a person meets it: files, variables, flags, and what is said when something is wrong.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod console;
mod layers;
mod mistakes;
mod notify;
mod output;
mod rules;
mod traces;

use tesa_reconciler::config::{self, Config, ConfigErrors, Overrides};

/// The least that a file must say; four lines.
pub const LEAST: &str = r#"[tesamanager]
base_url = "https://upstream.example/v1"
orgs = ["masmovil", "yoigo"]
token_file = "token"
"#;

/// Reads a text alone: no environment, no flags.
pub fn parse(text: &str) -> Result<Config, ConfigErrors> {
    config::parse(text, "t.toml", std::iter::empty(), &Overrides::default())
}

/// Variables of the environment.
pub fn env<const N: usize>(variables: [(&str, &str); N]) -> impl Iterator<Item = (String, String)> {
    variables
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into_iter()
}

/// Reads a text under variables.
pub fn parse_with<const N: usize>(
    text: &str,
    variables: [(&str, &str); N],
) -> Result<Config, ConfigErrors> {
    config::parse(text, "t.toml", env(variables), &Overrides::default())
}
