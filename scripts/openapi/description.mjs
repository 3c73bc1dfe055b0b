// GitHub's description of its API, cut down to the operations that the console may use.

import { readFileSync } from 'node:fs';
import Ajv from 'ajv/dist/2019.js';
import addFormats from 'ajv-formats';
import { AMENDED, MAY_BE_USED, USED } from './operations.mjs';
import { closed, mapped } from './schema.mjs';
import { reader, versions } from './versions.mjs';

const FILE = new URL('../../node_modules/@octokit/openapi/generated/api.github.com.json', import.meta.url);
// GitHub describes few of its errors. All of them are one of these.
const ERRORS = ['basic-error', 'validation-error'];
const ERROR = { anyOf: ERRORS.map((name) => ({ $ref: `#/components/schemas/${name}` })) };

export class Description {
  #document = JSON.parse(readFileSync(FILE, 'utf8'));
  #compiled = new Map();
  #ajv = addFormats(new Ajv({ allErrors: true, allowUnionTypes: true, strictTypes: false }));
  versions = versions(this.#document);
  names = [...USED, ...MAY_BE_USED];
  #patterns = this.names.map((name) => ({ name, pattern: this.#pattern(name) }));

  // The name of the operation that a request is for, and its path's parameters.
  find(method, path) {
    for (const { name, pattern } of this.#patterns) {
      const match = name.startsWith(`${method} `) && pattern.exec(path);
      if (match) return { name, parameters: mapped(match.groups ?? {}, decodeURIComponent) };
    }
    return undefined;
  }

  // What an operation is in a version, ready to check with.
  operation(name, version) {
    const key = `${version} ${name}`;
    if (!this.#compiled.has(key)) this.#compiled.set(key, this.#compile(name, reader(this.#document, version)));
    return this.#compiled.get(key);
  }

  #compile(name, read) {
    const operation = read(this.#described(name));
    const parameters = { path: {}, query: {} };
    for (const { in: place, name: parameter, schema } of (operation.parameters ?? []).map(read)) {
      const amended = place === 'query' && AMENDED[name]?.[parameter];
      if (parameters[place]) parameters[place][parameter] = this.#ajv.compile(amended || closed(schema, read, true));
    }
    const contents = (part, complete) =>
      mapped(part.content ?? {}, ({ schema }) => this.#ajv.compile(closed(schema, read, complete)));
    const body = operation.requestBody && read(operation.requestBody);
    return {
      ...parameters,
      body: body && { required: body.required === true, contents: contents(body, true) },
      answers: mapped(operation.responses, (answer) => contents(read(answer), false)),
      error: this.#ajv.compile(closed(ERROR, read, false)),
    };
  }

  #described(name) {
    const [method, path] = name.split(' ');
    const operation = this.#document.paths[path]?.[method.toLowerCase()];
    if (!operation) throw new Error(`GitHub's description has no ${name}`);
    return operation;
  }

  #pattern(name) {
    const several = new Set();
    for (const parameter of this.#described(name).parameters ?? []) {
      const { name: described, 'x-multi-segment': isSeveral } = reader(this.#document, '')(parameter);
      if (isSeveral) several.add(described);
    }
    const path = name.split(' ')[1].replaceAll(/[.*+?^$()|[\]\\]/g, String.raw`\$&`);
    const group = (_, parameter) => `(?<${parameter}>${several.has(parameter) ? '.+' : '[^/]+'})`;
    return new RegExp(`^${path.replaceAll(/\{(\w+)\}/g, group)}$`);
  }
}
