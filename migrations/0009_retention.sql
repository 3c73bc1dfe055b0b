-- Logs that were dropped, as [retention] says: 0 no, 1 not swept away altogether, 2 gone. The record itself stays.
ALTER TABLE console_deploys ADD COLUMN log_pruned BIGINT NOT NULL DEFAULT 0;
ALTER TABLE console_attempts ADD COLUMN log_pruned BIGINT NOT NULL DEFAULT 0;
