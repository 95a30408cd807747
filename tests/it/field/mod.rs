//! What went wrong for people who run software of this kind, a test a case, by the name of the case. The small input
//! is the one of the report; the right value is what is asked for here.

mod cron;
mod elsewhere;
mod environment;
mod pooler;
mod postgres_rights;
mod postgres_url;
mod proxy;
mod sockets;
mod store_file;
mod terminal;
mod token;
mod zones;
