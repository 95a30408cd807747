//! Who proved their password lately. A browser sends it with every page, and the hash is slow on purpose: so what was right
//! stays right for a while, known by a keyed digest whose key never leaves this process.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ring::hmac;

use super::passwords::Stamp;
use super::person::Person;
use crate::clock::Clock;

/// How long a proof holds. A changed password file ends it at once.
const HOLDS: Duration = Duration::from_secs(300);

/// No more are remembered; beyond, passwords are looked at each time.
const REMEMBERED: usize = 1_000;

/// The proofs of late.
pub(super) struct Proven {
    key: hmac::Key,
    book: Mutex<HashMap<Digest, Proof>>,
}

/// Name and password, as nobody else can make them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Digest(Vec<u8>);

#[derive(Debug)]
struct Proof {
    person: Person,
    /// The file that it was proven by.
    stamp: Stamp,
    until: Duration,
}

impl Proven {
    pub(super) fn new(clock: &dyn Clock) -> Self {
        let key: Vec<u8> = (0..4).flat_map(|_| clock.random().to_be_bytes()).collect();
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, &key),
            book: Mutex::default(),
        }
    }

    /// Name and password as one; a name holds no colon.
    pub(super) fn digest(&self, name: &str, password: &str) -> Digest {
        let tag = hmac::sign(&self.key, format!("{name}:{password}").as_bytes());
        Digest(tag.as_ref().to_owned())
    }

    /// Who proved this, by the file that has this stamp.
    pub(super) fn person(&self, digest: &Digest, stamp: Stamp, now: Duration) -> Option<Person> {
        let book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        let proof = book.get(digest)?;
        (proof.stamp == stamp && now < proof.until).then(|| proof.person.clone())
    }

    /// It was proven.
    pub(super) fn remember(&self, digest: Digest, person: Person, stamp: Stamp, now: Duration) {
        let mut book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        if book.len() >= REMEMBERED {
            book.retain(|_, proof| proof.stamp == stamp && now < proof.until);
        }
        if book.len() < REMEMBERED {
            let until = now + HOLDS;
            book.insert(
                digest,
                Proof {
                    person,
                    stamp,
                    until,
                },
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;

    #[test]
    fn a_proof_holds_for_the_same_words_by_the_same_file_and_for_a_while() {
        let proven = Proven::new(&SystemClock);
        let (now, file, newer) = (Duration::ZERO, (None, 100), (None, 101));
        let ana = Person {
            name: Some("ana".to_owned()),
            role: super::super::Role::Operator,
        };
        let digest = proven.digest("ana", "x");
        assert_eq!(proven.person(&digest, file, now), None);
        proven.remember(digest.clone(), ana.clone(), file, now);
        assert_eq!(proven.person(&digest, file, now), Some(ana));
        assert_eq!(proven.person(&digest, newer, now), None);
        assert_eq!(proven.person(&digest, file, HOLDS), None);
        assert_eq!(proven.person(&proven.digest("ana", "y"), file, now), None);
        let another = Proven::new(&SystemClock);
        assert_ne!(
            another.digest("ana", "x"),
            digest,
            "the key is the process's own"
        );
    }
}
