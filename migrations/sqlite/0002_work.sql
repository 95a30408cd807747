-- Parts of a run that its holder offers to all replicas. A SQLite store has one daemon, so that one never posts any;
-- the table is here because both back ends keep the same promises, and one suite holds them to it.
--
-- Payload and result hold what the other tables may hold too (ids, kinds, statuses, flags, dates, numbers, words of
-- our own), never a person's data.

CREATE TABLE work (
    run_id      INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    -- Counted by the holder, in the order in which the parts are to be taken.
    part        INTEGER NOT NULL,
    token       INTEGER NOT NULL,
    kind        TEXT    NOT NULL CHECK (kind IN ('read', 'act')),
    -- Of the job as configured at the holder's: who is configured otherwise leaves it alone.
    digest      TEXT    NOT NULL,
    payload     TEXT    NOT NULL CHECK (json_valid(payload)),
    tries       INTEGER NOT NULL DEFAULT 0,
    taken_by    TEXT,
    taken_until INTEGER,
    result      TEXT CHECK (json_valid(result)),
    trouble     TEXT    NOT NULL DEFAULT '',
    PRIMARY KEY (run_id, part),
    CHECK ((taken_by IS NULL) = (taken_until IS NULL))
) STRICT, WITHOUT ROWID;

-- Whoever ends a run, in whatever way, ends its parts.
CREATE TRIGGER work_ends_with_its_run AFTER UPDATE OF outcome ON runs WHEN NEW.outcome IS NOT NULL
BEGIN
    DELETE FROM work WHERE run_id = NEW.id;
END;
