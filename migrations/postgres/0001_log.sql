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
