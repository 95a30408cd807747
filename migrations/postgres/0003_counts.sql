-- How many findings there are of each sort, kept with every change of one: a scrape, a page and the notices ask for it
-- every few seconds, and counting a million rows each time would cost more than all else the store does. The same
-- table under the same number and name as for SQLite.
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

INSERT INTO finding_counts (org, kind, status, state, attention, count)
SELECT org, kind, CASE kind WHEN 'stuck_request' THEN detail ELSE '' END, state, coalesce(attention, ''), count(*)
FROM findings WHERE state <> 'resolved' GROUP BY 1, 2, 3, 4, 5;

DROP VIEW standing_alerts;
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

-- Nothing counts by them any more, and every write kept them.
DROP INDEX findings_open_counts;
DROP INDEX attempts_counts;
