-- Parts of a run that its holder offers to all replicas, itself among them: batches of requests to read and decide
-- on, and single writes to carry out. Few at any time, and none once their run has ended.
--
-- Payload and result hold what the other tables may hold too (ids, kinds, statuses, flags, dates, numbers, words of
-- our own), never a person's data.

CREATE TABLE work (
    run_id      bigint NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    -- Counted by the holder, in the order in which the parts are to be taken.
    part        bigint NOT NULL,
    token       bigint NOT NULL,
    kind        text COLLATE "C" NOT NULL CHECK (kind IN ('read', 'act')),
    -- Of the job as configured at the holder's: who is configured otherwise leaves it alone.
    digest      text COLLATE "C" NOT NULL,
    payload     jsonb NOT NULL,
    tries       bigint NOT NULL DEFAULT 0,
    taken_by    text COLLATE "C",
    taken_until timestamptz,
    result      jsonb,
    trouble     text COLLATE "C" NOT NULL DEFAULT '',
    PRIMARY KEY (run_id, part),
    CHECK ((taken_by IS NULL) = (taken_until IS NULL))
);

-- Whoever ends a run, in whatever way, ends its parts.
CREATE FUNCTION forget_work() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM work WHERE run_id = NEW.id;
    RETURN NULL;
END $$;
CREATE TRIGGER work_ends_with_its_run AFTER UPDATE OF outcome ON runs
    FOR EACH ROW WHEN (NEW.outcome IS NOT NULL) EXECUTE FUNCTION forget_work();
