-- Re-runs: GitHub lets people run a run again. Each is an attempt of the same deploy with a result, a story and a log
-- of its own; what console_deploys says is the first attempt's, and stays.
CREATE TABLE console_attempts (
    deploy_id           TEXT   NOT NULL REFERENCES console_deploys (id),
    -- GitHub's number of it.
    attempt             BIGINT NOT NULL CHECK (attempt > 1),
    state               TEXT   NOT NULL,
    active              BIGINT NOT NULL CHECK (active IN (0, 1)),
    -- Who ran it again, by their name on GitHub.
    rerun_by            TEXT,
    head_sha            TEXT,
    dispatched_at       BIGINT,
    started_at          BIGINT,
    finished_at         BIGINT,
    last_heard_at       BIGINT,
    run_id              BIGINT,
    run_attempt         BIGINT,
    run_url             TEXT,
    confirmed_by        TEXT   CHECK (confirmed_by IN ('callback', 'github', 'operator')),
    cancel_requested    BIGINT NOT NULL,
    conclusion_conflict BIGINT NOT NULL,
    notice              TEXT,
    traces              TEXT   NOT NULL,
    failure             TEXT,
    log_bytes           BIGINT NOT NULL DEFAULT 0,
    version             BIGINT NOT NULL DEFAULT 0,
    blocked_by          TEXT,
    listed_steps        TEXT,
    concluded_at        BIGINT,
    cancel_sent_at      BIGINT,
    cancel_forced       BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (deploy_id, attempt)
);

CREATE INDEX console_attempts_active ON console_attempts (active, deploy_id);

-- The story and the log of each attempt.
CREATE TABLE console_attempt_events (
    deploy_id  TEXT   NOT NULL REFERENCES console_deploys (id),
    attempt    BIGINT NOT NULL,
    version    BIGINT NOT NULL,
    at         BIGINT NOT NULL,
    state      TEXT   NOT NULL,
    actor      TEXT   NOT NULL,
    actor_name TEXT,
    note       TEXT,
    PRIMARY KEY (deploy_id, attempt, version)
);

INSERT INTO console_attempt_events (deploy_id, attempt, version, at, state, actor, actor_name, note)
    SELECT deploy_id, 1, version, at, state, actor, actor_name, note FROM console_deploy_events;
DROP TABLE console_deploy_events;
ALTER TABLE console_attempt_events RENAME TO console_deploy_events;

CREATE TABLE console_attempt_chunks (
    deploy_id    TEXT   NOT NULL REFERENCES console_deploys (id),
    attempt      BIGINT NOT NULL,
    start_offset BIGINT NOT NULL,
    end_offset   BIGINT NOT NULL,
    text         TEXT   NOT NULL,
    PRIMARY KEY (deploy_id, attempt, start_offset)
);

INSERT INTO console_attempt_chunks (deploy_id, attempt, start_offset, end_offset, text)
    SELECT deploy_id, 1, start_offset, end_offset, text FROM console_log_chunks;
DROP TABLE console_log_chunks;
ALTER TABLE console_attempt_chunks RENAME TO console_log_chunks;

-- Until now a re-run that spoke early took the first attempt's place.
UPDATE console_deploys SET run_attempt = 1 WHERE run_id IS NOT NULL;
