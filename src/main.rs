//! Arguments, runtime, exit code.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use tesa_reconciler::cli::exit::{Exit, Failure};
use tesa_reconciler::cli::{self, Cli, output};
use tesa_reconciler::lifecycle::Signals;
use tesa_reconciler::telemetry::record;
use tesa_reconciler::tesamanager::install_crypto_provider;

/// What may still run after the drain (blocking calls, a task that heeds no token) gets so long.
const LAST_MOMENT: Duration = Duration::from_millis(200);

fn main() -> ExitCode {
    let cli = Cli::parse();
    install_crypto_provider();
    count_panics();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(std::thread::available_parallelism().map_or(2, |cores| cores.get().min(4)))
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return end(Err(error.into())),
    };
    let work = || {
        runtime.block_on(async {
            // Signals before all: HUP, USR1 and USR2 kill a process that has no handler for them.
            let signals = Signals::install()?;
            cli::execute(cli, signals).await
        })
    };
    // What was said of it by then is said by the hook.
    let result = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        let message = "the program broke off by a fault of its own: please report it";
        Err(Failure::new(Exit::Internal, message))
    });
    runtime.shutdown_timeout(LAST_MOMENT);
    end(result)
}

fn end(result: Result<Exit, Failure>) -> ExitCode {
    let exit = match result {
        Ok(exit) => exit,
        Err(failure) => {
            output::note(&format!("error: {}", failure.message));
            failure.exit
        }
    };
    ExitCode::from(exit as u8)
}

/// A panic anywhere is counted, and logged with its place like everything else; a command that has no log says it.
fn count_panics() {
    std::panic::set_hook(Box::new(|panic| {
        record::panicked();
        let place = panic
            .location()
            .map(ToString::to_string)
            .unwrap_or_default();
        if tracing::dispatcher::has_been_set() {
            tracing::error!(place, "panic: {panic}");
        } else {
            output::note(&panic.to_string());
        }
    }));
}
