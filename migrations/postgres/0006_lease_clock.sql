-- A lease's id may be granted anew once the lease is gone. A clock belongs to one grant, told by the position of the batch that made it, so
-- that a renewal, a mark or its removal that comes late for an earlier one touches nothing. What was counted so far is lost: every lease
-- gets its full time again. A program that does not know the column can neither renew nor expire here; both are faults to it.
DROP TABLE kine_shim.lease_clock;
CREATE UNLOGGED TABLE kine_shim.lease_clock (
    id       bigint  NOT NULL,
    granted  bigint  NOT NULL,
    renewals bigint  NOT NULL,
    expiring boolean NOT NULL,
    at       timestamptz NOT NULL,
    PRIMARY KEY (id, granted)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);
