-- How many findings there are of each sort, kept with every change of one: a scrape, a page and the notices ask for it
-- every few seconds, and counting a million rows each time would cost more than all else the store does. The same
-- table under the same number and name as for PostgreSQL.
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

CREATE TRIGGER findings_are_counted_in AFTER INSERT ON findings WHEN NEW.state <> 'resolved'
BEGIN
    INSERT INTO finding_counts (org, kind, status, state, attention, count)
    VALUES (NEW.org, NEW.kind, iif(NEW.kind = 'stuck_request', NEW.detail, ''), NEW.state, coalesce(NEW.attention, ''), 1)
    ON CONFLICT (org, kind, status, state, attention) DO UPDATE SET count = count + 1;
END;
-- What a finding is about (org, kind, detail) never changes.
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

INSERT INTO finding_counts (org, kind, status, state, attention, count)
SELECT org, kind, iif(kind = 'stuck_request', detail, ''), state, coalesce(attention, ''), count(*)
FROM findings WHERE state <> 'resolved' GROUP BY 1, 2, 3, 4, 5;

DROP VIEW standing_alerts;
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

-- Nothing counts by them any more, and every write kept them.
DROP INDEX findings_open_counts;
DROP INDEX attempts_counts;
