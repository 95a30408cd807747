//! What a page says that can't be shown: in words, with the way back.

use axum::extract::Extension;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};

use super::layout::{self, Place};
use super::{Person, texts};
use crate::answers::names::NameError;
use crate::answers::time::Mistyped;
use crate::store::StoreError;

/// Why a page can't be shown.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    /// There is no such thing.
    #[error("{0}")]
    NotFound(String),
    /// The address asks for what makes no sense.
    #[error("{0}")]
    Mistaken(String),
    /// What was asked was not done.
    #[error("{0}")]
    Refused(String),
    /// A fault of ours, or of the configuration since it was read.
    #[error("{0}")]
    Fault(String),
    /// The store does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<Mistyped> for Trouble {
    fn from(error: Mistyped) -> Self {
        Self::Mistaken(error.to_string())
    }
}

impl From<NameError> for Trouble {
    fn from(error: NameError) -> Self {
        match error {
            NameError::Store(error) => Self::Store(error),
            unknown @ NameError::Unknown(_) => Self::Mistaken(unknown.to_string()),
        }
    }
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        let (status, title) = match &self {
            Self::NotFound(_) => (StatusCode::NOT_FOUND, texts::NOT_FOUND),
            Self::Mistaken(_) => (StatusCode::BAD_REQUEST, texts::MISTAKEN),
            Self::Refused(_)
            | Self::Store(
                StoreError::Refused { .. }
                | StoreError::NotFound { .. }
                | StoreError::IllegalStep { .. },
            ) => (StatusCode::CONFLICT, texts::NOT_DONE),
            Self::Fault(error) => {
                tracing::error!(error, "a page of the console can't be shown");
                (StatusCode::INTERNAL_SERVER_ERROR, texts::FAULT)
            }
            Self::Store(error) => {
                tracing::warn!(%error, "a page of the console can't be shown");
                (StatusCode::SERVICE_UNAVAILABLE, texts::NO_STORE)
            }
        };
        (status, layout::answer(page(title, &self.to_string()))).into_response()
    }
}

fn page(title: &str, why: &str) -> Markup {
    let body = html! {
        p { (layout::words(why)) }
        p { a href="/" { (texts::BACK) } }
    };
    layout::bare(title, Place::Nowhere, &body)
}

/// An address that is no page's.
pub(super) async fn nowhere(Extension(_): Extension<Person>) -> Trouble {
    Trouble::NotFound(texts::NO_SUCH_PAGE.to_owned())
}
