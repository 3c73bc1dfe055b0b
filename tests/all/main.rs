//! The tests of everything but the pages, in one binary: it links once.
//!
//! They go through the public surface: a real listener, a real database each, real HTTP, the real scripts.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod access;
mod action;
mod architecture;
mod attempts;
mod audit;
mod backup;
mod bad_days;
mod callback;
mod crash;
mod create;
mod deployments;
mod dispatch;
mod doctor;
mod domain;
mod durability;
mod evidence;
mod fuzz;
mod gaps;
mod github_app;
mod instances;
mod intervene;
mod keyless;
mod kills;
mod limits;
mod logs;
mod model;
mod moving;
mod oidc;
mod outside;
mod postgres;
mod provider_sign_in;
mod read;
mod reconcile;
mod record;
mod retention;
mod rules;
mod sign_in;
mod signature;
mod start;
mod stop;
mod support;
mod tokens;
mod webhooks;
mod workflows;
