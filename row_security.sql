-- Row security: whoever runs jobs sees and changes only the jobs of their own role. Optional; needs roles.sql.
--
-- Idempotent. Run it as the owner of the tables, who goes on seeing all rows, as jobnb_monitor does:
--     jobnb init-db --roles --row-security        or        psql -v ON_ERROR_STOP=1 -f row_security.sql
-- To end it: ALTER TABLE jobs DISABLE ROW LEVEL SECURITY, and so on for the other three tables.
--
-- What it does not hide: that an id exists (an INSERT of the same id is ignored), and who is connected
-- (pg_stat_activity).

ALTER TABLE jobs          ADD COLUMN IF NOT EXISTS owner_role name NOT NULL DEFAULT current_user;
ALTER TABLE jobnb_kernels ADD COLUMN IF NOT EXISTS owner_role name NOT NULL DEFAULT current_user;
COMMENT ON COLUMN jobs.owner_role IS 'the role that submitted it; row_security.sql shows it to that one only';

-- without this a role could hand its own rows to another one, or take those that are handed to it
REVOKE UPDATE ON jobs, jobnb_kernels FROM jobnb_runner;
DO $$
DECLARE relation text; allowed text;
BEGIN
    FOREACH relation IN ARRAY ARRAY['jobs', 'jobnb_kernels'] LOOP
        SELECT string_agg(quote_ident(attname), ', ') INTO allowed FROM pg_attribute
        WHERE attrelid = relation::regclass AND attnum > 0 AND NOT attisdropped AND attname <> 'owner_role';
        EXECUTE format('GRANT UPDATE (%s) ON %I TO jobnb_runner', allowed, relation);
    END LOOP;
END $$;

ALTER TABLE jobs          ENABLE ROW LEVEL SECURITY;
ALTER TABLE jobnb_kernels ENABLE ROW LEVEL SECURITY;
ALTER TABLE job_logs      ENABLE ROW LEVEL SECURITY;
ALTER TABLE job_values    ENABLE ROW LEVEL SECURITY;

DROP POLICY IF EXISTS jobnb_own       ON jobs;
DROP POLICY IF EXISTS jobnb_watch     ON jobs;
DROP POLICY IF EXISTS jobnb_cancel    ON jobs;
DROP POLICY IF EXISTS jobnb_own       ON jobnb_kernels;
DROP POLICY IF EXISTS jobnb_watch     ON jobnb_kernels;
DROP POLICY IF EXISTS jobnb_of_jobs   ON job_logs;
DROP POLICY IF EXISTS jobnb_of_jobs   ON job_values;

CREATE POLICY jobnb_own ON jobs TO jobnb_runner
    USING (owner_role = current_user) WITH CHECK (owner_role = current_user);
CREATE POLICY jobnb_watch ON jobs FOR SELECT TO jobnb_monitor USING (true);
CREATE POLICY jobnb_cancel ON jobs FOR UPDATE TO jobnb_monitor USING (true) WITH CHECK (true);

CREATE POLICY jobnb_own ON jobnb_kernels TO jobnb_runner
    USING (owner_role = current_user) WITH CHECK (owner_role = current_user);
CREATE POLICY jobnb_watch ON jobnb_kernels FOR SELECT TO jobnb_monitor USING (true);

-- the query for the job is under the policies of jobs itself
CREATE POLICY jobnb_of_jobs ON job_logs TO jobnb_runner, jobnb_monitor
    USING (EXISTS (SELECT FROM jobs WHERE jobs.job_id = job_logs.job_id));
CREATE POLICY jobnb_of_jobs ON job_values TO jobnb_runner, jobnb_monitor
    USING (EXISTS (SELECT FROM jobs WHERE jobs.job_id = job_values.job_id));
