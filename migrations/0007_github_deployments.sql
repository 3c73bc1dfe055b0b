-- What GitHub is told of a deploy as a deployment, where its site wants that.
CREATE TABLE console_github_deployments (
    deploy_id     TEXT   NOT NULL PRIMARY KEY REFERENCES console_deploys (id),
    -- When the console set out to create it. Since then GitHub may have it, so it is looked for first.
    begun_at      BIGINT,
    -- GitHub's id of it.
    deployment_id BIGINT,
    -- The newest state that GitHub took.
    told_state    TEXT   CHECK (told_state IN ('queued', 'in_progress', 'success', 'failure', 'error')),
    -- Calls that failed in a row, since when, and in what words the last one did.
    tries         BIGINT NOT NULL DEFAULT 0,
    failing_since BIGINT,
    problem       TEXT,
    -- Not to be looked at before.
    next_at       BIGINT NOT NULL,
    -- 1: there is nothing more to tell.
    closed        BIGINT NOT NULL DEFAULT 0 CHECK (closed IN (0, 1))
);

CREATE INDEX console_github_deployments_open ON console_github_deployments (next_at) WHERE closed = 0;
