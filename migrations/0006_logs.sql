-- Logs made whole from GitHub's own, once a run has ended.

-- Whether that was done (1 something was filled in, 2 nothing was), and which edition of the log this is: cursors into
-- an earlier one lead nowhere.
ALTER TABLE console_deploys ADD COLUMN log_whole BIGINT NOT NULL DEFAULT 0;
ALTER TABLE console_deploys ADD COLUMN log_edition BIGINT NOT NULL DEFAULT 0;
ALTER TABLE console_attempts ADD COLUMN log_whole BIGINT NOT NULL DEFAULT 0;
ALTER TABLE console_attempts ADD COLUMN log_edition BIGINT NOT NULL DEFAULT 0;
