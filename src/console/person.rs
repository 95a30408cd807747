//! Who looks at a page, and what they may do.

use crate::domain::closed_set;
use crate::store::Actor;

closed_set! {
    /// What somebody may do.
    Role {
        /// Look.
        Viewer = "viewer",
        /// Look and act.
        Operator = "operator",
    }
}

/// Whoever sent a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// By what name they are known; none where nobody is asked.
    pub name: Option<String>,
    /// What they may do.
    pub role: Role,
}

impl Person {
    /// Somebody at this machine, where nobody is asked who they are.
    pub const fn anybody() -> Self {
        Self {
            name: None,
            role: Role::Viewer,
        }
    }

    /// As the audit names them; none if they may not act.
    pub fn actor(&self, reason: &str) -> Option<Actor> {
        let name = self.name.as_ref().filter(|_| self.role == Role::Operator)?;
        Some(Actor {
            who: format!("console:{name}"),
            reason: reason.to_owned(),
        })
    }
}

/// A name by which somebody can be known: in a header, in a password line, in the audit.
pub(super) fn is_name(name: &str) -> bool {
    const LONGEST: usize = 128;
    (1..=LONGEST).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b':')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_operator_with_a_name_can_act() {
        let person = |name: Option<&str>, role| Person {
            name: name.map(str::to_owned),
            role,
        };
        assert_eq!(Person::anybody().actor("why"), None);
        assert_eq!(person(None, Role::Operator).actor("why"), None);
        assert_eq!(person(Some("ana"), Role::Viewer).actor("why"), None);
        let actor = person(Some("ana"), Role::Operator).actor("why").unwrap();
        assert_eq!(
            (actor.who.as_str(), actor.reason.as_str()),
            ("console:ana", "why")
        );
        assert!(actor.is_person());
    }

    #[test]
    fn a_name_is_short_and_can_be_seen() {
        for name in ["ana", "ana@example.com", "DOMAIN\\ana"] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", "a:b", "a b", "a\nb", "añа", &"a".repeat(129)] {
            assert!(!is_name(name), "{name}");
        }
    }
}
