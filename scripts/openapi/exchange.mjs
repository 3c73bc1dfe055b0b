// Holds one recorded exchange, a request and its answer, against GitHub's description.

// The media types that GitHub's API may be asked for:
// https://docs.github.com/en/rest/using-the-rest-api/getting-started-with-the-rest-api#media-types
const ACCEPTED = /^application\/(vnd\.github(\.(raw|text|html|full|object))?\+)?json$/;

// The operation that an exchange is for, if it is one, and all that is wrong with it.
export function check(exchange, description) {
  const { method, path, headers } = exchange;
  const found = description.find(method, path);
  if (!found) return { problems: [`${method} ${path}: no operation in scripts/openapi/operations.mjs`] };
  const version = headers['x-github-api-version'];
  if (!description.versions.includes(version)) {
    const known = description.versions.join(', ');
    return { name: found.name, problems: [`${found.name}: x-github-api-version is ${version}, known are ${known}`] };
  }
  const operation = description.operation(found.name, version);
  const problems = [
    ...inPath(found.parameters, operation),
    ...inQuery(exchange.query, operation),
    ...inHeaders(headers),
    ...inBody(exchange, operation),
    ...inAnswer(exchange, operation),
  ];
  return { name: found.name, version, problems: problems.map((problem) => `${found.name} (${version}): ${problem}`) };
}

function inPath(parameters, operation) {
  return Object.entries(parameters).flatMap(([name, text]) => {
    const validate = operation.path[name];
    return validate ? asText(`path parameter ${name}`, text, validate) : [`path parameter ${name} is not described`];
  });
}

function inQuery(query, operation) {
  const pairs = [...new URLSearchParams(query)];
  return pairs.flatMap(([name, text]) => {
    const validate = operation.query[name];
    return validate ? asText(`query parameter ${name}`, text, validate) : [`unknown query parameter ${name}`];
  });
}

// A parameter is text; a number or a boolean is one that reads as such.
function asText(what, text, validate) {
  const readings = [text];
  if (/^-?\d+$/.test(text)) readings.push(Number(text));
  if (text === 'true' || text === 'false') readings.push(text === 'true');
  if (readings.some((reading) => validate(reading))) return [];
  return [`${what}: ${JSON.stringify(text)} ${validate.errors.map((error) => error.message).join(', ')}`];
}

function inHeaders({ accept }) {
  return ACCEPTED.test(accept ?? '') ? [] : [`accept is ${accept}`];
}

function inBody({ headers, body }, operation) {
  if (body === '') return operation.body?.required ? ['there is no body, and one is required'] : [];
  if (!operation.body) return ['there is a body, and none is described'];
  const type = mediaType(headers['content-type']);
  const validate = operation.body.contents[type];
  return validate ? asJson('body', body, validate) : [`content-type is ${type}`];
}

function inAnswer({ headers, answer }, operation) {
  // The client did not wait for it, or it is a fault on purpose.
  if (answer === null || answer.body === null) return [];
  const { status, body } = answer;
  // GitHub says so of every conditional request, and describes it with few.
  if (status === 304) return body === '' ? [] : ['answer 304 has a body'];
  const described = operation.answers[status];
  if (!described && status < 400) return [`answer ${status} is not described`];
  const contents = described ?? {};
  const types = Object.keys(contents);
  const type = mediaType(answer.content_type);
  if (status >= 400 && types.length === 0) return asJson(`answer ${status}`, body, operation.error);
  if (types.length === 0) return body === '' ? [] : [`answer ${status} has a body, and none is described`];
  // Asked for raw, a file is what is in it.
  if (headers.accept.includes('.raw')) return [];
  const validate = contents[type];
  return validate ? asJson(`answer ${status}`, body, validate) : [`answer ${status} is ${type}, not ${types}`];
}

function asJson(what, text, validate) {
  let value;
  try {
    value = JSON.parse(text);
  } catch {
    return [`${what} is not JSON`];
  }
  if (validate(value)) return [];
  return validate.errors.map(({ instancePath, message, params }) => {
    const key = params.additionalProperty ?? params.unevaluatedProperty;
    // Without numbers, so that the same mistake in every element is told once.
    const where = instancePath.replaceAll(/\/\d+/g, '/*');
    return `${what}${where} ${message}${key === undefined ? '' : `: ${key}`}`;
  });
}

function mediaType(header) {
  return header?.split(';')[0].trim().toLowerCase();
}
