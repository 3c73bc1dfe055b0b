//! What a workflow's text may do wrong.

use super::Doctor;
use crate::support::repository;

/// The real workflow, with every `from` changed to `to`.
pub(super) fn heroku(from: &str, to: &str) -> String {
    let text = std::fs::read_to_string(repository().join(".github/workflows/deploy-heroku.yml")).unwrap();
    assert!(text.contains(from), "{from}");
    text.replace(from, to)
}

async fn with(text: &str) -> Doctor {
    let mut doctor = Doctor::new().await;
    doctor.arg("api-prod");
    doctor.github.put_workflow("raxx/api", "deploy-heroku.yml", text);
    doctor
}

/// What is changed to what, and the finding that comes of it.
type Row = (&'static str, &'static str, &'static str, &'static str, &'static str);

async fn rows(rows: &[Row]) {
    for (from, to, check, level, words) in rows {
        let what = format!("`{from}` became `{to}`");
        with(&heroku(from, to)).await.finds(&what, check, level, words).await;
    }
}

const ALWAYS: &str = "if: always()";
const ID: &str = "console-deploy-id: ${{ inputs.console_deploy_id }}";
const SECRET: &str = "callback-secret: ${{ secrets.CONSOLE_CALLBACK_SECRET }}";
const URL: &str = "console-url: ${{ vars.CONSOLE_URL }}";
const USES: &str = "uses: ./.github/actions/notify-deploy-status";

#[tokio::test]
async fn what_starts_it_and_what_it_is_called() {
    rows(&[
        (
            "on:\n",
            "on:\n  push: { branches: [main] }\n",
            "workflow.trigger",
            "warning",
            "push",
        ),
        (
            "on:\n",
            "on:\n  schedule: [{ cron: '0 0 * * *' }]\n",
            "workflow.trigger",
            "warning",
            "schedule",
        ),
        (
            "on:\n  workflow_dispatch:",
            "'on':\n  workflow_dispatch:",
            "workflow.trigger",
            "ok",
            "alone",
        ),
        (
            "on:\n  workflow_dispatch:",
            "true:\n  workflow_dispatch:",
            "workflow.trigger",
            "ok",
            "alone",
        ),
        (
            "on:\n  workflow_dispatch:",
            "on:\n  push:",
            "workflow.trigger",
            "error",
            "cannot start it",
        ),
        ("run-name: ", "# ", "workflow.run_name", "error", "no `run-name`"),
        (
            "run-name: ",
            "run-name: deploy # ",
            "workflow.run_name",
            "error",
            "does not carry",
        ),
        (
            "inputs.console_deploy_id && format(' ({0})', inputs.console_deploy_id)",
            "github.event.inputs.console_deploy_id",
            "workflow.run_name",
            "ok",
            "carries",
        ),
        (
            "inputs.console_deploy_id && format(' ({0})', inputs.console_deploy_id)",
            "inputs['console_deploy_id']",
            "workflow.run_name",
            "ok",
            "carries",
        ),
        (
            "inputs.console_deploy_id && format(' ({0})', inputs.console_deploy_id)",
            "inputs.console_deploy_identity",
            "workflow.run_name",
            "error",
            "does not carry",
        ),
    ])
    .await;
}

#[tokio::test]
async fn events_may_be_a_word_or_a_list() {
    let text = heroku("", "");
    let (before, rest) = text.split_once("on:\n").unwrap();
    let after = rest.split_once("permissions: {}").unwrap().1;
    for (on, trigger) in [
        ("workflow_dispatch", "ok"),
        ("[workflow_dispatch, push]", "warning"),
        ("push", "error"),
    ] {
        let (outcome, findings) = with(&format!("{before}on: {on}\n{after}")).await.look().await;
        assert_eq!(outcome.code, 2, "{on}: its inputs are gone");
        let level = |check: &str| {
            findings
                .iter()
                .find(|f| f["check"] == check)
                .map(|f| f["level"].as_str().unwrap())
        };
        assert_eq!(level("workflow.trigger"), Some(trigger), "{on}");
        let deploy_id = (on != "push").then_some("error");
        assert_eq!(level("workflow.deploy_id"), deploy_id, "{on}: {findings:#?}");
    }
}

#[tokio::test]
async fn what_runs_at_the_same_time() {
    const NO: &str = "cancel-in-progress: false";
    rows(&[
        (
            NO,
            "cancel-in-progress: true",
            "workflow.concurrency",
            "error",
            "midway",
        ),
        (
            NO,
            "cancel-in-progress: ${{ github.ref != 'main' }}",
            "workflow.concurrency",
            "warning",
            "cannot be judged",
        ),
        (
            "  group: deploy-heroku\n",
            "",
            "workflow.concurrency",
            "warning",
            "no `group`",
        ),
        (
            "group: deploy-heroku",
            "group: deploy-${{ github.run_id }}",
            "workflow.concurrency",
            "warning",
            "another one for each run",
        ),
        (
            "group: deploy-heroku",
            "group: deploy-${{ inputs.console_deploy_id }}",
            "workflow.concurrency",
            "warning",
            "another one for each run",
        ),
        (
            "concurrency:\n  group: deploy-heroku\n  cancel-in-progress: false\n",
            "",
            "workflow.concurrency",
            "warning",
            "no concurrency group",
        ),
        (
            "concurrency:\n  group: deploy-heroku\n  cancel-in-progress: false\n",
            "concurrency: deploy-heroku\n",
            "workflow.concurrency",
            "ok",
            "deploy-heroku",
        ),
        (
            "    environment: heroku\n",
            "    environment: heroku\n    concurrency: { group: job, cancel-in-progress: true }\n",
            "workflow.concurrency",
            "error",
            "midway",
        ),
    ])
    .await;
}

#[tokio::test]
async fn whether_the_console_hears_how_it_ended() {
    rows(&[
        (ALWAYS, "if: success()", "workflow.notify", "error", "no call"),
        (ALWAYS, "if: '!cancelled()'", "workflow.notify", "error", "no call"),
        (ALWAYS, "if: '!always()'", "workflow.notify", "error", "no call"),
        (
            ALWAYS,
            "if: ${{ always() && inputs.console_deploy_id != '' }}",
            "workflow.notify",
            "ok",
            "whatever happened",
        ),
        (
            "          status: ${{ job.status }}\n",
            "",
            "workflow.notify",
            "warning",
            "no `status`",
        ),
        (
            USES,
            "uses: raxx/console/.github/actions/notify-deploy-status@main",
            "workflow.notify",
            "ok",
            "whatever happened",
        ),
        (
            USES,
            "uses: ./actions/other",
            "workflow.notify",
            "error",
            "no step calls",
        ),
        (ID, "message: x", "workflow.notify_with", "error", "stays silent"),
        (
            ID,
            "console-deploy-id: ${{ env.CONSOLE_DEPLOY_ID }}",
            "workflow.notify_with",
            "ok",
            "gets",
        ),
        (
            SECRET,
            "callback-secret: whsec_in_clear",
            "workflow.notify_with",
            "error",
            "not taken from",
        ),
        (
            SECRET,
            "callback-secret: ${{ env.SECRET }}",
            "workflow.notify_with",
            "warning",
            "cannot be followed",
        ),
        (SECRET, "message: x", "workflow.notify_with", "error", "cannot sign"),
        (
            SECRET,
            "callback-secret: ${{ secrets.ELSEWHERE }}",
            "settings.secret",
            "error",
            "no secret ELSEWHERE",
        ),
        (URL, "message: x", "workflow.notify_with", "error", "nobody to tell"),
        (
            URL,
            "console-url: https://console.example.com",
            "settings.console_url",
            "ok",
            "console.example.com",
        ),
        (
            URL,
            "console-url: https://other.example.com",
            "settings.console_url",
            "warning",
            "other.example.com",
        ),
    ])
    .await;
    let reusable = "run-name: x ${{ inputs.console_deploy_id }}\non: { workflow_dispatch: { inputs: { console_deploy_id: {} } } }\nconcurrency: x\njobs: { deploy: { uses: ./.github/workflows/inner.yml } }\n";
    with(reusable)
        .await
        .finds("a reusable workflow", "workflow.notify", "warning", "reusable")
        .await;
    let of_job = heroku(ALWAYS, "# if").replacen("    timeout-minutes: 45\n", "    if: always()\n", 1);
    with(&of_job)
        .await
        .finds("the job's own if", "workflow.notify", "ok", "whatever happened")
        .await;
}

#[tokio::test]
async fn the_environment_may_be_known_only_when_it_runs() {
    let doctor = with(&heroku("environment: heroku", "environment: ${{ inputs.where }}")).await;
    doctor.refuse("secrets", 403);
    doctor
        .finds("an expression, hidden", "settings.secret", "ok", "may not look")
        .await;
    let doctor = with(&heroku("environment: heroku", "environment: ${{ inputs.where }}")).await;
    doctor.github.set_up(|set_up| set_up.settings.clear());
    doctor
        .finds("an expression", "settings.secret", "warning", "known only when it runs")
        .await;
}

#[tokio::test]
async fn what_a_deploy_sends_is_what_the_workflow_takes() {
    const DECLARED: &str = "      console_deploy_id:\n";
    // What the site sends, what the workflow declares beside the deploy's id, and what comes of it.
    for (sent, declared, level, words) in [
        (
            "region = \"eu\"",
            "region: { type: choice, options: [eu, us] }",
            "ok",
            "takes every input",
        ),
        ("region = \"eu\"", "", "error", "does not declare"),
        (
            "region = \"mars\"",
            "region: { type: choice, options: [eu, us] }",
            "error",
            "eu, us",
        ),
        (
            "level = \"2\"",
            "level: { type: choice, options: [1, 2] }",
            "ok",
            "takes every input",
        ),
        ("dry = \"yes\"", "dry: { type: boolean }", "error", "boolean"),
        ("dry = \"true\"", "dry: { type: boolean }", "ok", "takes every input"),
        ("count = \"many\"", "count: { type: number }", "error", "number"),
        ("", "region: { required: true }", "error", "requires the input `region`"),
        ("", "region: { required: true, default: eu }", "ok", "takes every input"),
        (
            "region = \"eu\"",
            "region: { required: true }",
            "ok",
            "takes every input",
        ),
    ] {
        let declared = format!("      {declared}\n{DECLARED}");
        let doctor = with(&heroku(DECLARED, &declared)).await;
        doctor.file(
            "workflow = \"deploy-heroku.yml\"",
            &format!("workflow = \"deploy-heroku.yml\"\ninputs = {{ {sent} }}"),
        );
        doctor
            .finds(&format!("{sent} for {declared}"), "workflow.inputs", level, words)
            .await;
    }
    let most: String = (0..25).map(|n| format!("      input_{n}: {{}}\n")).collect();
    with(&heroku(DECLARED, &format!("{most}{DECLARED}")))
        .await
        .finds("26 inputs", "workflow.inputs", "error", "at most 25")
        .await;
}

#[tokio::test]
async fn the_deploys_id_is_declared_as_a_text_that_may_be_missing() {
    rows(&[
        (
            "      console_deploy_id:",
            "      other:",
            "workflow.deploy_id",
            "error",
            "does not declare",
        ),
        (
            "        required: false",
            "        required: true",
            "workflow.deploy_id",
            "warning",
            "by hand",
        ),
        (
            "        required: false",
            "        type: number",
            "workflow.deploy_id",
            "error",
            "number",
        ),
        (
            "        required: false",
            "        type: string",
            "workflow.deploy_id",
            "ok",
            "declares",
        ),
    ])
    .await;
}

#[tokio::test]
async fn hostile_text_is_refused_and_neither_hangs_nor_crashes() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb = format!("{bomb}a{level}: &a{level} [{aliases}]\n");
    }
    let deep = |open: &str, close: &str| format!("jobs: {}{}\n", open.repeat(50_000), close.repeat(50_000));
    let blocks: String = (0..3_000)
        .map(|depth| format!("{}a:\n", " ".repeat(depth % 200)))
        .collect();
    let rows = [
        ("aliases", format!("{bomb}jobs: *a11\n")),
        ("an alias of itself", "jobs: &a [*a]\n".to_owned()),
        ("lists", deep("[", "]")),
        ("maps", deep("{a: ", "}")),
        ("lists without an end", "jobs: ".to_owned() + &"[".repeat(200_000)),
        ("blocks", blocks),
        ("no workflow", "hello".to_owned()),
        ("nothing", String::new()),
        ("two keys", "jobs: {}\njobs: {}\n".to_owned()),
        ("two documents", "jobs: {}\n---\njobs: {}\n".to_owned()),
        ("jobs that are none", "jobs: [1, 2]\n".to_owned()),
        ("terminal codes", "\"\\e[2Jjobs\": {}\n".to_owned()),
    ];
    for (what, text) in rows {
        let looked = tokio::time::timeout(std::time::Duration::from_secs(20), async {
            with(&text)
                .await
                .finds(what, "workflow.yaml", "error", "the file is no")
                .await;
        });
        assert!(looked.await.is_ok(), "{what} takes too long");
    }
    let painted = "on: [workflow_dispatch, \"\\e[2Jpush\\n  ok\"]\njobs: {}\n";
    let (outcome, _) = with(painted).await.run().await;
    assert!(outcome.text.contains("[2Jpush   ok"), "{}", outcome.text);
    assert!(
        outcome.text.chars().all(|c| c == '\n' || !c.is_control()),
        "{}",
        outcome.text
    );
}

#[tokio::test]
async fn strange_shapes_are_no_crash() {
    for text in [
        "on: 7\njobs: { a: 7, b: [1], c: { steps: 7 }, d: { steps: [7, { uses: 7 }] } }\nconcurrency: [1]\nrun-name: [x]\n",
        "on: [[workflow_dispatch], workflow_dispatch]\njobs: { a: { steps: [{ uses: notify-deploy-status, if: true, with: [] }] } }\n",
        "on: { workflow_dispatch: { inputs: [console_deploy_id] } }\njobs: {}\n",
        "on: { workflow_dispatch: { inputs: { console_deploy_id: 7, x: { required: true, options: 7 } } } }\njobs: {}\n",
    ] {
        let (outcome, findings) = with(text).await.look().await;
        assert_eq!(outcome.code, 2, "{text}: {findings:#?}");
    }
}

#[tokio::test]
async fn a_site_that_wants_the_runs_own_token_needs_the_permission_and_no_secret() {
    let keyless = async |auth: &str, from: &str, to: &str| {
        let doctor = with(&heroku(from, to)).await;
        let workflow = "workflow = \"deploy-heroku.yml\"";
        doctor.file(
            workflow,
            &format!("{workflow}\ncallback_auth = \"{auth}\"\nrepository_id = 1"),
        );
        doctor.refuse("/secrets/", 404);
        doctor
    };
    let may = "permissions:\n      id-token: write\n";
    let doctor = keyless("oidc", SECRET, "").await;
    doctor
        .finds("no permission", "workflow.notify_with", "error", "may not ask")
        .await;
    let doctor = keyless("oidc", "permissions:\n", may).await;
    doctor
        .finds("permission", "workflow.notify_with", "ok", "may ask for a token")
        .await;
    let doctor = keyless("secret_and_oidc", "permissions:\n", may).await;
    doctor
        .finds("both", "settings.secret", "error", "CONSOLE_CALLBACK_SECRET")
        .await;
}
