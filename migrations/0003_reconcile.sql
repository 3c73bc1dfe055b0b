-- What GitHub's API says of a run, and what was asked of it.

-- What keeps the run from going on, as JSON.
ALTER TABLE console_deploys ADD COLUMN blocked_by TEXT;
-- The steps as GitHub last listed them, as JSON.
ALTER TABLE console_deploys ADD COLUMN listed_steps TEXT;
-- When GitHub said how the run had ended: since then nothing more is to be learned of it.
ALTER TABLE console_deploys ADD COLUMN concluded_at BIGINT;
-- When GitHub took the wish to cancel, and whether that wish was by force.
ALTER TABLE console_deploys ADD COLUMN cancel_sent_at BIGINT;
ALTER TABLE console_deploys ADD COLUMN cancel_forced BIGINT NOT NULL DEFAULT 0;

-- What the reconciler looks for every second.
CREATE INDEX console_deploys_unconcluded ON console_deploys (requested_at) WHERE concluded_at IS NULL;
