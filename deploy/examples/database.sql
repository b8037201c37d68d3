-- Run once as a superuser: psql -v password="'...'" -f database.sql
-- The role owns its database and nothing else; the shims make their schema in it when they first start.
CREATE ROLE kine_shim LOGIN PASSWORD :password;
CREATE DATABASE kubernetes OWNER kine_shim ENCODING 'UTF8' TEMPLATE template0;
-- A commit must be on disk (and, with synchronous replication, on a standby) before it is acknowledged.
ALTER ROLE kine_shim IN DATABASE kubernetes SET synchronous_commit = 'on';
-- A shim that hangs in a transaction must not hold back vacuum or the others.
ALTER ROLE kine_shim IN DATABASE kubernetes SET idle_in_transaction_session_timeout = '10s';
