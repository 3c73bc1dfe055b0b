//! The small rules of the domain, each at its limits: names, words, cursors, reports, who may do what.

use raxx_console::domain::{
    Attempt, AuditAction, AuditActor, Caller, ConfirmedBy, Deploy, DeployId, DeployPage, DeploymentState, HealthStatus,
    LOG_CAP_BYTES, LOG_MORE_BYTES, LOG_TAIL_BYTES, LogCursor, MASKED, NoDeploy, OperatorId, OperatorName, OutsideRun,
    Problem, Refusal, Report, Role, Run, Site, State, Timestamp, TokenInfo, TokenScope, mask_seam, without_escapes,
};
use serde_json::{Value, json};

fn id() -> DeployId {
    "0199a8f0-0000-7000-8000-000000000000".parse().unwrap()
}

fn site(deployers: &[&str]) -> Site {
    let site = json!({
        "slug": "docs", "name": "Docs", "environment": "production", "url": "https://docs.example.com",
        "health_url": null, "repository": "raxx/docs", "workflow": "deploy.yml", "ref": "v1",
        "inputs": { "color": "green" }, "deployers": deployers, "silent_after_ms": 1, "grace_ms": 1,
        "github_deployments": false,
    });
    serde_json::from_value(site).unwrap()
}

fn report(change: impl FnOnce(&mut Value)) -> bool {
    let mut body = json!({
        "schema": 1, "deploy_id": id(), "run_id": 1, "run_attempt": 1, "job": "", "seq": 0, "status": "success",
    });
    change(&mut body);
    Report::parse(body.to_string().as_bytes()).is_ok()
}

#[test]
fn a_report_keeps_to_its_bounds() {
    let with = |key: &'static str, value: Value| report(|body| body[key] = value);
    let log = |text: String| with("log", json!({ "text": text, "truncated": false }));
    for (key, taken, refused) in [
        ("schema", json!(1), json!(2)),
        ("run_id", json!(1), json!(0)),
        ("run_attempt", json!(1), json!(0)),
        ("run_attempt", json!(1000), json!(1001)),
        ("seq", json!(0), json!(-1)),
        ("job", json!("ä".repeat(128)), json!("ä".repeat(129))),
        ("step", json!("ä".repeat(128)), json!("ä".repeat(129))),
        ("message", json!("ä".repeat(1024)), json!("ä".repeat(1025))),
    ] {
        assert!(with(key, taken) && !with(key, refused), "{key}");
    }
    assert!(log("x".repeat(32 * 1024)) && !log("x".repeat(32 * 1024 + 1)));
    assert!(!report(|body| body["more"] = json!(1)));
}

#[test]
fn who_may_deploy() {
    let caller = |role, token: Option<&[&str]>| Caller {
        operator: OperatorId::from_uuid(OutsideRun::id_of(1, Timestamp::from_millis(1))),
        name: "ada".parse().unwrap(),
        role,
        token: token.map(|sites| TokenScope {
            name: "ci".to_owned(),
            sites: sites.iter().map(|site| site.parse().unwrap()).collect(),
        }),
    };
    for (role, deployers, token, may) in [
        (Role::Viewer, &[][..], None, Err(NoDeploy::Viewer)),
        (Role::Viewer, &["ada"][..], None, Err(NoDeploy::Viewer)),
        (Role::Deployer, &[][..], None, Ok(())),
        (Role::Deployer, &["ada"][..], None, Ok(())),
        (Role::Deployer, &["grace"][..], None, Err(NoDeploy::NotNamed)),
        (Role::Admin, &["grace"][..], None, Ok(())),
        (Role::Admin, &[][..], Some(&[][..]), Ok(())),
        (Role::Admin, &[][..], Some(&["docs"][..]), Ok(())),
        (Role::Admin, &[][..], Some(&["other"][..]), Err(NoDeploy::OtherSites)),
    ] {
        let found = caller(role, token).may_deploy(&site(deployers));
        assert_eq!(found, may, "{role} {deployers:?} {token:?}");
    }
}

#[test]
fn what_a_name_may_hold() {
    let name = |text: &str| text.parse::<OperatorName>().map(|name| (name.key(), name.to_string()));
    assert_eq!(name("Ada L").unwrap(), ("ada l".to_owned(), "Ada L".to_owned()));
    assert!(name(&"x".repeat(64)).is_ok() && name(&"x".repeat(65)).is_err());
    for text in ["", " ada", "ada ", "a\u{7}da", "a\u{202e}da", "a\u{200b}da", "\u{feff}"] {
        assert!(name(text).is_err(), "{text:?}");
    }
    let foreign = OperatorName::from_foreign(" a\u{202e}da\n").unwrap();
    assert_eq!(
        (foreign.as_str(), String::from(foreign.clone()).as_str()),
        ("ada", "ada")
    );
    let slug = |text: &str| text.parse::<raxx_console::domain::Slug>().is_ok();
    let docs: raxx_console::domain::Slug = "docs".parse().unwrap();
    assert_eq!(
        (docs.as_str(), docs.to_string(), String::from(docs.clone())),
        ("docs", "docs".into(), "docs".into())
    );
    assert!(slug(&"a".repeat(64)) && !slug(&"a".repeat(65)) && slug("a-1") && !slug("-a") && !slug("a-"));
}

#[test]
fn words_come_back_as_what_they_were() {
    for by in [ConfirmedBy::Callback, ConfirmedBy::Github, ConfirmedBy::Operator] {
        assert_eq!(
            (ConfirmedBy::from_word(by.as_str()), json!(by)),
            (Some(by), json!(by.as_str()))
        );
    }
    for role in Role::ALL {
        assert_eq!(
            (role.to_string().parse::<Role>().unwrap(), json!(role)),
            (role, json!(role.as_str()))
        );
    }
    assert!("god".parse::<Role>().is_err() && Role::ALL.is_sorted());
    for health in [
        HealthStatus::Healthy,
        HealthStatus::Unhealthy,
        HealthStatus::Unknown,
        HealthStatus::Unwatched,
    ] {
        assert_eq!(json!(health), health.as_str());
    }
    for word in ["signed_in", "sign_in_failed", "deploy_requested", "password_set"] {
        let action = AuditAction::from_word(word).unwrap();
        assert_eq!((action.as_str(), json!(action)), (word, json!(word)));
    }
    assert_eq!(AuditAction::from_word("danced"), None);
    for actor in [
        AuditActor::Operator("ada".to_owned()),
        AuditActor::Token("ada (ci)".to_owned()),
        AuditActor::CommandLine,
        AuditActor::Console,
        AuditActor::Nobody,
    ] {
        let (kind, name) = actor.columns();
        assert_eq!(json!(actor)["kind"], kind);
        assert_eq!(AuditActor::from_columns(kind, name.map(str::to_owned)), Some(actor));
    }
    assert_eq!(AuditActor::from_columns("console", Some("ada".to_owned())), None);
    let operator = OperatorId::from_uuid(OutsideRun::id_of(1, Timestamp::from_millis(1)));
    assert_eq!(operator.to_string().parse::<OperatorId>().unwrap(), operator);
    assert_eq!(id().to_string().parse::<DeployId>().unwrap(), id());
}

#[test]
fn a_token_ends_at_its_moment_or_when_it_is_revoked() {
    let token = |expires_at: Option<i64>, revoked_at: Option<i64>| TokenInfo {
        id: String::new(),
        operator: "ada".parse().unwrap(),
        name: String::new(),
        sites: Vec::new(),
        created_at: Timestamp::from_millis(0),
        expires_at: expires_at.map(Timestamp::from_millis),
        last_used_at: None,
        revoked_at: revoked_at.map(Timestamp::from_millis),
    };
    let is_valid = |token: TokenInfo| token.is_valid(Timestamp::from_millis(10));
    assert!(is_valid(token(None, None)) && is_valid(token(Some(11), None)));
    assert!(!is_valid(token(Some(10), None)) && !is_valid(token(Some(9), None)));
    assert!(!is_valid(token(None, Some(11))) && !is_valid(token(Some(11), Some(9))));
}

#[test]
fn what_github_is_told_of_a_deploy() {
    let mut deploy = Deploy::requested(id(), &site(&[]), "ada", Timestamp::from_millis(5));
    deploy.state = State::Queued;
    assert_eq!(DeploymentState::of(&deploy), None, "it has no run");
    deploy.run_id = Some(7);
    let told = [
        (State::Queued, Some("queued")),
        (State::Running, Some("in_progress")),
        (State::Succeeded, Some("success")),
        (State::Failed, Some("failure")),
        (State::Cancelled, Some("error")),
        (State::Lost, None),
        (State::DispatchUnknown, None),
    ];
    for (state, word) in told {
        deploy.state = state;
        let found = DeploymentState::of(&deploy);
        assert_eq!(found, word.and_then(DeploymentState::from_word), "{state:?}");
        assert_eq!(found.map(DeploymentState::as_str), word);
        assert_eq!(
            found.is_some_and(DeploymentState::is_end),
            found.is_some() && !deploy.is_active()
        );
    }
    let all = ["queued", "in_progress", "success", "failure", "error"];
    let all = all.map(|word| DeploymentState::from_word(word).unwrap());
    for (rank, state) in [0, 1, 2, 2, 2].into_iter().zip(all) {
        assert!(state.is_news_after(None));
        for (earlier_rank, earlier) in [0, 1, 2, 2, 2].into_iter().zip(all) {
            assert_eq!(
                state.is_news_after(Some(earlier)),
                earlier_rank < rank,
                "{state:?} after {earlier:?}"
            );
        }
    }
}

#[test]
fn a_rerun_is_of_the_same_deploy_and_begins_anew() {
    let at = Timestamp::from_millis;
    let mut deploy = Deploy::requested(id(), &site(&[]), "ada", at(5));
    assert_eq!(
        (deploy.environment.as_str(), deploy.operator.as_str()),
        ("production", "ada")
    );
    assert_eq!(
        (deploy.git_ref.as_str(), deploy.inputs["color"].as_str()),
        ("v1", "green")
    );
    let run = Run {
        id: 7,
        attempt: 1,
        url: None,
        head_sha: None,
    };
    (deploy.run_id, deploy.run_attempt, deploy.state) = (Some(run.id), Some(1), State::Failed);
    (deploy.reason, deploy.head_sha, deploy.run_url) =
        (Some("why".into()), Some("9f".into()), Some("https://x".into()));
    deploy.started_at = Some(at(6));
    let rerun = deploy.rerun(2, at(9));
    let kept = |deploy: &Deploy| {
        let Deploy {
            environment,
            operator,
            reason,
            git_ref,
            inputs,
            head_sha,
            run_id,
            run_url,
            requested_at,
            ..
        } = deploy;
        json!([
            environment,
            operator,
            reason,
            git_ref,
            inputs,
            head_sha,
            run_id,
            run_url,
            requested_at
        ])
    };
    assert_eq!(kept(&rerun), kept(&deploy));
    assert_eq!(
        (rerun.state, rerun.started_at, rerun.dispatched_at),
        (State::Queued, None, Some(at(9)))
    );
    assert_eq!(
        rerun.attempt(),
        Attempt {
            deploy: id(),
            number: 2
        }
    );
    assert!(rerun.attempt().is_rerun() && !deploy.attempt().is_rerun() && !Attempt::first(id()).is_rerun());
    assert_eq!((deploy.began_at(), rerun.began_at()), (at(5), at(9)));
}

#[test]
fn a_log_has_its_sizes_and_a_cursor_its_edition() {
    assert_eq!(
        (LOG_TAIL_BYTES, LOG_MORE_BYTES, LOG_CAP_BYTES),
        (65_536, 262_144, 67_108_864)
    );
    let cursor = LogCursor::at(2, 9);
    assert!(cursor.offset() == 9 && cursor.is_in(2) && !cursor.is_in(1) && LogCursor::at(2, 0).is_in(1));
    assert_eq!(without_escapes("a\u{1b}[31mb\u{1b}[0m c"), "ab c");
}

#[test]
fn a_secret_that_two_reports_share_is_in_neither() {
    let secrets = ["abcdef".to_owned(), "äöü".to_owned()];
    for (before, after, masked) in [
        ("x abc", "def y", ("x ***", "*** y")),
        ("a", "bcdef", ("*", "***")),
        ("abcde", "f", ("*****", "***")),
        ("abcab", "cdef", ("abc**", "***")),
        ("ä", "öü!", ("**", "***!")),
        ("abc", "de", ("abc", "de")),
        ("abc", " def", ("abc", " def")),
        ("abcdef", "", ("abcdef", "")),
        ("", "def", ("", "def")),
    ] {
        let (mut left, mut right) = (before.to_owned(), after.to_owned());
        mask_seam(&mut left, &mut right, &secrets);
        assert_eq!((left.as_str(), right.as_str()), masked, "{before:?} {after:?}");
    }
    assert_eq!(MASKED, "***");
}

#[test]
fn a_refusal_says_what_it_is() {
    let refusal = Refusal::new(Problem::NotSignedIn, "Sign in.");
    assert_eq!(refusal.to_string(), "You are not signed in: Sign in.");
    assert!(refusal.is_signed_out() && !refusal.is_unreachable());
    assert!(!refusal.is_unavailable());
    let away = Refusal::new(Problem::Unreachable, "No answer.");
    assert!(away.is_unreachable() && !away.is_signed_out() && !away.is_unavailable());
    assert!(Refusal::new(Problem::Unavailable, "Busy.").is_unavailable());
    for (problem, status) in [
        (Problem::Malformed, 400),
        (Problem::Conflict, 409),
        (Problem::Unavailable, 503),
    ] {
        assert_eq!(Refusal::new(problem, "").status, status);
    }
}

#[test]
fn a_run_from_outside_has_one_id_and_later_ones_are_greater() {
    let at = |millis| OutsideRun::id_of(7, Timestamp::from_millis(millis));
    assert!(at(1) == at(1) && at(1) < at(2) && OutsideRun::id_of(8, Timestamp::from_millis(1)) != at(1));
}

#[test]
fn a_site_is_production_by_its_environment_alone() {
    let mut site = site(&[]);
    for (environment, is_production) in [("production", true), ("Production", true), ("staging", false)] {
        environment.clone_into(&mut site.environment);
        assert_eq!(site.is_production(), is_production, "{environment}");
    }
}

#[test]
fn a_page_of_history_is_empty_when_nothing_of_either_kind_is_on_it() {
    let deploy = Deploy::requested(id(), &site(&[]), "ada", Timestamp::from_millis(5));
    let outside = json!({
        "id": OutsideRun::id_of(7, Timestamp::from_millis(5)), "run_id": 7, "attempt": 1, "repository": "raxx/docs",
        "workflow": "deploy.yml", "state": "succeeded", "started_by": null, "ref": null, "head_sha": null, "run_url": null,
        "started_at": "2026-01-01T00:00:00Z", "changed_at": "2026-01-01T00:00:00Z",
    });
    let outside: OutsideRun = serde_json::from_value(outside).unwrap();
    for (deploys, runs) in [(0, 0), (1, 0), (0, 1)] {
        let page = DeployPage {
            deploys: vec![deploy.clone(); deploys],
            outside: vec![outside.clone(); runs],
            next: None,
        };
        assert_eq!(page.is_empty(), deploys + runs == 0);
    }
}

#[test]
fn time_between_two_moments_has_a_sign() {
    let at = Timestamp::from_millis;
    assert_eq!((at(9).millis_since(at(4)), at(4).millis_since(at(9))), (5, -5));
}
