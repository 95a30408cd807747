//! The style sheet, the script and the icon: parts of the program, so that a page asks no other machine for anything.

use axum::http::header;
use axum::response::{IntoResponse, Response};

/// A path with the version in it may be kept: a new version has another.
macro_rules! asset {
    ($name:literal) => {
        concat!("/assets/", env!("CARGO_PKG_VERSION"), "/", $name)
    };
}

pub(super) const STYLE: &str = asset!("style.css");
pub(super) const SCRIPT: &str = asset!("live.js");
pub(super) const ICON: &str = asset!("icon.svg");

fn kept(kind: &'static str, content: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "private, max-age=300"),
    ];
    (headers, content).into_response()
}

pub(super) async fn style() -> Response {
    kept("text/css; charset=utf-8", include_str!("assets/style.css"))
}

pub(super) async fn script() -> Response {
    kept(
        "text/javascript; charset=utf-8",
        include_str!("assets/live.js"),
    )
}

pub(super) async fn icon() -> Response {
    kept("image/svg+xml", include_str!("assets/icon.svg"))
}
