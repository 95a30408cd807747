//! The password file: `name:argon2id-hash:role` a line. Who may come, and as what.
//!
//! It is read again when it changes, so who is struck out is out with the next page. A file that can't be read, or holds a
//! line that is none, lets nobody in: half a file might be the half without the line that somebody struck out.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};

use super::person::{Role, is_name};
use crate::clock::Clock;

/// Who may come by name and password.
#[derive(Debug)]
pub(super) struct Passwords {
    pub(super) people: Vec<Entry>,
}

/// One line.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: String,
    /// As it stands in the file, proven to be an argon2id hash.
    hash: String,
    pub(super) role: Role,
}

/// The password file is of no use.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// It can't be read.
    #[error("console.password_file: {path} can't be read: {error}")]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// A line in it is none.
    #[error(
        "console.password_file: {path}, line {line}: {why}; a line is name:argon2id-hash:role, and \
         `tesa-reconciler console password NAME` makes one"
    )]
    Line {
        /// Which file.
        path: PathBuf,
        /// Which line of it, from one.
        line: usize,
        /// What is wrong. Never what stands there.
        why: &'static str,
    },
    /// A password can't be hashed.
    #[error("the password can't be hashed: {0}")]
    Hash(String),
}

/// A hash of no password: so that a name that nobody has takes as long as one that somebody has.
const NOBODYS: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5J3Mgc2FsdA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

impl Passwords {
    /// Reads the file.
    pub(super) fn read(path: &Path) -> Result<Self, PasswordError> {
        let text = std::fs::read_to_string(path).map_err(|error| PasswordError::Unreadable {
            path: path.to_owned(),
            error,
        })?;
        Self::parse(&text).map_err(|(line, why)| PasswordError::Line {
            path: path.to_owned(),
            line,
            why,
        })
    }

    /// Reads its text; an error says in which line, and why.
    fn parse(text: &str) -> Result<Self, (usize, &'static str)> {
        let mut people: Vec<Entry> = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let entry = Entry::parse(line).map_err(|why| (index + 1, why))?;
            if people.iter().any(|other| other.name == entry.name) {
                return Err((index + 1, "this name stands twice"));
            }
            people.push(entry);
        }
        Ok(Self { people })
    }

    /// Who this is. Takes as long whether the name or the password is wrong, and is slow on purpose: not for a thread on which
    /// others wait.
    pub(super) fn verify(&self, name: &str, password: &str) -> Option<Role> {
        let entry = self.people.iter().find(|entry| entry.name == name);
        let hash = entry.map_or(NOBODYS, |entry| &entry.hash);
        let hash = PasswordHash::new(hash).ok()?;
        let fits = Argon2::default()
            .verify_password(password.as_bytes(), &hash)
            .is_ok();
        entry.filter(|_| fits).map(|entry| entry.role)
    }
}

impl Entry {
    fn parse(line: &str) -> Result<Self, &'static str> {
        let mut fields = line.split(':');
        let (name, hash) = (fields.next().unwrap_or(""), fields.next());
        if !is_name(name) {
            return Err("the name is empty, too long or not plain");
        }
        let hash = hash.ok_or("there is no hash")?;
        if !hash.starts_with("$argon2id$") || PasswordHash::new(hash).is_err() {
            return Err("this is not an argon2id hash");
        }
        let role = match fields.next() {
            None => Role::Viewer,
            Some(role) => role
                .parse()
                .map_err(|_| "the role is neither viewer nor operator")?,
        };
        if fields.next().is_some() {
            return Err("there are more than three fields");
        }
        Ok(Self {
            name: name.to_owned(),
            hash: hash.to_owned(),
            role,
        })
    }
}

/// What tells one state of the file from another.
pub(super) type Stamp = (Option<SystemTime>, u64);

/// The file's stamp; none if it can't be looked at.
pub(super) async fn stamp(path: &Path) -> Option<Stamp> {
    let about = tokio::fs::metadata(path).await.ok()?;
    Some((about.modified().ok(), about.len()))
}

/// A line for the file.
///
/// # Errors
/// The name is none, or the password can't be hashed.
pub fn line(
    name: &str,
    password: &str,
    role: Role,
    clock: &dyn Clock,
) -> Result<String, PasswordError> {
    if !is_name(name) {
        return Err(PasswordError::Hash(format!(
            "{name:?} is no name: letters, digits and signs without a colon or a space, at most 128"
        )));
    }
    let salt = clock.uuid();
    let hash: PasswordHash = Argon2::default()
        .hash_password_with_salt(password.as_bytes(), salt.as_bytes())
        .map_err(|error| PasswordError::Hash(error.to_string()))?;
    Ok(format!("{name}:{hash}:{role}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;

    #[test]
    fn a_line_lets_in_whom_it_was_made_for_and_nobody_else() {
        let ana = line("ana", "correct horse", Role::Operator, &SystemClock).unwrap();
        let eva = line("eva", "battery staple", Role::Viewer, &SystemClock).unwrap();
        let passwords = Passwords::parse(&format!("# who\n\n{ana}\n{eva}\n")).unwrap();
        assert_eq!(
            passwords.verify("ana", "correct horse"),
            Some(Role::Operator)
        );
        assert_eq!(
            passwords.verify("eva", "battery staple"),
            Some(Role::Viewer)
        );
        for (name, password) in [
            ("ana", "battery staple"),
            ("ana", ""),
            ("Ana", "correct horse"),
            ("", "correct horse"),
            ("nobody", "correct horse"),
        ] {
            assert_eq!(passwords.verify(name, password), None, "{name} {password}");
        }
    }

    #[test]
    fn who_has_no_role_only_looks() {
        let ana = line("ana", "x", Role::Operator, &SystemClock).unwrap();
        let passwords = Passwords::parse(ana.trim_end_matches(":operator")).unwrap();
        assert_eq!(passwords.people[0].role, Role::Viewer);
    }

    #[test]
    fn a_line_that_is_none_spoils_the_file_and_is_not_quoted() {
        let good = line("ana", "x", Role::Viewer, &SystemClock).unwrap();
        let other = good.replace("argon2id", "argon2i");
        for (text, at) in [
            ("ana", 1),
            ("ana:plain-secret", 1),
            (&other, 1),
            (":$argon2id$", 1),
            (&format!("{good}\n{good}"), 2),
            (&good.replace(":viewer", ":admin"), 1),
            (&format!("{good}:more"), 1),
        ] {
            let (line, why) = Passwords::parse(text).unwrap_err();
            assert_eq!(line, at, "{text}");
            assert!(!why.contains("secret"), "{why}");
        }
    }

    #[test]
    fn the_hash_of_nobody_costs_as_much_as_one_that_is_made_now() {
        let made = line("ana", "x", Role::Viewer, &SystemClock).unwrap();
        let costs = |hash: &str| {
            let hash = PasswordHash::new(hash).unwrap();
            (hash.params.to_string(), hash.hash.unwrap().as_bytes().len())
        };
        assert_eq!(costs(made.split(':').nth(1).unwrap()), costs(NOBODYS));
    }
}
