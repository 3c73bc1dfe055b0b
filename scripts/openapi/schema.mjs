// Makes a JSON Schema of a schema in GitHub's description (OpenAPI 3.0), and a closed one: no keys but the described.

const SAYS_NOTHING = new Set([
  'default',
  'deprecated',
  'description',
  'discriminator',
  'example',
  'examples',
  'externalDocs',
  'nullable',
  'readOnly',
  'title',
  'writeOnly',
]);
const CHOICES = ['allOf', 'anyOf', 'oneOf'];

// `read` reads a part of the description. `complete`: whether keys that are required must be there. The stand-in
// answers fewer than GitHub does, so for its answers they need not.
export function closed(described, read, complete, isPart = false) {
  const node = read(described);
  const schema = {};
  for (const [key, value] of Object.entries(node)) {
    if (!SAYS_NOTHING.has(key) && !key.startsWith('x-')) schema[key] = value;
  }
  const inner = (part) => closed(part, read, complete);
  if (!complete) delete schema.required;
  if (schema.items) schema.items = inner(schema.items);
  if (schema.properties) schema.properties = mapped(schema.properties, inner);
  if (typeof schema.additionalProperties === 'object') schema.additionalProperties = inner(schema.additionalProperties);
  close(schema, read, complete, isPart);
  return node.nullable ? orNull(schema) : schema;
}

function close(schema, read, complete, isPart) {
  const choices = CHOICES.filter((choice) => schema[choice]);
  const isWhole = choices.length > 0 && (schema.properties !== undefined || schema.allOf !== undefined);
  for (const choice of choices) schema[choice] = schema[choice].map((part) => closed(part, read, complete, isWhole));
  if (!isPart && schema.additionalProperties === undefined) {
    // Parts of one object know nothing of each other's keys: only the whole can be closed.
    if (isWhole) schema.unevaluatedProperties = false;
    else if (schema.properties) schema.additionalProperties = false;
  }
  if (!complete && schema.oneOf) {
    // Without what they require, several may fit.
    schema.anyOf = schema.oneOf;
    delete schema.oneOf;
  }
}

// OpenAPI 3.0's `nullable`, which JSON Schema does not have.
function orNull(schema) {
  if (typeof schema.type !== 'string' || CHOICES.some((choice) => schema[choice])) {
    return { anyOf: [schema, { type: 'null' }] };
  }
  const nullable = { ...schema, type: [schema.type, 'null'] };
  if (schema.enum && !schema.enum.includes(null)) nullable.enum = [...schema.enum, null];
  return nullable;
}

export function mapped(object, change) {
  return Object.fromEntries(Object.entries(object).map(([key, value]) => [key, change(value)]));
}
