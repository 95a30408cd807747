-- The ledger and everything around it, for PostgreSQL (13 or newer). The same tables under the same number and name
-- as for SQLite, in native types.
--
-- Text is compared byte by byte (COLLATE "C") whatever the database's own locale: so both back ends order alike, and
-- no upgrade of the operating system's collations can damage an index.
-- Ids are identity columns: an id is never given twice, though some may never be given.

-- The last migration that a program must know to work on this schema. One that only adds leaves it as it is; one that
-- takes away raises it, a version later.
CREATE TABLE schema_floor (
    only_row  integer NOT NULL PRIMARY KEY CHECK (only_row = 1),
    migration bigint NOT NULL
);
INSERT INTO schema_floor (only_row, migration) VALUES (1, 1);

CREATE TABLE replicas (
    id         text COLLATE "C" NOT NULL PRIMARY KEY,
    host       text COLLATE "C" NOT NULL,
    pid        bigint NOT NULL,
    version    text COLLATE "C" NOT NULL,
    -- By which zone data it knows local time.
    zones      text COLLATE "C" NOT NULL,
    mode       text COLLATE "C" NOT NULL CHECK (mode IN ('observe', 'enforce')),
    started_at timestamptz NOT NULL,
    last_beat  timestamptz NOT NULL
);

-- Fencing tokens come from here and nowhere else, so they only ever grow.
CREATE SEQUENCE fencing AS bigint;

CREATE TABLE runs (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job_name    text COLLATE "C" NOT NULL,
    org         text COLLATE "C" NOT NULL,
    trigger     text COLLATE "C" NOT NULL CHECK (trigger IN ('schedule', 'catch_up', 'signal', 'manual', 'once')),
    slot        timestamptz,
    replica     text COLLATE "C" NOT NULL,
    mode        text COLLATE "C" NOT NULL CHECK (mode IN ('observe', 'enforce')),
    actor       text COLLATE "C" NOT NULL,
    reason      text COLLATE "C" NOT NULL,
    token       bigint NOT NULL UNIQUE,
    started_at  timestamptz NOT NULL,
    last_beat   timestamptz NOT NULL,
    finished_at timestamptz,
    outcome     text COLLATE "C" CHECK (outcome IN ('succeeded', 'partial', 'failed', 'held', 'aborted', 'lost')),
    selected    bigint NOT NULL DEFAULT 0,
    observed    bigint NOT NULL DEFAULT 0,
    unchanged   bigint NOT NULL DEFAULT 0,
    to_act      bigint NOT NULL DEFAULT 0,
    sent        bigint NOT NULL DEFAULT 0,
    flagged     bigint NOT NULL DEFAULT 0,
    skipped     bigint NOT NULL DEFAULT 0,
    -- Writes that a cap withheld.
    capped      bigint NOT NULL DEFAULT 0,
    failed      bigint NOT NULL DEFAULT 0,
    trouble     text COLLATE "C" NOT NULL DEFAULT '',
    CHECK ((finished_at IS NULL) = (outcome IS NULL))
);
-- One run of a job and org at a time, whoever forgets to check.
CREATE UNIQUE INDEX runs_one_running ON runs (job_name, org) WHERE outcome IS NULL;
CREATE INDEX runs_of_job ON runs (job_name, id);
CREATE INDEX runs_finished ON runs (finished_at) WHERE outcome IS NOT NULL;
CREATE INDEX runs_in_observe ON runs (job_name, org, id) WHERE mode = 'observe';

-- A slot that runs: the row is the claim. (No foreign key to the run: either may be pruned first.)
CREATE TABLE slots (
    job_name     text COLLATE "C" NOT NULL,
    org          text COLLATE "C" NOT NULL,
    scheduled_at timestamptz NOT NULL,
    run_id       bigint NOT NULL,
    PRIMARY KEY (job_name, org, scheduled_at)
);
CREATE INDEX slots_by_age ON slots (scheduled_at);

-- Slots that did not run, a stretch a row: a year of missed minutes is one row.
CREATE TABLE unrun_slots (
    job_name    text COLLATE "C" NOT NULL,
    org         text COLLATE "C" NOT NULL,
    result      text COLLATE "C" NOT NULL CHECK (result IN ('run', 'deduplicated', 'skipped_overlap', 'skipped_paused', 'missed')),
    first_at    timestamptz NOT NULL,
    last_at     timestamptz NOT NULL,
    count       bigint,
    recorded_at timestamptz NOT NULL,
    PRIMARY KEY (job_name, org, result, first_at),
    CHECK (last_at >= first_at)
);
CREATE INDEX unrun_slots_by_age ON unrun_slots (last_at);

-- What must be known of a job and org however much history is pruned.
CREATE TABLE job_memory (
    job_name     text COLLATE "C" NOT NULL,
    org          text COLLATE "C" NOT NULL,
    last_slot    timestamptz,
    last_started timestamptz,
    last_outcome text COLLATE "C" CHECK (last_outcome IN ('succeeded', 'partial', 'failed', 'held', 'aborted', 'lost')),
    last_success timestamptz,
    PRIMARY KEY (job_name, org)
);

-- The key begins with the reference, so it finds a request by its reference alone, too.
CREATE TABLE observations (
    reference_id       text COLLATE "C" NOT NULL,
    org                text COLLATE "C" NOT NULL,
    external_reference text COLLATE "C",
    persistence_type   text COLLATE "C" CHECK (persistence_type IN ('ACTIVATION', 'TERMINATION')),
    status             text COLLATE "C" NOT NULL,
    cancelling         boolean NOT NULL,
    auto_installation  boolean,
    territory_owner    text COLLATE "C" CHECK (territory_owner IN ('NEBA', 'VULA_COMMERCIAL', 'VULA_REGULATED')),
    request_number     bigint,
    subrequest_number  bigint,
    -- What the operator declared impersonal: a JSON object of texts.
    attributes         text COLLATE "C",
    created            timestamptz,
    last_updated       timestamptz,
    observed_at        timestamptz NOT NULL,
    PRIMARY KEY (reference_id, org)
);
CREATE INDEX observations_by_order ON observations (external_reference);
CREATE INDEX observations_final ON observations (observed_at) WHERE status IN ('REJECTED', 'CANCELED', 'FINISHED');

-- The life of each order: what was seen of it, appended to and never rewritten. `seen_at` is our first sight, `stamp` the
-- upstream's own date of it; the gap between the two is how exactly we know when it happened. Rows about the request
-- itself are told by the two triggers below, so whoever writes an observation can't forget its history, and the last of
-- them is the observation. What is beside it (its last event, its issues) is told by whoever read it, when it changed.
CREATE TABLE history (
    id                 bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    org                text COLLATE "C" NOT NULL,
    reference_id       text COLLATE "C" NOT NULL,
    -- What of the request it is about: 'request', 'event', one of its issues, or a job's decision.
    subject            text COLLATE "C" NOT NULL,
    happening          text COLLATE "C" NOT NULL CHECK (happening IN (
        'request', 'gone', 'let_go', 'event', 'issue', 'issue_gone', 'decision')),
    seen_at            timestamptz NOT NULL,
    stamp              timestamptz,
    -- Of the request: all that the observation holds.
    external_reference text COLLATE "C",
    persistence_type   text COLLATE "C" CHECK (persistence_type IN ('ACTIVATION', 'TERMINATION')),
    status             text COLLATE "C",
    cancelling         boolean,
    auto_installation  boolean,
    territory_owner    text COLLATE "C" CHECK (territory_owner IN ('NEBA', 'VULA_COMMERCIAL', 'VULA_REGULATED')),
    request_number     bigint,
    subrequest_number  bigint,
    attributes         text COLLATE "C",
    created            timestamptz,
    -- Of an event or an issue: the upstream's id, its place among its like, the type of message or the issue's code.
    upstream_id        bigint,
    sequence           bigint,
    code               text COLLATE "C",
    resolved           boolean,
    repeated           boolean,
    inconsistent       boolean,
    -- Of a decision, whose verdict is the code: whose, and by which rule.
    job_name           text COLLATE "C",
    rule               text COLLATE "C",
    CHECK ((happening = 'request') = (status IS NOT NULL AND cancelling IS NOT NULL))
);
-- Finds a request by its reference alone, and the last row of each thing of it from the index.
CREATE INDEX history_of_request ON history (reference_id, org, subject, id);

-- Statement by statement, because a sweep writes thousands of rows in one. Whoever moves a whole store here brings its
-- history along, and says so.
CREATE FUNCTION tell_observations() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('tesa_reconciler.moves', true) = 'on' THEN
        RETURN NULL;
    END IF;
    IF TG_OP = 'INSERT' THEN
        INSERT INTO history (
            org, reference_id, subject, happening, seen_at, stamp, external_reference, persistence_type, status,
            cancelling, auto_installation, territory_owner, request_number, subrequest_number, attributes, created)
        SELECT org, reference_id, 'request', 'request', observed_at, last_updated, external_reference,
            persistence_type, status, cancelling, auto_installation, territory_owner, request_number,
            subrequest_number, attributes, created
        FROM after;
    ELSE
        INSERT INTO history (
            org, reference_id, subject, happening, seen_at, stamp, external_reference, persistence_type, status,
            cancelling, auto_installation, territory_owner, request_number, subrequest_number, attributes, created)
        SELECT a.org, a.reference_id, 'request', 'request', a.observed_at, a.last_updated, a.external_reference,
            a.persistence_type, a.status, a.cancelling, a.auto_installation, a.territory_owner, a.request_number,
            a.subrequest_number, a.attributes, a.created
        FROM after AS a JOIN before AS b ON b.reference_id = a.reference_id AND b.org = a.org
        WHERE (a.last_updated, a.status, a.cancelling, a.external_reference, a.persistence_type, a.auto_installation,
               a.territory_owner, a.request_number, a.subrequest_number, a.attributes, a.created)
            IS DISTINCT FROM (b.last_updated, b.status, b.cancelling, b.external_reference, b.persistence_type,
                              b.auto_installation, b.territory_owner, b.request_number, b.subrequest_number, b.attributes, b.created);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER observations_are_told AFTER INSERT ON observations REFERENCING NEW TABLE AS after
    FOR EACH STATEMENT EXECUTE FUNCTION tell_observations();
CREATE TRIGGER changes_of_observations_are_told AFTER UPDATE ON observations
    REFERENCING OLD TABLE AS before NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION tell_observations();

CREATE TABLE decisions (
    org          text COLLATE "C" NOT NULL,
    reference_id text COLLATE "C" NOT NULL,
    job_name     text COLLATE "C" NOT NULL,
    run_id       bigint NOT NULL,
    since        timestamptz NOT NULL,
    verdict      text COLLATE "C" NOT NULL,
    rule         text COLLATE "C",
    explanation  text COLLATE "C" NOT NULL,
    PRIMARY KEY (org, reference_id, job_name)
);
-- A decision goes with the observation that it was made on. By their age go only those for which there may be none.
CREATE INDEX decisions_on_nothing ON decisions (since)
    WHERE verdict IN ('not_found', 'read_failed', 'contract_violation');

-- A decision is told when its verdict or its rule is another; its words change more often.
CREATE FUNCTION tell_decisions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('tesa_reconciler.moves', true) = 'on' THEN
        RETURN NULL;
    END IF;
    IF TG_OP = 'INSERT' THEN
        INSERT INTO history (org, reference_id, subject, happening, seen_at, code, job_name, rule)
        SELECT org, reference_id, 'decision ' || job_name, 'decision', since, verdict, job_name, rule FROM after;
    ELSE
        INSERT INTO history (org, reference_id, subject, happening, seen_at, code, job_name, rule)
        SELECT a.org, a.reference_id, 'decision ' || a.job_name, 'decision', a.since, a.verdict, a.job_name, a.rule
        FROM after AS a JOIN before AS b
            ON b.org = a.org AND b.reference_id = a.reference_id AND b.job_name = a.job_name
        WHERE (a.verdict, a.rule) IS DISTINCT FROM (b.verdict, b.rule);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER decisions_are_told AFTER INSERT ON decisions REFERENCING NEW TABLE AS after
    FOR EACH STATEMENT EXECUTE FUNCTION tell_decisions();
CREATE TRIGGER changes_of_decisions_are_told AFTER UPDATE ON decisions
    REFERENCING OLD TABLE AS before NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION tell_decisions();

-- The ledger. A row is committed before its write is sent.
CREATE TABLE attempts (
    id                  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    org                 text COLLATE "C" NOT NULL,
    reference_id        text COLLATE "C" NOT NULL,
    external_reference  text COLLATE "C" NOT NULL,
    operation           text COLLATE "C" NOT NULL CHECK (operation IN (
        'create_activation', 'create_termination', 'cancel_request', 'resolve_incident', 'create_access',
        'terminate_access', 'create_status_cto', 'change_cto', 'create_port', 'create_port2',
        'create_installation_incident', 'create_installation_end')),
    state               text COLLATE "C" NOT NULL CHECK (state IN (
        'intended', 'not_sent', 'rejected', 'accepted', 'unknown', 'confirmed', 'ineffective', 'needs_human')),
    job_name            text COLLATE "C" NOT NULL,
    rule                text COLLATE "C" NOT NULL,
    run_id              bigint NOT NULL REFERENCES runs (id),
    replica             text COLLATE "C" NOT NULL,
    before_status       text COLLATE "C" NOT NULL,
    before_cancelling   boolean NOT NULL,
    before_last_updated timestamptz,
    issue_sequence      bigint,
    -- Of the issue too: what is expected must differ from what was there.
    before_issue_resolved     boolean,
    before_issue_last_updated timestamptz,
    due_since           timestamptz,
    correlation_id      uuid NOT NULL UNIQUE,
    intended_at         timestamptz NOT NULL,
    -- When it was committed by the database's own clock, whoever's clock wrote the rest: what the hour's cap counts.
    counted_at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    changed_at          timestamptz NOT NULL,
    http_status         bigint,
    detail              text COLLATE "C" NOT NULL,
    verifications       bigint NOT NULL DEFAULT 0,
    verify_at           timestamptz,
    -- The request's version that showed the effect: only a later one lets an unsafe write go again.
    confirmed_status       text COLLATE "C",
    confirmed_cancelling   boolean,
    confirmed_last_updated timestamptz
);
-- At most one attempt of unknown outcome an order, and a request: the promise, kept by the database.
CREATE UNIQUE INDEX attempts_one_open ON attempts (org, external_reference)
    WHERE state IN ('intended', 'accepted', 'unknown', 'needs_human');
CREATE UNIQUE INDEX attempts_one_open_a_request ON attempts (org, reference_id)
    WHERE state IN ('intended', 'accepted', 'unknown', 'needs_human');
CREATE INDEX attempts_of_order ON attempts (org, external_reference, id);
CREATE INDEX attempts_by_order ON attempts (lower(external_reference));
CREATE INDEX attempts_by_reference ON attempts (lower(reference_id));
CREATE INDEX attempts_of_hour ON attempts (org, counted_at, state);
CREATE INDEX attempts_of_run ON attempts (run_id, state);
CREATE INDEX attempts_to_verify ON attempts (verify_at) WHERE state IN ('accepted', 'unknown');
CREATE INDEX attempts_by_state ON attempts (state, id);
CREATE INDEX attempts_closed ON attempts (changed_at)
    WHERE state IN ('not_sent', 'rejected', 'confirmed', 'ineffective');

CREATE TABLE attempt_steps (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    attempt_id  bigint NOT NULL REFERENCES attempts (id),
    state       text COLLATE "C" NOT NULL CHECK (state IN (
        'intended', 'not_sent', 'rejected', 'accepted', 'unknown', 'confirmed', 'ineffective', 'needs_human')),
    at          timestamptz NOT NULL,
    who         text COLLATE "C" NOT NULL,
    detail      text COLLATE "C" NOT NULL,
    http_status bigint
);
CREATE INDEX attempt_steps_of_attempt ON attempt_steps (attempt_id, id);

-- History is appended to. Housekeeping may drop the history of a closed attempt, nobody may rewrite any.
CREATE FUNCTION refuse_rewriting() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = 'restrict_violation';
END $$;
CREATE FUNCTION refuse_steps_of_open_attempts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM attempts WHERE id = OLD.attempt_id
        AND state IN ('intended', 'accepted', 'unknown', 'needs_human');
    IF FOUND THEN
        RAISE EXCEPTION 'the history of an open attempt is not deleted' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN OLD;
END $$;
CREATE TRIGGER attempt_steps_are_never_rewritten BEFORE UPDATE ON attempt_steps
    FOR EACH ROW EXECUTE FUNCTION refuse_rewriting('attempt_steps is append-only');
CREATE TRIGGER attempt_steps_of_open_attempts_stay BEFORE DELETE ON attempt_steps
    FOR EACH ROW EXECUTE FUNCTION refuse_steps_of_open_attempts();
CREATE TRIGGER open_attempts_stay BEFORE DELETE ON attempts
    FOR EACH ROW WHEN (OLD.state IN ('intended', 'accepted', 'unknown', 'needs_human'))
    EXECUTE FUNCTION refuse_rewriting('an open attempt is not deleted');
CREATE TRIGGER attempts_keep_what_was_intended BEFORE UPDATE OF
    id, org, reference_id, external_reference, operation, job_name, rule, run_id, replica, before_status,
    before_cancelling, before_last_updated, issue_sequence, before_issue_resolved, before_issue_last_updated, due_since,
    correlation_id, intended_at ON attempts
    FOR EACH ROW EXECUTE FUNCTION refuse_rewriting('what an attempt intended is not rewritten');

-- A person's word that an order may be tried again: the attempts up to `last_attempt` stand in its way no longer.
CREATE TABLE retries (
    org                text COLLATE "C" NOT NULL,
    external_reference text COLLATE "C" NOT NULL,
    at                 timestamptz NOT NULL,
    who                text COLLATE "C" NOT NULL,
    reason             text COLLATE "C" NOT NULL,
    last_attempt       bigint NOT NULL,
    PRIMARY KEY (org, external_reference, at)
);
CREATE INDEX retries_by_age ON retries (at);

-- Requests that were once seen beside another one of the same order, whatever lists say later. One that is `let_go`
-- was known when a person said that the order may be tried again.
CREATE TABLE duplicates (
    org                text COLLATE "C" NOT NULL,
    external_reference text COLLATE "C" NOT NULL,
    reference_id       text COLLATE "C" NOT NULL,
    seen_at            timestamptz NOT NULL,
    let_go             boolean NOT NULL,
    PRIMARY KEY (org, external_reference, reference_id)
);
CREATE INDEX duplicates_by_age ON duplicates (seen_at);

-- The requests of one rule and status, as the upstream's lists name them. How many a complete list named, and when, is
-- kept here once instead of with each of its findings.
CREATE TABLE classes (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    org       text COLLATE "C" NOT NULL,
    job_name  text COLLATE "C" NOT NULL,
    rule      text COLLATE "C" NOT NULL,
    detail    text COLLATE "C" NOT NULL,
    evidence  text COLLATE "C" NOT NULL,
    size      bigint NOT NULL,
    listed_at timestamptz NOT NULL,
    UNIQUE (org, job_name, rule, detail, evidence)
);

-- One that a list named belongs to its class while it isn't resolved; `missing_since` is when a list first named it no
-- more. The key begins with the reference, so it finds a request by its reference alone, too.
CREATE TABLE findings (
    id                  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    org                 text COLLATE "C" NOT NULL,
    reference_id        text COLLATE "C" NOT NULL,
    kind                text COLLATE "C" NOT NULL CHECK (kind IN (
        'stuck_request', 'unresolved_issue', 'inconsistent_event', 'event_sequence_gap', 'event_sequence_duplicate',
        'event_out_of_order', 'event_after_final_status', 'duplicate_reference', 'unknown_status',
        'contract_violation')),
    detail              text COLLATE "C" NOT NULL,
    external_reference  text COLLATE "C",
    job_name            text COLLATE "C" NOT NULL,
    state               text COLLATE "C" NOT NULL CHECK (state IN ('open', 'acknowledged', 'resolved')),
    attention           text COLLATE "C" CHECK (attention IN ('given_up', 'needs_human')),
    evidence            text COLLATE "C" NOT NULL,
    since               timestamptz,
    first_seen          timestamptz NOT NULL,
    last_seen           timestamptz NOT NULL,
    times_seen          bigint NOT NULL DEFAULT 1,
    times_reopened      bigint NOT NULL DEFAULT 0,
    resolved_at         timestamptz,
    class_id            bigint REFERENCES classes (id),
    missing_since       timestamptz,
    -- When its request was last read for what no list tells; NULL: lists alone have told of it.
    read_at             timestamptz,
    UNIQUE (reference_id, org, kind, detail),
    CHECK ((resolved_at IS NOT NULL) = (state = 'resolved')),
    CHECK (state <> 'resolved' OR (class_id IS NULL AND missing_since IS NULL))
);
CREATE INDEX findings_live_of_job ON findings (org, job_name) WHERE state <> 'resolved';
CREATE INDEX findings_live ON findings (id) WHERE state <> 'resolved';
CREATE INDEX findings_oldest ON findings (org, kind, detail, since) WHERE state <> 'resolved' AND since IS NOT NULL;
CREATE INDEX findings_resolved ON findings (resolved_at) WHERE state = 'resolved';
-- By the beginning of either reference, in any case.
CREATE INDEX findings_by_order ON findings (lower(external_reference)) WHERE external_reference IS NOT NULL;
CREATE INDEX findings_by_reference ON findings (lower(reference_id));
-- What each run compares with the lists: read from the index alone, in the order of the bytes.
CREATE INDEX findings_of_class ON findings (class_id, reference_id) WHERE class_id IS NOT NULL;
CREATE INDEX findings_of_no_class ON findings (org, job_name, reference_id)
    WHERE state <> 'resolved' AND class_id IS NULL;
-- Those that were read and have no date all the same come last: what was read longest ago first.
CREATE INDEX findings_without_details ON findings (org, job_name, read_at NULLS FIRST, id)
    WHERE class_id IS NOT NULL AND since IS NULL;
CREATE INDEX findings_missing ON findings (org, job_name) WHERE missing_since IS NOT NULL;
CREATE INDEX findings_with_attention ON findings (org, job_name, reference_id)
    WHERE state <> 'resolved' AND attention IS NOT NULL;

-- What people said: hands off. It belongs to the request, and to its order once that is known; never to a job, a run or
-- the finding that it was said of. Several of one request stand beside each other. `status` and `cancelling` are the
-- request's as it was said; of an issue's finding the issue counts instead.
CREATE TABLE acknowledgements (
    id                 bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    org                text COLLATE "C" NOT NULL,
    reference_id       text COLLATE "C" NOT NULL,
    external_reference text COLLATE "C",
    kind               text COLLATE "C" NOT NULL,
    detail             text COLLATE "C" NOT NULL,
    status             text COLLATE "C",
    cancelling         boolean,
    last_updated       timestamptz,
    repeated           boolean,
    who                text COLLATE "C" NOT NULL,
    reason             text COLLATE "C" NOT NULL,
    given_at           timestamptz NOT NULL,
    ended_at           timestamptz,
    ended_why          text COLLATE "C",
    CHECK ((ended_at IS NULL) = (ended_why IS NULL))
);
CREATE INDEX acknowledgements_of_request ON acknowledgements (org, reference_id) WHERE ended_at IS NULL;
CREATE INDEX acknowledgements_of_order ON acknowledgements (org, external_reference) WHERE ended_at IS NULL;
CREATE INDEX acknowledgements_by_reference ON acknowledgements (reference_id);
CREATE INDEX acknowledgements_ended ON acknowledgements (ended_at) WHERE ended_at IS NOT NULL;

-- How many findings there are of each sort, kept with every change of one: a scrape, a page and the notices ask for it
-- every few seconds, and counting a million rows each time would cost more than all else the store does.
CREATE TABLE finding_counts (
    org       text COLLATE "C" NOT NULL,
    kind      text COLLATE "C" NOT NULL,
    -- For a stuck request, where it is stuck (its finding's detail).
    status    text COLLATE "C" NOT NULL,
    state     text COLLATE "C" NOT NULL CHECK (state IN ('open', 'acknowledged')),
    attention text COLLATE "C" NOT NULL,
    count     bigint NOT NULL,
    PRIMARY KEY (org, kind, status, state, attention)
);

-- Once a statement, not once a row. The rows are taken in one order by everybody, after those of the findings
-- themselves: so two that wait for each other here can't be.
CREATE FUNCTION count_findings() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO finding_counts AS kept (org, kind, status, state, attention, count)
        SELECT org, kind, CASE kind WHEN 'stuck_request' THEN detail ELSE '' END, state, coalesce(attention, ''), count(*)
        FROM after WHERE state <> 'resolved' GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5
        ON CONFLICT (org, kind, status, state, attention) DO UPDATE SET count = kept.count + excluded.count;
    ELSIF TG_OP = 'UPDATE' THEN
        INSERT INTO finding_counts AS kept (org, kind, status, state, attention, count)
        SELECT org, kind, CASE kind WHEN 'stuck_request' THEN detail ELSE '' END, state, coalesce(attention, ''), sum(n)
        FROM (SELECT org, kind, detail, state, attention, 1 AS n FROM after WHERE state <> 'resolved'
              UNION ALL SELECT org, kind, detail, state, attention, -1 FROM before WHERE state <> 'resolved') AS changed
        GROUP BY 1, 2, 3, 4, 5 HAVING sum(n) <> 0 ORDER BY 1, 2, 3, 4, 5
        ON CONFLICT (org, kind, status, state, attention) DO UPDATE SET count = kept.count + excluded.count;
    ELSE
        INSERT INTO finding_counts AS kept (org, kind, status, state, attention, count)
        SELECT org, kind, CASE kind WHEN 'stuck_request' THEN detail ELSE '' END, state, coalesce(attention, ''), -count(*)
        FROM before WHERE state <> 'resolved' GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5
        ON CONFLICT (org, kind, status, state, attention) DO UPDATE SET count = kept.count + excluded.count;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER findings_are_counted_in AFTER INSERT ON findings REFERENCING NEW TABLE AS after
    FOR EACH STATEMENT EXECUTE FUNCTION count_findings();
CREATE TRIGGER findings_are_counted_anew AFTER UPDATE ON findings REFERENCING OLD TABLE AS before NEW TABLE AS after
    FOR EACH STATEMENT EXECUTE FUNCTION count_findings();
CREATE TRIGGER findings_are_counted_out AFTER DELETE ON findings REFERENCING OLD TABLE AS before
    FOR EACH STATEMENT EXECUTE FUNCTION count_findings();


-- The pause of all jobs has the empty name.
CREATE TABLE pauses (
    job_name text COLLATE "C" NOT NULL PRIMARY KEY,
    who      text COLLATE "C" NOT NULL,
    reason   text COLLATE "C" NOT NULL,
    since    timestamptz NOT NULL,
    until    timestamptz
);

CREATE TABLE latches (
    job_name text COLLATE "C" NOT NULL,
    org      text COLLATE "C" NOT NULL,
    since    timestamptz NOT NULL,
    reason   text COLLATE "C" NOT NULL,
    PRIMARY KEY (job_name, org)
);

CREATE TABLE releases (
    job_name    text COLLATE "C" NOT NULL,
    org         text COLLATE "C" NOT NULL,
    released_at timestamptz NOT NULL,
    PRIMARY KEY (job_name, org)
);

CREATE TABLE triggers (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job_name     text COLLATE "C" NOT NULL,
    org          text COLLATE "C" NOT NULL,
    who          text COLLATE "C" NOT NULL,
    reason       text COLLATE "C" NOT NULL,
    requested_at timestamptz NOT NULL,
    taken_by     text COLLATE "C",
    run_id       bigint
);
CREATE INDEX triggers_unanswered ON triggers (id) WHERE run_id IS NULL;
CREATE INDEX triggers_answered ON triggers (requested_at) WHERE run_id IS NOT NULL;

CREATE TABLE circuits (
    org       text COLLATE "C" NOT NULL PRIMARY KEY,
    state     text COLLATE "C" NOT NULL CHECK (state IN ('closed', 'open', 'half_open')),
    cause     text COLLATE "C" CHECK (cause IN (
        'timeouts', 'connect', 'reset', 'http_5xx', 'http_429', 'unknown_outcome', 'other')),
    failures  bigint NOT NULL,
    opened_at timestamptz,
    probe_at  timestamptz
);

-- Orgs of which the upstream asked for patience (Retry-After).
CREATE TABLE held_back (
    org   text COLLATE "C" NOT NULL PRIMARY KEY,
    until timestamptz NOT NULL
);

-- Up to when the rate of an org's reads and writes is given away, for all replicas together. Written several times a
-- second and read by nobody but the statement that writes it.
CREATE TABLE rates (
    org  text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL CHECK (kind IN ('reads', 'writes')),
    next timestamptz NOT NULL,
    PRIMARY KEY (org, kind)
) WITH (fillfactor = 10);

CREATE TABLE audit (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at      timestamptz NOT NULL,
    who     text COLLATE "C" NOT NULL,
    action  text COLLATE "C" NOT NULL,
    subject text COLLATE "C" NOT NULL,
    reason  text COLLATE "C" NOT NULL
);
CREATE INDEX audit_by_age ON audit (at);
CREATE TRIGGER audit_is_never_rewritten BEFORE UPDATE ON audit
    FOR EACH ROW EXECUTE FUNCTION refuse_rewriting('audit is append-only');
CREATE TRIGGER history_is_never_rewritten BEFORE UPDATE ON history
    FOR EACH ROW EXECUTE FUNCTION refuse_rewriting('history is append-only');

-- When each job last looked at each request, and what issues it saw: what lets the next sweep ask only for what
-- changed. Issues hold codes, numbers and dates, never a person's data.
CREATE TABLE looks (
    org          text COLLATE "C" NOT NULL,
    job_name     text COLLATE "C" NOT NULL,
    reference_id text COLLATE "C" NOT NULL,
    looked_at    timestamptz NOT NULL,
    issues       jsonb NOT NULL CHECK (jsonb_typeof(issues) = 'array'),
    -- When what was decided on it must be decided anew, although nothing changed.
    again_at     timestamptz,
    PRIMARY KEY (org, job_name, reference_id)
);
CREATE INDEX looks_by_age ON looks (looked_at);
CREATE INDEX looks_again ON looks (org, job_name, again_at) WHERE again_at IS NOT NULL;

CREATE TABLE sweeps (
    org      text COLLATE "C" NOT NULL,
    job_name text COLLATE "C" NOT NULL,
    began    timestamptz NOT NULL,
    -- The fingerprint of the rules that its decisions were made under.
    rules    text COLLATE "C" NOT NULL,
    PRIMARY KEY (org, job_name)
);

-- Reads that contradicted what a filter of the list call had said.
CREATE TABLE contradictions (
    org          text COLLATE "C" NOT NULL,
    filter       text COLLATE "C" NOT NULL CHECK (filter IN (
        'statuses', 'persistence_type', 'cancelling', 'autoInstallation', 'notUpdatedSince')),
    reference_id text COLLATE "C" NOT NULL,
    what         text COLLATE "C" NOT NULL,
    seen_at      timestamptz NOT NULL,
    PRIMARY KEY (org, filter, reference_id)
);
CREATE INDEX contradictions_by_age ON contradictions (seen_at);

-- What people want to hear of. Findings that somebody has acknowledged are known already.
CREATE VIEW standing_alerts (alert, org, subject, since, count) AS
    SELECT 'guard_held'::text COLLATE "C", org, job_name, since, 1::bigint FROM latches
    UNION ALL
    SELECT 'needs_human', org, '', NULL, count(*) FROM attempts WHERE state = 'needs_human' GROUP BY org
    UNION ALL
    SELECT 'given_up', org, '', NULL, sum(count)::bigint FROM finding_counts
    WHERE state = 'open' AND attention = 'given_up' GROUP BY org HAVING sum(count) > 0
    UNION ALL
    SELECT 'new_finding_kind', org, kind, NULL, sum(count)::bigint FROM finding_counts
    WHERE state = 'open' GROUP BY org, kind HAVING sum(count) > 0;

-- What the receiver of notifications was told of them. A row is to be told unless it stands and was told; it goes
-- when its end was told.
CREATE TABLE notices (
    alert      text COLLATE "C" NOT NULL
               CHECK (alert IN ('guard_held', 'needs_human', 'given_up', 'new_finding_kind')),
    org        text COLLATE "C" NOT NULL,
    subject    text COLLATE "C" NOT NULL,
    since      timestamptz NOT NULL,
    count      bigint NOT NULL,
    standing   boolean NOT NULL,
    told       boolean NOT NULL,
    tries      bigint NOT NULL,
    next_try   timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    PRIMARY KEY (alert, org, subject)
);

-- Which store this is. Its id also stands in a large object, which survives what empties or drops the tables.
CREATE TABLE identity (
    only_row integer NOT NULL PRIMARY KEY CHECK (only_row = 1),
    id       text COLLATE "C" NOT NULL,
    -- The database that it is acted from: a copy in another one knows by it that it is a copy.
    home     text COLLATE "C",
    -- Where the id stands too. (What no column refers to is taken for an orphan by vacuumlo.)
    mark     oid NOT NULL,
    -- Set when all of it was copied elsewhere, and is to be acted from there.
    moved_to text COLLATE "C",
    moved_at timestamptz,
    -- Written to learn whether anything can be.
    probes   bigint NOT NULL DEFAULT 0
);
INSERT INTO identity (only_row, id, mark)
VALUES (1, gen_random_uuid()::text,
        -- One for each schema, out of the way of the numbers that the server hands out.
        (('x' || left(md5('tesa-reconciler ' || current_schema()), 8))::bit(32)::bigint | 2147483648)::oid);
-- A mark that is there already is an earlier store's, and says that this one is not the first.
SELECT lo_from_bytea(mark, convert_to(id, 'UTF8')) FROM identity
WHERE NOT EXISTS (SELECT 1 FROM pg_largeobject_metadata WHERE oid = mark);
