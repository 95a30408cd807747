//! `TesaIssue`: what `get_request_issues` answers.

use super::dates::Dates;
use super::fields::{Fields, Undecodable};
use crate::domain::Issue;
use crate::domain::code::Code;
use crate::domain::ids::ReferenceId;

/// The issues of the request that was `asked` for. One that can't be understood spoils the answer: the one left
/// out may be what stands in the way.
pub fn issues(body: &[u8], asked: &ReferenceId, dates: &Dates) -> Result<Vec<Issue>, Undecodable> {
    let decode = |fields| issue(Fields::new(fields), asked, dates);
    super::objects(body)?.into_iter().map(decode).collect()
}

fn issue(mut fields: Fields<'_>, asked: &ReferenceId, dates: &Dates) -> Result<Issue, Undecodable> {
    Ok(Issue {
        id: fields.number("id").unwrap_or(None),
        reference_id: fields
            .id("reference_id")?
            .map_or_else(|| asked.clone(), |id| ReferenceId::from(&*id)),
        issue_sequence: fields.number("issue_sequence")?,
        issue_code: fields
            .id("issue_code")?
            .map_or_else(Code::missing, |code| Code::new(&code)),
        resolved: fields.flag("resolved")?.unwrap_or(false),
        repeated: fields.flag("repeated")?.unwrap_or(false),
        last_updated: fields.instant("last_updated", dates)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn decode(body: &Value) -> Result<Vec<Issue>, Undecodable> {
        issues(
            body.to_string().as_bytes(),
            &ReferenceId::from("77"),
            &Dates::of_tests(),
        )
    }

    #[test]
    fn bare_and_wrapped_lists_in_both_spellings_say_the_same() {
        let snake = json!({
            "id": 1, "reference_id": "77", "issue_sequence": 2, "issue_code": "CLI-01", "resolved": false,
            "repeated": true, "last_updated": "2026-03-01T00:00:00Z",
        });
        let camel = json!({
            "id": "1", "issueSequence": "2", "issueCode": "CLI-01", "resolved": "false",
            "repeated": 1, "lastUpdated": 1_772_323_200_000_i64,
        });
        let bare = decode(&json!([snake])).unwrap();
        assert_eq!(bare, decode(&json!({"issues": [camel]})).unwrap());
        assert_eq!(bare[0].issue_code.as_str(), "CLI-01");
        assert!(bare[0].repeated && !bare[0].resolved);
    }

    #[test]
    fn an_issue_may_be_nearly_empty() {
        let read = decode(&json!([{"issue_code": null}, {"issue_code": 17}])).unwrap();
        assert_eq!(read[0].issue_code, Code::missing());
        assert_eq!(read[1].issue_code.as_str(), "17");
    }

    #[test]
    fn a_garbled_issue_spoils_the_answer() {
        for body in [json!([{"resolved": "perhaps"}]), json!([null]), json!({})] {
            assert!(decode(&body).is_err(), "{body}");
        }
    }
}
