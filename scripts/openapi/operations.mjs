// What the console may say to GitHub, in the words of GitHub's description of its API.

const REPO = '/repos/{owner}/{repo}';
const DISPATCH = `POST ${REPO}/actions/workflows/{workflow_id}/dispatches`;

// Each of these must have been called by a test.
export const USED = [
  DISPATCH,
  `GET ${REPO}/actions/workflows/{workflow_id}/runs`,
  `GET ${REPO}/actions/runs/{run_id}`,
  `GET ${REPO}/actions/runs/{run_id}/attempts/{attempt_number}`,
  `GET ${REPO}/actions/runs/{run_id}/attempts/{attempt_number}/jobs`,
  `GET ${REPO}/actions/runs/{run_id}/pending_deployments`,
  `POST ${REPO}/actions/runs/{run_id}/cancel`,
  `POST ${REPO}/actions/runs/{run_id}/force-cancel`,
  `GET ${REPO}/actions/jobs/{job_id}/logs`,
  `GET ${REPO}/check-runs/{check_run_id}/annotations`,
  `GET ${REPO}/installation`,
  'POST /app/installations/{installation_id}/access_tokens',
  `GET ${REPO}`,
  `GET ${REPO}/actions/workflows/{workflow_id}`,
  `GET ${REPO}/actions/secrets/{secret_name}`,
  `GET ${REPO}/actions/variables/{name}`,
  `GET ${REPO}/actions/organization-secrets`,
  `GET ${REPO}/actions/organization-variables`,
  `GET ${REPO}/contents/{path}`,
  `GET ${REPO}/environments/{environment_name}/secrets/{secret_name}`,
  `GET ${REPO}/environments/{environment_name}/variables/{name}`,
  `GET ${REPO}/deployments`,
  `POST ${REPO}/deployments`,
  `POST ${REPO}/deployments/{deployment_id}/statuses`,
  'GET /app',
  'GET /rate_limit',
];

// These may be called. Once a test does, an operation belongs above.
export const MAY_BE_USED = [
  `GET ${REPO}/actions/secrets`,
  `GET ${REPO}/actions/variables`,
  `GET ${REPO}/deployments/{deployment_id}/statuses`,
  `GET ${REPO}/environments/{environment_name}`,
];

// Each of these answers must have been given to a test: operation, API version, status.
export const ANSWERS = [
  [DISPATCH, '2022-11-28', 200],
  [DISPATCH, '2022-11-28', 204],
  [DISPATCH, '2026-03-10', 200],
];

const MOMENT = String.raw`\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}:\d{2}(Z|[+-]\d{2}:\d{2}))?`;
const END = String.raw`(\*|${MOMENT})`;

// Where GitHub's description is wrong about itself: the schemas of query parameters.
export const AMENDED = {
  // It says `format: date-time`, and in words that it is GitHub's search syntax: `>=2026-01-01`, `2026-01-01..*`.
  [`GET ${REPO}/actions/workflows/{workflow_id}/runs`]: {
    created: { type: 'string', pattern: String.raw`^(([<>]=?)?${MOMENT}|${END}\.\.${END})$` },
  },
};
