//! What a rule asks of a request, in words, for the person who asks why it matched: pure.

use super::Matcher;
use super::classes::age_words;

/// Every condition of the rule, in the order in which people think of them.
pub fn conditions(matcher: &Matcher) -> String {
    let mut said = Vec::new();
    let mut list = |what: &str, words: Option<Vec<&str>>| {
        said.extend(words.map(|words| format!("{what} {}", words.join(" or "))));
    };
    let orgs = matcher.orgs.as_ref();
    list(
        "of",
        orgs.map(|orgs| orgs.iter().map(|org| org.as_str()).collect()),
    );
    let statuses = matcher.statuses.as_ref();
    let statuses = statuses.map(|all| all.iter().map(|status| status.as_str()).collect());
    list(
        "in",
        statuses.or_else(|| Some(vec!["any status that is not final"])),
    );
    let owners = matcher.territory_owners.as_ref();
    list(
        "owned by",
        owners.map(|all| all.iter().map(|owner| owner.as_str()).collect()),
    );
    let codes = matcher.issue_codes.as_ref();
    let codes: Option<Vec<String>> =
        codes.map(|globs| globs.iter().map(ToString::to_string).collect());
    let codes = codes.as_ref();
    list(
        "with an issue",
        codes.map(|codes| codes.iter().map(String::as_str).collect()),
    );
    let kind = matcher.persistence_type.map(|kind| vec![kind.as_str()]);
    list("of type", kind);
    if matcher.cancelling {
        said.push("being cancelled".to_owned());
    }
    let flags = [
        ("auto_installation", matcher.auto_installation),
        ("repeated", matcher.repeated),
    ];
    for (name, flag) in flags {
        said.extend(flag.map(|flag| format!("{name} = {flag}")));
    }
    if let Some(age) = matcher.not_updated_for {
        said.push(format!("unchanged for {}", age_words(age)));
    }
    said.join(", ")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use wildmatch::WildMatch;

    use super::*;
    use crate::domain::{PersistenceType, Status, TerritoryOwner};

    #[test]
    fn every_condition_of_a_rule_is_said() {
        assert_eq!(
            conditions(&Matcher::default()),
            "in any status that is not final"
        );
        let all = Matcher {
            statuses: Some(vec![Status::NotSent, Status::Validating]),
            persistence_type: Some(PersistenceType::Activation),
            cancelling: true,
            auto_installation: Some(false),
            territory_owners: Some(vec![TerritoryOwner::Neba]),
            not_updated_for: Some(Duration::from_secs(7_200)),
            issue_codes: Some(vec![WildMatch::new("CLI-*")]),
            repeated: Some(true),
            orgs: Some(vec!["yoigo".into()]),
        };
        assert_eq!(
            conditions(&all),
            "of yoigo, in NOT_SENT or VALIDATING, owned by NEBA, with an issue CLI-*, of type ACTIVATION, being cancelled, \
             auto_installation = false, repeated = true, unchanged for 2 h"
        );
    }
}
