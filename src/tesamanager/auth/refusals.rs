//! Whose writes the upstream refused with 401, and under which token.
//!
//! A token that is good for reads and not for writes can't be told by reading, so each write would be tried again with
//! every run. After one such refusal no other write of the org leaves until a read has succeeded under another token.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use reqwest::header::HeaderValue;

use super::Bearer;
use crate::domain::ids::Org;

/// See the module.
#[derive(Debug, Default)]
pub struct Refusals(Mutex<HashMap<Org, HeaderValue>>);

impl Refusals {
    /// A write under `bearer` was answered with 401.
    pub fn write_refused(&self, org: &Org, bearer: &Bearer) {
        self.lock().insert(org.clone(), bearer.header());
    }

    /// A read under `bearer` succeeded.
    pub fn read_succeeded(&self, org: &Org, bearer: &Bearer) {
        let mut refused = self.lock();
        if refused
            .get(org)
            .is_some_and(|token| *token != bearer.header())
        {
            refused.remove(org);
        }
    }

    /// No write of the org may be tried.
    pub fn stand_for(&self, org: &Org) -> bool {
        self.lock().contains_key(org)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Org, HeaderValue>> {
        // Whole between any two operations.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;

    #[test]
    fn only_a_read_under_another_token_ends_a_refusal_and_only_its_orgs() {
        let bearer = |token: &str, generation| {
            Bearer::new(&SecretString::from(token.to_owned()), generation).unwrap()
        };
        let (org, other) = (Org::new("masmovil"), Org::new("yoigo"));
        let refusals = Refusals::default();
        refusals.write_refused(&org, &bearer("old", 1));
        assert!(refusals.stand_for(&org) && !refusals.stand_for(&other));
        refusals.read_succeeded(&org, &bearer("old", 2));
        refusals.read_succeeded(&other, &bearer("new", 3));
        assert!(refusals.stand_for(&org), "read again from the same file");
        refusals.read_succeeded(&org, &bearer("new", 3));
        assert!(!refusals.stand_for(&org));
    }
}
