//! `tesa-reconciler sandbox`: the sandbox as a command.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::clock::SharedClock;

use super::config::{Ages, Precision, RepeatedCreate, SandboxConfig};
use super::faults::{Effect, ErrorShape, Fault};
use super::{BASE_PATH, Sandbox, account, token_uri};

/// A Tesamanager in memory, to try the daemon on. Its methods and paths are assumptions.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Where to listen.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8081")]
    pub listen: SocketAddr,
    /// The URL others reach it by, if that is not the address (http://sandbox:8081).
    #[arg(long, value_name = "URL")]
    pub public_url: Option<String>,
    /// Requests per org to begin with.
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub requests: u32,
    /// Decides everything that looks like chance; the same seed gives the same world.
    #[arg(long, value_name = "S", default_value_t = 7)]
    pub seed: u64,
    /// The tenants, separated by commas.
    #[arg(
        long,
        value_name = "ORG,…",
        value_delimiter = ',',
        default_value = "masmovil,yoigo"
    )]
    pub orgs: Vec<String>,
    /// Simulated seconds per second in which requests move on by themselves; 0: nothing moves.
    #[arg(long, value_name = "X", default_value_t = 1.0)]
    pub speed: f64,
    /// Exactly so many NOT_SENT requests per org, all stuck; by default about 3 % stuck and 1 % fresh ones.
    #[arg(long, value_name = "N")]
    pub stuck_unsent: Option<usize>,
    /// What a create with a known externalReference does.
    #[arg(long, value_enum, default_value_t)]
    pub repeated_create: RepeatedCreate,
    /// Delay every answer but the token's by this.
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = humantime::parse_duration)]
    pub latency: Duration,
    /// What notUpdatedSince cuts dates off to before it compares them.
    #[arg(long, value_enum, default_value_t)]
    pub date_precision: Precision,
    /// notUpdatedSince lists what was updated at that very instant, too.
    #[arg(long)]
    pub inclusive: bool,
    /// Answer this share of calls with 503, without an effect.
    #[arg(long, value_name = "0..1")]
    pub error_rate: Option<f64>,
    /// Carry out this share of writes and close the connection without an answer.
    #[arg(long, value_name = "0..1")]
    pub lost_answer_rate: Option<f64>,
    /// One more fault, as POST /_sandbox/faults takes it (may be repeated):
    /// '{"do": {"late_effect": {"ms": 9000}}, "operations": ["writes"], "rate": 0.1}'.
    #[arg(long = "fault", value_name = "JSON", value_parser = fault)]
    pub faults: Vec<Fault>,
    /// How long an issued token is good.
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = humantime::parse_duration)]
    pub token_ttl: Duration,
    /// Also accept this bearer token, for ever (may be repeated).
    #[arg(long = "token", value_name = "TOKEN")]
    pub tokens: Vec<String>,
    /// Write a service account's file that works with this sandbox.
    #[arg(long, value_name = "FILE")]
    pub write_service_account: Option<PathBuf>,
}

fn fault(text: &str) -> Result<Fault, serde_json::Error> {
    serde_json::from_str(text)
}

impl From<&Args> for SandboxConfig {
    fn from(args: &Args) -> Self {
        let mut faults = args.faults.clone();
        if let Some(rate) = args.lost_answer_rate {
            faults.push(
                Fault::new(Effect::Drop { applied: true })
                    .on(&["writes"])
                    .rate(rate),
            );
        }
        if let Some(rate) = args.error_rate {
            let error = Effect::Error {
                status: 503,
                applied: false,
                shape: ErrorShape::Object,
            };
            faults.push(Fault::new(error).rate(rate));
        }
        Self {
            orgs: args.orgs.clone(),
            requests: args.requests,
            seed: args.seed,
            stuck_unsent: args.stuck_unsent,
            speed: args.speed,
            repeated_create: args.repeated_create,
            token_ttl: args.token_ttl,
            tokens: args.tokens.clone(),
            public_url: args.public_url.clone(),
            ages: Ages {
                inclusive: args.inclusive,
                to: args.date_precision,
            },
            latency: args.latency,
            faults,
            ..Self::default()
        }
    }
}

/// Serves until `shutdown`, after saying on stderr where it listens and how to point the daemon at it.
///
/// # Errors
/// If the address can't be had, a rate is no share, or the service account's file can't be written.
pub async fn run(
    args: Args,
    clock: SharedClock,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let sandbox = Sandbox::new(SandboxConfig::from(&args), clock)?;
    let listener = TcpListener::bind(args.listen).await.with_context(|| {
        format!(
            "can't listen on {}; name another address with --listen",
            args.listen
        )
    })?;
    let origin = match &args.public_url {
        Some(url) => url.trim_end_matches('/').to_owned(),
        None => format!("http://{}", listener.local_addr()?),
    };
    if let Some(path) = &args.write_service_account {
        account::write_service_account(path, &token_uri(&origin))
            .with_context(|| format!("can't write {}", path.display()))?;
    }
    // Messages go to stderr; nobody reading them is no reason not to serve.
    let _ = std::io::stderr().write_all(greeting(&args, &origin).as_bytes());
    sandbox.serve(listener, shutdown).await?;
    Ok(())
}

fn greeting(args: &Args, origin: &str) -> String {
    let credentials = match (&args.write_service_account, args.tokens.is_empty()) {
        (Some(path), _) => format!("service_account_file = {:?}", path.display().to_string()),
        (None, false) => "token_file = \"…\"   # a file with one of the --token values".to_owned(),
        (None, true) => {
            "service_account_file = \"…\"   # have it written with --write-service-account FILE"
                .to_owned()
        }
    };
    let orgs: Vec<String> = args.orgs.iter().map(|org| format!("{org:?}")).collect();
    format!(
        "The sandbox listens on {origin}{BASE_PATH} with {requests} requests per org (seed {seed}, speed {speed}).\n\
         Its methods and paths are assumptions: the vendor's are not published.\n\
         Point tesa-reconciler at it with:\n\n\
         [tesamanager]\n\
         base_url = \"{origin}{BASE_PATH}\"\n\
         orgs = [{orgs}]\n\
         {credentials}\n\n\
         Look inside: {origin}/_sandbox/stats and /_sandbox/ledger; break it: POST {origin}/_sandbox/faults\n",
        requests = args.requests,
        seed = args.seed,
        speed = args.speed,
        orgs = orgs.join(", "),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        args: Args,
    }

    fn parse(words: &[&str]) -> Args {
        Cli::try_parse_from([&["sandbox"], words].concat())
            .unwrap()
            .args
    }

    #[test]
    fn without_flags_it_is_the_default_sandbox() {
        let config = SandboxConfig::from(&parse(&[]));
        assert_eq!(
            format!("{config:?}"),
            format!("{:?}", SandboxConfig::default())
        );
    }

    #[test]
    fn fault_flags_become_rules() {
        let args = parse(&[
            "--latency",
            "40ms",
            "--error-rate",
            "0.1",
            "--lost-answer-rate",
            "0.2",
            "--repeated-create",
            "second-beside",
            "--date-precision",
            "day",
            "--inclusive",
            "--fault",
            r#"{"do": "no_effect", "operations": ["writes"]}"#,
        ]);
        let config = SandboxConfig::from(&args);
        assert_eq!(config.faults.len(), 3);
        assert_eq!(config.latency, Duration::from_millis(40));
        assert_eq!(
            config.faults[0],
            Fault::new(Effect::NoEffect).on(&["writes"])
        );
        assert_eq!(config.repeated_create, RepeatedCreate::SecondBeside);
        let by_day = Ages {
            inclusive: true,
            to: Precision::Day,
        };
        assert_eq!(config.ages, by_day);
        assert!(
            config.faults.contains(
                &Fault::new(Effect::Drop { applied: true })
                    .on(&["writes"])
                    .rate(0.2)
            )
        );
    }

    #[test]
    fn the_greeting_says_how_to_get_in_and_that_paths_are_assumed() {
        let said = greeting(&parse(&["--orgs", "a,b"]), "http://127.0.0.1:8081");
        for wanted in [
            "base_url = \"http://127.0.0.1:8081/v1\"",
            "orgs = [\"a\", \"b\"]",
            "assumptions",
            "--write-service-account",
        ] {
            assert!(said.contains(wanted), "{said}");
        }
    }
}
