//! The list call's filters as a query, under the documented names.

use chrono::SecondsFormat;

use crate::tesamanager::ListFilter;
use crate::tesamanager::endpoints::percent;

/// The query without its question mark. The statuses' commas stay bare, as `style: form, explode: false` has it.
pub fn query(filter: &ListFilter) -> String {
    let statuses = filter.statuses.as_ref().map(|statuses| {
        let words: Vec<_> = statuses
            .iter()
            .map(|status| percent(status.said()))
            .collect();
        words.join(",")
    });
    let since = filter
        .not_updated_since
        .map(|at| percent(&at.to_rfc3339_opts(SecondsFormat::Millis, true)));
    let pairs = [
        ("statuses", statuses),
        (
            "externalReference",
            filter
                .external_reference
                .as_ref()
                .map(|text| percent(text.as_str())),
        ),
        (
            "autoInstallation",
            filter.auto_installation.map(|flag| flag.to_string()),
        ),
        ("cancelling", filter.cancelling.map(|flag| flag.to_string())),
        (
            "persistence_type",
            filter.persistence_type.map(|kind| percent(kind.as_str())),
        ),
        ("notUpdatedSince", since),
    ];
    let pairs: Vec<_> = pairs
        .into_iter()
        .filter_map(|(name, value)| Some(format!("{name}={}", value?)))
        .collect();
    pairs.join("&")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Status;
    use crate::domain::ids::ExternalReference;
    use crate::domain::request::PersistenceType;
    use chrono::DateTime;

    #[test]
    fn filters_carry_their_documented_names() {
        let all = ListFilter {
            statuses: Some(vec![Status::NotSent, Status::parse("A,B&C")]),
            external_reference: Some(ExternalReference::from("a b/ñ+")),
            auto_installation: Some(true),
            cancelling: Some(false),
            persistence_type: Some(PersistenceType::Termination),
            not_updated_since: DateTime::from_timestamp_micros(1_774_747_800_123_999),
        };
        assert_eq!(
            query(&all),
            "statuses=NOT_SENT,A%2CB%26C&externalReference=a%20b%2F%C3%B1%2B&autoInstallation=true\
             &cancelling=false&persistence_type=TERMINATION&notUpdatedSince=2026-03-29T01%3A30%3A00.123Z"
        );
        assert_eq!(query(&ListFilter::default()), "");
    }
}
