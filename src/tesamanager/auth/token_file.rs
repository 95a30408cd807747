//! A bearer token in a file that something else keeps fresh (a sidecar, a secret's volume).
//!
//! The file is looked at once a second while there are calls, and read when it changed. That follows the swap of a
//! symbolic link too, which is how Kubernetes renews a mounted secret. A refused token has it read at once.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::{AuthError, Bearer, jwt};
use crate::telemetry::record;

/// A look goes through a thread that may block, which costs as much as a call of the upstream itself.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What tells two contents of a file apart without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    inode: u64,
}

#[derive(Debug)]
struct Loaded {
    stamp: Stamp,
    looked_at: Instant,
    token: SecretString,
    bearer: Bearer,
}

/// The file and what was last read from it.
#[derive(Debug)]
pub struct TokenFile {
    path: PathBuf,
    loaded: Mutex<Option<Loaded>>,
}

impl TokenFile {
    /// Reads nothing yet.
    pub fn new(path: PathBuf) -> Self {
        Self {
            path,
            loaded: Mutex::new(None),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The token as it stands in the file now.
    pub async fn bearer(&self) -> Result<Bearer, AuthError> {
        let mut loaded = self.loaded.lock().await;
        if let Some(known) = &*loaded
            && known.looked_at.elapsed() < LOOK_EVERY
        {
            return Ok(known.bearer.clone());
        }
        let stamp = self.stamp().await?;
        match &mut *loaded {
            Some(known) if known.stamp == stamp => {
                known.looked_at = Instant::now();
                Ok(known.bearer.clone())
            }
            _ => self.load(&mut loaded, stamp).await,
        }
    }

    /// Reads the file whatever its stamp says; the same token again is no new one.
    pub async fn after_refusal(&self, refused: &Bearer) -> Result<Option<Bearer>, AuthError> {
        let mut loaded = self.loaded.lock().await;
        let stamp = self.stamp().await?;
        let bearer = self.load(&mut loaded, stamp).await?;
        Ok(Some(bearer).filter(|bearer| bearer.generation != refused.generation))
    }

    /// The stamp is taken *before* the content: what changes in between is noticed at the next look.
    async fn stamp(&self) -> Result<Stamp, AuthError> {
        let found = tokio::fs::metadata(&self.path).await;
        let found = found.map_err(|error| self.unreadable(&error))?;
        Ok(Stamp {
            modified: found.modified().ok(),
            length: found.len(),
            inode: found.ino(),
        })
    }

    async fn load(&self, loaded: &mut Option<Loaded>, stamp: Stamp) -> Result<Bearer, AuthError> {
        let text = tokio::fs::read_to_string(&self.path).await;
        let text = SecretString::from(text.map_err(|error| self.unreadable(&error))?);
        let token = token(text.expose_secret()).map_err(|fault| self.unusable(fault))?;
        let known = loaded.as_ref();
        let unchanged = known.filter(|known| known.token.expose_secret() == token.expose_secret());
        let generation = match (unchanged, known) {
            (Some(same), _) => same.bearer.generation,
            (None, Some(other)) => other.bearer.generation + 1,
            (None, None) => 0,
        };
        let bearer = Bearer::new(&token, generation)
            .ok_or_else(|| self.unusable("holds what can't stand in a header"))?;
        if let Some(expiry) = jwt::expiry(&token) {
            record::token_expiry(expiry);
        }
        *loaded = Some(Loaded {
            stamp,
            looked_at: Instant::now(),
            token,
            bearer: bearer.clone(),
        });
        Ok(bearer)
    }

    fn unreadable(&self, error: &std::io::Error) -> AuthError {
        AuthError::Unreadable {
            what: "the token file",
            path: self.path.clone(),
            detail: error.to_string(),
        }
    }

    fn unusable(&self, fault: &'static str) -> AuthError {
        AuthError::Unusable {
            what: "the token file",
            path: self.path.clone(),
            fault,
        }
    }
}

/// The token that is all that the file may hold. What else people put into such a file is refused with the way out,
/// rather than sent and refused there without one.
pub fn token(text: &str) -> Result<SecretString, &'static str> {
    // Editors of another system put the first character in front.
    let token = text.trim_start_matches('\u{feff}').trim();
    if token.is_empty() {
        return Err("is empty");
    }
    if token.starts_with('{') || token.starts_with('[') {
        return Err(
            "holds JSON: write the token alone (a service account's file belongs in service_account_file)",
        );
    }
    if token.starts_with("-----BEGIN") {
        return Err("holds a key or a certificate, and no token");
    }
    let mut words = token.split_ascii_whitespace();
    let first = words.next().unwrap_or_default();
    if ["bearer", "authorization:"]
        .iter()
        .any(|word| first.eq_ignore_ascii_case(word))
    {
        return Err("begins with `Bearer`, which is added by itself: write the token alone");
    }
    if token.starts_with(['"', '\'', '`']) {
        return Err("has the token in quotes: write it without");
    }
    if words.next().is_some() {
        return Err("holds more than one word or line: write the token alone");
    }
    if !token.chars().all(|c| c.is_ascii_graphic()) {
        return Err("holds characters that no token has: write it anew");
    }
    Ok(SecretString::from(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_token_is_taken_for_one() {
        for (text, taken) in [
            ("\u{feff}abc\r\n", "abc"),
            ("  a.b-c_d~e+f/g== \n", "a.b-c_d~e+f/g=="),
        ] {
            assert_eq!(token(text).unwrap().expose_secret(), taken);
        }
        for (text, way_out) in [
            ("\u{feff} \n", "is empty"),
            ("Bearer CANARY", "write the token alone"),
            ("Authorization: Bearer CANARY", "write the token alone"),
            ("\"CANARY\"", "without"),
            ("'CANARY'", "without"),
            ("{\"access_token\":\"CANARY\"}", "service_account_file"),
            ("-----BEGIN PRIVATE KEY-----\nCANARY", "no token"),
            ("CANARY CANARY", "more than one word"),
            ("CANARY\nCANARY", "more than one word"),
            ("CANÁRY", "anew"),
            ("CANARY\0", "anew"),
        ] {
            let fault = token(text).unwrap_err();
            assert!(fault.contains(way_out), "{text:?}: {fault}");
            assert!(!fault.contains("CAN"), "{fault}");
        }
    }

    async fn shown(file: &TokenFile) -> String {
        let bearer = file.bearer().await.unwrap();
        bearer.header().to_str().unwrap().to_owned()
    }

    #[tokio::test(start_paused = true)]
    async fn a_changed_file_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = TokenFile::new(folder.path().join("token"));
        std::fs::write(file.path(), "  first\n").unwrap();
        assert_eq!(shown(&file).await, "Bearer first");
        // A new file under the old name, of the same length.
        std::fs::write(folder.path().join("new"), "  other\n").unwrap();
        std::fs::rename(folder.path().join("new"), file.path()).unwrap();
        assert_eq!(shown(&file).await, "Bearer first", "at the next look");
        tokio::time::advance(LOOK_EVERY).await;
        assert_eq!(shown(&file).await, "Bearer other");
    }

    #[tokio::test]
    async fn after_a_refusal_only_another_token_is_new() {
        let folder = tempfile::tempdir().unwrap();
        let file = TokenFile::new(folder.path().join("token"));
        std::fs::write(file.path(), "first").unwrap();
        let first = file.bearer().await.unwrap();
        assert!(file.after_refusal(&first).await.unwrap().is_none());
        std::fs::write(file.path(), "second").unwrap();
        assert!(file.after_refusal(&first).await.unwrap().is_some());
    }

    #[tokio::test]
    async fn a_file_of_no_use_is_named_and_heals() {
        let folder = tempfile::tempdir().unwrap();
        let file = TokenFile::new(folder.path().join("token"));
        for content in [None, Some(" \n"), Some("CANARY\nCANARY")] {
            if let Some(content) = content {
                std::fs::write(file.path(), content).unwrap();
            }
            let error = file.bearer().await.unwrap_err().to_string();
            let path = file.path().display().to_string();
            assert!(
                error.contains(&path) && !error.contains("CANARY"),
                "{error}"
            );
        }
        std::fs::write(file.path(), "good").unwrap();
        assert_eq!(shown(&file).await, "Bearer good");
    }
}
