//! Each mistake, the place that is named, what is said of it, and the way out.

use tesa_reconciler::config;

use super::{LEAST, parse};

/// What one mistake must be answered with: place, part of the message, part of the help.
type Case<'a> = (&'a str, &'a str, &'a str, &'a str);

fn check(before: &str, cases: &[Case<'_>]) {
    for (text, place, message, help) in cases {
        let whole = format!("{before}{text}");
        let errors = match parse(&whole) {
            Ok(_) => panic!("accepted:\n{text}"),
            Err(errors) => errors,
        };
        let problems: Vec<_> = errors.iter().collect();
        assert_eq!(
            problems.len(),
            1,
            "one mistake, one error:\n{text}\n{errors}"
        );
        let problem = problems[0];
        let expected_place = if place.is_empty() {
            "t.toml".to_owned()
        } else {
            format!("t.toml:{place}")
        };
        assert_eq!(problem.place, expected_place, "{text}\n{errors}");
        assert!(problem.message.contains(message), "{text}\n{errors}");
        let said = problem.help.as_deref().unwrap_or_default();
        assert!(said.contains(help), "{text}\n{errors}");
        assert!(!help.is_empty() || said.is_empty(), "{text}\n{errors}");
    }
}

#[rustfmt::skip] // one case a line
#[test]
fn unknown_names_are_refused_with_the_nearest_known_one() {
    check(
        LEAST,
        &[
            ("reads_per_secnd = 5\n", "5:1", "unknown key `reads_per_secnd` in [tesamanager]", "did you mean `reads_per_second`?"),
            ("mode = \"observe\"\n", "5:1", "unknown key `mode` in [tesamanager]", "`mode` belongs to [safety]"),
            ("[tesamanger]\nx = 1\n", "5:2", "unknown section `tesamanger`", "did you mean `tesamanager`?"),
            ("[[rule]]\nname = \"r\"\n", "5:3", "unknown section `rule`", "`rule` belongs to [[job.rule]]"),
            ("[tesamanager.endpoints]\nget_requets = \"GET /x\"\n", "6:1", "unknown key `get_requets`", "did you mean `get_request`?"),
            ("[[job]]\nname = \"j\"\nkind = \"flag_events\"\nevery = \"5m\"\njiter = \"1s\"\n", "9:1", "unknown key `jiter` in [[job]]", "did you mean `jitter`?"),
            ("[console]\nlisen = \"127.0.0.1:9465\"\n", "6:1", "unknown key `lisen` in [console]", "did you mean `listen`?"),
            ("[job]\nname = \"j\"\n", "5:2", "[[job]] is needed here, this is a table", "write [[job]] on a line"),
            ("[state]\nfoo = 1\n", "6:1", "unknown key `foo` in [state]", ""),
        ],
    );
    check(
        "",
        &[(
            "reads = 1\n[tesamanager]\nbase_url = \"https://x\"\norgs = [\"o\"]\ntoken_file = \"t\"\n",
            "1:1",
            "unknown key `reads` outside of any section",
            "",
        )],
    );
}

#[rustfmt::skip] // one case a line
#[test]
fn the_upstream_section_says_what_it_needs() {
    check(
        "",
        &[
            ("[tesamanager]\norgs = [\"o\"]\ntoken_file = \"t\"\n", "1:1", "`base_url` is missing in [tesamanager]", "https://"),
            ("[tesamanager]\nbase_url = \"https://x\"\ntoken_file = \"t\"\n", "1:1", "`orgs` is missing in [tesamanager]", "orgs = ["),
            ("[tesamanager]\nbase_url = \"https://x\"\norgs = [\"o\"]\n", "1:1", "`service_account_file` is missing", "`token_file`"),
        ],
    );
    // What is misspelt is not missing as well.
    check(
        "",
        &[(
            "[tesamanager]\nbase_ulr = \"https://x\"\norgs = [\"o\"]\ntoken_file = \"t\"\n",
            "2:1",
            "unknown key `base_ulr`",
            "did you mean `base_url`?",
        )],
    );
    let upstream = |base_url: &str, orgs: &str| {
        format!("[tesamanager]\nbase_url = {base_url}\norgs = {orgs}\ntoken_file = \"t\"\n")
    };
    let good = "\"https://x\"";
    for (base_url, orgs, place, message, help) in [
        ("\"http://provision.masstack.com/v1\"", "[\"o\"]", "2:12", "the token would travel in clear", "use https"),
        ("\"ftp://x/v1\"", "[\"o\"]", "2:12", "\"ftp\" is not a scheme", "https://"),
        ("\"provision\"", "[\"o\"]", "2:12", "this is not a URL", "https://"),
        ("\"https://x/v1?key=1\"", "[\"o\"]", "2:12", "nothing may follow the path", "https://"),
        ("\"\"", "[\"o\"]", "2:12", "an empty text says nothing", ""),
        ("8", "[\"o\"]", "2:12", "a text in quotes is needed here, this is a whole number", ""),
        (good, "[]", "3:8", "no org, nothing to do", ""),
        (good, "[\"a\", \"b\", \"a\"]", "3:19", "stands twice in the list", ""),
        (good, "[\"a\", \"\"]", "3:14", "an empty text says nothing", ""),
        (good, "[\"a/b\"]", "3:9", "\"a/b\" is no name", "letters, digits"),
        (good, "\"a\"", "3:8", "a list in square brackets is needed here, this is a text", ""),
    ] {
        check("", &[(&upstream(base_url, orgs), place, message, help)]);
    }
    check(
        LEAST,
        &[
            ("service_account_file = \"s.json\"\n", "4:1", "both `service_account_file` and `token_file`", "remove the other"),
            ("max_in_flight = 0\n", "5:17", "tesamanager.max_in_flight: must be at least 1, not 0", ""),
            ("reads_per_second = 0\n", "5:20", "must be at least 1, not 0", ""),
            ("writes_per_second = -1\n", "5:21", "must be at least 1, not -1", ""),
            ("reads_per_second = 2.5\n", "5:20", "a whole number is needed here, this is a number with a fraction", ""),
            ("reads_per_second = 99999999999999999999\n", "5:20", "this is a number too large", ""),
            ("settle_time = \"500ms\"\n", "5:15", "must be at least 1s", ""),
            ("settle_time = \"2h\"\n", "5:15", "must be at most 1h", ""),
            ("unsupported_filters = [\"auto_installation\"]\n", "5:24", "\"auto_installation\" is not a filter of the list call", "did you mean `autoInstallation`?"),
            ("unsupported_filters = [\"cancelling\", \"cancelling\"]\n", "5:38", "stands twice in the list", ""),
        ],
    );
}

#[rustfmt::skip] // one case a line
#[test]
fn durations_need_a_unit_and_a_sense() {
    check(
        LEAST,
        &[
            ("connect_timeout = 3\n", "5:19", "a duration needs its unit", "write \"3s\" for seconds"),
            ("connect_timeout = \"30\"\n", "5:19", "a duration needs its unit", "write \"30s\" for seconds"),
            ("connect_timeout = \"-5s\"\n", "5:19", "can't be negative", ""),
            ("connect_timeout = \"soon\"\n", "5:19", "\"soon\" is not a duration", "\"2h 30m\""),
            ("request_timeout = \"0s\"\n", "5:19", "must be at least 1ms", ""),
            ("request_timeout = \"1h\"\n", "5:19", "must be at most 10m", ""),
            ("[state]\nretention = \"1h\"\n", "6:13", "must be at least 1day", ""),
            ("[state]\nretention = \"1000000 years\"\n", "6:13", "must be at most", ""),
            ("[daemon]\ndrain_timeout = \"0s\"\n", "6:17", "must be at least 1s", ""),
        ],
    );
}

#[rustfmt::skip] // one case a line
#[test]
fn endpoints_must_be_addressable_and_reads_must_read() {
    let section = format!("{LEAST}[tesamanager.endpoints]\n");
    check(
        &section,
        &[
            ("get_request = \"GET /tesa/{org}/x\"\n", "6:15", "the path lacks {referenceId}", "GET /path/{org}/{referenceId}"),
            ("get_request = \"GET /x/{referenceId}\"\n", "6:15", "the path lacks {org}", "GET"),
            ("list_reference_ids = \"GET /x/{org}/{referenceId}\"\n", "6:22", "only {org} can be filled in here", "GET"),
            ("get_request = \"DELETE /{org}/{referenceId}\"\n", "6:15", "reads change nothing", "one of: GET"),
            ("create_port = \"GET /{org}\"\n", "6:15", "this operation writes", "POST"),
            ("create_port = \"post /{org}\"\n", "6:15", "\"post\" does not fit", "did you mean `POST`?"),
            ("create_port = \"/{org}/ports\"\n", "6:15", "is no endpoint", "POST /path/{org}"),
            ("create_port = \"POST {org}/ports\"\n", "6:15", "is not a path", "begins with '/'"),
            ("create_port = \"POST /{org}/ports?x=1\"\n", "6:15", "is not a path", "no query"),
        ],
    );
}

#[rustfmt::skip] // one case a line
#[test]
fn the_other_sections_refuse_what_makes_no_sense() {
    check(
        LEAST,
        &[
            ("[state]\nurl = \"mysql://h/d\"\n", "6:7", "no store that we know", "sqlite:FILE"),
            ("[state]\nurl = \"sqlite:\"\n", "6:7", "the file's name is missing", "sqlite:FILE"),
            ("[state]\nurl = \"sqlite::memory:\"\n", "6:7", "would forget which writes were sent", "name a file"),
            ("[state]\nurl = \"postgres://u:pw@h/d\"\n", "6:7", "a password must not stand in the url", "state.password_file"),
            ("[state]\nurl = \"postgres://u@h/d?password=pw\"\n", "6:7", "a password must not stand in the url", "state.password_file"),
            ("[state]\nurl = \"postgres://u@h/d?sslmdoe=verify-full\"\n", "6:7", "\"sslmdoe\" is no parameter of the url that is known", "did you mean `sslmode`?"),
            ("[state]\nurl = \"postgres://u@h/d?sslmode=verify_full\"\n", "6:7", "\"verify_full\" is not a value of sslmode", "did you mean `verify-full`?"),
            ("[state]\npassword_file = \"p\"\n", "6:1", "SQLite has no password", "postgres://"),
            ("[http]\nlisten = \":9999\"\n", "6:10", "\":9999\" is not an address and a port", "\"127.0.0.1:9999\""),
            ("[daemon]\nlog_level = \"inof\"\n", "6:13", "\"inof\" is not a level", "did you mean `info`?"),
            ("[daemon]\nlog_level = \"info,sqlx=loud\"\n", "6:13", "info,sqlx=loud", ""),
            ("[daemon]\nlog_format = \"xml\"\n", "6:14", "\"xml\" is not a form of the log", "one of: auto, human, json"),
            ("[safety]\nmode = \"enforced\"\n", "6:8", "\"enforced\" is not a mode", "did you mean `enforce`?"),
            ("[safety]\nmax_writes_per_run = 0\n", "6:22", "must be at least 1", "mode = \"observe\""),
            ("[safety]\nhold_above_fraction = 1.5\n", "6:23", "must lie between 0 and 1", "0.1 is a tenth"),
            ("[safety]\nhold_above_fraction = nan\n", "6:23", "must lie between 0 and 1", "0.1 is a tenth"),
            ("[safety]\nmax_attempts = 0\n", "6:16", "must be at least 1", ""),
            ("[safety]\nverify_after = []\n", "6:16", "no write could ever be settled", ""),
            ("[safety]\nverify_after = [\"1m\", 5]\n", "6:23", "a duration needs its unit", "\"5s\""),
            ("[safety]\nbackoff = \"10m\"\n", "6:1", "[safety.backoff] is needed here, this is a text", "write [safety.backoff]"),
            ("[safety]\nbackoff = { initial = \"10m\", max = \"5m\" }\n", "6:30", "`max` must not be shorter than `initial`", ""),
        ],
    );
}

#[rustfmt::skip] // one case a line
#[test]
fn attributes_about_persons_are_refused_and_so_is_what_points_nowhere() {
    let case = |line: &'static str, message: &'static str, help: &'static str| {
        let place = if message.contains("name") { "6:1" } else { "6:5" };
        (format!("[attributes]\n{line}\n"), place, message, help)
    };
    let person = |line| case(line, "is about a person", "impersonal");
    let cases = [
        person("a = \"/customer/id\""),
        person("a = \"/customer\""),
        person("a = \"/technical_coordinators/0/role\""),
        person("a = \"/technicalCoordinators/0/role\""),
        person("a = \"/servicePoint/contactPhone\""),
        person("a = \"/servicePoint/owner/full_name\""),
        person("a = \"/servicePoint/Email\""),
        person("a = \"/servicePoint/documento\""),
        person("a = \"/servicePoint/NIF\""),
        case("a = \"servicePoint\"", "is no JSON pointer", "/servicePoint/cto"),
        case("a = \"/\"", "is no JSON pointer", "/servicePoint/cto"),
        case("status = \"/servicePoint/cto\"", "can't be an attribute's name", "of your own"),
        case("CTO = \"/servicePoint/cto\"", "can't be an attribute's name", "of your own"),
    ];
    let cases: Vec<Case<'_>> = cases.iter().map(|(text, place, message, help)| (text.as_str(), *place, *message, *help)).collect();
    check(LEAST, &cases);
    let sound = parse(&format!("{LEAST}[attributes]\ncto = \"/servicePoint/cto\"\nzone = \"/servicePoint/area/0\"\n"));
    assert_eq!(sound.unwrap().tesamanager.attributes.0.len(), 2);
}

#[rustfmt::skip] // one case a line
#[test]
fn schedules_must_come_round() {
    let job = format!("{LEAST}[[job]]\nname = \"j\"\nkind = \"flag_events\"\n");
    check(
        &job,
        &[
            ("", "5:1", "job j: neither `schedule` nor `every` is given", "every = \"10m\""),
            ("schedule = \"0 0 * * * *\"\nevery = \"5m\"\n", "9:1", "both `schedule` and `every` are given", "remove the other"),
            ("schedule = \"*/5 * * * *\"\n", "8:12", "five fields, six are needed: seconds come first", "did you mean \"0 */5 * * * *\"?"),
            ("schedule = \"@daily\"\n", "8:12", "has 1 fields", "\"0 */5 * * * *\""),
            ("schedule = \"0 61 * * * *\"\n", "8:12", "is no schedule", "seconds, minutes"),
            ("schedule = \"0 0 0 31 2 *\"\n", "8:12", "\"0 0 0 31 2 *\" never comes", "no such day"),
            ("schedule = \"0 0 0 * * *\"\ntimezone = \"Madrid\"\n", "9:12", "\"Madrid\" is not a time zone", "did you mean `Europe/Madrid`?"),
            ("schedule = \"0 0 0 * * *\"\ntimezone = \"Europe/Madird\"\n", "9:12", "is not a time zone", "did you mean `Europe/Madrid`?"),
            ("every = \"5m\"\ntimezone = \"UTC\"\n", "9:1", "`timezone` means nothing with `every`", "remove it"),
            ("every = \"500ms\"\n", "8:9", "must be at least 1s", ""),
            ("every = \"1500ms\"\n", "8:9", "must be in whole seconds", ""),
            ("every = 5\n", "8:9", "a duration needs its unit", "\"5m\" for minutes"),
            ("every = \"5m\"\njitter = \"5m\"\n", "9:1", "`jitter` must be shorter than `every`", ""),
            ("every = \"5m\"\noverlap = \"queue\"\n", "9:11", "\"queue\" is not a word for overlap", "skip, queue_one"),
            ("every = \"5m\"\ncatch_up = \"lates\"\n", "9:12", "\"lates\" is not a word for catch_up", "did you mean"),
            ("every = \"5m\"\ntimeout = \"0s\"\n", "9:11", "must be at least 1s", ""),
        ],
    );
    for good in ["0 0 0 29 2 *", "*/15 * * * * *", "0 0 9 * * MON-FRI"] {
        let text = format!("{job}schedule = \"{good}\"\n");
        parse(&text).unwrap_or_else(|errors| panic!("{good}: {errors}"));
    }
}

#[rustfmt::skip] // one case a line
#[test]
fn jobs_have_a_name_of_their_own_and_a_known_kind() {
    check(
        LEAST,
        &[
            ("[[job]]\nkind = \"flag_events\"\nevery = \"5m\"\n", "5:1", "`name` is missing in [[job]]", "name = "),
            ("[[job]]\nname = \"j\"\nevery = \"5m\"\n", "5:1", "`kind` is missing in [[job]]", "kind = "),
            ("[[job]]\nname = \"j\"\nkind = \"retry\"\nevery = \"5m\"\n", "7:8", "\"retry\" is not a kind of job", "retry_stuck"),
            ("[[job]]\nname = \"a b\"\nkind = \"flag_events\"\nevery = \"5m\"\n", "6:8", "\"a b\" is no name", "letters, digits"),
            ("[[job]]\nname = \"-x\"\nkind = \"flag_events\"\nevery = \"5m\"\n", "6:8", "\"-x\" is no name", "letters, digits"),
            ("[[job]]\nname = \"j\"\nkind = \"flag_events\"\nevery = \"5m\"\n[[job]]\nname = \"j\"\nkind = \"flag_events\"\nevery = \"6m\"\n", "10:8", "another job has this name", "choose another"),
            ("[[job]]\nname = \"h\"\nkind = \"housekeeping\"\nevery = \"5m\"\n[[job.rule]]\nname = \"r\"\naction = \"flag\"\n", "9:7", "housekeeping has no rules", "retention"),
        ],
    );
    check(
        "job = []\n",
        &[(
            LEAST,
            "1:1",
            "an empty list of [[job]] says nothing",
            "leave the key out",
        )],
    );
}

#[rustfmt::skip] // one case a line
#[test]
fn rules_that_can_never_be_right_are_refused() {
    let rule = |kind: &str| {
        format!(
            "{LEAST}[[job]]\nname = \"j\"\nkind = \"{kind}\"\nevery = \"5m\"\n[[job.rule]]\nname = \"r\"\n"
        )
    };
    check(
        &rule("resolve_issues"),
        &[
            ("", "9:1", "job j, rule r: `action` is missing in [[job.rule]]", "action = "),
            ("action = \"resned\"\n", "11:10", "\"resned\" is not an action", "did you mean `resend`?"),
            ("action = \"flag\"\nstatuses = []\n", "12:12", "an empty list would select nothing: leave the key out to match all", ""),
            ("action = \"flag\"\nstatuses = [\"NOT_SEND\"]\n", "12:13", "\"NOT_SEND\" is not a status", "did you mean `NOT_SENT`?"),
            ("action = \"flag\"\nstatuses = [\"not_sent\"]\n", "12:13", "\"not_sent\" is not a status", "did you mean `NOT_SENT`?"),
            ("action = \"flag\"\npersistence_type = \"ACTIVATON\"\n", "12:20", "is not a kind of request", "did you mean `ACTIVATION`?"),
            ("action = \"flag\"\nterritory_owners = [\"VULA\"]\n", "12:21", "\"VULA\" is not a territory owner", "VULA_COMMERCIAL"),
            ("action = \"flag\"\norgs = [\"yogio\"]\n", "12:9", "\"yogio\" is not among tesamanager.orgs", "did you mean `yoigo`?"),
            ("action = \"flag\"\ncancelling = \"yes\"\n", "12:14", "true or false is needed here, this is a text", ""),
            ("action = \"flag\"\nobservations = \"x\"\n", "12:1", "`observations` is no parameter of flag", "remove the key"),
            ("action = \"resolve_incident\"\nport = \"4\"\n", "12:1", "`port` is no parameter of resolve_incident", "it takes observations"),
            ("action = \"create_port\"\n", "9:1", "`port` is missing: create_port needs it", ""),
            ("action = \"change_cto\"\ncto_identifier = \"C\"\nreason = \"broken\"\n", "13:10", "\"broken\" is not a reason to change a CTO", "AV, OT"),
            ("action = \"resolve_incident\"\nobservations = \"{isue_code}\"\n", "12:16", "{isue_code} is not a field of a request", "did you mean `issue_code`?"),
            ("action = \"resolve_incident\"\nobservations = \"{issue_code\"\n", "12:16", "a brace stands alone", ""),
            ("action = \"resolve_incident\"\nstatuses = [\"CANCELED\"]\n", "12:1", "CANCELED is final", "action = \"flag\""),
            ("action = \"flag\"\nstatuses = [\"FINISHED\"]\n", "12:1", "FINISHED is final: resolve_issues does not look at such requests", "retry_stuck"),
            ("action = \"resolve_incident\"\ncancelling = true\n", "11:1", "no other repair may be sent", "cancel_request"),
            ("action = \"resend\"\n", "11:1", "resend is only for requests that were never handed on", "NOT_SENT"),
            ("action = \"resend\"\nstatuses = [\"NOT_SENT\", \"PROCESSING\"]\n", "12:1", "resend is only for requests", "a second order"),
        ],
    );
    check(
        &rule("retry_stuck"),
        &[
            ("action = \"flag\"\n", "9:1", "`not_updated_for` is missing: what is stuck must have an age", "48h"),
            ("action = \"flag\"\nnot_updated_for = \"1h\"\nissue_codes = [\"CLI-*\"]\n", "13:1", "`issue_codes` asks about issues, which retry_stuck does not look at", "resolve_issues"),
            ("action = \"flag\"\nnot_updated_for = \"1h\"\nrepeated = true\n", "13:1", "`repeated` asks about issues", "resolve_issues"),
            ("action = \"resolve_incident\"\nnot_updated_for = \"1h\"\nobservations = \"{issue_code}\"\n", "13:16", "{issue_code} is known only in a resolve_issues job", "would always flag"),
            ("action = \"flag\"\nnot_updated_for = \"1h\"\n[[job.rule]]\nname = \"r\"\naction = \"flag\"\nnot_updated_for = \"30m\"\n", "14:8", "another rule has this name", "choose another"),
        ],
    );
    check(
        &rule("flag_events"),
        &[(
            "action = \"resolve_incident\"\n",
            "11:1",
            "does not fit a job that flags events",
            "create_status_cto",
        ), (
            "action = \"create_status_cto\"\nstatuses = [\"FINISHED\"]\n",
            "12:1",
            "FINISHED is final: nothing can be sent for such a request",
            "action = \"flag\"",
        )],
    );
}

#[rustfmt::skip] // one case a line
#[test]
fn a_file_that_is_no_toml_is_told_so_with_the_line() {
    check(
        "",
        &[
            ("[tesamanager\n", "1:13", "unclosed table", ""),
            ("[safety]\nmax_attempts = \n", "2:16", "", ""),
            ("[safety]\nmode = \"observe\"\nmode = \"enforce\"\n", "3:1", "duplicate key", ""),
        ],
    );
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(48))]

    /// Whatever a slip of the hand makes of a file, it is read or refused with a place, and nothing breaks.
    #[test]
    fn a_slip_anywhere_in_a_file_is_survived(at in 0usize..9000, cut in 0usize..12, put in "[\\PC\n\t]{0,6}") {
        let example = config::example().replace("\n#", "\n");
        let chars: Vec<char> = example.chars().collect();
        let at = at % chars.len();
        let end = (at + cut).min(chars.len());
        let text: String = chars[..at].iter().copied().chain(put.chars()).chain(chars[end..].iter().copied()).collect();
        if let Err(errors) = parse(&text) {
            proptest::prop_assert!(errors.iter().all(|problem| !problem.place.is_empty()));
            proptest::prop_assert!(errors.to_string().ends_with("in the configuration"));
        }
    }
}
