-- Who may come in, and what was done. As in 0001: TEXT and BIGINT alone, times in milliseconds since the
-- Unix epoch. Whatever opens a door (a session's id, a token, a link) is kept as its SHA-256 alone.

CREATE TABLE console_operators (
    id          TEXT   NOT NULL PRIMARY KEY,
    name        TEXT   NOT NULL,
    -- The name in lower case: two people must not differ in case alone.
    name_key    TEXT   NOT NULL UNIQUE,
    role        TEXT   NOT NULL CHECK (role IN ('viewer', 'deployer', 'admin')),
    -- PHC string of argon2id; NULL while no password is set.
    password    TEXT,
    -- Whom an OpenID provider says it is; NULL for those who come by password.
    issuer      TEXT,
    subject     TEXT,
    created_at  BIGINT NOT NULL,
    disabled_at BIGINT
);

CREATE UNIQUE INDEX console_operators_by_identity ON console_operators (issuer, subject);

-- One-time links: the first set-up (no operator yet), an invitation, a new password.
CREATE TABLE console_links (
    token_sha256 TEXT   NOT NULL PRIMARY KEY,
    operator_id  TEXT   REFERENCES console_operators (id),
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL
);

CREATE TABLE console_sessions (
    id_sha256    TEXT   NOT NULL PRIMARY KEY,
    -- What a page calls it; opens nothing.
    handle       TEXT   NOT NULL UNIQUE,
    -- NULL before sign-in.
    operator_id  TEXT   REFERENCES console_operators (id),
    data         TEXT   NOT NULL,
    created_at   BIGINT NOT NULL,
    last_seen_at BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL
);

CREATE INDEX console_sessions_by_operator ON console_sessions (operator_id);

-- Browsers that have signed an operator in before: they are not slowed down by others who guess.
CREATE TABLE console_devices (
    token_sha256 TEXT   NOT NULL PRIMARY KEY,
    operator_id  TEXT   NOT NULL REFERENCES console_operators (id),
    failures     BIGINT NOT NULL,
    created_at   BIGINT NOT NULL
);

CREATE TABLE console_tokens (
    id           TEXT   NOT NULL PRIMARY KEY,
    token_sha256 TEXT   NOT NULL UNIQUE,
    operator_id  TEXT   NOT NULL REFERENCES console_operators (id),
    name         TEXT   NOT NULL,
    -- JSON list of slugs; empty for every site.
    sites        TEXT   NOT NULL,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT,
    last_used_at BIGINT,
    revoked_at   BIGINT
);

CREATE INDEX console_tokens_by_operator ON console_tokens (operator_id, created_at);

-- The audit trail. Only ever appended to; each row carries the hash of the one before it.
CREATE TABLE console_audit (
    seq           BIGINT NOT NULL PRIMARY KEY,
    at            BIGINT NOT NULL,
    -- operator, token, command_line, console, nobody.
    actor_kind    TEXT   NOT NULL,
    actor         TEXT,
    address       TEXT,
    action        TEXT   NOT NULL,
    -- Whom or what it was done to: a site, a deploy, an operator, a token.
    subject       TEXT,
    detail        TEXT   NOT NULL,
    previous_hash TEXT   NOT NULL,
    hash          TEXT   NOT NULL
);

CREATE INDEX console_audit_by_action ON console_audit (action, at);

-- The last row's number and hash, so that a row cut off at the end is missed as well.
CREATE TABLE console_audit_head (
    id   BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    seq  BIGINT NOT NULL,
    hash TEXT   NOT NULL
);

INSERT INTO console_audit_head (id, seq, hash) VALUES (1, 0, '');
