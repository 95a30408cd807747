//! The real binary against the sandbox, as a service manager, a shell and a network see it.
//!
//! Everything that only shows between processes is here: exit codes, signals, `kill -9`, locks, files that go away,
//! what is printed. What a decision is worth is tested where it is made.

mod adopted;
mod beats;
mod books;
mod causes;
mod chaos;
mod collector;
mod commands;
mod configuration;
mod console;
mod crash;
mod crash_points;
mod crash_statements;
mod credentials;
pub mod daemon;
mod doctor;
mod explain;
mod failover;
mod health;
mod history;
mod killed;
mod lists;
mod load;
mod metrics;
mod moving;
mod once;
pub mod outage;
mod pausing;
mod permits;
mod plan;
mod postgres_tls;
mod privacy;
mod rates;
mod recovery;
mod rehearse;
mod reload;
mod replicas;
mod report;
mod resumed;
mod rolling;
mod shared;
mod signals;
mod silent;
mod status;
mod steering;
mod stop;
mod told;
mod traces;
mod word;
pub mod world;
