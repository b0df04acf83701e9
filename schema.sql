-- The database of jobnb, whole: every table, column, index, rule and comment. The only truth about it.
--
-- Idempotent: it makes a new database, and it upgrades in place a `jobs` table made from the job service
-- framework's own DDL, with its rows. jobnb applies it in one transaction under an advisory lock; by hand:
--     psql --single-transaction -v ON_ERROR_STOP=1 -f schema.sql
--
-- Times in `timestamp` columns are UTC by definition, whatever the session's zone; write them with
-- timezone('utc', now()) or as naive UTC. Columns that jobnb adds are `timestamptz`.

-- What became of a job. Left as follows: scheduled -> in_progress | done | failed; in_progress -> done | failed;
-- done and failed are final. Why a job failed is in jobs.error_kind.
DO $$ BEGIN
    CREATE TYPE job_status AS ENUM ('scheduled', 'in_progress', 'done', 'failed');
EXCEPTION WHEN duplicate_object THEN NULL;
END $$;

-- What a job may belong to. Tables that exist belong to the host application and are left alone; the two made
-- here are minimal, and take an unknown id in (see jobs_make_referenced below).
DO $$ BEGIN
    IF to_regclass('documents') IS NULL THEN
        CREATE TABLE documents (
            document_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
            created_at  timestamp NOT NULL DEFAULT timezone('utc', now())
        );
        COMMENT ON TABLE documents IS 'made by jobnb';
    END IF;
    IF to_regclass('properties') IS NULL THEN
        CREATE TABLE properties (
            property_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
            created_at  timestamp NOT NULL DEFAULT timezone('utc', now())
        );
        COMMENT ON TABLE properties IS 'made by jobnb';
    END IF;
END $$;

-- fillfactor: progress and messages change often and are not indexed, so their updates stay within the page.
CREATE TABLE IF NOT EXISTS jobs (
    job_id        uuid       DEFAULT gen_random_uuid() NOT NULL PRIMARY KEY,
    document_id   uuid       REFERENCES documents ON DELETE CASCADE,
    job_type      varchar(50) NOT NULL,
    status        job_status DEFAULT 'scheduled'::job_status,
    created_at    timestamp  DEFAULT timezone('utc', now()),
    started_at    timestamp,
    finished_at   timestamp,
    result        jsonb      DEFAULT '{}'::jsonb,
    error_message text,
    property_id   uuid       REFERENCES properties ON DELETE CASCADE
) WITH (fillfactor = 70);

-- CURRENT_TIMESTAMP would store the session's local time (measured: shifts by hours).
ALTER TABLE jobs ALTER COLUMN created_at SET DEFAULT timezone('utc', now());

ALTER TABLE jobs
    ADD COLUMN IF NOT EXISTS name                text,
    ADD COLUMN IF NOT EXISTS initial_data        jsonb,
    ADD COLUMN IF NOT EXISTS error_kind          text,
    ADD COLUMN IF NOT EXISTS traceback           text,
    ADD COLUMN IF NOT EXISTS progress            real,
    ADD COLUMN IF NOT EXISTS progress_message    text,
    ADD COLUMN IF NOT EXISTS attempt             integer NOT NULL DEFAULT 1,
    ADD COLUMN IF NOT EXISTS max_attempts        integer NOT NULL DEFAULT 1,
    ADD COLUMN IF NOT EXISTS timeout_s           double precision,
    ADD COLUMN IF NOT EXISTS group_id            uuid,
    ADD COLUMN IF NOT EXISTS retry_of            uuid,
    ADD COLUMN IF NOT EXISTS kernel_id           uuid,
    ADD COLUMN IF NOT EXISTS executor            text,
    ADD COLUMN IF NOT EXISTS cancel_requested_at timestamptz,
    ADD COLUMN IF NOT EXISTS source              jsonb,
    ADD COLUMN IF NOT EXISTS result_error        text,
    ADD COLUMN IF NOT EXISTS result_order        jsonb,
    ADD COLUMN IF NOT EXISTS duration_s          double precision,
    ADD COLUMN IF NOT EXISTS cancel_force        boolean;

-- Vacuumed after one change in twenty rows, not in five: the small indexes of unfinished and failed jobs would else be
-- full of entries of rows that are gone, and counting would read the table instead of an index.
ALTER TABLE jobs SET (
    fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_insert_scale_factor = 0.05
);

DO $$ BEGIN
    ALTER TABLE jobs ADD CONSTRAINT jobs_error_kind_check
        CHECK (error_kind IN ('error', 'cancelled', 'timeout', 'lost')) NOT VALID;
EXCEPTION WHEN duplicate_object THEN NULL;
END $$;

COMMENT ON COLUMN jobs.created_at IS 'when the job was accepted, UTC';
COMMENT ON COLUMN jobs.started_at IS 'when its function began, UTC; of the first attempt';
COMMENT ON COLUMN jobs.finished_at IS 'when it ended, UTC';
COMMENT ON COLUMN jobs.result IS 'always an object; a function''s return value is under "result"';
COMMENT ON COLUMN jobs.error_message IS 'one line: what went wrong; the whole traceback is in its own column';
COMMENT ON COLUMN jobs.name IS 'what a person calls this job; the function''s name unless one was given';
COMMENT ON COLUMN jobs.initial_data IS 'what create_job was given';
COMMENT ON COLUMN jobs.error_kind IS 'why a failed job failed: error, cancelled, timeout or lost; null otherwise';
COMMENT ON COLUMN jobs.progress IS 'done so far, in [0, 1]; null if the job never said';
COMMENT ON COLUMN jobs.attempt IS 'counts from 1; grows when retries= runs the function again';
COMMENT ON COLUMN jobs.timeout_s IS 'seconds the function may take; null for no limit';
COMMENT ON COLUMN jobs.group_id IS 'the same in all jobs of one map()';
COMMENT ON COLUMN jobs.retry_of IS 'the job that this one repeats';
COMMENT ON COLUMN jobs.kernel_id IS 'the process that runs it: jobnb_kernels.kernel_id; null if nobody has taken it';
COMMENT ON COLUMN jobs.cancel_requested_at IS 'when somebody asked it to stop; it ends when its code has ended';
COMMENT ON COLUMN jobs.cancel_force IS 'true if it is to be stopped although its code does not listen';
COMMENT ON COLUMN jobs.source IS 'function name, module, text, sha256, notebook, git commit, where known';
COMMENT ON COLUMN jobs.result_error IS 'why the value of a done job was not stored whole; the result is then a preview';
COMMENT ON COLUMN jobs.result_order IS 'what jsonb does not keep of the result: the orders of dict keys, the types of NumPy numbers';
COMMENT ON COLUMN jobs.duration_s IS 'seconds from start to end by the monotonic clock of the process that ran it';

-- The processes that run jobs.
CREATE TABLE IF NOT EXISTS jobnb_kernels (
    kernel_id  uuid PRIMARY KEY,
    host       text NOT NULL,
    boot_id    text NOT NULL,
    pid        integer NOT NULL,
    "user"     text NOT NULL,
    notebook   text,
    python     text NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now(),
    heartbeat  timestamptz NOT NULL DEFAULT now(),
    stopped_at timestamptz
);
COMMENT ON COLUMN jobnb_kernels.boot_id IS 'one start of the host''s operating system; a kernel of an earlier boot is dead';
COMMENT ON COLUMN jobnb_kernels.heartbeat IS 'server time of the last sign of life; sent only while jobs are unfinished';
COMMENT ON COLUMN jobnb_kernels.stopped_at IS 'when it said goodbye; null while alive, and for ever after a crash';

-- What jobs printed, logged and warned, a line a row.
CREATE TABLE IF NOT EXISTS job_logs (
    job_id uuid NOT NULL REFERENCES jobs ON DELETE CASCADE,
    n      integer NOT NULL,
    at     timestamptz NOT NULL,
    stream text NOT NULL,
    line   text NOT NULL,
    PRIMARY KEY (job_id, n)
);
COMMENT ON COLUMN job_logs.n IS 'counts from 1 within the job';
COMMENT ON COLUMN job_logs.stream IS 'stdout, stderr, log, display (what it showed, as text), or jobnb (a remark of our own)';

-- Values too big, or too binary, for jobs.result.
CREATE TABLE IF NOT EXISTS job_values (
    job_id uuid NOT NULL REFERENCES jobs ON DELETE CASCADE,
    name   text NOT NULL,
    part   integer NOT NULL,
    kind   text NOT NULL,
    meta   jsonb NOT NULL DEFAULT '{}'::jsonb,
    data   bytea NOT NULL,
    PRIMARY KEY (job_id, name, part)
);
ALTER TABLE job_values ALTER COLUMN data SET STORAGE EXTERNAL; -- the kinds kept here are compressed already

-- Progress and heartbeat are in no index, so that their updates stay cheap.
CREATE INDEX IF NOT EXISTS jobs_active_idx   ON jobs (kernel_id, job_id) WHERE status IN ('scheduled', 'in_progress');
CREATE INDEX IF NOT EXISTS jobs_failed_idx   ON jobs (finished_at) INCLUDE (error_kind) WHERE status = 'failed';
CREATE INDEX IF NOT EXISTS jobs_finished_idx ON jobs (finished_at);
-- read backwards: newest first, rows without a time last
CREATE INDEX IF NOT EXISTS jobs_created_idx  ON jobs (created_at NULLS FIRST, job_id);
CREATE INDEX IF NOT EXISTS jobs_type_idx     ON jobs (job_type text_pattern_ops, job_id);
CREATE INDEX IF NOT EXISTS jobs_group_idx    ON jobs (group_id) WHERE group_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS jobs_retry_idx    ON jobs (retry_of) WHERE retry_of IS NOT NULL;
CREATE INDEX IF NOT EXISTS jobs_document_idx ON jobs (document_id) WHERE document_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS jobs_property_idx ON jobs (property_id) WHERE property_id IS NOT NULL;

-- How far a job has come. It only grows; `lost` is a suspicion, so the real end of the same attempt outranks it.
CREATE OR REPLACE FUNCTION job_rank(status job_status, error_kind text) RETURNS integer LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE status WHEN 'in_progress' THEN 1
                       WHEN 'done' THEN 3
                       WHEN 'failed' THEN CASE WHEN error_kind = 'lost' THEN 2 ELSE 3 END
                       ELSE 0 END
$$;

-- A finished job is final for every writer, psql included. Called only for a change that is not allowed: the
-- condition is in the trigger, so that an ordinary change costs no function call.
CREATE OR REPLACE FUNCTION jobs_refuse_transition() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'job % is %: it can''t become %', OLD.job_id, OLD.status, NEW.status
        USING ERRCODE = 'JN001', HINT = 'done and failed are final; run the job anew instead';
END $$;

DROP TRIGGER IF EXISTS jobs_final ON jobs;
CREATE TRIGGER jobs_final BEFORE UPDATE OF status ON jobs FOR EACH ROW
    WHEN (NEW.status IS DISTINCT FROM OLD.status
          AND job_rank(OLD.status, OLD.error_kind) >= job_rank(NEW.status, NEW.error_kind)
          AND NOT (NEW.attempt > OLD.attempt AND job_rank(OLD.status, OLD.error_kind) < 3))
    EXECUTE FUNCTION jobs_refuse_transition();

-- A job that no process has taken ends at once when it is asked to stop, whoever asks, in whatever way.
CREATE OR REPLACE FUNCTION jobs_cancel_untaken() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.status := 'failed';
    NEW.error_kind := 'cancelled';
    NEW.error_message := 'cancelled before it started';
    NEW.finished_at := timezone('utc', clock_timestamp());
    RETURN NEW;
END $$;

DROP TRIGGER IF EXISTS jobs_cancel_untaken ON jobs;
CREATE TRIGGER jobs_cancel_untaken BEFORE UPDATE OF cancel_requested_at ON jobs FOR EACH ROW
    WHEN (NEW.cancel_requested_at IS NOT NULL AND OLD.kernel_id IS NULL
          AND coalesce(OLD.status, 'scheduled') = 'scheduled')
    EXECUTE FUNCTION jobs_cancel_untaken();

-- Where documents or properties are jobnb's own, an id that is not there yet is added with the job.
CREATE OR REPLACE FUNCTION jobs_make_document() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO documents (document_id) VALUES (NEW.document_id) ON CONFLICT DO NOTHING;
    RETURN NEW;
END $$;
CREATE OR REPLACE FUNCTION jobs_make_property() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO properties (property_id) VALUES (NEW.property_id) ON CONFLICT DO NOTHING;
    RETURN NEW;
END $$;

DROP TRIGGER IF EXISTS jobs_make_document ON jobs;
DROP TRIGGER IF EXISTS jobs_make_property ON jobs;
DO $$ BEGIN
    IF obj_description(to_regclass('documents'), 'pg_class') = 'made by jobnb' THEN
        CREATE TRIGGER jobs_make_document BEFORE INSERT OR UPDATE OF document_id ON jobs FOR EACH ROW
            WHEN (NEW.document_id IS NOT NULL) EXECUTE FUNCTION jobs_make_document();
    END IF;
    IF obj_description(to_regclass('properties'), 'pg_class') = 'made by jobnb' THEN
        CREATE TRIGGER jobs_make_property BEFORE INSERT OR UPDATE OF property_id ON jobs FOR EACH ROW
            WHEN (NEW.property_id IS NOT NULL) EXECUTE FUNCTION jobs_make_property();
    END IF;
END $$;

-- Which version of this file the database follows; one row.
CREATE TABLE IF NOT EXISTS jobnb_schema (
    version    integer NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now(),
    only_row   boolean PRIMARY KEY DEFAULT true CHECK (only_row)
);
INSERT INTO jobnb_schema (version) VALUES (2)
    ON CONFLICT (only_row) DO UPDATE SET version = excluded.version, applied_at = now();
