-- One text for SQLite and PostgreSQL: TEXT and BIGINT alone. Times are milliseconds since the Unix
-- epoch, flags are 0 or 1, lists and maps are JSON.

-- The intent, written before anything else happens, and all that became of it.
CREATE TABLE console_deploys (
    id                  TEXT   NOT NULL PRIMARY KEY,
    site                TEXT   NOT NULL,
    environment         TEXT   NOT NULL,
    state               TEXT   NOT NULL CHECK (state IN (
        'requested', 'dispatching', 'dispatch_failed', 'dispatch_unknown', 'queued', 'running',
        'lost', 'succeeded', 'failed', 'cancelled')),
    -- Derived from state, so that an index can hold "at most one active deploy a site".
    active              BIGINT NOT NULL CHECK (active IN (0, 1)),
    operator            TEXT   NOT NULL,
    reason              TEXT,
    git_ref             TEXT   NOT NULL,
    inputs              TEXT   NOT NULL,
    head_sha            TEXT,
    requested_at        BIGINT NOT NULL,
    dispatched_at       BIGINT,
    started_at          BIGINT,
    finished_at         BIGINT,
    last_heard_at       BIGINT,
    run_id              BIGINT,
    run_attempt         BIGINT,
    run_url             TEXT,
    confirmed_by        TEXT   CHECK (confirmed_by IN ('callback', 'github', 'operator')),
    cancel_requested    BIGINT NOT NULL CHECK (cancel_requested IN (0, 1)),
    conclusion_conflict BIGINT NOT NULL CHECK (conclusion_conflict IN (0, 1)),
    notice              TEXT,
    traces              TEXT   NOT NULL,
    failure             TEXT,
    -- Length of the log so far.
    log_bytes           BIGINT NOT NULL DEFAULT 0,
    -- The request that made the row, so that the same one sent again finds it.
    idempotency_key     TEXT,
    request_sha256      TEXT   NOT NULL,
    -- Rises with every change: a change that started from an older picture is refused.
    version             BIGINT NOT NULL DEFAULT 0
);

CREATE UNIQUE INDEX console_deploys_one_active_a_site ON console_deploys (site) WHERE active = 1;
CREATE UNIQUE INDEX console_deploys_idempotency ON console_deploys (operator, idempotency_key);
CREATE INDEX console_deploys_by_site ON console_deploys (site, id);
CREATE INDEX console_deploys_by_state ON console_deploys (state, id);
CREATE INDEX console_deploys_by_operator ON console_deploys (operator, requested_at);

-- Every transition: who or what caused it, when, and in what words.
CREATE TABLE console_deploy_events (
    deploy_id  TEXT   NOT NULL REFERENCES console_deploys (id),
    -- The deploy's version that this event made.
    version    BIGINT NOT NULL,
    at         BIGINT NOT NULL,
    state      TEXT   NOT NULL,
    actor      TEXT   NOT NULL,
    actor_name TEXT,
    note       TEXT,
    PRIMARY KEY (deploy_id, version)
);

-- Every authentic callback, once: what makes a retry harmless.
CREATE TABLE console_deliveries (
    id          TEXT   NOT NULL PRIMARY KEY,
    deploy_id   TEXT   NOT NULL REFERENCES console_deploys (id),
    body_sha256 TEXT   NOT NULL,
    received_at BIGINT NOT NULL
);

CREATE INDEX console_deliveries_by_deploy ON console_deliveries (deploy_id, received_at);

-- The log in order of arrival, in pieces that end where a character ends.
CREATE TABLE console_log_chunks (
    deploy_id    TEXT   NOT NULL REFERENCES console_deploys (id),
    start_offset BIGINT NOT NULL,
    end_offset   BIGINT NOT NULL,
    text         TEXT   NOT NULL,
    PRIMARY KEY (deploy_id, start_offset)
);

-- What each site's health address last said, and since when.
CREATE TABLE console_site_health (
    site   TEXT   NOT NULL PRIMARY KEY,
    status TEXT   NOT NULL CHECK (status IN ('healthy', 'unhealthy')),
    detail TEXT,
    since  BIGINT NOT NULL
);
