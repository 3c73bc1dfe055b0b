// The check must be able to fail: each of these says one thing that GitHub does not know.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Description } from './description.mjs';
import { check } from './exchange.mjs';

const description = new Description();
const headers = {
  accept: 'application/vnd.github+json',
  'content-type': 'application/json',
  'x-github-api-version': '2022-11-28',
};
const newer = { ...headers, 'x-github-api-version': '2026-03-10' };
const details = { workflow_run_id: 1, run_url: 'https://api.example.com/1', html_url: 'https://example.com/1' };
const order = { ref: 'main', inputs: { color: 'green' } };

const json = (status, body) => ({ status, content_type: 'application/json', body: JSON.stringify(body) });

function dispatch({ body = order, answer = json(200, details), ...rest } = {}) {
  const path = '/repos/raxx/docs/actions/workflows/deploy.yml/dispatches';
  return { method: 'POST', path, query: '', headers, body: JSON.stringify(body), answer, ...rest };
}

function runs({ query = 'event=workflow_dispatch&created=%3E%3D2026-01-01&per_page=100', answer, ...rest } = {}) {
  const path = '/repos/raxx/docs/actions/workflows/deploy.yml/runs';
  const none = json(200, { total_count: 0, workflow_runs: [] });
  return { method: 'GET', path, query, headers, body: '', answer: answer ?? none, ...rest };
}

const found = (exchange) => check(exchange, description).problems;
const listed = (run) => runs({ answer: json(200, { total_count: 1, workflow_runs: [run] }) });

test('what GitHub describes is let through', () => {
  const asked = { ...order, return_run_details: true };
  const nothing = { status: 204, content_type: null, body: '' };
  const refused = json(422, { message: 'No ref found', documentation_url: 'https://docs.github.com', status: '422' });
  for (const exchange of [
    dispatch({ body: asked }),
    dispatch({ answer: nothing }),
    dispatch({ headers: newer }),
    dispatch({ answer: refused }),
    dispatch({ answer: null }),
    dispatch({ answer: { status: 200, content_type: null, body: null } }),
    runs(),
    runs({ query: 'created=2026-01-01..*&exclude_pull_requests=true' }),
    runs({ answer: { status: 304, content_type: null, body: '' } }),
    listed({ id: 1, conclusion: null }),
  ]) {
    assert.deepEqual(found(exchange), [], JSON.stringify(exchange));
  }
});

const REFUSED = {
  'an unknown path': [dispatch({ path: '/repos/raxx/docs/actions/workflow/deploy.yml/dispatches' }), /no operation/],
  'another method': [dispatch({ method: 'PUT' }), /no operation/],
  'an unknown version': [runs({ headers: { ...headers, 'x-github-api-version': '2024-01-01' } }), /known are/],
  'no version': [runs({ headers: { accept: headers.accept } }), /x-github-api-version is undefined/],
  'a misnamed key': [dispatch({ body: { ref: 'main', input: {} } }), /additional properties: input/],
  'a missing key': [dispatch({ body: { inputs: {} } }), /required property 'ref'/],
  'a value of another type': [dispatch({ body: { ref: 1 } }), /body\/ref must be string/],
  'too many inputs': [
    dispatch({ body: { ref: 'main', inputs: Object.fromEntries([...Array(26).keys()].entries()) } }),
    /25 properties/,
  ],
  'no body': [{ ...dispatch(), body: '' }, /no body/],
  'a body where none belongs': [runs({ body: '{}' }), /there is a body/],
  'a form': [dispatch({ headers: { ...headers, 'content-type': 'text/plain' } }), /content-type is text\/plain/],
  'a page as what is wanted': [runs({ headers: { ...headers, accept: 'text/html' } }), /accept is/],
  'the newer version asked for details': [
    dispatch({ headers: newer, body: { ...order, return_run_details: true } }),
    /additional properties: return_run_details/,
  ],
  'the newer version without details': [
    dispatch({ headers: newer, answer: { status: 204, content_type: null, body: '' } }),
    /answer 204 is not described/,
  ],
  'an unknown query parameter': [runs({ query: 'perpage=100' }), /unknown query parameter perpage/],
  'a query parameter of another type': [runs({ query: 'per_page=many' }), /per_page: "many" must be integer/],
  'a query parameter with another word': [runs({ query: 'status=done' }), /allowed values/],
  'a date that is none': [runs({ query: 'created=yesterday' }), /must match pattern/],
  'a path parameter of another type': [
    runs({ path: '/repos/raxx/docs/actions/runs/latest', query: '' }),
    /run_id: "latest" must be integer/,
  ],
  'an answer with a misnamed key': [dispatch({ answer: json(200, { run_id: 1 }) }), /additional properties: run_id/],
  'an answer with a value of another type': [listed({ id: '1' }), /workflow_runs\/\*\/id must be integer/],
  'an answer with a misnamed key deep inside': [listed({ head_sha1: 'a' }), /properties: head_sha1/],
  'an answer with another status': [dispatch({ answer: json(201, details) }), /answer 201 is not described/],
  'an error in another shape': [dispatch({ answer: json(500, { error: 'oh' }) }), /additional properties: error/],
  'an answer that is a page': [
    runs({ answer: { status: 200, content_type: 'text/html; charset=utf-8', body: '<html>' } }),
    /is text\/html/,
  ],
};

for (const [what, [exchange, words]] of Object.entries(REFUSED)) {
  test(`refused: ${what}`, () => assert.match(found(exchange).join('\n'), words));
}
