//! cronsim#3: `SAT-MON` was "Range out of bounds". cronitor-kubernetes#42: day or weekday, or both?

use crate::process::world::{program, run};

async fn check(schedule: &str) -> (Option<i32>, String) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("token"), "t").unwrap();
    let text = format!(
        "[tesamanager]\nbase_url = \"https://x.example/v1\"\norgs = [\"o\"]\ntoken_file = \"token\"\n\
         [[job]]\nname = \"j\"\nkind = \"flag_events\"\nschedule = \"{schedule}\"\ntimezone = \"Europe/Madrid\"\n"
    );
    std::fs::write(dir.path().join("tesa-reconciler.toml"), text).unwrap();
    let ended = run(program(dir.path(), &["config", "check"])).await;
    (ended.code, ended.stdout + &ended.stderr)
}

#[tokio::test]
async fn a_range_that_descends_is_refused_with_what_was_meant() {
    for (schedule, way_out) in [
        ("0 0 9 * * SAT-MON", "write `6,0,1`"),
        ("0 0 9 * * 5-2", "write `5,6,0,1,2`"),
        ("0 0 22-2 * * *", "write `22-23,0-2`"),
        ("0 0 9 * nov-feb *", "write `11-12,1-2`"),
    ] {
        let (code, said) = check(schedule).await;
        assert_eq!(code, Some(78), "{said}");
        assert!(said.contains(way_out), "{schedule}: {said}");
    }
}

#[tokio::test]
async fn what_a_schedule_comes_to_is_shown_before_it_runs() {
    let (code, said) = check("0 0 12 */2 * MON").await;
    assert_eq!(code, Some(0), "{said}");
    let next = said.lines().find(|line| line.trim().starts_with("next: "));
    let instants: Vec<&str> = next.unwrap().split(", ").collect();
    assert_eq!(instants.len(), 5, "{said}");
    assert!(
        instants.iter().all(|at| at.ends_with(" 12:00:00")),
        "{said}"
    );
    // Every other day of the month, and Mondays too: five of either kind don't last a fortnight.
    let (_, mondays) = check("0 0 12 * * MON").await;
    assert!(mondays.matches("Mon 20").count() == 5, "{mondays}");
}
