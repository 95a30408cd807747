//! How each command is used: lines that the manual shows, and that a test reads with the real command line.

/// A command by its names, without the program's, and lines that show its use.
pub type Examples = (
    &'static [&'static str],
    &'static [(&'static str, &'static str)],
);

/// How each command is used. A test reads every line with the real command line.
pub const EXAMPLES: &[Examples] = &[
    (
        &[],
        &[
            (
                "tesa-reconciler plan",
                "What would be done now; nothing is written.",
            ),
            ("tesa-reconciler status", "How things stand, on one screen."),
            (
                "tesa-reconciler pause --all --reason 'change at the gateway'",
                "Stop new writes on every replica, at once.",
            ),
        ],
    ),
    (
        &["run"],
        &[
            (
                "tesa-reconciler run --config /etc/tesa-reconciler/tesa-reconciler.toml",
                "The daemon.",
            ),
            (
                "tesa-reconciler run --once --job retry-stuck --output json",
                "One job, once; ends with its outcome.",
            ),
            (
                "tesa-reconciler run --once --quiet --textfile /var/lib/tesa-reconciler/once.prom",
                "Each job, once, for a timer: the log tells of the runs, and the file is for node_exporter.",
            ),
        ],
    ),
    (
        &["plan"],
        &[
            (
                "tesa-reconciler plan --job retry-stuck --org masmovil",
                "What this job would do for this tenant, and why.",
            ),
            (
                "tesa-reconciler plan --all",
                "With what is left alone, and why.",
            ),
        ],
    ),
    (
        &["explain"],
        &[(
            "tesa-reconciler explain SBX-0001234",
            "Why was this order not sent again?",
        )],
    ),
    (
        &["trigger"],
        &[(
            "tesa-reconciler trigger retry-stuck --org masmovil --wait",
            "Run it now, and end with its outcome.",
        )],
    ),
    (
        &["pause"],
        &[
            (
                "tesa-reconciler pause --all --reason 'change at the gateway' --until 2h",
                "Everything, for two hours.",
            ),
            (
                "tesa-reconciler pause retry-stuck --reason 'being looked at'",
                "One job, until it is resumed.",
            ),
        ],
    ),
    (
        &["resume"],
        &[(
            "tesa-reconciler resume --all --reason 'change is done'",
            "Everything goes on.",
        )],
    ),
    (
        &["release"],
        &[(
            "tesa-reconciler release retry-stuck --org masmovil --reason 'box was repaired'",
            "Let a job go on that the guard holds.",
        )],
    ),
    (
        &["jobs"],
        &[(
            "tesa-reconciler jobs",
            "When each runs, how it went, what holds it.",
        )],
    ),
    (
        &["runs"],
        &[(
            "tesa-reconciler runs --since 12h --outcome failed",
            "What failed last night.",
        )],
    ),
    (
        &["stuck"],
        &[
            (
                "tesa-reconciler stuck --org masmovil",
                "What is stuck now, oldest first.",
            ),
            (
                "tesa-reconciler stuck --output csv",
                "All of it, for a spreadsheet.",
            ),
            (
                "tesa-reconciler stuck --group-by issue_code",
                "Do they share a cause?",
            ),
        ],
    ),
    (
        &["report"],
        &[(
            "tesa-reconciler report delivery --since 2026-10-01 --until 2026-11-01 --output csv",
            "Every order of October against what the contract says.",
        )],
    ),
    (
        &["report", "parties"],
        &[(
            "tesa-reconciler report parties --since 90d",
            "Whose time it was, by kind, terms and month.",
        )],
    ),
    (
        &["report", "delivery"],
        &[(
            "tesa-reconciler report delivery --since 90d",
            "How the promises were kept.",
        )],
    ),
    (
        &["report", "stuck"],
        &[(
            "tesa-reconciler report stuck --output csv",
            "All that is stuck, for a spreadsheet.",
        )],
    ),
    (
        &["report", "night"],
        &[(
            "tesa-reconciler report night --since 'yesterday 22:00'",
            "What was done since then.",
        )],
    ),
    (
        &["history"],
        &[(
            "tesa-reconciler history SBX-0001234",
            "Its whole life, and whose time it was.",
        )],
    ),
    (
        &["rehearse"],
        &[(
            "tesa-reconciler rehearse --config new.toml --since 30d",
            "What the rules of new.toml would have done in a month.",
        )],
    ),
    (
        &["causes"],
        &[
            (
                "tesa-reconciler causes --org masmovil",
                "What the stuck ones have in common.",
            ),
            (
                "tesa-reconciler causes --of failed --since 24h",
                "The same of those whose attempts failed.",
            ),
        ],
    ),
    (
        &["findings"],
        &[(
            "tesa-reconciler findings --kind stuck_request --org masmovil",
            "What is stuck.",
        )],
    ),
    (
        &["findings", "ack"],
        &[
            (
                "tesa-reconciler findings ack 17 18 --reason 'the carrier knows'",
                "Hands off, until they change.",
            ),
            (
                "tesa-reconciler findings ack --rule installer-waits --org masmovil --reason 'the carrier knows' --confirm=200",
                "All two hundred of one kind.",
            ),
        ],
    ),
    (
        &["attempts"],
        &[(
            "tesa-reconciler attempts --state needs_human --output json",
            "Writes that wait for a person.",
        )],
    ),
    (
        &["attempts", "settle"],
        &[(
            "tesa-reconciler attempts settle 42 --confirmed --reason 'seen in the portal'",
            "The write had its effect.",
        )],
    ),
    (
        &["attempts", "retry"],
        &[(
            "tesa-reconciler attempts retry SBX-0001234 --reason 'the address is mended'",
            "An order that was given up may be tried again.",
        )],
    ),
    (
        &["rates"],
        &[(
            "tesa-reconciler rates",
            "Which orgs the upstream asked to be left alone, and until when.",
        )],
    ),
    (
        &["rates", "reset"],
        &[(
            "tesa-reconciler rates reset --org masmovil --reason 'their team says it is over'",
            "Ask that org again.",
        )],
    ),
    (
        &["audit"],
        &[(
            "tesa-reconciler audit --since 12h",
            "Who did what, and why.",
        )],
    ),
    (
        &["status"],
        &[(
            "tesa-reconciler status",
            "How things stand, and what to do next.",
        )],
    ),
    (
        &["doctor"],
        &[(
            "tesa-reconciler doctor",
            "What is wrong here, and how it is mended.",
        )],
    ),
    (
        &["config"],
        &[(
            "tesa-reconciler config check",
            "What is wrong with the configuration.",
        )],
    ),
    (
        &["config", "check"],
        &[
            (
                "tesa-reconciler config check --config new.toml",
                "All that is wrong with a file, before it is put in place.",
            ),
            (
                "tesa-reconciler config check --explain --mode enforce",
                "What each rule comes to: its classes, list calls and reads, and whether it would act.",
            ),
        ],
    ),
    (
        &["config", "show"],
        &[(
            "tesa-reconciler config show",
            "What holds, and where each value comes from.",
        )],
    ),
    (
        &["config", "example"],
        &[(
            "tesa-reconciler config example",
            "Every key with its default: save it as tesa-reconciler.toml, and begin.",
        )],
    ),
    (
        &["console"],
        &[(
            "tesa-reconciler console password ana --role operator",
            "Ana may act in the console; she types her password, and it is not shown.",
        )],
    ),
    (
        &["console", "password"],
        &[
            (
                "tesa-reconciler console password ana --role operator",
                "Ana may act; she types her password, and it is not shown.",
            ),
            (
                "tesa-reconciler console password wallboard",
                "Who only looks; in a pipe the password is read from stdin.",
            ),
        ],
    ),
    (
        &["state"],
        &[(
            "tesa-reconciler state copy --help",
            "What moving to another database takes.",
        )],
    ),
    (
        &["state", "copy"],
        &[(
            "tesa-reconciler state copy --from sqlite:tesa-reconciler.db --to postgres://tesa@db.example.org/tesa --reason 'replicas'",
            "The daemon is stopped, the database empty.",
        )],
    ),
    (
        &["state", "adopt"],
        &[(
            "tesa-reconciler state adopt --reason 'looked up in Tesamanager what was sent since'",
            "After a restore, or on a new store that shall be acted from at once.",
        )],
    ),
    (
        &["state", "backup"],
        &[
            (
                "tesa-reconciler state backup /backup/tesa-reconciler.db",
                "While the daemon works on it.",
            ),
            (
                "tesa-reconciler state backup -",
                "To stdout, as out of a pod: send it to a file.",
            ),
        ],
    ),
    (
        &["state", "sent"],
        &[(
            "tesa-reconciler state sent /tmp/tesa-reconciler.log",
            "What was sent after the backup that was restored.",
        )],
    ),
    (
        &["migrate"],
        &[(
            "tesa-reconciler migrate",
            "Before the daemon is started, if you like.",
        )],
    ),
    (
        &["healthcheck"],
        &[(
            "tesa-reconciler healthcheck",
            "Ends with 0 while the daemon here lives.",
        )],
    ),
    (
        &["completions"],
        &[
            (
                "tesa-reconciler completions bash",
                "In ~/.bashrc: source <(tesa-reconciler completions bash)",
            ),
            (
                "tesa-reconciler completions fish",
                "In config.fish: tesa-reconciler completions fish | source",
            ),
        ],
    ),
    (
        &["man"],
        &[
            (
                "tesa-reconciler man findings ack",
                "A page to the terminal: pipe it into man -l -",
            ),
            (
                "tesa-reconciler man --dir /usr/local/share/man/man1",
                "All pages, to be found by man(1).",
            ),
        ],
    ),
    (
        &["sandbox"],
        &[(
            "tesa-reconciler sandbox --requests 2000 --stuck-unsent 10",
            "A Tesamanager in memory.",
        )],
    ),
    (
        &["demo"],
        &[("tesa-reconciler demo --for 30s", "See it at work.")],
    ),
];
