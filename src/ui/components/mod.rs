//! The parts that pages are made of, one a file.

mod badge;
mod confirm_dialog;
mod deploy_list;
mod frame;
mod icon;
mod log_view;
mod moment;
mod pager;
mod problem;
mod refused;
mod reveal;
mod sign_in_again;
mod silence;
mod site_tile;
mod stale_banner;
mod steps;
mod timeline;

pub(super) use badge::{HealthBadge, StateBadge};
pub(super) use confirm_dialog::ConfirmDialog;
pub(super) use deploy_list::DeployList;
pub(super) use frame::Frame;
pub(super) use icon::Icon;
pub(super) use log_view::{LogView, LogWindow};
pub(super) use moment::{Elapsed, Moment};
pub(super) use pager::Pager;
pub(super) use problem::ProblemCard;
pub(super) use refused::Refused;
pub(super) use reveal::Reveal;
pub(super) use sign_in_again::SignInAgain;
pub(super) use silence::Silence;
pub(super) use site_tile::SiteTile;
pub(super) use stale_banner::StaleBanner;
pub(super) use steps::Steps;
pub(super) use timeline::Timeline;
