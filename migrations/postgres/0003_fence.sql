-- What a linearizable read waits for: the log's end and whose database it is, from one snapshot; with may_commit, carried by
-- a commit. A function for its plan: planning cost twice what looking costs, on every read of a client that reads alone.
CREATE FUNCTION kine_shim.fence_v1(applied bigint, may_commit boolean) RETURNS TABLE (
    head_position bigint, head_id uuid, head_revision bigint, id_at_applied uuid, trimmed bigint, incarnation bigint,
    in_recovery boolean, system_identifier text, timeline integer
) LANGUAGE plpgsql VOLATILE SET enable_seqscan = off SET jit = off AS $$
BEGIN
    IF may_commit THEN
        PERFORM pg_logical_emit_message(true, 'kine-shim', 'fence');
    END IF;
    RETURN QUERY
    SELECT head.position, head.id, head.last_revision, (SELECT b.id FROM kine_shim.batch b WHERE b.position = applied),
        m.trimmed, m.incarnation, pg_is_in_recovery(), (SELECT c.system_identifier::text FROM pg_control_system() c),
        CASE WHEN pg_is_in_recovery() THEN (SELECT c.timeline_id FROM pg_control_checkpoint() c)
             ELSE ('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::integer END
    FROM kine_shim.meta m,
        LATERAL (SELECT * FROM kine_shim.batch b ORDER BY b.position DESC LIMIT 1) head;
END
$$;
