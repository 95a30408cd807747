//! What every store keeps, whatever database is below it: one suite, run against each back end.
//!
//! A behaviour is an async function of a fresh, migrated store; [`behaviours!`] makes a test of it for each back
//! end. What only one back end has (a file's mode, its lock) is tested beside, in a module of its own.

#![allow(
    clippy::unwrap_used,
    reason = "a behaviour is a test's body, which Clippy can't tell from where it stands"
)]

/// Makes a test of each named behaviour for each back end.
macro_rules! behaviours {
    ($($behaviour:ident),+ $(,)?) => {
        mod sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $behaviour() {
                    super::$behaviour($crate::store::harness::Fresh::sqlite().await).await;
                }
            )+
        }
        mod postgres {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $behaviour() {
                    super::$behaviour($crate::store::harness::Fresh::postgres().await).await;
                }
            )+
        }
    };
}

mod acknowledgements;
mod attempt_lists;
mod attempts;
mod bulk;
mod claims;
mod classes;
mod controls;
mod fencing;
mod finding_lists;
mod findings;
mod harness;
mod history;
mod housekeeping;
mod housekeeping_waits;
mod identity;
mod intents;
mod looks;
mod members;
mod million;
mod moving;
mod notices;
mod orders;
mod outage;
mod postgres_network;
mod postgres_plans;
mod postgres_server;
mod rates;
mod requests;
mod runs;
mod schema;
mod slots;
mod sqlite_bell;
mod sqlite_file;
mod sqlite_turn;
pub(crate) mod values;
