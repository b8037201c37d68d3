-- One statement, and so one transaction, raises the floor and deletes what lies below it: whoever misses a row sees in the same snapshot that
-- it may be missing. The lock lets two trimming shims follow each other: the second sees which batches the first left empty.
CREATE FUNCTION kine_shim.trim_v1(new_floor bigint, positions bigint[], subs integer[]) RETURNS void
LANGUAGE plpgsql SET enable_seqscan = off SET jit = off AS $$
DECLARE
    last_floor bigint;
BEGIN
    SELECT m.trimmed INTO last_floor FROM kine_shim.meta m FOR UPDATE;
    UPDATE kine_shim.meta SET trimmed = new_floor WHERE trimmed < new_floor;
    DELETE FROM kine_shim.log l USING unnest(positions, subs) AS gone(position, sub)
    WHERE l.position = gone.position AND l.sub = gone.sub;
    -- A batch at the last floor may have been emptied then; it was kept because it was not below.
    DELETE FROM kine_shim.batch b WHERE b.position = ANY (positions || last_floor) AND b.position < new_floor
        AND NOT EXISTS (SELECT FROM kine_shim.log l WHERE l.position = b.position);
END
$$;

-- How far each living shim has applied the log, so that nothing is trimmed that one of them is still to read; and which timeline it knows
-- to be in charge, so that after a failover the others learn what it had seen before. Losing the table costs a shim that reads just then one
-- load of the log.
CREATE UNLOGGED TABLE kine_shim.reader (
    id       uuid PRIMARY KEY,
    applied  bigint NOT NULL,
    timeline bigint NOT NULL,
    at       timestamptz NOT NULL
) WITH (fillfactor = 10, autovacuum_vacuum_scale_factor = 0.05);
