-- The application's first schema; later changes are its migrations'.
\connect skillbase

-- For all tables, so that those of later migrations are in it. That needs a superuser, which Debezium isn't: so it is made here,
-- and Debezium is told publication.autocreate.mode=disabled. A table in it needs a primary key: without one UPDATE and DELETE fail.
CREATE PUBLICATION debezium FOR ALL TABLES;

GRANT USAGE ON SCHEMA public TO debezium;
ALTER DEFAULT PRIVILEGES FOR ROLE skillbase IN SCHEMA public GRANT SELECT ON TABLES TO debezium;

SET ROLE skillbase;

CREATE TABLE skill (
    id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name  text NOT NULL UNIQUE
);

CREATE TABLE member (
    id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    email  text NOT NULL UNIQUE,
    name   text NOT NULL
);

CREATE TABLE member_skill (
    member_id   bigint NOT NULL REFERENCES member ON DELETE CASCADE,
    skill_id    bigint NOT NULL REFERENCES skill,
    level       smallint NOT NULL CHECK (level BETWEEN 1 AND 5),
    changed_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (member_id, skill_id)
);
