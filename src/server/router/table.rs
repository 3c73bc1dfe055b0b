//! Every route, and who may come as far as its handler. What is not in here is not served.

use axum::http::Method;

/// Who may come as far as a route's handler. What a role may do is asked where it is done, in `calls`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anybody.
    Public,
    /// Whoever can sign, or show the token of its run: the handler checks both.
    Signature,
    /// A signed-in operator; others are led to the sign-in page.
    Page,
    /// A signed-in operator or a valid API token; others are told 401.
    Api,
}

/// Method, path, access. `HEAD` goes where `GET` goes.
pub const TABLE: &[(Method, &str, Access)] = &[
    // The pages
    (Method::GET, "/", Access::Page),
    (Method::GET, "/deploys", Access::Page),
    (Method::GET, "/deploys/{id}", Access::Page),
    (Method::GET, "/sites/{slug}", Access::Page),
    (Method::GET, "/account", Access::Page),
    (Method::GET, "/people", Access::Page),
    (Method::GET, "/audit", Access::Page),
    // The door
    (Method::GET, "/sign-in", Access::Public),
    (Method::POST, "/sign-in", Access::Public),
    (Method::GET, "/sign-in/oidc", Access::Public),
    (Method::GET, "/sign-in/oidc/callback", Access::Public),
    (Method::POST, "/sign-out", Access::Public),
    (Method::GET, "/set-up/{token}", Access::Public),
    (Method::POST, "/set-up/{token}", Access::Public),
    (Method::GET, "/demo/{key}", Access::Public),
    // Deploys, for the pages and for scripts
    (Method::GET, "/api/internal/board", Access::Api),
    (Method::POST, "/api/internal/deploys", Access::Api),
    (Method::GET, "/api/internal/deploys/{id}", Access::Api),
    (Method::POST, "/api/internal/deploys/{id}/cancel", Access::Api),
    (Method::POST, "/api/internal/deploys/{id}/override", Access::Api),
    (Method::GET, "/api/internal/deploy", Access::Api),
    (Method::POST, "/api/internal/cancel", Access::Api),
    (Method::POST, "/api/internal/override", Access::Api),
    (Method::GET, "/api/internal/history", Access::Api),
    (Method::GET, "/api/internal/site", Access::Api),
    // One's own account
    (Method::GET, "/api/internal/account", Access::Api),
    (Method::POST, "/api/internal/account/password", Access::Api),
    (Method::POST, "/api/internal/sessions/end", Access::Api),
    (Method::POST, "/api/internal/tokens", Access::Api),
    (Method::POST, "/api/internal/tokens/revoke", Access::Api),
    // People, and what was done
    (Method::GET, "/api/internal/operators", Access::Api),
    (Method::POST, "/api/internal/operators", Access::Api),
    (Method::POST, "/api/internal/operators/role", Access::Api),
    (Method::POST, "/api/internal/operators/disabled", Access::Api),
    (Method::POST, "/api/internal/operators/link", Access::Api),
    (Method::GET, "/api/internal/audit", Access::Api),
    (Method::GET, "/api/internal/audit.jsonl", Access::Api),
    // The workflows' callback carries its own authority, and comes from no browser
    (Method::POST, "/api/internal/deploys/{id}/status", Access::Signature),
    // And so do GitHub's webhooks
    (Method::POST, "/api/internal/github/webhooks", Access::Signature),
    // Probes
    (Method::GET, "/healthz", Access::Public),
    (Method::GET, "/readyz", Access::Public),
];

/// Who may come to `path` with `method`, if the route is there.
pub(super) fn access(method: &Method, path: &str) -> Option<Access> {
    let method = if method == Method::HEAD { &Method::GET } else { method };
    let found = TABLE.iter().find(|(known, route, _)| known == method && *route == path);
    found.map(|(_, _, access)| *access)
}

/// Whether `path` is there with another method.
pub(super) fn is_known(path: &str) -> bool {
    TABLE.iter().any(|(_, route, _)| *route == path)
}
