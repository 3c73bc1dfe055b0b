-- Several instances of the console on one database.

-- Whose call it is while a deploy is in `dispatching`: the instance that claimed it.
ALTER TABLE console_deploys ADD COLUMN claimed_by TEXT;

-- What is worth asking GitHub about now. Whoever hears of it writes it down, and the leader takes it at its next beat.
CREATE TABLE console_hints (
    kind    TEXT NOT NULL,  -- 'deploy', 'repository'
    subject TEXT NOT NULL,
    PRIMARY KEY (kind, subject)
);
