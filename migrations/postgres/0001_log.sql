-- The log, what is known about it, and the clock of leases. Runs inside the transaction that the program opens.
CREATE TABLE kine_shim.meta (
    only_row       boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    application    text    NOT NULL DEFAULT 'kine-shim',
    -- Migrations applied so far.
    schema_version integer NOT NULL,
    -- What a program must know to read, and to write, what is stored here.
    reader_format  integer NOT NULL,
    writer_format  integer NOT NULL,
    incarnation    bigint  NOT NULL DEFAULT 0,
    -- Rows at or below this position may be missing.
    trimmed        bigint  NOT NULL DEFAULT 0
);
INSERT INTO kine_shim.meta (schema_version, reader_format, writer_format) VALUES (1, 1, 1);

-- A chain by id; the head is the last row. Never updated: a hot row would decay under any long snapshot.
CREATE TABLE kine_shim.batch (
    position       bigint PRIMARY KEY,
    id             uuid   NOT NULL,
    prev_id        uuid   NOT NULL,
    first_revision bigint NOT NULL,
    last_revision  bigint NOT NULL,
    writer         uuid   NOT NULL,
    at_ms          bigint NOT NULL,
    -- The size of its entries when written: pages are cut by it.
    bytes          bigint NOT NULL
);
-- The place before the first batch, so that the first append is like every other.
INSERT INTO kine_shim.batch VALUES
    (0, '00000000-0000-0000-0000-000000000000', '00000000-0000-0000-0000-000000000000', 1, 1,
     '00000000-0000-0000-0000-000000000000', 0, 0);

CREATE TABLE kine_shim.log (
    position        bigint   NOT NULL,
    sub             integer  NOT NULL,
    kind            smallint NOT NULL,
    revision        bigint   NOT NULL,
    sub_revision    integer  NOT NULL,
    create_revision bigint   NOT NULL,
    version         bigint   NOT NULL,
    lease           bigint   NOT NULL,
    key             bytea    NOT NULL,
    value           bytea    NOT NULL,
    PRIMARY KEY (position, sub)
);

-- Compression that is cheap, or none: pglz would cost the appender more than the disk saves.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_settings WHERE name = 'default_toast_compression' AND 'lz4' = ANY (enumvals)) THEN
        EXECUTE 'ALTER TABLE kine_shim.log ALTER COLUMN value SET COMPRESSION lz4';
    ELSE
        ALTER TABLE kine_shim.log ALTER COLUMN value SET STORAGE EXTERNAL;
    END IF;
END
$$;
ALTER TABLE kine_shim.log ALTER COLUMN key SET STORAGE EXTERNAL;

-- Renewals are not durable: a row that a crash loses means a full TTL more.
CREATE UNLOGGED TABLE kine_shim.lease_clock (
    id       bigint PRIMARY KEY,
    renewals bigint NOT NULL,
    expiring boolean NOT NULL,
    at       timestamptz NOT NULL
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);

-- Writers that were refused ask the others here to leave room for a moment. A hint: losing it costs time, nothing else.
CREATE UNLOGGED TABLE kine_shim.turn (
    writer uuid PRIMARY KEY,
    until  timestamptz NOT NULL
) WITH (fillfactor = 10, autovacuum_vacuum_scale_factor = 0.05);

-- The append, whole or not at all: 1 = committed (now or before, by this id), 2 = refused, 3 = the position was trimmed,
-- 4 = the head keeps moving, 5 = committed, and another writer asks for a turn. A function, because its plans stay with the server's session, which no pooler disturbs: planning
-- cost three times what a small append costs. A change is a new function beside this one; releases run side by side.
-- Every statement in it has its own snapshot: one that was blocked kept its old one, the next sees what it was blocked by.
-- enable_seqscan: a plan made while the tables were small must not stay when they grow. jit: what that setting forbids and
-- still happens looks so costly to the planner that it would compile it, 20 ms each time.
CREATE FUNCTION kine_shim.append_v1(
    new_position bigint, new_id uuid, new_prev_id uuid, new_first_revision bigint, new_last_revision bigint,
    new_writer uuid, new_at_ms bigint, new_bytes bigint, incarnations integer,
    subs integer[], kinds smallint[], revisions bigint[], sub_revisions integer[], create_revisions bigint[],
    versions bigint[], leases bigint[], keys bytea[], contents bytea[]
) RETURNS integer LANGUAGE plpgsql SET enable_seqscan = off SET jit = off AS $$
DECLARE
    found_id uuid;
BEGIN
    FOR attempt IN 1..8 LOOP
        -- The claim takes the place only behind its named predecessor; on a conflict it waits for the other to end.
        INSERT INTO kine_shim.batch (position, id, prev_id, first_revision, last_revision, writer, at_ms, bytes)
        SELECT new_position, new_id, new_prev_id, new_first_revision, new_last_revision, new_writer, new_at_ms, new_bytes
        WHERE EXISTS (SELECT FROM kine_shim.batch b WHERE b.position = new_position - 1 AND b.id = new_prev_id)
        ON CONFLICT (position) DO NOTHING;
        IF FOUND THEN
            INSERT INTO kine_shim.log
                (position, sub, kind, revision, sub_revision, create_revision, version, lease, key, value)
            SELECT new_position, entry.*
            FROM unnest(subs, kinds, revisions, sub_revisions, create_revisions, versions, leases, keys, contents) AS entry;
            IF incarnations > 0 THEN
                UPDATE kine_shim.meta SET incarnation = incarnation + incarnations;
            END IF;
            IF EXISTS (SELECT FROM kine_shim.turn t WHERE t.writer <> new_writer AND t.until > clock_timestamp()) THEN
                RETURN 5;
            END IF;
            RETURN 1;
        END IF;

        SELECT b.id INTO found_id FROM kine_shim.batch b WHERE b.position = new_position;
        IF FOUND THEN
            IF found_id <> new_id THEN
                RETURN 2;
            END IF;
            -- A commit of its own: with synchronous replication it ends only when what was found is on the standby too.
            PERFORM pg_logical_emit_message(true, 'kine-shim', 'confirm');
            RETURN 1;
        END IF;
        IF EXISTS (SELECT FROM kine_shim.batch b WHERE b.position > new_position) THEN
            RETURN 3;
        END IF;
        SELECT b.id INTO found_id FROM kine_shim.batch b WHERE b.position = new_position - 1;
        IF NOT FOUND OR found_id <> new_prev_id THEN
            RETURN 2;
        END IF;
        -- The predecessor was committed while the claim was blocked, or is just now: once more.
    END LOOP;
    RETURN 4;
END
$$;

-- A piece of the log after a position, from one snapshot: batches in order until max_bytes are full, by their recorded sizes
-- before any row is touched. The lateral join keeps the planner on the primary key, whatever it believes about the tables; the rows
-- come unsorted. A function for its plan and for jit = off: the planner, knowing nothing of fresh tables, takes the query for a
-- large one and would compile it for half a second.
CREATE FUNCTION kine_shim.page_v1(after bigint, max_bytes bigint) RETURNS TABLE (
    trimmed bigint, "position" bigint, id uuid, prev_id uuid, first_revision bigint, last_revision bigint, writer uuid, at_ms bigint,
    sub integer, kind smallint, revision bigint, sub_revision integer, create_revision bigint, version bigint, lease bigint,
    key bytea, value bytea
) LANGUAGE plpgsql STABLE SET jit = off AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT m.trimmed, b.position, b.id, b.prev_id, b.first_revision, b.last_revision, b.writer, b.at_ms,
        l.sub, l.kind, l.revision, l.sub_revision, l.create_revision, l.version, l.lease, l.key, l.value
    FROM kine_shim.meta m
    LEFT JOIN (SELECT s.*, sum(s.bytes) OVER (ORDER BY s.position) - s.bytes AS before
               FROM (SELECT * FROM kine_shim.batch c WHERE c.position > after ORDER BY c.position LIMIT 4096) s) b
        ON b.before < max_bytes
    LEFT JOIN LATERAL (SELECT * FROM kine_shim.log r WHERE r.position = b.position OFFSET 0) l ON true;
END
$$;
