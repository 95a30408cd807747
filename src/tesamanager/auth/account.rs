//! A service account's file: who we are, our key, and who makes a token of them.

use std::path::Path;

use reqwest::Url;
use secrecy::SecretString;
use serde_json::Value;

use super::AuthError;

/// What the file says.
#[derive(Debug)]
pub struct Account {
    /// `kid` of the assertion.
    pub private_key_id: String,
    /// RSA, PEM.
    pub private_key: SecretString,
    /// `iss` of the assertion.
    pub client_email: String,
    /// Where the assertion goes, and its `aud`.
    pub token_uri: String,
    /// `scope` of the assertion, if wanted.
    pub scope: Option<String>,
}

const WHAT: &str = "the service account file";

/// Reads the file anew, so that a rotated key needs no restart.
pub async fn read(path: &Path) -> Result<Account, AuthError> {
    let text = tokio::fs::read(path)
        .await
        .map_err(|error| AuthError::Unreadable {
            what: WHAT,
            path: path.to_owned(),
            detail: error.to_string(),
        })?;
    parse(&text).map_err(|fault| unusable(path, fault))
}

/// The file's content is of no use.
pub fn unusable(path: &Path, fault: &'static str) -> AuthError {
    AuthError::Unusable {
        what: WHAT,
        path: path.to_owned(),
        fault,
    }
}

// By hand: a derived deserializer's messages may quote the file.
fn parse(text: &[u8]) -> Result<Account, &'static str> {
    if text.trim_ascii().is_empty() {
        return Err("is empty");
    }
    // Editors of another system put it in front of what is JSON otherwise.
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let Ok(Value::Object(fields)) = serde_json::from_slice(text) else {
        return Err("is no JSON object");
    };
    let field = |name| fields.get(name).and_then(Value::as_str).map(str::to_owned);
    let token_uri = field("token_uri").ok_or("lacks token_uri")?;
    if !Url::parse(&token_uri).is_ok_and(|url| matches!(url.scheme(), "http" | "https")) {
        return Err("has a token_uri that is no http or https address");
    }
    Ok(Account {
        private_key_id: field("private_key_id").ok_or("lacks private_key_id")?,
        private_key: field("private_key").ok_or("lacks private_key")?.into(),
        client_email: field("client_email").ok_or("lacks client_email")?,
        token_uri,
        scope: field("scope"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_missing_part_is_named() {
        let whole = serde_json::json!({
            "private_key_id": "k", "private_key": "CANARY", "client_email": "e", "token_uri": "https://h/t",
        });
        let account = parse(whole.to_string().as_bytes()).unwrap();
        assert!(!format!("{account:?}").contains("CANARY"));
        assert!(parse(format!("\u{feff}{whole}").as_bytes()).is_ok());
        assert!(account.scope.is_none());
        for name in ["private_key_id", "private_key", "client_email", "token_uri"] {
            let mut part = whole.clone();
            part.as_object_mut().unwrap().remove(name);
            let fault = parse(part.to_string().as_bytes()).unwrap_err();
            assert_eq!(fault, format!("lacks {name}"));
        }
        for (text, fault) in [
            ("", "is empty"),
            (" \n", "is empty"),
            ("[]", "is no JSON object"),
            ("{", "is no JSON object"),
            (
                r#"{"token_uri":"authn"}"#,
                "has a token_uri that is no http or https address",
            ),
        ] {
            assert_eq!(parse(text.as_bytes()).unwrap_err(), fault);
        }
    }
}
