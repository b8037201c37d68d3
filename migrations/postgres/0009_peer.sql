-- How the other shims reach this one, to hand it operations and to hear what it commits: its name as a writer, HOST:PORT, and the digest of the
-- certificate that it shows. Whoever can write here can write the log itself, so nobody gains rights by it. NULL: a release that does not know it.
ALTER TABLE kine_shim.member ADD COLUMN peer_writer uuid, ADD COLUMN peer_address text, ADD COLUMN peer_certificate bytea;
