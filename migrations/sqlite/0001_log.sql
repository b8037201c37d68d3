-- The log, what is known about it, and the clock of leases. Runs inside the transaction that the program opens.
-- The columns are those of PostgreSQL's migration; the reasons stand there.
CREATE TABLE meta (
    only_row       INTEGER PRIMARY KEY CHECK (only_row = 1),
    application    TEXT    NOT NULL,
    schema_version INTEGER NOT NULL,
    reader_format  INTEGER NOT NULL,
    writer_format  INTEGER NOT NULL,
    system         TEXT    NOT NULL,
    incarnation    INTEGER NOT NULL DEFAULT 0,
    trimmed        INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO meta (only_row, application, schema_version, reader_format, writer_format, system)
    VALUES (1, 'kine-shim', 1, 1, 1, lower(hex(randomblob(16))));

CREATE TABLE batch (
    position       INTEGER PRIMARY KEY,
    id             BLOB    NOT NULL,
    prev_id        BLOB    NOT NULL,
    first_revision INTEGER NOT NULL,
    last_revision  INTEGER NOT NULL,
    writer         BLOB    NOT NULL,
    at_ms          INTEGER NOT NULL,
    bytes          INTEGER NOT NULL
) STRICT;
INSERT INTO batch VALUES (0, zeroblob(16), zeroblob(16), 1, 1, zeroblob(16), 0, 0);

CREATE TABLE log (
    -- position << 24 | sub: one tree in the order of the log. A second one for a compound key, or values in the pages of an
    -- index (WITHOUT ROWID), would cost more than these 24 bits allow.
    place           INTEGER PRIMARY KEY,
    kind            INTEGER NOT NULL,
    revision        INTEGER NOT NULL,
    sub_revision    INTEGER NOT NULL,
    create_revision INTEGER NOT NULL,
    version         INTEGER NOT NULL,
    lease           INTEGER NOT NULL,
    key             BLOB    NOT NULL,
    value           BLOB    NOT NULL
) STRICT;

-- Renewals of an embedded store live in memory: its one process is the only one to count them.
