-- Roles for a database that several people share: what runs jobs, and what only watches. Optional.
--
-- Idempotent. Run it as the owner of the tables (who needs CREATEROLE the first time), after schema.sql:
--     jobnb init-db --roles        or        psql -v ON_ERROR_STOP=1 -f roles.sql
-- Then give people one of them:
--     CREATE ROLE alice LOGIN PASSWORD '...' IN ROLE jobnb_runner;
--     CREATE ROLE wallboard LOGIN PASSWORD '...' IN ROLE jobnb_monitor;
--
-- Neither may delete, or change the tables: purging and upgrading are for their owner.

DO $$ BEGIN
    CREATE ROLE jobnb_runner NOLOGIN;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END $$;
DO $$ BEGIN
    CREATE ROLE jobnb_monitor NOLOGIN;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END $$;

-- runs jobs: submit, complete, fail, cancel, retry, and read everything
GRANT SELECT, INSERT, UPDATE ON jobs, jobnb_kernels TO jobnb_runner;
GRANT SELECT, INSERT ON job_logs, job_values TO jobnb_runner;
GRANT SELECT ON jobnb_schema TO jobnb_runner;

-- watches, and asks jobs to stop
GRANT SELECT ON jobs, jobnb_kernels, job_logs, job_values, jobnb_schema TO jobnb_monitor;
GRANT UPDATE (cancel_requested_at, cancel_force) ON jobs TO jobnb_monitor;

-- what jobs may belong to: looked up by id; where these tables are jobnb's own, unknown ids are added
DO $$
DECLARE referenced text;
BEGIN
    FOREACH referenced IN ARRAY ARRAY['documents', 'properties'] LOOP
        EXECUTE format('GRANT SELECT ON %I TO jobnb_runner', referenced);
        IF obj_description(to_regclass(referenced), 'pg_class') = 'made by jobnb' THEN
            EXECUTE format('GRANT INSERT ON %I TO jobnb_runner', referenced);
        END IF;
    END LOOP;
END $$;
