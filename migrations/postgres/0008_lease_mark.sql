-- A mark promises a revoke, so it survives a crash of the server, unlike the count of renewals: a renewal that succeeded because its mark
-- was lost would be followed by the revoke all the same.
CREATE TABLE kine_shim.lease_mark (
    id      bigint NOT NULL,
    granted bigint NOT NULL,
    at      timestamptz NOT NULL,
    PRIMARY KEY (id, granted)
);

-- Names one life of lease_clock. It is lost with it, so whoever finds another name knows that renewals he has not seen may be lost.
CREATE UNLOGGED TABLE kine_shim.lease_clock_life (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    id       uuid NOT NULL
);

-- The life, with each clock and each mark of these ids; at least one row, which has the life alone.
CREATE FUNCTION kine_shim.lease_clocks_v1(ids bigint[]) RETURNS TABLE (
    life uuid, id bigint, granted bigint, renewals bigint, expiring boolean, age double precision
) LANGUAGE plpgsql VOLATILE SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
    found_life uuid;
BEGIN
    SELECT l.id INTO found_life FROM kine_shim.lease_clock_life l;
    IF NOT FOUND THEN
        INSERT INTO kine_shim.lease_clock_life (id) VALUES (gen_random_uuid()) ON CONFLICT DO NOTHING;
        SELECT l.id INTO found_life FROM kine_shim.lease_clock_life l;
    END IF;
    RETURN QUERY
    SELECT found_life, known.id, known.granted, known.renewals, known.expiring,
        greatest(extract(epoch FROM clock_timestamp() - known.at), 0)::float8
    FROM (SELECT) one LEFT JOIN (
        SELECT c.id, c.granted, c.renewals, c.expiring, c.at FROM kine_shim.lease_clock c WHERE c.id = ANY (ids)
        UNION ALL
        SELECT m.id, m.granted, 0, true, m.at FROM kine_shim.lease_mark m WHERE m.id = ANY (ids)
    ) known ON true;
END
$$;

-- Marks the leases whose renewals are as they were seen in this life of the clocks, and returns those that this call marked. An absent row
-- was never renewed. The rule is checked again on the newest version of the row.
CREATE FUNCTION kine_shim.mark_expiring_v1(seen_life uuid, ids bigint[], granteds bigint[], seens bigint[])
RETURNS TABLE (id bigint, granted bigint) LANGUAGE plpgsql VOLATILE SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
BEGIN
    IF NOT EXISTS (SELECT FROM kine_shim.lease_clock_life l WHERE l.id = seen_life) THEN
        RETURN;
    END IF;
    RETURN QUERY
    WITH marked AS (
        INSERT INTO kine_shim.lease_clock AS clock (id, granted, renewals, expiring, at)
        SELECT lease.id, lease.granted, lease.seen, true, clock_timestamp()
        FROM unnest(ids, granteds, seens) AS lease(id, granted, seen)
        WHERE (lease.seen = 0 OR EXISTS
                (SELECT FROM kine_shim.lease_clock c WHERE c.id = lease.id AND c.granted = lease.granted))
            AND NOT EXISTS (SELECT FROM kine_shim.lease_mark m WHERE m.id = lease.id AND m.granted = lease.granted)
        ORDER BY lease.id, lease.granted
        ON CONFLICT (id, granted) DO UPDATE SET expiring = true, at = excluded.at
            WHERE clock.renewals = excluded.renewals AND NOT clock.expiring
        RETURNING clock.id, clock.granted
    ), kept AS (
        INSERT INTO kine_shim.lease_mark (id, granted, at) SELECT m.id, m.granted, clock_timestamp() FROM marked m
        ON CONFLICT DO NOTHING
    )
    SELECT m.id, m.granted FROM marked m;
END
$$;
