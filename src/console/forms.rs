//! The forms by which people act: one thing each, with a reason, and folded so that nothing is done by a slip. Who may not act
//! sees none.

use maud::{Markup, html};

use super::{Person, Role, texts};

/// A longer reason is a document.
pub(super) const LONGEST_REASON: usize = 500;

/// What a person may do here, if they may do anything.
#[derive(Debug, Clone, Copy)]
pub(super) struct May(bool);

impl May {
    /// What this person may.
    pub(super) fn of(person: &Person) -> Self {
        Self(person.role == Role::Operator && person.name.is_some())
    }

    /// The form of an act; nothing for who may not act. `of` is what is meant, as fields that are not shown; `asked` is what else
    /// is asked.
    pub(super) fn form(self, act: Act, title: &str, of: &[(&str, &str)], asked: &Markup) -> Markup {
        if !self.0 {
            return html! {};
        }
        let id: Vec<&str> = of.iter().map(|(_, value)| *value).collect();
        html! {
            details.act id={ (act.name()) "-" (id.join("-")) } {
                summary { (title) "…" }
                form method="post" action=(act.path()) {
                    @for (name, value) in of { input type="hidden" name=(name) value=(value); }
                    (asked)
                    label { span { (texts::REASON) } input type="text" name="reason" required maxlength=(LONGEST_REASON) autocomplete="off"; }
                    button type="submit" { (title) }
                }
            }
        }
    }
}

/// What can be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    Pause,
    Resume,
    Trigger,
    Release,
    Acknowledge,
    TakeBack,
    Settle,
    Retry,
}

impl Act {
    const fn name(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Trigger => "trigger",
            Self::Release => "release",
            Self::Acknowledge => "ack",
            Self::TakeBack => "unack",
            Self::Settle => "settle",
            Self::Retry => "retry",
        }
    }

    /// Where its form is sent.
    pub(super) const fn path(self) -> &'static str {
        match self {
            Self::Pause => "/acts/pause",
            Self::Resume => "/acts/resume",
            Self::Trigger => "/acts/trigger",
            Self::Release => "/acts/release",
            Self::Acknowledge => "/acts/ack",
            Self::TakeBack => "/acts/unack",
            Self::Settle => "/acts/settle",
            Self::Retry => "/acts/retry",
        }
    }
}

/// When a pause shall end by itself.
pub(super) fn until() -> Markup {
    html! {
        label { span { (texts::PAUSE_UNTIL) } input type="text" name="until" maxlength="40" autocomplete="off"; }
    }
}

/// What a person found out about a write.
pub(super) fn verdict() -> Markup {
    html! {
        fieldset {
            legend { (texts::FOUND_OUT) }
            label.choice { input type="radio" name="verdict" value="confirmed" required; (texts::HAD_EFFECT) }
            label.choice { input type="radio" name="verdict" value="ineffective" required; (texts::HAD_NO_EFFECT) }
        }
    }
}
