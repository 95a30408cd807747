CREATE FUNCTION public.count_findings() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
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
CREATE FUNCTION public.refuse_rewriting() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = 'restrict_violation';
END $$;
CREATE FUNCTION public.refuse_steps_of_open_attempts() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM 1 FROM attempts WHERE id = OLD.attempt_id
        AND state IN ('intended', 'accepted', 'unknown', 'needs_human');
    IF FOUND THEN
        RAISE EXCEPTION 'the history of an open attempt is not deleted' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN OLD;
END $$;
CREATE FUNCTION public.tell_decisions() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
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
CREATE FUNCTION public.tell_observations() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
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
CREATE TABLE public._sqlx_migrations (
    version bigint NOT NULL,
    description text NOT NULL,
    installed_on timestamp with time zone DEFAULT now() NOT NULL,
    success boolean NOT NULL,
    checksum bytea NOT NULL,
    execution_time bigint NOT NULL
);
CREATE TABLE public.acknowledgements (
    id bigint NOT NULL,
    org text NOT NULL COLLATE pg_catalog."C",
    reference_id text NOT NULL COLLATE pg_catalog."C",
    external_reference text COLLATE pg_catalog."C",
    kind text NOT NULL COLLATE pg_catalog."C",
    detail text NOT NULL COLLATE pg_catalog."C",
    status text COLLATE pg_catalog."C",
    cancelling boolean,
    last_updated timestamp with time zone,
    repeated boolean,
    who text NOT NULL COLLATE pg_catalog."C",
    reason text NOT NULL COLLATE pg_catalog."C",
    given_at timestamp with time zone NOT NULL,
    ended_at timestamp with time zone,
    ended_why text COLLATE pg_catalog."C",
    CONSTRAINT acknowledgements_check CHECK (((ended_at IS NULL) = (ended_why IS NULL)))
);
ALTER TABLE public.acknowledgements ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.acknowledgements_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.attempt_steps (
    id bigint NOT NULL,
    attempt_id bigint NOT NULL,
    state text NOT NULL COLLATE pg_catalog."C",
    at timestamp with time zone NOT NULL,
    who text NOT NULL COLLATE pg_catalog."C",
    detail text NOT NULL COLLATE pg_catalog."C",
    http_status bigint,
    CONSTRAINT attempt_steps_state_check CHECK ((state = ANY (ARRAY['intended'::text, 'not_sent'::text, 'rejected'::text, 'accepted'::text, 'unknown'::text, 'confirmed'::text, 'ineffective'::text, 'needs_human'::text])))
);
ALTER TABLE public.attempt_steps ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.attempt_steps_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.attempts (
    id bigint NOT NULL,
    org text NOT NULL COLLATE pg_catalog."C",
    reference_id text NOT NULL COLLATE pg_catalog."C",
    external_reference text NOT NULL COLLATE pg_catalog."C",
    operation text NOT NULL COLLATE pg_catalog."C",
    state text NOT NULL COLLATE pg_catalog."C",
    job_name text NOT NULL COLLATE pg_catalog."C",
    rule text NOT NULL COLLATE pg_catalog."C",
    run_id bigint NOT NULL,
    replica text NOT NULL COLLATE pg_catalog."C",
    before_status text NOT NULL COLLATE pg_catalog."C",
    before_cancelling boolean NOT NULL,
    before_last_updated timestamp with time zone,
    issue_sequence bigint,
    before_issue_resolved boolean,
    before_issue_last_updated timestamp with time zone,
    due_since timestamp with time zone,
    correlation_id uuid NOT NULL,
    intended_at timestamp with time zone NOT NULL,
    counted_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    http_status bigint,
    detail text NOT NULL COLLATE pg_catalog."C",
    verifications bigint DEFAULT 0 NOT NULL,
    verify_at timestamp with time zone,
    confirmed_status text COLLATE pg_catalog."C",
    confirmed_cancelling boolean,
    confirmed_last_updated timestamp with time zone,
    CONSTRAINT attempts_operation_check CHECK ((operation = ANY (ARRAY['create_activation'::text, 'create_termination'::text, 'cancel_request'::text, 'resolve_incident'::text, 'create_access'::text, 'terminate_access'::text, 'create_status_cto'::text, 'change_cto'::text, 'create_port'::text, 'create_port2'::text, 'create_installation_incident'::text, 'create_installation_end'::text]))),
    CONSTRAINT attempts_state_check CHECK ((state = ANY (ARRAY['intended'::text, 'not_sent'::text, 'rejected'::text, 'accepted'::text, 'unknown'::text, 'confirmed'::text, 'ineffective'::text, 'needs_human'::text])))
);
ALTER TABLE public.attempts ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.attempts_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.audit (
    id bigint NOT NULL,
    at timestamp with time zone NOT NULL,
    who text NOT NULL COLLATE pg_catalog."C",
    action text NOT NULL COLLATE pg_catalog."C",
    subject text NOT NULL COLLATE pg_catalog."C",
    reason text NOT NULL COLLATE pg_catalog."C"
);
ALTER TABLE public.audit ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.audit_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.circuits (
    org text NOT NULL COLLATE pg_catalog."C",
    state text NOT NULL COLLATE pg_catalog."C",
    cause text COLLATE pg_catalog."C",
    failures bigint NOT NULL,
    opened_at timestamp with time zone,
    probe_at timestamp with time zone,
    CONSTRAINT circuits_cause_check CHECK ((cause = ANY (ARRAY['timeouts'::text, 'connect'::text, 'reset'::text, 'http_5xx'::text, 'http_429'::text, 'unknown_outcome'::text, 'other'::text]))),
    CONSTRAINT circuits_state_check CHECK ((state = ANY (ARRAY['closed'::text, 'open'::text, 'half_open'::text])))
);
CREATE TABLE public.classes (
    id bigint NOT NULL,
    org text NOT NULL COLLATE pg_catalog."C",
    job_name text NOT NULL COLLATE pg_catalog."C",
    rule text NOT NULL COLLATE pg_catalog."C",
    detail text NOT NULL COLLATE pg_catalog."C",
    evidence text NOT NULL COLLATE pg_catalog."C",
    size bigint NOT NULL,
    listed_at timestamp with time zone NOT NULL
);
ALTER TABLE public.classes ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.classes_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.contradictions (
    org text NOT NULL COLLATE pg_catalog."C",
    filter text NOT NULL COLLATE pg_catalog."C",
    reference_id text NOT NULL COLLATE pg_catalog."C",
    what text NOT NULL COLLATE pg_catalog."C",
    seen_at timestamp with time zone NOT NULL,
    CONSTRAINT contradictions_filter_check CHECK ((filter = ANY (ARRAY['statuses'::text, 'persistence_type'::text, 'cancelling'::text, 'autoInstallation'::text, 'notUpdatedSince'::text])))
);
CREATE TABLE public.decisions (
    org text NOT NULL COLLATE pg_catalog."C",
    reference_id text NOT NULL COLLATE pg_catalog."C",
    job_name text NOT NULL COLLATE pg_catalog."C",
    run_id bigint NOT NULL,
    since timestamp with time zone NOT NULL,
    verdict text NOT NULL COLLATE pg_catalog."C",
    rule text COLLATE pg_catalog."C",
    explanation text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE public.duplicates (
    org text NOT NULL COLLATE pg_catalog."C",
    external_reference text NOT NULL COLLATE pg_catalog."C",
    reference_id text NOT NULL COLLATE pg_catalog."C",
    seen_at timestamp with time zone NOT NULL,
    let_go boolean NOT NULL
);
CREATE SEQUENCE public.fencing
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
CREATE TABLE public.finding_counts (
    org text NOT NULL COLLATE pg_catalog."C",
    kind text NOT NULL COLLATE pg_catalog."C",
    status text NOT NULL COLLATE pg_catalog."C",
    state text NOT NULL COLLATE pg_catalog."C",
    attention text NOT NULL COLLATE pg_catalog."C",
    count bigint NOT NULL,
    CONSTRAINT finding_counts_state_check CHECK ((state = ANY (ARRAY['open'::text, 'acknowledged'::text])))
);
CREATE TABLE public.findings (
    id bigint NOT NULL,
    org text NOT NULL COLLATE pg_catalog."C",
    reference_id text NOT NULL COLLATE pg_catalog."C",
    kind text NOT NULL COLLATE pg_catalog."C",
    detail text NOT NULL COLLATE pg_catalog."C",
    external_reference text COLLATE pg_catalog."C",
    job_name text NOT NULL COLLATE pg_catalog."C",
    state text NOT NULL COLLATE pg_catalog."C",
    attention text COLLATE pg_catalog."C",
    evidence text NOT NULL COLLATE pg_catalog."C",
    since timestamp with time zone,
    first_seen timestamp with time zone NOT NULL,
    last_seen timestamp with time zone NOT NULL,
    times_seen bigint DEFAULT 1 NOT NULL,
    times_reopened bigint DEFAULT 0 NOT NULL,
    resolved_at timestamp with time zone,
    class_id bigint,
    missing_since timestamp with time zone,
    read_at timestamp with time zone,
    CONSTRAINT findings_attention_check CHECK ((attention = ANY (ARRAY['given_up'::text, 'needs_human'::text]))),
    CONSTRAINT findings_check CHECK (((resolved_at IS NOT NULL) = (state = 'resolved'::text))),
    CONSTRAINT findings_check1 CHECK (((state <> 'resolved'::text) OR ((class_id IS NULL) AND (missing_since IS NULL)))),
    CONSTRAINT findings_kind_check CHECK ((kind = ANY (ARRAY['stuck_request'::text, 'unresolved_issue'::text, 'inconsistent_event'::text, 'event_sequence_gap'::text, 'event_sequence_duplicate'::text, 'event_out_of_order'::text, 'event_after_final_status'::text, 'duplicate_reference'::text, 'unknown_status'::text, 'contract_violation'::text]))),
    CONSTRAINT findings_state_check CHECK ((state = ANY (ARRAY['open'::text, 'acknowledged'::text, 'resolved'::text])))
);
ALTER TABLE public.findings ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.findings_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.held_back (
    org text NOT NULL COLLATE pg_catalog."C",
    until timestamp with time zone NOT NULL
);
CREATE TABLE public.history (
    id bigint NOT NULL,
    org text NOT NULL COLLATE pg_catalog."C",
    reference_id text NOT NULL COLLATE pg_catalog."C",
    subject text NOT NULL COLLATE pg_catalog."C",
    happening text NOT NULL COLLATE pg_catalog."C",
    seen_at timestamp with time zone NOT NULL,
    stamp timestamp with time zone,
    external_reference text COLLATE pg_catalog."C",
    persistence_type text COLLATE pg_catalog."C",
    status text COLLATE pg_catalog."C",
    cancelling boolean,
    auto_installation boolean,
    territory_owner text COLLATE pg_catalog."C",
    request_number bigint,
    subrequest_number bigint,
    attributes text COLLATE pg_catalog."C",
    created timestamp with time zone,
    upstream_id bigint,
    sequence bigint,
    code text COLLATE pg_catalog."C",
    resolved boolean,
    repeated boolean,
    inconsistent boolean,
    job_name text COLLATE pg_catalog."C",
    rule text COLLATE pg_catalog."C",
    CONSTRAINT history_check CHECK (((happening = 'request'::text) = ((status IS NOT NULL) AND (cancelling IS NOT NULL)))),
    CONSTRAINT history_happening_check CHECK ((happening = ANY (ARRAY['request'::text, 'gone'::text, 'let_go'::text, 'event'::text, 'issue'::text, 'issue_gone'::text, 'decision'::text]))),
    CONSTRAINT history_persistence_type_check CHECK ((persistence_type = ANY (ARRAY['ACTIVATION'::text, 'TERMINATION'::text]))),
    CONSTRAINT history_territory_owner_check CHECK ((territory_owner = ANY (ARRAY['NEBA'::text, 'VULA_COMMERCIAL'::text, 'VULA_REGULATED'::text])))
);
ALTER TABLE public.history ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.history_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.identity (
    only_row integer NOT NULL,
    id text NOT NULL COLLATE pg_catalog."C",
    home text COLLATE pg_catalog."C",
    mark oid NOT NULL,
    moved_to text COLLATE pg_catalog."C",
    moved_at timestamp with time zone,
    probes bigint DEFAULT 0 NOT NULL,
    CONSTRAINT identity_only_row_check CHECK ((only_row = 1))
);
CREATE TABLE public.job_memory (
    job_name text NOT NULL COLLATE pg_catalog."C",
    org text NOT NULL COLLATE pg_catalog."C",
    last_slot timestamp with time zone,
    last_started timestamp with time zone,
    last_outcome text COLLATE pg_catalog."C",
    last_success timestamp with time zone,
    CONSTRAINT job_memory_last_outcome_check CHECK ((last_outcome = ANY (ARRAY['succeeded'::text, 'partial'::text, 'failed'::text, 'held'::text, 'aborted'::text, 'lost'::text])))
);
CREATE TABLE public.latches (
    job_name text NOT NULL COLLATE pg_catalog."C",
    org text NOT NULL COLLATE pg_catalog."C",
    since timestamp with time zone NOT NULL,
    reason text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE public.looks (
    org text NOT NULL COLLATE pg_catalog."C",
    job_name text NOT NULL COLLATE pg_catalog."C",
    reference_id text NOT NULL COLLATE pg_catalog."C",
    looked_at timestamp with time zone NOT NULL,
    issues jsonb NOT NULL,
    again_at timestamp with time zone,
    CONSTRAINT looks_issues_check CHECK ((jsonb_typeof(issues) = 'array'::text))
);
CREATE TABLE public.notices (
    alert text NOT NULL COLLATE pg_catalog."C",
    org text NOT NULL COLLATE pg_catalog."C",
    subject text NOT NULL COLLATE pg_catalog."C",
    since timestamp with time zone NOT NULL,
    count bigint NOT NULL,
    standing boolean NOT NULL,
    told boolean NOT NULL,
    tries bigint NOT NULL,
    next_try timestamp with time zone NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    CONSTRAINT notices_alert_check CHECK ((alert = ANY (ARRAY['guard_held'::text, 'needs_human'::text, 'given_up'::text, 'new_finding_kind'::text])))
);
CREATE TABLE public.observations (
    reference_id text NOT NULL COLLATE pg_catalog."C",
    org text NOT NULL COLLATE pg_catalog."C",
    external_reference text COLLATE pg_catalog."C",
    persistence_type text COLLATE pg_catalog."C",
    status text NOT NULL COLLATE pg_catalog."C",
    cancelling boolean NOT NULL,
    auto_installation boolean,
    territory_owner text COLLATE pg_catalog."C",
    request_number bigint,
    subrequest_number bigint,
    attributes text COLLATE pg_catalog."C",
    created timestamp with time zone,
    last_updated timestamp with time zone,
    observed_at timestamp with time zone NOT NULL,
    CONSTRAINT observations_persistence_type_check CHECK ((persistence_type = ANY (ARRAY['ACTIVATION'::text, 'TERMINATION'::text]))),
    CONSTRAINT observations_territory_owner_check CHECK ((territory_owner = ANY (ARRAY['NEBA'::text, 'VULA_COMMERCIAL'::text, 'VULA_REGULATED'::text])))
);
CREATE TABLE public.pauses (
    job_name text NOT NULL COLLATE pg_catalog."C",
    who text NOT NULL COLLATE pg_catalog."C",
    reason text NOT NULL COLLATE pg_catalog."C",
    since timestamp with time zone NOT NULL,
    until timestamp with time zone
);
CREATE TABLE public.rates (
    org text NOT NULL COLLATE pg_catalog."C",
    kind text NOT NULL COLLATE pg_catalog."C",
    next timestamp with time zone NOT NULL,
    CONSTRAINT rates_kind_check CHECK ((kind = ANY (ARRAY['reads'::text, 'writes'::text])))
)
WITH (fillfactor='10');
CREATE TABLE public.releases (
    job_name text NOT NULL COLLATE pg_catalog."C",
    org text NOT NULL COLLATE pg_catalog."C",
    released_at timestamp with time zone NOT NULL
);
CREATE TABLE public.replicas (
    id text NOT NULL COLLATE pg_catalog."C",
    host text NOT NULL COLLATE pg_catalog."C",
    pid bigint NOT NULL,
    version text NOT NULL COLLATE pg_catalog."C",
    zones text NOT NULL COLLATE pg_catalog."C",
    mode text NOT NULL COLLATE pg_catalog."C",
    started_at timestamp with time zone NOT NULL,
    last_beat timestamp with time zone NOT NULL,
    CONSTRAINT replicas_mode_check CHECK ((mode = ANY (ARRAY['observe'::text, 'enforce'::text])))
);
CREATE TABLE public.retries (
    org text NOT NULL COLLATE pg_catalog."C",
    external_reference text NOT NULL COLLATE pg_catalog."C",
    at timestamp with time zone NOT NULL,
    who text NOT NULL COLLATE pg_catalog."C",
    reason text NOT NULL COLLATE pg_catalog."C",
    last_attempt bigint NOT NULL
);
CREATE TABLE public.runs (
    id bigint NOT NULL,
    job_name text NOT NULL COLLATE pg_catalog."C",
    org text NOT NULL COLLATE pg_catalog."C",
    trigger text NOT NULL COLLATE pg_catalog."C",
    slot timestamp with time zone,
    replica text NOT NULL COLLATE pg_catalog."C",
    mode text NOT NULL COLLATE pg_catalog."C",
    actor text NOT NULL COLLATE pg_catalog."C",
    reason text NOT NULL COLLATE pg_catalog."C",
    token bigint NOT NULL,
    started_at timestamp with time zone NOT NULL,
    last_beat timestamp with time zone NOT NULL,
    finished_at timestamp with time zone,
    outcome text COLLATE pg_catalog."C",
    selected bigint DEFAULT 0 NOT NULL,
    observed bigint DEFAULT 0 NOT NULL,
    unchanged bigint DEFAULT 0 NOT NULL,
    to_act bigint DEFAULT 0 NOT NULL,
    sent bigint DEFAULT 0 NOT NULL,
    flagged bigint DEFAULT 0 NOT NULL,
    skipped bigint DEFAULT 0 NOT NULL,
    capped bigint DEFAULT 0 NOT NULL,
    failed bigint DEFAULT 0 NOT NULL,
    trouble text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    CONSTRAINT runs_check CHECK (((finished_at IS NULL) = (outcome IS NULL))),
    CONSTRAINT runs_mode_check CHECK ((mode = ANY (ARRAY['observe'::text, 'enforce'::text]))),
    CONSTRAINT runs_outcome_check CHECK ((outcome = ANY (ARRAY['succeeded'::text, 'partial'::text, 'failed'::text, 'held'::text, 'aborted'::text, 'lost'::text]))),
    CONSTRAINT runs_trigger_check CHECK ((trigger = ANY (ARRAY['schedule'::text, 'catch_up'::text, 'signal'::text, 'manual'::text, 'once'::text])))
);
ALTER TABLE public.runs ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.runs_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.schema_floor (
    only_row integer NOT NULL,
    migration bigint NOT NULL,
    CONSTRAINT schema_floor_only_row_check CHECK ((only_row = 1))
);
CREATE TABLE public.slots (
    job_name text NOT NULL COLLATE pg_catalog."C",
    org text NOT NULL COLLATE pg_catalog."C",
    scheduled_at timestamp with time zone NOT NULL,
    run_id bigint NOT NULL
);
CREATE VIEW public.standing_alerts AS
 SELECT ('guard_held'::text COLLATE "C") AS alert,
    latches.org,
    latches.job_name AS subject,
    latches.since,
    (1)::bigint AS count
   FROM public.latches
UNION ALL
 SELECT 'needs_human'::text AS alert,
    attempts.org,
    ''::text AS subject,
    NULL::timestamp with time zone AS since,
    count(*) AS count
   FROM public.attempts
  WHERE (attempts.state = 'needs_human'::text)
  GROUP BY attempts.org
UNION ALL
 SELECT 'given_up'::text AS alert,
    finding_counts.org,
    ''::text AS subject,
    NULL::timestamp with time zone AS since,
    (sum(finding_counts.count))::bigint AS count
   FROM public.finding_counts
  WHERE ((finding_counts.state = 'open'::text) AND (finding_counts.attention = 'given_up'::text))
  GROUP BY finding_counts.org
 HAVING (sum(finding_counts.count) > (0)::numeric)
UNION ALL
 SELECT 'new_finding_kind'::text AS alert,
    finding_counts.org,
    finding_counts.kind AS subject,
    NULL::timestamp with time zone AS since,
    (sum(finding_counts.count))::bigint AS count
   FROM public.finding_counts
  WHERE (finding_counts.state = 'open'::text)
  GROUP BY finding_counts.org, finding_counts.kind
 HAVING (sum(finding_counts.count) > (0)::numeric);
CREATE TABLE public.sweeps (
    org text NOT NULL COLLATE pg_catalog."C",
    job_name text NOT NULL COLLATE pg_catalog."C",
    began timestamp with time zone NOT NULL,
    rules text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE public.triggers (
    id bigint NOT NULL,
    job_name text NOT NULL COLLATE pg_catalog."C",
    org text NOT NULL COLLATE pg_catalog."C",
    who text NOT NULL COLLATE pg_catalog."C",
    reason text NOT NULL COLLATE pg_catalog."C",
    requested_at timestamp with time zone NOT NULL,
    taken_by text COLLATE pg_catalog."C",
    run_id bigint
);
ALTER TABLE public.triggers ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.triggers_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.unrun_slots (
    job_name text NOT NULL COLLATE pg_catalog."C",
    org text NOT NULL COLLATE pg_catalog."C",
    result text NOT NULL COLLATE pg_catalog."C",
    first_at timestamp with time zone NOT NULL,
    last_at timestamp with time zone NOT NULL,
    count bigint,
    recorded_at timestamp with time zone NOT NULL,
    CONSTRAINT unrun_slots_check CHECK ((last_at >= first_at)),
    CONSTRAINT unrun_slots_result_check CHECK ((result = ANY (ARRAY['run'::text, 'deduplicated'::text, 'skipped_overlap'::text, 'skipped_paused'::text, 'missed'::text])))
);
SELECT pg_catalog.lo_create('4186273834');
INSERT INTO public._sqlx_migrations VALUES (1, 'ground', '2026-11-28 18:52:11.018493+00', true, '\xb28fe97d8af4d82ada887e34c320319450980c9cc7d63c124628c8a49cd6b18befef2c39dad6f7f2aba77f0763b7f9b2', 83661465);
INSERT INTO public.attempt_steps OVERRIDING SYSTEM VALUE VALUES (1, 1, 'intended', '2026-11-18 11:06:40.123457+00', 'daemon', '', NULL);
INSERT INTO public.attempt_steps OVERRIDING SYSTEM VALUE VALUES (2, 2, 'intended', '2026-11-18 11:06:40.123457+00', 'daemon', '', NULL);
INSERT INTO public.attempt_steps OVERRIDING SYSTEM VALUE VALUES (3, 2, 'not_sent', '2026-11-18 11:06:41.123457+00', 'daemon', 'became not_sent', NULL);
INSERT INTO public.attempt_steps OVERRIDING SYSTEM VALUE VALUES (4, 3, 'intended', '2026-11-18 11:06:40.123457+00', 'daemon', '', NULL);
INSERT INTO public.attempt_steps OVERRIDING SYSTEM VALUE VALUES (5, 3, 'rejected', '2026-11-18 11:06:41.123457+00', 'daemon', 'became rejected', NULL);
INSERT INTO public.attempt_steps OVERRIDING SYSTEM VALUE VALUES (6, 4, 'intended', '2026-11-18 11:06:40.123457+00', 'daemon', '', NULL);
INSERT INTO public.attempt_steps OVERRIDING SYSTEM VALUE VALUES (7, 4, 'accepted', '2026-11-18 11:06:41.123457+00', 'daemon', 'became accepted', NULL);
INSERT INTO public.attempt_steps OVERRIDING SYSTEM VALUE VALUES (8, 5, 'intended', '2026-11-18 11:06:40.123457+00', 'daemon', '', NULL);
INSERT INTO public.attempt_steps OVERRIDING SYSTEM VALUE VALUES (9, 5, 'unknown', '2026-11-18 11:06:41.123457+00', 'daemon', 'became unknown', NULL);
INSERT INTO public.attempt_steps OVERRIDING SYSTEM VALUE VALUES (10, 6, 'intended', '2026-11-18 11:06:40.123457+00', 'daemon', '', NULL);
INSERT INTO public.attempt_steps OVERRIDING SYSTEM VALUE VALUES (11, 6, 'accepted', '2026-11-18 11:06:41.123457+00', 'daemon', 'became accepted', NULL);
INSERT INTO public.attempt_steps OVERRIDING SYSTEM VALUE VALUES (12, 6, 'confirmed', '2026-11-18 11:06:41.123457+00', 'daemon', 'became confirmed', NULL);
INSERT INTO public.attempt_steps OVERRIDING SYSTEM VALUE VALUES (13, 7, 'intended', '2026-11-18 11:06:40.123457+00', 'daemon', '', NULL);
INSERT INTO public.attempt_steps OVERRIDING SYSTEM VALUE VALUES (14, 7, 'unknown', '2026-11-18 11:06:41.123457+00', 'daemon', 'became unknown', NULL);
INSERT INTO public.attempt_steps OVERRIDING SYSTEM VALUE VALUES (15, 7, 'ineffective', '2026-11-18 11:06:41.123457+00', 'daemon', 'became ineffective', NULL);
INSERT INTO public.attempt_steps OVERRIDING SYSTEM VALUE VALUES (16, 8, 'intended', '2026-11-18 11:06:40.123457+00', 'daemon', '', NULL);
INSERT INTO public.attempt_steps OVERRIDING SYSTEM VALUE VALUES (17, 8, 'unknown', '2026-11-18 11:06:41.123457+00', 'daemon', 'became unknown', NULL);
INSERT INTO public.attempt_steps OVERRIDING SYSTEM VALUE VALUES (18, 8, 'needs_human', '2026-11-18 11:06:41.123457+00', 'daemon', 'became needs_human', NULL);
INSERT INTO public.attempts OVERRIDING SYSTEM VALUE VALUES (1, 'masmovil', 'ref-intended', 'intended', 'create_activation', 'intended', 'retry-stuck', 'resend-unsent', 1, 'replica-1', 'NOT_SENT', false, '2026-11-18 10:06:40.123457+00', 3, false, '2026-11-18 10:16:40.123457+00', '2026-11-18 10:36:40.123457+00', '00000000-0000-0007-0000-000000000001', '2026-11-18 11:06:40.123457+00', '2026-11-28 18:52:11.400282+00', '2026-11-18 11:06:40.123457+00', NULL, '', 0, NULL, NULL, NULL, NULL);
INSERT INTO public.attempts OVERRIDING SYSTEM VALUE VALUES (2, 'masmovil', 'ref-not_sent', 'not_sent', 'create_activation', 'not_sent', 'retry-stuck', 'resend-unsent', 1, 'replica-1', 'NOT_SENT', false, '2026-11-18 10:06:40.123457+00', 3, false, '2026-11-18 10:16:40.123457+00', '2026-11-18 10:36:40.123457+00', '00000000-0000-0007-0000-000000000002', '2026-11-18 11:06:40.123457+00', '2026-11-28 18:52:11.409071+00', '2026-11-18 11:06:41.123457+00', NULL, 'became not_sent', 0, NULL, NULL, NULL, NULL);
INSERT INTO public.attempts OVERRIDING SYSTEM VALUE VALUES (3, 'masmovil', 'ref-rejected', 'rejected', 'create_activation', 'rejected', 'retry-stuck', 'resend-unsent', 1, 'replica-1', 'NOT_SENT', false, '2026-11-18 10:06:40.123457+00', 3, false, '2026-11-18 10:16:40.123457+00', '2026-11-18 10:36:40.123457+00', '00000000-0000-0007-0000-000000000003', '2026-11-18 11:06:40.123457+00', '2026-11-28 18:52:11.417062+00', '2026-11-18 11:06:41.123457+00', NULL, 'became rejected', 0, NULL, NULL, NULL, NULL);
INSERT INTO public.attempts OVERRIDING SYSTEM VALUE VALUES (4, 'masmovil', 'ref-accepted', 'accepted', 'create_activation', 'accepted', 'retry-stuck', 'resend-unsent', 1, 'replica-1', 'NOT_SENT', false, '2026-11-18 10:06:40.123457+00', 3, false, '2026-11-18 10:16:40.123457+00', '2026-11-18 10:36:40.123457+00', '00000000-0000-0007-0000-000000000004', '2026-11-18 11:06:40.123457+00', '2026-11-28 18:52:11.420202+00', '2026-11-18 11:06:41.123457+00', NULL, 'became accepted', 0, '2026-11-18 11:07:40.123457+00', NULL, NULL, NULL);
INSERT INTO public.attempts OVERRIDING SYSTEM VALUE VALUES (5, 'masmovil', 'ref-unknown', 'unknown', 'create_activation', 'unknown', 'retry-stuck', 'resend-unsent', 1, 'replica-1', 'NOT_SENT', false, '2026-11-18 10:06:40.123457+00', 3, false, '2026-11-18 10:16:40.123457+00', '2026-11-18 10:36:40.123457+00', '00000000-0000-0007-0000-000000000005', '2026-11-18 11:06:40.123457+00', '2026-11-28 18:52:11.423208+00', '2026-11-18 11:06:41.123457+00', NULL, 'became unknown', 0, '2026-11-18 11:07:40.123457+00', NULL, NULL, NULL);
INSERT INTO public.attempts OVERRIDING SYSTEM VALUE VALUES (6, 'masmovil', 'ref-confirmed', 'confirmed', 'create_activation', 'confirmed', 'retry-stuck', 'resend-unsent', 1, 'replica-1', 'NOT_SENT', false, '2026-11-18 10:06:40.123457+00', 3, false, '2026-11-18 10:16:40.123457+00', '2026-11-18 10:36:40.123457+00', '00000000-0000-0007-0000-000000000006', '2026-11-18 11:06:40.123457+00', '2026-11-28 18:52:11.443507+00', '2026-11-18 11:06:41.123457+00', NULL, 'became confirmed', 0, NULL, NULL, NULL, NULL);
INSERT INTO public.attempts OVERRIDING SYSTEM VALUE VALUES (7, 'masmovil', 'ref-ineffective', 'ineffective', 'create_activation', 'ineffective', 'retry-stuck', 'resend-unsent', 1, 'replica-1', 'NOT_SENT', false, '2026-11-18 10:06:40.123457+00', 3, false, '2026-11-18 10:16:40.123457+00', '2026-11-18 10:36:40.123457+00', '00000000-0000-0007-0000-000000000007', '2026-11-18 11:06:40.123457+00', '2026-11-28 18:52:11.474331+00', '2026-11-18 11:06:41.123457+00', NULL, 'became ineffective', 0, NULL, NULL, NULL, NULL);
INSERT INTO public.attempts OVERRIDING SYSTEM VALUE VALUES (8, 'masmovil', 'ref-needs_human', 'needs_human', 'create_activation', 'needs_human', 'retry-stuck', 'resend-unsent', 1, 'replica-1', 'NOT_SENT', false, '2026-11-18 10:06:40.123457+00', 3, false, '2026-11-18 10:16:40.123457+00', '2026-11-18 10:36:40.123457+00', '00000000-0000-0007-0000-000000000008', '2026-11-18 11:06:40.123457+00', '2026-11-28 18:52:11.489738+00', '2026-11-18 11:06:41.123457+00', NULL, 'became needs_human', 0, NULL, NULL, NULL, NULL);
INSERT INTO public.audit OVERRIDING SYSTEM VALUE VALUES (1, '2026-11-18 11:06:44.123457+00', 'cli:operator', 'pause', 'all jobs', 'seen with the installer');
INSERT INTO public.audit OVERRIDING SYSTEM VALUE VALUES (2, '2026-11-18 11:06:45.123457+00', 'daemon', 'start', 'x', 'as configured');
INSERT INTO public.finding_counts VALUES ('masmovil', 'stuck_request', 'NOT_SENT', 'open', '', 1);
INSERT INTO public.findings OVERRIDING SYSTEM VALUE VALUES (1, 'masmovil', 'R-1', 'stuck_request', 'NOT_SENT', 'order-R-1', 'retry-stuck', 'open', NULL, 'last updated an hour ago', '2026-11-18 10:06:40.123457+00', '2026-11-18 11:06:42.123457+00', '2026-11-18 11:06:42.123457+00', 1, 0, NULL, NULL, NULL, '2026-11-18 11:06:42.123457+00');
INSERT INTO public.history OVERRIDING SYSTEM VALUE VALUES (1, 'masmovil', 'R-1', 'request', 'request', '2026-11-18 11:06:40.123457+00', '2026-11-18 10:06:40.123457+00', 'order-R-1', 'ACTIVATION', 'PROCESSING', true, false, 'VULA_REGULATED', 9223372036854775807, 1, '{"cto":"28-\"7\""}', '2026-11-18 09:06:40.123457+00', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.identity VALUES (1, 'c9402c33-821d-44f9-9efc-69e0cb0d4e1d', '7713297105626039762/16751', 4186273834, NULL, NULL, 0);
INSERT INTO public.job_memory VALUES ('retry-stuck', 'masmovil', '2026-11-18 11:06:39.123457+00', '2026-11-18 11:06:40.123457+00', 'partial', '2026-11-18 11:06:43.123457+00');
INSERT INTO public.observations VALUES ('R-1', 'masmovil', 'order-R-1', 'ACTIVATION', 'PROCESSING', true, false, 'VULA_REGULATED', 9223372036854775807, 1, '{"cto":"28-\"7\""}', '2026-11-18 09:06:40.123457+00', '2026-11-18 10:06:40.123457+00', '2026-11-18 11:06:40.123457+00');
INSERT INTO public.pauses VALUES ('', 'cli:operator', 'seen with the installer', '2026-11-18 11:06:44.123457+00', NULL);
INSERT INTO public.runs OVERRIDING SYSTEM VALUE VALUES (1, 'retry-stuck', 'masmovil', 'schedule', '2026-11-18 11:06:39.123457+00', 'replica-1', 'enforce', 'daemon', 'as configured', 1, '2026-11-18 11:06:40.123457+00', '2026-11-28 18:52:11.357648+00', '2026-11-18 11:06:43.123457+00', 'partial', 0, 0, 0, 0, 0, 0, 0, 0, 0, '');
INSERT INTO public.schema_floor VALUES (1, 1);
INSERT INTO public.slots VALUES ('retry-stuck', 'masmovil', '2026-11-18 11:06:39.123457+00', 1);
SELECT pg_catalog.setval('public.acknowledgements_id_seq', 1, false);
SELECT pg_catalog.setval('public.attempt_steps_id_seq', 18, true);
SELECT pg_catalog.setval('public.attempts_id_seq', 8, true);
SELECT pg_catalog.setval('public.audit_id_seq', 2, true);
SELECT pg_catalog.setval('public.classes_id_seq', 1, false);
SELECT pg_catalog.setval('public.fencing', 1, true);
SELECT pg_catalog.setval('public.findings_id_seq', 1, true);
SELECT pg_catalog.setval('public.history_id_seq', 1, true);
SELECT pg_catalog.setval('public.runs_id_seq', 1, true);
SELECT pg_catalog.setval('public.triggers_id_seq', 1, false);
BEGIN;
SELECT pg_catalog.lo_open('4186273834', 131072);
SELECT pg_catalog.lowrite(0, '\x63393430326333332d383231642d343466392d396566632d363965306362306434653164');
SELECT pg_catalog.lo_close(0);
COMMIT;
ALTER TABLE ONLY public._sqlx_migrations
    ADD CONSTRAINT _sqlx_migrations_pkey PRIMARY KEY (version);
ALTER TABLE ONLY public.acknowledgements
    ADD CONSTRAINT acknowledgements_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.attempt_steps
    ADD CONSTRAINT attempt_steps_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.attempts
    ADD CONSTRAINT attempts_correlation_id_key UNIQUE (correlation_id);
ALTER TABLE ONLY public.attempts
    ADD CONSTRAINT attempts_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.audit
    ADD CONSTRAINT audit_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.circuits
    ADD CONSTRAINT circuits_pkey PRIMARY KEY (org);
ALTER TABLE ONLY public.classes
    ADD CONSTRAINT classes_org_job_name_rule_detail_evidence_key UNIQUE (org, job_name, rule, detail, evidence);
ALTER TABLE ONLY public.classes
    ADD CONSTRAINT classes_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.contradictions
    ADD CONSTRAINT contradictions_pkey PRIMARY KEY (org, filter, reference_id);
ALTER TABLE ONLY public.decisions
    ADD CONSTRAINT decisions_pkey PRIMARY KEY (org, reference_id, job_name);
ALTER TABLE ONLY public.duplicates
    ADD CONSTRAINT duplicates_pkey PRIMARY KEY (org, external_reference, reference_id);
ALTER TABLE ONLY public.finding_counts
    ADD CONSTRAINT finding_counts_pkey PRIMARY KEY (org, kind, status, state, attention);
ALTER TABLE ONLY public.findings
    ADD CONSTRAINT findings_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.findings
    ADD CONSTRAINT findings_reference_id_org_kind_detail_key UNIQUE (reference_id, org, kind, detail);
ALTER TABLE ONLY public.held_back
    ADD CONSTRAINT held_back_pkey PRIMARY KEY (org);
ALTER TABLE ONLY public.history
    ADD CONSTRAINT history_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.identity
    ADD CONSTRAINT identity_pkey PRIMARY KEY (only_row);
ALTER TABLE ONLY public.job_memory
    ADD CONSTRAINT job_memory_pkey PRIMARY KEY (job_name, org);
ALTER TABLE ONLY public.latches
    ADD CONSTRAINT latches_pkey PRIMARY KEY (job_name, org);
ALTER TABLE ONLY public.looks
    ADD CONSTRAINT looks_pkey PRIMARY KEY (org, job_name, reference_id);
ALTER TABLE ONLY public.notices
    ADD CONSTRAINT notices_pkey PRIMARY KEY (alert, org, subject);
ALTER TABLE ONLY public.observations
    ADD CONSTRAINT observations_pkey PRIMARY KEY (reference_id, org);
ALTER TABLE ONLY public.pauses
    ADD CONSTRAINT pauses_pkey PRIMARY KEY (job_name);
ALTER TABLE ONLY public.rates
    ADD CONSTRAINT rates_pkey PRIMARY KEY (org, kind);
ALTER TABLE ONLY public.releases
    ADD CONSTRAINT releases_pkey PRIMARY KEY (job_name, org);
ALTER TABLE ONLY public.replicas
    ADD CONSTRAINT replicas_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.retries
    ADD CONSTRAINT retries_pkey PRIMARY KEY (org, external_reference, at);
ALTER TABLE ONLY public.runs
    ADD CONSTRAINT runs_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.runs
    ADD CONSTRAINT runs_token_key UNIQUE (token);
ALTER TABLE ONLY public.schema_floor
    ADD CONSTRAINT schema_floor_pkey PRIMARY KEY (only_row);
ALTER TABLE ONLY public.slots
    ADD CONSTRAINT slots_pkey PRIMARY KEY (job_name, org, scheduled_at);
ALTER TABLE ONLY public.sweeps
    ADD CONSTRAINT sweeps_pkey PRIMARY KEY (org, job_name);
ALTER TABLE ONLY public.triggers
    ADD CONSTRAINT triggers_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.unrun_slots
    ADD CONSTRAINT unrun_slots_pkey PRIMARY KEY (job_name, org, result, first_at);
CREATE INDEX acknowledgements_by_reference ON public.acknowledgements USING btree (reference_id);
CREATE INDEX acknowledgements_ended ON public.acknowledgements USING btree (ended_at) WHERE (ended_at IS NOT NULL);
CREATE INDEX acknowledgements_of_order ON public.acknowledgements USING btree (org, external_reference) WHERE (ended_at IS NULL);
CREATE INDEX acknowledgements_of_request ON public.acknowledgements USING btree (org, reference_id) WHERE (ended_at IS NULL);
CREATE INDEX attempt_steps_of_attempt ON public.attempt_steps USING btree (attempt_id, id);
CREATE INDEX attempts_by_order ON public.attempts USING btree (lower(external_reference));
CREATE INDEX attempts_by_reference ON public.attempts USING btree (lower(reference_id));
CREATE INDEX attempts_by_state ON public.attempts USING btree (state, id);
CREATE INDEX attempts_closed ON public.attempts USING btree (changed_at) WHERE (state = ANY (ARRAY['not_sent'::text, 'rejected'::text, 'confirmed'::text, 'ineffective'::text]));
CREATE INDEX attempts_of_hour ON public.attempts USING btree (org, counted_at, state);
CREATE INDEX attempts_of_order ON public.attempts USING btree (org, external_reference, id);
CREATE INDEX attempts_of_run ON public.attempts USING btree (run_id, state);
CREATE UNIQUE INDEX attempts_one_open ON public.attempts USING btree (org, external_reference) WHERE (state = ANY (ARRAY['intended'::text, 'accepted'::text, 'unknown'::text, 'needs_human'::text]));
CREATE UNIQUE INDEX attempts_one_open_a_request ON public.attempts USING btree (org, reference_id) WHERE (state = ANY (ARRAY['intended'::text, 'accepted'::text, 'unknown'::text, 'needs_human'::text]));
CREATE INDEX attempts_to_verify ON public.attempts USING btree (verify_at) WHERE (state = ANY (ARRAY['accepted'::text, 'unknown'::text]));
CREATE INDEX audit_by_age ON public.audit USING btree (at);
CREATE INDEX contradictions_by_age ON public.contradictions USING btree (seen_at);
CREATE INDEX decisions_on_nothing ON public.decisions USING btree (since) WHERE (verdict = ANY (ARRAY['not_found'::text, 'read_failed'::text, 'contract_violation'::text]));
CREATE INDEX duplicates_by_age ON public.duplicates USING btree (seen_at);
CREATE INDEX findings_by_order ON public.findings USING btree (lower(external_reference)) WHERE (external_reference IS NOT NULL);
CREATE INDEX findings_by_reference ON public.findings USING btree (lower(reference_id));
CREATE INDEX findings_live ON public.findings USING btree (id) WHERE (state <> 'resolved'::text);
CREATE INDEX findings_live_of_job ON public.findings USING btree (org, job_name) WHERE (state <> 'resolved'::text);
CREATE INDEX findings_missing ON public.findings USING btree (org, job_name) WHERE (missing_since IS NOT NULL);
CREATE INDEX findings_of_class ON public.findings USING btree (class_id, reference_id) WHERE (class_id IS NOT NULL);
CREATE INDEX findings_of_no_class ON public.findings USING btree (org, job_name, reference_id) WHERE ((state <> 'resolved'::text) AND (class_id IS NULL));
CREATE INDEX findings_oldest ON public.findings USING btree (org, kind, detail, since) WHERE ((state <> 'resolved'::text) AND (since IS NOT NULL));
CREATE INDEX findings_resolved ON public.findings USING btree (resolved_at) WHERE (state = 'resolved'::text);
CREATE INDEX findings_with_attention ON public.findings USING btree (org, job_name, reference_id) WHERE ((state <> 'resolved'::text) AND (attention IS NOT NULL));
CREATE INDEX findings_without_details ON public.findings USING btree (org, job_name, read_at NULLS FIRST, id) WHERE ((class_id IS NOT NULL) AND (since IS NULL));
CREATE INDEX history_of_request ON public.history USING btree (reference_id, org, subject, id);
CREATE INDEX looks_again ON public.looks USING btree (org, job_name, again_at) WHERE (again_at IS NOT NULL);
CREATE INDEX looks_by_age ON public.looks USING btree (looked_at);
CREATE INDEX observations_by_order ON public.observations USING btree (external_reference);
CREATE INDEX observations_final ON public.observations USING btree (observed_at) WHERE (status = ANY (ARRAY['REJECTED'::text, 'CANCELED'::text, 'FINISHED'::text]));
CREATE INDEX retries_by_age ON public.retries USING btree (at);
CREATE INDEX runs_finished ON public.runs USING btree (finished_at) WHERE (outcome IS NOT NULL);
CREATE INDEX runs_in_observe ON public.runs USING btree (job_name, org, id) WHERE (mode = 'observe'::text);
CREATE INDEX runs_of_job ON public.runs USING btree (job_name, id);
CREATE UNIQUE INDEX runs_one_running ON public.runs USING btree (job_name, org) WHERE (outcome IS NULL);
CREATE INDEX slots_by_age ON public.slots USING btree (scheduled_at);
CREATE INDEX triggers_answered ON public.triggers USING btree (requested_at) WHERE (run_id IS NOT NULL);
CREATE INDEX triggers_unanswered ON public.triggers USING btree (id) WHERE (run_id IS NULL);
CREATE INDEX unrun_slots_by_age ON public.unrun_slots USING btree (last_at);
CREATE TRIGGER attempt_steps_are_never_rewritten BEFORE UPDATE ON public.attempt_steps FOR EACH ROW EXECUTE FUNCTION public.refuse_rewriting('attempt_steps is append-only');
CREATE TRIGGER attempt_steps_of_open_attempts_stay BEFORE DELETE ON public.attempt_steps FOR EACH ROW EXECUTE FUNCTION public.refuse_steps_of_open_attempts();
CREATE TRIGGER attempts_keep_what_was_intended BEFORE UPDATE OF id, org, reference_id, external_reference, operation, job_name, rule, run_id, replica, before_status, before_cancelling, before_last_updated, issue_sequence, before_issue_resolved, before_issue_last_updated, due_since, correlation_id, intended_at ON public.attempts FOR EACH ROW EXECUTE FUNCTION public.refuse_rewriting('what an attempt intended is not rewritten');
CREATE TRIGGER audit_is_never_rewritten BEFORE UPDATE ON public.audit FOR EACH ROW EXECUTE FUNCTION public.refuse_rewriting('audit is append-only');
CREATE TRIGGER changes_of_decisions_are_told AFTER UPDATE ON public.decisions REFERENCING OLD TABLE AS before NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION public.tell_decisions();
CREATE TRIGGER changes_of_observations_are_told AFTER UPDATE ON public.observations REFERENCING OLD TABLE AS before NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION public.tell_observations();
CREATE TRIGGER decisions_are_told AFTER INSERT ON public.decisions REFERENCING NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION public.tell_decisions();
CREATE TRIGGER findings_are_counted_anew AFTER UPDATE ON public.findings REFERENCING OLD TABLE AS before NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION public.count_findings();
CREATE TRIGGER findings_are_counted_in AFTER INSERT ON public.findings REFERENCING NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION public.count_findings();
CREATE TRIGGER findings_are_counted_out AFTER DELETE ON public.findings REFERENCING OLD TABLE AS before FOR EACH STATEMENT EXECUTE FUNCTION public.count_findings();
CREATE TRIGGER history_is_never_rewritten BEFORE UPDATE ON public.history FOR EACH ROW EXECUTE FUNCTION public.refuse_rewriting('history is append-only');
CREATE TRIGGER observations_are_told AFTER INSERT ON public.observations REFERENCING NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION public.tell_observations();
CREATE TRIGGER open_attempts_stay BEFORE DELETE ON public.attempts FOR EACH ROW WHEN ((old.state = ANY (ARRAY['intended'::text, 'accepted'::text, 'unknown'::text, 'needs_human'::text]))) EXECUTE FUNCTION public.refuse_rewriting('an open attempt is not deleted');
ALTER TABLE ONLY public.attempt_steps
    ADD CONSTRAINT attempt_steps_attempt_id_fkey FOREIGN KEY (attempt_id) REFERENCES public.attempts(id);
ALTER TABLE ONLY public.attempts
    ADD CONSTRAINT attempts_run_id_fkey FOREIGN KEY (run_id) REFERENCES public.runs(id);
ALTER TABLE ONLY public.findings
    ADD CONSTRAINT findings_class_id_fkey FOREIGN KEY (class_id) REFERENCES public.classes(id);
