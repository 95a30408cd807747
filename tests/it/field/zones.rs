//! timezonefinder#425, moment-timezone#1141: zone data that was compiled in two years ago ran the jobs of four places at
//! another hour.

use chrono::{DateTime, Utc};
use tesa_reconciler::schedule::When;
use tesa_reconciler::zone::Zone;

use crate::process::world::{Settings, World, run};

#[test]
fn nine_in_the_morning_is_when_the_clocks_there_say_so() {
    for (zone, expected) in [
        ("Africa/Casablanca", "2026-11-28T09:00:00Z"),
        ("America/Vancouver", "2026-11-28T16:00:00Z"),
        ("America/Edmonton", "2026-11-28T15:00:00Z"),
        ("America/Havana", "2026-11-28T13:00:00Z"),
    ] {
        let nine = When::Cron {
            cron: Box::new("0 0 9 * * *".parse().unwrap()),
            text: String::new(),
            zone: Zone::named(zone).unwrap(),
        };
        let midnight: DateTime<Utc> = "2026-11-28T06:00:00Z".parse().unwrap();
        let expected: DateTime<Utc> = expected.parse().unwrap();
        assert_eq!(nine.next_after(midnight), Some(expected), "{zone}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn doctor_says_whose_zone_data_is_taken_and_that_it_is_the_newest() {
    let world = World::new(Settings::default()).await;
    for (version, says) in [
        ("2999a", "time zones by 2999a of "),
        ("2019c", ", compiled in"),
    ] {
        let files = world.path(version);
        std::fs::create_dir(&files).unwrap();
        std::fs::write(files.join("tzdata.zi"), format!("# version {version}\n")).unwrap();
        let mut doctor = world.program(&["doctor"]);
        doctor.env("TZDIR", &files);
        let said = run(doctor).await.stdout;
        assert!(said.contains(says), "{said}");
    }
}
