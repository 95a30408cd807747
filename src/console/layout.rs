//! What all pages share: the head, the sections, whoever looks, and as of when it is so.

use axum::http::header;
use axum::response::{IntoResponse, Response};
use maud::{DOCTYPE, Markup, html};

use super::parts::Moment;
use super::{Person, assets, texts};
use crate::answers::time::shown;

pub(super) use super::parts::words;

/// Which section a page belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Overview,
    People,
    Orders,
    Findings,
    Attempts,
    Runs,
    Audit,
    System,
    /// None of them.
    Nowhere,
}

const SECTIONS: [(Place, &str, &str); 8] = [
    (Place::Overview, "/", texts::OVERVIEW),
    (Place::People, "/people", texts::PEOPLE),
    (Place::Orders, "/orders", texts::ORDERS),
    (Place::Findings, "/findings", texts::FINDINGS),
    (Place::Attempts, "/attempts", texts::ATTEMPTS),
    (Place::Runs, "/runs", texts::RUNS),
    (Place::Audit, "/audit", texts::AUDIT),
    (Place::System, "/system", texts::SYSTEM),
];

/// A page about what is so at a moment; it brings itself up to date.
pub(super) fn page(
    title: &str,
    here: Place,
    person: &Person,
    moment: Moment,
    body: &Markup,
) -> Response {
    let as_of = html! {
        p.as-of {
            (texts::AS_OF) " " (shown(moment.as_of, moment.zone)) " "
            @if *person == Person::anybody() { span.note { (texts::READ_ONLY) } }
        }
    };
    let who = who(person);
    let live = html! {
        p #live role="status" data-on=(texts::LIVE_ON) data-waits=(texts::LIVE_WAITS) data-fails=(texts::LIVE_FAILS) {}
    };
    let inside = html! {
        h1 { (title) }
        (as_of)
        (body)
    };
    let main = html! { main #main tabindex="-1" data-live { (inside) } };
    answer(document(title, here, &who, &main, &live))
}

/// A page about what was just done: it stays as it is.
pub(super) fn settled(
    title: &str,
    here: Place,
    person: &Person,
    moment: Moment,
    body: &Markup,
) -> Response {
    let main = html! {
        main #main tabindex="-1" {
            h1 { (title) }
            p.as-of { (texts::AS_OF) " " (shown(moment.as_of, moment.zone)) }
            (body)
        }
    };
    answer(document(title, here, &who(person), &main, &html! {}))
}

fn who(person: &Person) -> Markup {
    html! {
        @if let Some(name) = &person.name {
            p.who { (name) " (" (person.role) ")" }
        }
    }
}

/// A page about nothing that changes.
pub(super) fn bare(title: &str, here: Place, body: &Markup) -> Markup {
    let main = html! { main #main tabindex="-1" { h1 { (title) } (body) } };
    document(title, here, &html! {}, &main, &html! {})
}

fn document(title: &str, here: Place, who: &Markup, main: &Markup, live: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · " (texts::PRODUCT) }
                link rel="icon" href=(assets::ICON) type="image/svg+xml";
                link rel="stylesheet" href=(assets::STYLE);
                script src=(assets::SCRIPT) defer {}
            }
            body {
                a.skip href="#main" { (texts::SKIP) }
                header {
                    a.brand href="/" { img src=(assets::ICON) alt="" width="24" height="24"; (texts::PRODUCT) }
                    nav aria-label=(texts::SECTIONS) {
                        ul { @for (place, address, name) in SECTIONS {
                            li { a href=(address) aria-current=[(place == here).then_some("page")] { (name) } }
                        } }
                    }
                    (who)
                }
                (main)
                footer {
                    (live)
                    p { (texts::PRODUCT) " " (env!("CARGO_PKG_VERSION")) }
                }
            }
        }
    }
}

/// The markup with the type that a browser needs.
pub(super) fn answer(markup: Markup) -> Response {
    let kind = [(header::CONTENT_TYPE, "text/html; charset=utf-8")];
    (kind, markup.into_string()).into_response()
}
