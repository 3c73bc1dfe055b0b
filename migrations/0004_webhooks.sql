-- GitHub's webhooks: hints that GitHub is worth asking now.

-- Every authentic delivery of the last days, so that one that is sent again is known.
CREATE TABLE console_webhooks (
    delivery    TEXT   NOT NULL PRIMARY KEY,
    received_at BIGINT NOT NULL
);

CREATE INDEX console_webhooks_by_time ON console_webhooks (received_at);

-- A hint names a run.
CREATE INDEX console_deploys_by_run ON console_deploys (run_id);
