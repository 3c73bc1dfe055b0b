// GitHub describes the first version of its API, and notes at each part what later versions change about it.

// The version that the description is of, apart from those notes. It does not say so itself.
const FIRST = '2022-11-28';
const CHANGES = 'x-github-breaking-changes';

// Every version that the description knows.
export function versions(document) {
  const found = new Set([FIRST]);
  const walk = (node) => {
    if (node === null || typeof node !== 'object') return;
    if (Array.isArray(node[CHANGES])) for (const change of node[CHANGES]) found.add(change.version);
    Object.values(node).forEach(walk);
  };
  walk(document);
  return [...found].sort();
}

// Tells what a part of the description is in `version`: it follows references, and makes the changes noted there.
export function reader(document, version) {
  return (node) => {
    let part = node;
    while (part.$ref !== undefined) part = at(document, part.$ref.slice(1));
    const changes = (part[CHANGES] ?? []).filter((change) => change.version <= version);
    if (changes.length === 0) return part;
    changes.sort((one, other) => one.version.localeCompare(other.version));
    return changes.reduce((changed, change) => patched(changed, change.patch), structuredClone(part));
  };
}

// A list is a JSON Patch (RFC 6902), anything else a JSON Merge Patch (RFC 7396).
function patched(node, patch) {
  if (!Array.isArray(patch)) return merged(node, patch);
  for (const { op, path, value } of patch) {
    const end = path.lastIndexOf('/');
    const [parent, key] = [at(node, path.slice(0, end)), unescaped(path.slice(end + 1))];
    if (op === 'remove' && Array.isArray(parent)) parent.splice(Number(key), 1);
    else if (op === 'remove') delete parent[key];
    else if (op === 'replace' || (op === 'add' && !Array.isArray(parent))) parent[key] = value;
    else throw new Error(`the description patches with ${op} ${path}, which is not known here`);
  }
  return node;
}

function merged(node, patch) {
  if (patch === null || typeof patch !== 'object' || Array.isArray(patch)) return patch;
  const result = node !== null && typeof node === 'object' && !Array.isArray(node) ? { ...node } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else result[key] = merged(result[key], value);
  }
  return result;
}

function at(node, pointer) {
  const keys = pointer.split('/').slice(1).map(unescaped);
  const found = keys.reduce((part, key) => part?.[key], node);
  if (found === undefined) throw new Error(`the description has nothing at ${pointer}`);
  return found;
}

function unescaped(key) {
  return key.replaceAll('~1', '/').replaceAll('~0', '~');
}
