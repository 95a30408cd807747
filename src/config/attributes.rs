//! `[attributes]`: which facts of a request are kept for `causes` and reports, beside what decisions need.
//!
//! The operator says what is impersonal, and knows best; but a pointer at a name, a document, a telephone or a mail address is
//! refused whatever anybody says, and so is everything of the customer and of the coordinators.

use std::collections::BTreeMap;

use super::keys::{Key, Kind, Section};
use super::problem::{Problems, shown};
use super::tree::{self, Node, Table};
use super::value;
use crate::domain::attributes::{Declared, Pointer};

/// So many may be declared: each is a part of every row.
const MOST: usize = 16;

pub(super) const SECTION: Section = Section {
    path: "attributes",
    repeated: false,
    optional: false,
    doc: "Impersonal facts of a request, kept for `causes`: a name of your own, and where it stands (a JSON pointer). None by default.",
    keys: &[Key::optional(
        "cto",
        Kind::Text,
        "\"/servicePoint/cto\"",
        "For example; any name of small letters, digits and _. Values are cut at 64 letters. Nothing of the customer or the \
         coordinators, no name, document, telephone or mail address.",
    )],
};

/// Parts of the contract's request that are about persons, all of them.
const PERSONS: [&str; 2] = ["customer", "technicalcoordinators"];

/// What a personal field is called, or what its name has in it.
const PERSONAL: [&str; 24] = [
    "name",
    "nombre",
    "apellido",
    "document",
    "passport",
    "pasaporte",
    "phone",
    "telefono",
    "telephone",
    "mobile",
    "movil",
    "mail",
    "correo",
    "contact",
    "customer",
    "cliente",
    "coordinator",
    "birth",
    "nacimiento",
    "iban",
    "signature",
    "fullname",
    "titular",
    "observations",
];

/// Short words, which stand inside others too: only the whole name is meant.
const PERSONAL_WHOLE: [&str; 6] = ["dni", "nif", "nie", "cif", "tel", "msisdn"];

/// Names that mean something else where attributes are shown.
const TAKEN: [&str; 8] = [
    "issue_code",
    "last_event",
    "territory_owner",
    "org",
    "auto_installation",
    "persistence_type",
    "began",
    "status",
];

/// Reads the section.
pub(super) fn read(root: &Table, problems: &mut Problems) -> Option<Declared> {
    let Some((place, table)) = tree::section(root, SECTION.path) else {
        return Some(Declared::default());
    };
    if table.len() > MOST {
        problems.report(place, format!("at most {MOST} attributes can be kept"));
        return None;
    }
    let mut declared = BTreeMap::new();
    let mut is_sound = true;
    for (name, entry) in table {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if !(1..=32).contains(&name.len())
            || !name.chars().all(plain)
            || TAKEN.contains(&name.as_str())
        {
            problems.report_with_help(
                &entry.key,
                format!("{} can't be an attribute's name", shown(name)),
                "write a name of your own in small letters, digits and _, of 32 at most",
            );
            is_sound = false;
            continue;
        }
        let subject = format!("{}.{name}", SECTION.path);
        match problems.within(subject, |problems| pointer(&entry.node, problems)) {
            Some(pointer) => {
                declared.insert(name.clone(), pointer);
            }
            None => is_sound = false,
        }
    }
    is_sound.then_some(Declared(declared))
}

fn pointer(node: &Node, problems: &mut Problems) -> Option<Pointer> {
    let text = value::text(node, problems)?;
    let Some(pointer) = Pointer::parse(&text) else {
        problems.report_with_help(
            &node.place,
            format!("{} is no JSON pointer to a field", shown(&text)),
            "write /servicePoint/cto",
        );
        return None;
    };
    let is_personal = |step: String| {
        PERSONAL.iter().any(|word| step.contains(word)) || PERSONAL_WHOLE.contains(&step.as_str())
    };
    let of_persons = pointer
        .steps()
        .next()
        .is_some_and(|first| PERSONS.contains(&first.as_str()));
    if of_persons || pointer.steps().any(is_personal) {
        problems.report_with_help(
            &node.place,
            format!("{} is about a person: it is never kept", shown(&text)),
            "point at an impersonal field, as /servicePoint/cto",
        );
        return None;
    }
    Some(pointer)
}
