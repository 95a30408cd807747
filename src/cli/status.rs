//! `status`: how things stand, on one screen, and the command that comes next. Ends with 0 only if all is well, so that a
//! script needs to read nothing.

mod show;

use super::common::Session;
use super::exit::{Exit, Failure};
use super::output::{self, Format};
use crate::answers::status::gather;
use crate::answers::status::verdict::Word;

/// Prints it.
pub async fn run(session: &Session) -> Result<Exit, Failure> {
    let status = gather(session).await?;
    match session.format {
        Format::Json => output::json(&status)?,
        Format::Table | Format::Csv => output::text(&show::show(&status))?,
    }
    Ok(match status.verdict.word {
        Word::AllWell => Exit::Done,
        _ => Exit::PartialOrHeld,
    })
}
