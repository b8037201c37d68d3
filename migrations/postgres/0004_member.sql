-- Who is alive: clients ask any shim for all. Each says so every few seconds; whoever is silent is no longer listed. A hint: losing the
-- table costs one round of saying so again.
CREATE UNLOGGED TABLE kine_shim.member (
    id          bigint PRIMARY KEY,
    name        text   NOT NULL,
    client_urls text[] NOT NULL,
    at          timestamptz NOT NULL
) WITH (fillfactor = 10, autovacuum_vacuum_scale_factor = 0.05);
