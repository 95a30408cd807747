PRAGMA foreign_keys = OFF;
BEGIN;
CREATE TABLE _sqlx_migrations (
    version BIGINT PRIMARY KEY,
    description TEXT NOT NULL,
    installed_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    success BOOLEAN NOT NULL,
    checksum BLOB NOT NULL,
    execution_time BIGINT NOT NULL
);
CREATE TABLE schema_floor (
    only_row  INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1),
    migration INTEGER NOT NULL
) STRICT;
CREATE TABLE replicas (
    id         TEXT    NOT NULL PRIMARY KEY,
    host       TEXT    NOT NULL,
    pid        INTEGER NOT NULL,
    version    TEXT    NOT NULL,
    -- By which zone data it knows local time.
    zones      TEXT    NOT NULL,
    mode       TEXT    NOT NULL CHECK (mode IN ('observe', 'enforce')),
    started_at INTEGER NOT NULL,
    last_beat  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE fencing (
    only_row INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1),
    token    INTEGER NOT NULL
) STRICT;
CREATE TABLE runs (
    id          INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    job_name    TEXT    NOT NULL,
    org         TEXT    NOT NULL,
    trigger     TEXT    NOT NULL CHECK (trigger IN ('schedule', 'catch_up', 'signal', 'manual', 'once')),
    slot        INTEGER,
    replica     TEXT    NOT NULL,
    mode        TEXT    NOT NULL CHECK (mode IN ('observe', 'enforce')),
    actor       TEXT    NOT NULL,
    reason      TEXT    NOT NULL,
    token       INTEGER NOT NULL UNIQUE,
    started_at  INTEGER NOT NULL,
    last_beat   INTEGER NOT NULL,
    finished_at INTEGER,
    outcome     TEXT CHECK (outcome IN ('succeeded', 'partial', 'failed', 'held', 'aborted', 'lost')),
    selected    INTEGER NOT NULL DEFAULT 0,
    observed    INTEGER NOT NULL DEFAULT 0,
    unchanged   INTEGER NOT NULL DEFAULT 0,
    to_act      INTEGER NOT NULL DEFAULT 0,
    sent        INTEGER NOT NULL DEFAULT 0,
    flagged     INTEGER NOT NULL DEFAULT 0,
    skipped     INTEGER NOT NULL DEFAULT 0,
    -- Writes that a cap withheld.
    capped      INTEGER NOT NULL DEFAULT 0,
    failed      INTEGER NOT NULL DEFAULT 0,
    trouble     TEXT    NOT NULL DEFAULT '',
    CHECK ((finished_at IS NULL) = (outcome IS NULL))
) STRICT;
CREATE UNIQUE INDEX runs_one_running ON runs (job_name, org) WHERE outcome IS NULL;
CREATE INDEX runs_of_job ON runs (job_name, id);
CREATE INDEX runs_finished ON runs (finished_at) WHERE outcome IS NOT NULL;
CREATE INDEX runs_in_observe ON runs (job_name, org, id) WHERE mode = 'observe';
CREATE TABLE slots (
    job_name     TEXT    NOT NULL,
    org          TEXT    NOT NULL,
    scheduled_at INTEGER NOT NULL,
    run_id       INTEGER NOT NULL,
    PRIMARY KEY (job_name, org, scheduled_at)
) STRICT, WITHOUT ROWID;
CREATE INDEX slots_by_age ON slots (scheduled_at);
CREATE TABLE unrun_slots (
    job_name    TEXT    NOT NULL,
    org         TEXT    NOT NULL,
    result      TEXT    NOT NULL CHECK (result IN ('run', 'deduplicated', 'skipped_overlap', 'skipped_paused', 'missed')),
    first_at    INTEGER NOT NULL,
    last_at     INTEGER NOT NULL,
    count       INTEGER,
    recorded_at INTEGER NOT NULL,
    PRIMARY KEY (job_name, org, result, first_at),
    CHECK (last_at >= first_at)
) STRICT, WITHOUT ROWID;
CREATE INDEX unrun_slots_by_age ON unrun_slots (last_at);
CREATE TABLE job_memory (
    job_name     TEXT NOT NULL,
    org          TEXT NOT NULL,
    last_slot    INTEGER,
    last_started INTEGER,
    last_outcome TEXT CHECK (last_outcome IN ('succeeded', 'partial', 'failed', 'held', 'aborted', 'lost')),
    last_success INTEGER,
    PRIMARY KEY (job_name, org)
) STRICT, WITHOUT ROWID;
CREATE TABLE observations (
    reference_id       TEXT    NOT NULL,
    org                TEXT    NOT NULL,
    external_reference TEXT,
    persistence_type   TEXT CHECK (persistence_type IN ('ACTIVATION', 'TERMINATION')),
    status             TEXT    NOT NULL,
    cancelling         INTEGER NOT NULL CHECK (cancelling IN (0, 1)),
    auto_installation  INTEGER CHECK (auto_installation IN (0, 1)),
    territory_owner    TEXT CHECK (territory_owner IN ('NEBA', 'VULA_COMMERCIAL', 'VULA_REGULATED')),
    request_number     INTEGER,
    subrequest_number  INTEGER,
    -- What the operator declared impersonal: a JSON object of texts.
    attributes         TEXT,
    created            INTEGER,
    last_updated       INTEGER,
    observed_at        INTEGER NOT NULL,
    PRIMARY KEY (reference_id, org)
) STRICT, WITHOUT ROWID;
CREATE INDEX observations_by_order ON observations (external_reference);
CREATE INDEX observations_final ON observations (observed_at) WHERE status IN ('REJECTED', 'CANCELED', 'FINISHED');
CREATE TABLE history (
    id                 INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    org                TEXT    NOT NULL,
    reference_id       TEXT    NOT NULL,
    -- What of the request it is about: 'request', 'event', one of its issues, or a job's decision.
    subject            TEXT    NOT NULL,
    happening          TEXT    NOT NULL CHECK (happening IN (
        'request', 'gone', 'let_go', 'event', 'issue', 'issue_gone', 'decision')),
    seen_at            INTEGER NOT NULL,
    stamp              INTEGER,
    -- Of the request: all that the observation holds.
    external_reference TEXT,
    persistence_type   TEXT CHECK (persistence_type IN ('ACTIVATION', 'TERMINATION')),
    status             TEXT,
    cancelling         INTEGER CHECK (cancelling IN (0, 1)),
    auto_installation  INTEGER CHECK (auto_installation IN (0, 1)),
    territory_owner    TEXT CHECK (territory_owner IN ('NEBA', 'VULA_COMMERCIAL', 'VULA_REGULATED')),
    request_number     INTEGER,
    subrequest_number  INTEGER,
    attributes         TEXT,
    created            INTEGER,
    -- Of an event or an issue: the upstream's id, its place among its like, the type of message or the issue's code.
    upstream_id        INTEGER,
    sequence           INTEGER,
    code               TEXT,
    resolved           INTEGER CHECK (resolved IN (0, 1)),
    repeated           INTEGER CHECK (repeated IN (0, 1)),
    inconsistent       INTEGER CHECK (inconsistent IN (0, 1)),
    -- Of a decision, whose verdict is the code: whose, and by which rule.
    job_name           TEXT,
    rule               TEXT,
    CHECK ((happening = 'request') = (status IS NOT NULL AND cancelling IS NOT NULL))
) STRICT;
CREATE INDEX history_of_request ON history (reference_id, org, subject, id);
CREATE TABLE decisions (
    org          TEXT    NOT NULL,
    reference_id TEXT    NOT NULL,
    job_name     TEXT    NOT NULL,
    run_id       INTEGER NOT NULL,
    since        INTEGER NOT NULL,
    verdict      TEXT    NOT NULL,
    rule         TEXT,
    explanation  TEXT    NOT NULL,
    PRIMARY KEY (org, reference_id, job_name)
) STRICT, WITHOUT ROWID;
CREATE INDEX decisions_on_nothing ON decisions (since)
    WHERE verdict IN ('not_found', 'read_failed', 'contract_violation');
CREATE TABLE attempts (
    id                  INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    org                 TEXT    NOT NULL,
    reference_id        TEXT    NOT NULL,
    external_reference  TEXT    NOT NULL,
    operation           TEXT    NOT NULL CHECK (operation IN (
        'create_activation', 'create_termination', 'cancel_request', 'resolve_incident', 'create_access',
        'terminate_access', 'create_status_cto', 'change_cto', 'create_port', 'create_port2',
        'create_installation_incident', 'create_installation_end')),
    state               TEXT    NOT NULL CHECK (state IN (
        'intended', 'not_sent', 'rejected', 'accepted', 'unknown', 'confirmed', 'ineffective', 'needs_human')),
    job_name            TEXT    NOT NULL,
    rule                TEXT    NOT NULL,
    run_id              INTEGER NOT NULL REFERENCES runs (id),
    replica             TEXT    NOT NULL,
    before_status       TEXT    NOT NULL,
    before_cancelling   INTEGER NOT NULL CHECK (before_cancelling IN (0, 1)),
    before_last_updated INTEGER,
    issue_sequence      INTEGER,
    -- Of the issue too: what is expected must differ from what was there.
    before_issue_resolved     INTEGER CHECK (before_issue_resolved IN (0, 1)),
    before_issue_last_updated INTEGER,
    due_since           INTEGER,
    correlation_id      TEXT    NOT NULL UNIQUE,
    intended_at         INTEGER NOT NULL,
    -- What the hour's cap counts: here the same as intended_at, because one process's clock is the only one.
    counted_at          INTEGER NOT NULL,
    changed_at          INTEGER NOT NULL,
    http_status         INTEGER,
    detail              TEXT    NOT NULL,
    verifications       INTEGER NOT NULL DEFAULT 0,
    verify_at           INTEGER,
    -- The request's version that showed the effect: only a later one lets an unsafe write go again.
    confirmed_status       TEXT,
    confirmed_cancelling   INTEGER CHECK (confirmed_cancelling IN (0, 1)),
    confirmed_last_updated INTEGER
) STRICT;
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
    id          INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    attempt_id  INTEGER NOT NULL REFERENCES attempts (id),
    state       TEXT    NOT NULL CHECK (state IN (
        'intended', 'not_sent', 'rejected', 'accepted', 'unknown', 'confirmed', 'ineffective', 'needs_human')),
    at          INTEGER NOT NULL,
    who         TEXT    NOT NULL,
    detail      TEXT    NOT NULL,
    http_status INTEGER
) STRICT;
CREATE INDEX attempt_steps_of_attempt ON attempt_steps (attempt_id, id);
CREATE TABLE retries (
    org                TEXT    NOT NULL,
    external_reference TEXT    NOT NULL,
    at                 INTEGER NOT NULL,
    who                TEXT    NOT NULL,
    reason             TEXT    NOT NULL,
    last_attempt       INTEGER NOT NULL,
    PRIMARY KEY (org, external_reference, at)
) STRICT, WITHOUT ROWID;
CREATE INDEX retries_by_age ON retries (at);
CREATE TABLE duplicates (
    org                TEXT    NOT NULL,
    external_reference TEXT    NOT NULL,
    reference_id       TEXT    NOT NULL,
    seen_at            INTEGER NOT NULL,
    let_go             INTEGER NOT NULL CHECK (let_go IN (0, 1)),
    PRIMARY KEY (org, external_reference, reference_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX duplicates_by_age ON duplicates (seen_at);
CREATE TABLE classes (
    id        INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    org       TEXT    NOT NULL,
    job_name  TEXT    NOT NULL,
    rule      TEXT    NOT NULL,
    detail    TEXT    NOT NULL,
    evidence  TEXT    NOT NULL,
    size      INTEGER NOT NULL,
    listed_at INTEGER NOT NULL,
    UNIQUE (org, job_name, rule, detail, evidence)
) STRICT;
CREATE TABLE findings (
    id                  INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    org                 TEXT    NOT NULL,
    reference_id        TEXT    NOT NULL,
    kind                TEXT    NOT NULL CHECK (kind IN (
        'stuck_request', 'unresolved_issue', 'inconsistent_event', 'event_sequence_gap', 'event_sequence_duplicate',
        'event_out_of_order', 'event_after_final_status', 'duplicate_reference', 'unknown_status',
        'contract_violation')),
    detail              TEXT    NOT NULL,
    external_reference  TEXT,
    job_name            TEXT    NOT NULL,
    state               TEXT    NOT NULL CHECK (state IN ('open', 'acknowledged', 'resolved')),
    attention           TEXT CHECK (attention IN ('given_up', 'needs_human')),
    evidence            TEXT    NOT NULL,
    since               INTEGER,
    first_seen          INTEGER NOT NULL,
    last_seen           INTEGER NOT NULL,
    times_seen          INTEGER NOT NULL DEFAULT 1,
    times_reopened      INTEGER NOT NULL DEFAULT 0,
    resolved_at         INTEGER,
    class_id            INTEGER REFERENCES classes (id),
    missing_since       INTEGER,
    -- When its request was last read for what no list tells; NULL: lists alone have told of it.
    read_at             INTEGER,
    UNIQUE (reference_id, org, kind, detail),
    CHECK ((resolved_at IS NOT NULL) = (state = 'resolved')),
    CHECK (state <> 'resolved' OR (class_id IS NULL AND missing_since IS NULL))
) STRICT;
CREATE INDEX findings_live_of_job ON findings (org, job_name) WHERE state <> 'resolved';
CREATE INDEX findings_live ON findings (id) WHERE state <> 'resolved';
CREATE INDEX findings_oldest ON findings (org, kind, detail, since) WHERE state <> 'resolved' AND since IS NOT NULL;
CREATE INDEX findings_resolved ON findings (resolved_at) WHERE state = 'resolved';
CREATE INDEX findings_by_order ON findings (lower(external_reference)) WHERE external_reference IS NOT NULL;
CREATE INDEX findings_by_reference ON findings (lower(reference_id));
CREATE INDEX findings_of_class ON findings (class_id, reference_id) WHERE class_id IS NOT NULL;
CREATE INDEX findings_of_no_class ON findings (org, job_name, reference_id, state, class_id)
    WHERE state <> 'resolved' AND class_id IS NULL;
CREATE INDEX findings_without_details ON findings (org, job_name, read_at, id) WHERE class_id IS NOT NULL AND since IS NULL;
CREATE INDEX findings_missing ON findings (org, job_name) WHERE missing_since IS NOT NULL;
CREATE INDEX findings_with_attention ON findings (org, job_name, reference_id)
    WHERE state <> 'resolved' AND attention IS NOT NULL;
CREATE TABLE acknowledgements (
    id                 INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    org                TEXT    NOT NULL,
    reference_id       TEXT    NOT NULL,
    external_reference TEXT,
    kind               TEXT    NOT NULL,
    detail             TEXT    NOT NULL,
    status             TEXT,
    cancelling         INTEGER CHECK (cancelling IN (0, 1)),
    last_updated       INTEGER,
    repeated           INTEGER CHECK (repeated IN (0, 1)),
    who                TEXT    NOT NULL,
    reason             TEXT    NOT NULL,
    given_at           INTEGER NOT NULL,
    ended_at           INTEGER,
    ended_why          TEXT,
    CHECK ((ended_at IS NULL) = (ended_why IS NULL))
) STRICT;
CREATE INDEX acknowledgements_of_request ON acknowledgements (org, reference_id) WHERE ended_at IS NULL;
CREATE INDEX acknowledgements_of_order ON acknowledgements (org, external_reference) WHERE ended_at IS NULL;
CREATE INDEX acknowledgements_by_reference ON acknowledgements (reference_id);
CREATE INDEX acknowledgements_ended ON acknowledgements (ended_at) WHERE ended_at IS NOT NULL;
CREATE TABLE finding_counts (
    org       TEXT    NOT NULL,
    kind      TEXT    NOT NULL,
    -- For a stuck request, where it is stuck (its finding's detail).
    status    TEXT    NOT NULL,
    state     TEXT    NOT NULL CHECK (state IN ('open', 'acknowledged')),
    attention TEXT    NOT NULL,
    count     INTEGER NOT NULL,
    PRIMARY KEY (org, kind, status, state, attention)
) STRICT, WITHOUT ROWID;
CREATE TABLE pauses (
    job_name TEXT    NOT NULL PRIMARY KEY,
    who      TEXT    NOT NULL,
    reason   TEXT    NOT NULL,
    since    INTEGER NOT NULL,
    until    INTEGER
) STRICT, WITHOUT ROWID;
CREATE TABLE latches (
    job_name TEXT    NOT NULL,
    org      TEXT    NOT NULL,
    since    INTEGER NOT NULL,
    reason   TEXT    NOT NULL,
    PRIMARY KEY (job_name, org)
) STRICT, WITHOUT ROWID;
CREATE TABLE releases (
    job_name    TEXT    NOT NULL,
    org         TEXT    NOT NULL,
    released_at INTEGER NOT NULL,
    PRIMARY KEY (job_name, org)
) STRICT, WITHOUT ROWID;
CREATE TABLE triggers (
    id           INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    job_name     TEXT    NOT NULL,
    org          TEXT    NOT NULL,
    who          TEXT    NOT NULL,
    reason       TEXT    NOT NULL,
    requested_at INTEGER NOT NULL,
    taken_by     TEXT,
    run_id       INTEGER
) STRICT;
CREATE INDEX triggers_unanswered ON triggers (id) WHERE run_id IS NULL;
CREATE INDEX triggers_answered ON triggers (requested_at) WHERE run_id IS NOT NULL;
CREATE TABLE circuits (
    org       TEXT    NOT NULL PRIMARY KEY,
    state     TEXT    NOT NULL CHECK (state IN ('closed', 'open', 'half_open')),
    cause     TEXT CHECK (cause IN (
        'timeouts', 'connect', 'reset', 'http_5xx', 'http_429', 'unknown_outcome', 'other')),
    failures  INTEGER NOT NULL,
    opened_at INTEGER,
    probe_at  INTEGER
) STRICT, WITHOUT ROWID;
CREATE TABLE held_back (
    org   TEXT    NOT NULL PRIMARY KEY,
    until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE audit (
    id      INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    at      INTEGER NOT NULL,
    who     TEXT    NOT NULL,
    action  TEXT    NOT NULL,
    subject TEXT    NOT NULL,
    reason  TEXT    NOT NULL
) STRICT;
CREATE INDEX audit_by_age ON audit (at);
CREATE TABLE looks (
    org          TEXT    NOT NULL,
    job_name     TEXT    NOT NULL,
    reference_id TEXT    NOT NULL,
    looked_at    INTEGER NOT NULL,
    issues       TEXT    NOT NULL CHECK (json_valid(issues)),
    -- When what was decided on it must be decided anew, although nothing changed.
    again_at     INTEGER,
    PRIMARY KEY (org, job_name, reference_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX looks_by_age ON looks (looked_at);
CREATE INDEX looks_again ON looks (org, job_name, again_at) WHERE again_at IS NOT NULL;
CREATE TABLE sweeps (
    org      TEXT    NOT NULL,
    job_name TEXT    NOT NULL,
    began    INTEGER NOT NULL,
    -- The fingerprint of the rules that its decisions were made under.
    rules    TEXT    NOT NULL,
    PRIMARY KEY (org, job_name)
) STRICT, WITHOUT ROWID;
CREATE TABLE contradictions (
    org          TEXT    NOT NULL,
    filter       TEXT    NOT NULL CHECK (filter IN (
        'statuses', 'persistence_type', 'cancelling', 'autoInstallation', 'notUpdatedSince')),
    reference_id TEXT    NOT NULL,
    what         TEXT    NOT NULL,
    seen_at      INTEGER NOT NULL,
    PRIMARY KEY (org, filter, reference_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX contradictions_by_age ON contradictions (seen_at);
CREATE VIEW standing_alerts (alert, org, subject, since, count) AS
    SELECT 'guard_held', org, job_name, since, 1 FROM latches
    UNION ALL
    SELECT 'needs_human', org, '', NULL, count(*) FROM attempts WHERE state = 'needs_human' GROUP BY org
    UNION ALL
    SELECT 'given_up', org, '', NULL, sum(count) FROM finding_counts
    WHERE state = 'open' AND attention = 'given_up' GROUP BY org HAVING sum(count) > 0
    UNION ALL
    SELECT 'new_finding_kind', org, kind, NULL, sum(count) FROM finding_counts
    WHERE state = 'open' GROUP BY org, kind HAVING sum(count) > 0;
CREATE TABLE notices (
    alert      TEXT    NOT NULL CHECK (alert IN ('guard_held', 'needs_human', 'given_up', 'new_finding_kind')),
    org        TEXT    NOT NULL,
    subject    TEXT    NOT NULL,
    since      INTEGER NOT NULL,
    count      INTEGER NOT NULL,
    standing   INTEGER NOT NULL CHECK (standing IN (0, 1)),
    told       INTEGER NOT NULL CHECK (told IN (0, 1)),
    tries      INTEGER NOT NULL,
    next_try   INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    PRIMARY KEY (alert, org, subject)
) STRICT, WITHOUT ROWID;
CREATE TABLE identity (
    only_row INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1),
    id       TEXT    NOT NULL,
    -- Set when all of it was copied elsewhere, and is to be acted from there.
    moved_to TEXT,
    moved_at INTEGER,
    -- Set in a backup: when it was made.
    backup_of INTEGER,
    -- Written to learn whether anything can be.
    probes   INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO _sqlx_migrations VALUES (1,'ground','2026-11-28 18:52:09',1,X'57A420615FA13A01CF776FCFC7DC6BB4B5201834B79EA515FD5EB032D91A4B00EFE66091C0F7B7BE8B55FB64BE079A41',53496711);
INSERT INTO schema_floor VALUES (1,1);
INSERT INTO fencing VALUES (1,1);
INSERT INTO runs VALUES (1,'retry-stuck','masmovil','schedule',1794999999123457,'replica-1','enforce','daemon','as configured',1,1795000000123457,1795000000123457,1795000003123457,'partial',0,0,0,0,0,0,0,0,0,'');
DELETE FROM sqlite_sequence;
INSERT INTO sqlite_sequence VALUES ('attempt_steps',18);
INSERT INTO sqlite_sequence VALUES ('attempts',8);
INSERT INTO sqlite_sequence VALUES ('audit',2);
INSERT INTO sqlite_sequence VALUES ('findings',1);
INSERT INTO sqlite_sequence VALUES ('history',1);
INSERT INTO sqlite_sequence VALUES ('runs',1);
INSERT INTO slots VALUES ('retry-stuck','masmovil',1794999999123457,1);
INSERT INTO job_memory VALUES ('retry-stuck','masmovil',1794999999123457,1795000000123457,'partial',1795000003123457);
INSERT INTO observations VALUES ('R-1','masmovil','order-R-1','ACTIVATION','PROCESSING',1,0,'VULA_REGULATED',9223372036854775807,1,'{"cto":"28-\"7\""}',1794992800123457,1794996400123457,1795000000123457);
INSERT INTO history VALUES (1,'masmovil','R-1','request','request',1795000000123457,1794996400123457,'order-R-1','ACTIVATION','PROCESSING',1,0,'VULA_REGULATED',9223372036854775807,1,'{"cto":"28-\"7\""}',1794992800123457,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO attempts VALUES (1,'masmovil','ref-intended','intended','create_activation','intended','retry-stuck','resend-unsent',1,'replica-1','NOT_SENT',0,1794996400123457,3,0,1794997000123457,1794998200123457,'00000000-0000-0007-0000-000000000001',1795000000123457,1795000000123457,1795000000123457,NULL,'',0,NULL,NULL,NULL,NULL);
INSERT INTO attempts VALUES (2,'masmovil','ref-not_sent','not_sent','create_activation','not_sent','retry-stuck','resend-unsent',1,'replica-1','NOT_SENT',0,1794996400123457,3,0,1794997000123457,1794998200123457,'00000000-0000-0007-0000-000000000002',1795000000123457,1795000000123457,1795000001123457,NULL,'became not_sent',0,NULL,NULL,NULL,NULL);
INSERT INTO attempts VALUES (3,'masmovil','ref-rejected','rejected','create_activation','rejected','retry-stuck','resend-unsent',1,'replica-1','NOT_SENT',0,1794996400123457,3,0,1794997000123457,1794998200123457,'00000000-0000-0007-0000-000000000003',1795000000123457,1795000000123457,1795000001123457,NULL,'became rejected',0,NULL,NULL,NULL,NULL);
INSERT INTO attempts VALUES (4,'masmovil','ref-accepted','accepted','create_activation','accepted','retry-stuck','resend-unsent',1,'replica-1','NOT_SENT',0,1794996400123457,3,0,1794997000123457,1794998200123457,'00000000-0000-0007-0000-000000000004',1795000000123457,1795000000123457,1795000001123457,NULL,'became accepted',0,1795000060123457,NULL,NULL,NULL);
INSERT INTO attempts VALUES (5,'masmovil','ref-unknown','unknown','create_activation','unknown','retry-stuck','resend-unsent',1,'replica-1','NOT_SENT',0,1794996400123457,3,0,1794997000123457,1794998200123457,'00000000-0000-0007-0000-000000000005',1795000000123457,1795000000123457,1795000001123457,NULL,'became unknown',0,1795000060123457,NULL,NULL,NULL);
INSERT INTO attempts VALUES (6,'masmovil','ref-confirmed','confirmed','create_activation','confirmed','retry-stuck','resend-unsent',1,'replica-1','NOT_SENT',0,1794996400123457,3,0,1794997000123457,1794998200123457,'00000000-0000-0007-0000-000000000006',1795000000123457,1795000000123457,1795000001123457,NULL,'became confirmed',0,NULL,NULL,NULL,NULL);
INSERT INTO attempts VALUES (7,'masmovil','ref-ineffective','ineffective','create_activation','ineffective','retry-stuck','resend-unsent',1,'replica-1','NOT_SENT',0,1794996400123457,3,0,1794997000123457,1794998200123457,'00000000-0000-0007-0000-000000000007',1795000000123457,1795000000123457,1795000001123457,NULL,'became ineffective',0,NULL,NULL,NULL,NULL);
INSERT INTO attempts VALUES (8,'masmovil','ref-needs_human','needs_human','create_activation','needs_human','retry-stuck','resend-unsent',1,'replica-1','NOT_SENT',0,1794996400123457,3,0,1794997000123457,1794998200123457,'00000000-0000-0007-0000-000000000008',1795000000123457,1795000000123457,1795000001123457,NULL,'became needs_human',0,NULL,NULL,NULL,NULL);
INSERT INTO attempt_steps VALUES (1,1,'intended',1795000000123457,'daemon','',NULL);
INSERT INTO attempt_steps VALUES (10,6,'intended',1795000000123457,'daemon','',NULL);
INSERT INTO attempt_steps VALUES (11,6,'accepted',1795000001123457,'daemon','became accepted',NULL);
INSERT INTO attempt_steps VALUES (12,6,'confirmed',1795000001123457,'daemon','became confirmed',NULL);
INSERT INTO attempt_steps VALUES (13,7,'intended',1795000000123457,'daemon','',NULL);
INSERT INTO attempt_steps VALUES (14,7,'unknown',1795000001123457,'daemon','became unknown',NULL);
INSERT INTO attempt_steps VALUES (15,7,'ineffective',1795000001123457,'daemon','became ineffective',NULL);
INSERT INTO attempt_steps VALUES (16,8,'intended',1795000000123457,'daemon','',NULL);
INSERT INTO attempt_steps VALUES (17,8,'unknown',1795000001123457,'daemon','became unknown',NULL);
INSERT INTO attempt_steps VALUES (18,8,'needs_human',1795000001123457,'daemon','became needs_human',NULL);
INSERT INTO attempt_steps VALUES (2,2,'intended',1795000000123457,'daemon','',NULL);
INSERT INTO attempt_steps VALUES (3,2,'not_sent',1795000001123457,'daemon','became not_sent',NULL);
INSERT INTO attempt_steps VALUES (4,3,'intended',1795000000123457,'daemon','',NULL);
INSERT INTO attempt_steps VALUES (5,3,'rejected',1795000001123457,'daemon','became rejected',NULL);
INSERT INTO attempt_steps VALUES (6,4,'intended',1795000000123457,'daemon','',NULL);
INSERT INTO attempt_steps VALUES (7,4,'accepted',1795000001123457,'daemon','became accepted',NULL);
INSERT INTO attempt_steps VALUES (8,5,'intended',1795000000123457,'daemon','',NULL);
INSERT INTO attempt_steps VALUES (9,5,'unknown',1795000001123457,'daemon','became unknown',NULL);
INSERT INTO findings VALUES (1,'masmovil','R-1','stuck_request','NOT_SENT','order-R-1','retry-stuck','open',NULL,'last updated an hour ago',1794996400123457,1795000002123457,1795000002123457,1,0,NULL,NULL,NULL,1795000002123457);
INSERT INTO finding_counts VALUES ('masmovil','stuck_request','NOT_SENT','open','',1);
INSERT INTO pauses VALUES ('','cli:operator','seen with the installer',1795000004123457,NULL);
INSERT INTO audit VALUES (1,1795000004123457,'cli:operator','pause','all jobs','seen with the installer');
INSERT INTO audit VALUES (2,1795000005123457,'daemon','start','x','as configured');
INSERT INTO identity VALUES (1,'3ea7e593fa0dc82706521b4bb7d6582d',NULL,NULL,NULL,0);
CREATE TRIGGER observations_are_told AFTER INSERT ON observations
BEGIN
    INSERT INTO history (
        org, reference_id, subject, happening, seen_at, stamp, external_reference, persistence_type, status, cancelling,
        auto_installation, territory_owner, request_number, subrequest_number, attributes, created)
    VALUES (
        NEW.org, NEW.reference_id, 'request', 'request', NEW.observed_at, NEW.last_updated, NEW.external_reference,
        NEW.persistence_type, NEW.status, NEW.cancelling, NEW.auto_installation, NEW.territory_owner,
        NEW.request_number, NEW.subrequest_number, NEW.attributes, NEW.created);
END;
CREATE TRIGGER changes_of_observations_are_told AFTER UPDATE ON observations
WHEN (NEW.last_updated, NEW.status, NEW.cancelling, NEW.external_reference, NEW.persistence_type, NEW.auto_installation,
      NEW.territory_owner, NEW.request_number, NEW.subrequest_number, NEW.attributes, NEW.created)
    IS NOT (OLD.last_updated, OLD.status, OLD.cancelling, OLD.external_reference, OLD.persistence_type,
            OLD.auto_installation, OLD.territory_owner, OLD.request_number, OLD.subrequest_number, OLD.attributes, OLD.created)
BEGIN
    INSERT INTO history (
        org, reference_id, subject, happening, seen_at, stamp, external_reference, persistence_type, status, cancelling,
        auto_installation, territory_owner, request_number, subrequest_number, attributes, created)
    VALUES (
        NEW.org, NEW.reference_id, 'request', 'request', NEW.observed_at, NEW.last_updated, NEW.external_reference,
        NEW.persistence_type, NEW.status, NEW.cancelling, NEW.auto_installation, NEW.territory_owner,
        NEW.request_number, NEW.subrequest_number, NEW.attributes, NEW.created);
END;
CREATE TRIGGER history_is_never_rewritten BEFORE UPDATE ON history
BEGIN
    SELECT RAISE(ABORT, 'history is append-only');
END;
CREATE TRIGGER decisions_are_told AFTER INSERT ON decisions
BEGIN
    INSERT INTO history (org, reference_id, subject, happening, seen_at, code, job_name, rule)
    VALUES (NEW.org, NEW.reference_id, 'decision ' || NEW.job_name, 'decision', NEW.since, NEW.verdict, NEW.job_name,
            NEW.rule);
END;
CREATE TRIGGER changes_of_decisions_are_told AFTER UPDATE ON decisions
WHEN (NEW.verdict, NEW.rule) IS NOT (OLD.verdict, OLD.rule)
BEGIN
    INSERT INTO history (org, reference_id, subject, happening, seen_at, code, job_name, rule)
    VALUES (NEW.org, NEW.reference_id, 'decision ' || NEW.job_name, 'decision', NEW.since, NEW.verdict, NEW.job_name,
            NEW.rule);
END;
CREATE TRIGGER attempt_steps_are_never_rewritten BEFORE UPDATE ON attempt_steps
BEGIN
    SELECT RAISE(ABORT, 'attempt_steps is append-only');
END;
CREATE TRIGGER attempt_steps_of_open_attempts_stay BEFORE DELETE ON attempt_steps
WHEN EXISTS (SELECT 1 FROM attempts WHERE id = OLD.attempt_id
             AND state IN ('intended', 'accepted', 'unknown', 'needs_human'))
BEGIN
    SELECT RAISE(ABORT, 'the history of an open attempt is not deleted');
END;
CREATE TRIGGER open_attempts_stay BEFORE DELETE ON attempts
WHEN OLD.state IN ('intended', 'accepted', 'unknown', 'needs_human')
BEGIN
    SELECT RAISE(ABORT, 'an open attempt is not deleted');
END;
CREATE TRIGGER attempts_keep_what_was_intended BEFORE UPDATE OF
    id, org, reference_id, external_reference, operation, job_name, rule, run_id, replica, before_status,
    before_cancelling, before_last_updated, issue_sequence, before_issue_resolved, before_issue_last_updated, due_since,
    correlation_id, intended_at ON attempts
BEGIN
    SELECT RAISE(ABORT, 'what an attempt intended is not rewritten');
END;
CREATE TRIGGER findings_are_counted_in AFTER INSERT ON findings WHEN NEW.state <> 'resolved'
BEGIN
    INSERT INTO finding_counts (org, kind, status, state, attention, count)
    VALUES (NEW.org, NEW.kind, iif(NEW.kind = 'stuck_request', NEW.detail, ''), NEW.state, coalesce(NEW.attention, ''), 1)
    ON CONFLICT (org, kind, status, state, attention) DO UPDATE SET count = count + 1;
END;
CREATE TRIGGER findings_are_counted_anew AFTER UPDATE OF state, attention ON findings
    WHEN OLD.state <> NEW.state OR OLD.attention IS NOT NEW.attention
BEGIN
    UPDATE finding_counts SET count = count - 1
    WHERE org = OLD.org AND kind = OLD.kind AND status = iif(OLD.kind = 'stuck_request', OLD.detail, '')
        AND state = OLD.state AND attention = coalesce(OLD.attention, '');
    INSERT INTO finding_counts (org, kind, status, state, attention, count)
    SELECT NEW.org, NEW.kind, iif(NEW.kind = 'stuck_request', NEW.detail, ''), NEW.state, coalesce(NEW.attention, ''), 1
    WHERE NEW.state <> 'resolved'
    ON CONFLICT (org, kind, status, state, attention) DO UPDATE SET count = count + 1;
END;
CREATE TRIGGER findings_are_counted_out AFTER DELETE ON findings WHEN OLD.state <> 'resolved'
BEGIN
    UPDATE finding_counts SET count = count - 1
    WHERE org = OLD.org AND kind = OLD.kind AND status = iif(OLD.kind = 'stuck_request', OLD.detail, '')
        AND state = OLD.state AND attention = coalesce(OLD.attention, '');
END;
CREATE TRIGGER audit_is_never_rewritten BEFORE UPDATE ON audit
BEGIN
    SELECT RAISE(ABORT, 'audit is append-only');
END;
COMMIT;
