-- What a sweep writes for every request, in as few trees as its readers need: on a first sweep of a large backlog the
-- upkeep of indexes was most of the store's work. The same under the same number and name for PostgreSQL.
--
-- The key begins with the reference, so it finds a request by its reference alone, too; the index that did is gone.
CREATE TABLE lean_observations (
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
    created            INTEGER,
    last_updated       INTEGER,
    observed_at        INTEGER NOT NULL,
    PRIMARY KEY (reference_id, org)
) STRICT, WITHOUT ROWID;
INSERT INTO lean_observations (
    reference_id, org, external_reference, persistence_type, status, cancelling, auto_installation, territory_owner,
    request_number, subrequest_number, created, last_updated, observed_at)
SELECT reference_id, org, external_reference, persistence_type, status, cancelling, auto_installation, territory_owner,
       request_number, subrequest_number, created, last_updated, observed_at
FROM observations ORDER BY reference_id, org;
DROP TABLE observations;
ALTER TABLE lean_observations RENAME TO observations;
CREATE INDEX observations_by_order ON observations (external_reference);
CREATE INDEX observations_final ON observations (observed_at) WHERE status IN ('REJECTED', 'CANCELED', 'FINISHED');

-- A decision goes with the observation that it was made on. By their age go only those for which there may be none.
DROP INDEX decisions_by_age;
CREATE INDEX decisions_on_nothing ON decisions (since)
    WHERE verdict IN ('not_found', 'read_failed', 'contract_violation');

-- What a run asks first, of a hundred thousand findings mostly none.
CREATE INDEX findings_acknowledged ON findings (org, job_name) WHERE state = 'acknowledged';
