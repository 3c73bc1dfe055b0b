-- Runs of the sites' workflows that were started outside the console.
CREATE TABLE console_outside_runs (
    run_id      BIGINT NOT NULL PRIMARY KEY,
    -- A UUIDv7 of the moment it was started at, so that it sorts among deploys.
    id          TEXT   NOT NULL,
    -- In lower case: GitHub takes any.
    repository  TEXT   NOT NULL,
    workflow    TEXT   NOT NULL,
    state       TEXT   NOT NULL,
    active      BIGINT NOT NULL CHECK (active IN (0, 1)),
    attempt     BIGINT NOT NULL,
    started_by  TEXT,
    git_ref     TEXT,
    head_sha    TEXT,
    run_url     TEXT,
    started_at  BIGINT NOT NULL,
    -- When GitHub last changed it; of one that has ended, about when it did.
    changed_at  BIGINT NOT NULL
);

CREATE INDEX console_outside_runs_by_workflow ON console_outside_runs (repository, workflow, id);
CREATE INDEX console_outside_runs_by_id ON console_outside_runs (id);
CREATE INDEX console_outside_runs_active ON console_outside_runs (run_id) WHERE active = 1;
