-- Statements that must run on the server whose identity was checked name that server's run. Reading the identity itself costs
-- a file each time; a run (one life of one server as a primary) has one identity, and telling it costs nothing.
CREATE FUNCTION kine_shim.server_run() RETURNS bigint LANGUAGE sql VOLATILE AS $$
    SELECT CASE WHEN pg_catalog.pg_is_in_recovery() THEN 0
                ELSE (extract(epoch FROM pg_catalog.pg_postmaster_start_time()) * 1000000)::bigint END
$$;

-- True, or an error that undoes the statement it stands in. 0 asks for nothing.
CREATE FUNCTION kine_shim.must_be(run bigint) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    IF run <> 0 AND run <> kine_shim.server_run() THEN
        RAISE EXCEPTION 'another server answers than the one that was checked' USING ERRCODE = 'KS001';
    END IF;
    RETURN true;
END
$$;
