//! What every store keeps, whatever database is below it: one suite, run against each back end.
//!
//! A behaviour is an async function of a fresh, migrated store; [`behaviours!`] makes a test of it for each back
//! end. The store in memory, which simulations run over, is one of them; only what has to reach past a store into its
//! database (`in a database:`) can't be asked of it. What only one back end has (a file's mode, its lock) is tested
//! beside, in a module of its own.

#![allow(
    clippy::unwrap_used,
    reason = "a behaviour is a test's body, which Clippy can't tell from where it stands"
)]

/// Makes a test of each named behaviour for each back end.
macro_rules! behaviours {
    ($($behaviour:ident),*; in a database: $($of_database:ident),+ $(,)?) => {
        behaviours!(@on memory: $($behaviour,)*);
        behaviours!(@on sqlite: $($behaviour,)* $($of_database,)+);
        behaviours!(@on postgres: $($behaviour,)* $($of_database,)+);
    };
    ($($behaviour:ident),+ $(,)?) => {
        behaviours!(@on memory: $($behaviour,)+);
        behaviours!(@on sqlite: $($behaviour,)+);
        behaviours!(@on postgres: $($behaviour,)+);
    };
    (@on $backend:ident:) => {};
    (@on $backend:ident: $($behaviour:ident,)+) => {
        mod $backend {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $behaviour() {
                    super::$behaviour($crate::store::harness::Fresh::$backend().await).await;
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
mod dumps;
mod fencing;
mod finding_lists;
mod findings;
mod harness;
mod history;
mod housekeeping;
mod housekeeping_keeps;
mod housekeeping_waits;
mod identity;
mod intents;
mod looks;
mod members;
mod memory_faults;
mod million;
mod moving;
mod notices;
mod open_counts;
mod orders;
mod outage;
mod postgres_network;
mod postgres_plans;
mod postgres_server;
mod rates;
mod request_history;
mod requests;
mod runs;
mod schema;
mod shared;
mod slots;
mod sqlite_bell;
mod sqlite_file;
mod sqlite_write_queue;
pub(crate) mod values;
