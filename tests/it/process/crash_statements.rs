//! PostgreSQL dies at the n-th statement of a whole run with one attempt, for every n: before it has heard of it, and after
//! it has done it, unheard. Whatever it had committed, the program and its next starts must come to the one effect.
//!
//! A few in the suite, others each day, and each of them kills; all of them by hand:
//! `CRASH_POINTS=all cargo nextest run --no-capture -E 'test(crash_statements)'`.

use sqlx::{AssertSqlSafe, ConnectOptions as _};
use tesa_reconciler::clock::{Clock as _, SystemClock};

use super::crash_points::{comes_to_its_one_effect, one_stuck};
use super::world::{World, run};
use crate::support::cluster::Cluster;
use crate::support::statements::{Dies, Statements};

/// Statements that the suite tries.
const SAMPLE: usize = 3;

/// A world over a new database of the server.
async fn stuck(cluster: &Cluster, name: &str) -> (World, String) {
    let mut admin = cluster.connect().await;
    let create = AssertSqlSafe(format!("CREATE DATABASE {name}"));
    sqlx::raw_sql(create).execute(&mut admin).await.unwrap();
    let options: sqlx::postgres::PgConnectOptions = cluster.url().parse().unwrap();
    let mut url = options.to_url_lossy();
    url.set_path(name);
    let url = url.to_string();
    (one_stuck(Some(url.clone())).await, url)
}

/// From now on the program finds its store there.
fn move_to(world: &mut World, url: String) {
    world.settings.state_url = Some(url);
    world.write_configuration();
}

/// How many a run makes.
async fn statements(cluster: &Cluster) -> usize {
    let (mut world, url) = stuck(cluster, "counted").await;
    let between = Statements::before(cluster.home(), None);
    move_to(&mut world, between.url(&url));
    let ended = run(world.program(&["run", "--once"])).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(world.effects(), 1);
    between.seen()
}

/// The server dies there; true if the program got that far.
async fn dies_at(cluster: &Cluster, statement: usize, dies: Dies) -> bool {
    let name = format!("dies_{statement}_{dies:?}").to_lowercase();
    let (mut world, url) = stuck(cluster, &name).await;
    let between = Statements::before(cluster.home(), Some((statement, dies)));
    move_to(&mut world, between.url(&url));
    let running = run(world.program(&["run", "--once"]));
    tokio::pin!(running);
    let died = tokio::select! {
        biased;
        () = between.died() => true,
        ended = &mut running => {
            assert_eq!(ended.code, Some(0), "statement {statement}: {ended:?}");
            false
        }
    };
    if died {
        cluster.restart().await;
        between.is_back();
        // However that ended: what counts is what the next ones find.
        running.await;
    }
    move_to(&mut world, url);
    comes_to_its_one_effect(&world, &format!("{dies:?} {statement}")).await;
    died
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_the_server_has_done_when_it_dies_the_order_gets_its_one_effect() {
    let cluster = Cluster::start().await;
    let all = statements(&cluster).await;
    assert!(
        all > 20,
        "{all} statements: what is counted is not what it does"
    );
    if std::env::var("CRASH_POINTS").is_ok_and(|which| which == "all") {
        let mut died = 0;
        for statement in 1..=all {
            for dies in [Dies::BeforeIt, Dies::AfterIt] {
                died += usize::from(dies_at(&cluster, statement, dies).await);
            }
        }
        // The last ones may not be reached: a run does not always do as much.
        eprintln!("{died} deaths at {all} statements");
        assert!(died * 10 >= all * 2 * 8, "{died} of twice {all}");
        return;
    }
    let day = usize::try_from(SystemClock.now().timestamp() / 86_400).unwrap();
    let step = all / SAMPLE;
    for nth in 0..SAMPLE {
        let dies = [Dies::BeforeIt, Dies::AfterIt][nth % 2];
        let chosen = 1 + nth * step + day % step;
        let mut earlier = chosen;
        while !dies_at(&cluster, earlier, dies).await {
            assert!(
                earlier > 1,
                "it never dies, not even at its first statement"
            );
            earlier = earlier * 3 / 4;
        }
        eprintln!("died {dies:?} {earlier} of {all}, {chosen} was meant");
    }
}
