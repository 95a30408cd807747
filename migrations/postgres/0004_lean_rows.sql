-- What a sweep writes for every request, in as few trees as its readers need: on a first sweep of a large backlog the
-- upkeep of indexes was most of the store's work. The same under the same number and name for SQLite.
--
-- The key begins with the reference, so it finds a request by its reference alone, too; the index that did is gone.
ALTER TABLE observations DROP CONSTRAINT observations_pkey;
ALTER TABLE observations ADD PRIMARY KEY (reference_id, org);
DROP INDEX observations_by_reference;

-- A decision goes with the observation that it was made on. By their age go only those for which there may be none.
DROP INDEX decisions_by_age;
CREATE INDEX decisions_on_nothing ON decisions (since)
    WHERE verdict IN ('not_found', 'read_failed', 'contract_violation');

-- What a run asks first, of a hundred thousand findings mostly none.
CREATE INDEX findings_acknowledged ON findings (org, job_name) WHERE state = 'acknowledged';
