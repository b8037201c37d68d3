-- A vacuum reads the whole index: it comes when a tenth of the table is useless, so that its cost stays in proportion to what was
-- deleted (see docs/decisions/compaction-space.md). The same for values kept aside.
ALTER TABLE kine_shim.log SET (
    autovacuum_vacuum_scale_factor = 0.1, autovacuum_vacuum_threshold = 10000,
    toast.autovacuum_vacuum_scale_factor = 0.1, toast.autovacuum_vacuum_threshold = 10000
);
ALTER TABLE kine_shim.batch SET (autovacuum_vacuum_scale_factor = 0.1, autovacuum_vacuum_threshold = 10000);
