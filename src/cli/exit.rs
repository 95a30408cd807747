//! How the program ends: one number a class of outcome, so that scripts can tell them apart.

use std::fmt;

use crate::app::StartError;
use crate::domain::RunOutcome;
use crate::reconcile::survey::SurveyError;
use crate::store::StoreError;
use crate::tesamanager::ReadError;

/// The exit codes, a documented interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// All done.
    Done = 0,
    /// It failed.
    Failed = 1,
    /// The command line is wrong (clap's own code).
    Usage = 2,
    /// Some items failed, or the guard held.
    PartialOrHeld = 3,
    /// Tesamanager can't be reached or refuses us.
    UpstreamUnreachable = 69,
    /// A fault of the program.
    Internal = 70,
    /// The store is busy or can't be reached.
    StoreUnavailable = 75,
    /// The configuration is wrong.
    Configuration = 78,
}

impl From<RunOutcome> for Exit {
    fn from(outcome: RunOutcome) -> Self {
        match outcome {
            RunOutcome::Succeeded => Self::Done,
            RunOutcome::Partial | RunOutcome::Held => Self::PartialOrHeld,
            RunOutcome::Failed | RunOutcome::Aborted | RunOutcome::Lost => Self::Failed,
        }
    }
}

impl Exit {
    /// The worse of two, for a command that did several things.
    pub fn worse(self, other: Self) -> Self {
        let rank = |exit: Self| match exit {
            Self::Done => 0,
            Self::PartialOrHeld => 1,
            _ => 2,
        };
        if rank(other) > rank(self) {
            other
        } else {
            self
        }
    }
}

/// A command's failure: what to print on stderr, and how to end.
#[derive(Debug)]
pub struct Failure {
    /// How to end.
    pub exit: Exit,
    /// What, where, and the way out.
    pub message: String,
}

impl Failure {
    /// With this code and message.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let exit = match &error {
            error if error.is_outage() => Exit::StoreUnavailable,
            StoreError::NotFound { .. }
            | StoreError::IllegalStep { .. }
            | StoreError::Refused { .. } => Exit::Failed,
            StoreError::Schema { .. } => Exit::StoreUnavailable,
            // To be started again would not help.
            StoreError::TooNew { .. } => Exit::Configuration,
            _ => Exit::Internal,
        };
        Self::new(exit, error.to_string())
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        let exit = match &error {
            ReadError::Transient { .. } | ReadError::Throttled { .. } | ReadError::Auth { .. } => {
                Exit::UpstreamUnreachable
            }
            _ => Exit::Failed,
        };
        Self::new(exit, error.to_string())
    }
}

impl From<SurveyError> for Failure {
    fn from(error: SurveyError) -> Self {
        match error {
            SurveyError::Read(error) => error.into(),
            SurveyError::Store(error) => error.into(),
            SurveyError::Stopped | SurveyError::Distrusted { .. } => {
                Self::new(Exit::Failed, error.to_string())
            }
        }
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Store(error) => error.into(),
            StartError::Doubt(doubt) => Self::new(Exit::Configuration, doubt.to_string()),
            error @ StartError::New { .. } => Self::new(Exit::Configuration, error.to_string()),
            StartError::Upstream(error) => Self::new(Exit::Configuration, error.to_string()),
            StartError::Webhook(error) => Self::new(Exit::Configuration, error.to_string()),
            StartError::Traces(error) => Self::new(Exit::Configuration, error.to_string()),
            StartError::Console(error) => Self::new(Exit::Configuration, error.to_string()),
            StartError::Listen(_) | StartError::Io(_) => Self::new(Exit::Failed, error.to_string()),
            StartError::Alarm(_) => Self::new(Exit::Internal, error.to_string()),
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::new(Exit::Failed, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_have_the_documented_codes() {
        let codes: Vec<(RunOutcome, u8)> = RunOutcome::ALL
            .iter()
            .map(|outcome| (*outcome, Exit::from(*outcome) as u8))
            .collect();
        use RunOutcome::*;
        let expected = [
            (Succeeded, 0),
            (Partial, 3),
            (Failed, 1),
            (Held, 3),
            (Aborted, 1),
            (Lost, 1),
        ];
        assert_eq!(codes, expected);
    }

    #[test]
    fn several_outcomes_end_as_the_worst() {
        assert_eq!(Exit::Done.worse(Exit::PartialOrHeld), Exit::PartialOrHeld);
        assert_eq!(Exit::PartialOrHeld.worse(Exit::Failed), Exit::Failed);
        assert_eq!(Exit::Failed.worse(Exit::Done), Exit::Failed);
    }
}
