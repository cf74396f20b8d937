// Writes schema.json: the resources of the google provider that deploy/ uses, in
// the form that main.go serves. The source is the npm package that cdktf made of
// the schema of google 6.50.0, the oldest version that deploy/ allows:
//
//	npm ci && node gen.mjs
//
// cdktf keeps names, types, what is required, and what is only computed. It does
// not keep which optional attributes are computed too (computedToo below lists
// those that matter), nor conflicts. Values that an attribute may have stand in
// its documentation, as "Possible values: [...]", for most.
import fs from 'node:fs';

const from = new URL('node_modules/@cdktf/provider-google/', import.meta.url);
const version = '6.50.0';

const resources = `
  artifact_registry_repository artifact_registry_repository_iam_member
  cloud_run_service cloud_run_v2_service cloud_run_v2_service_iam_member
  cloud_scheduler_job
  cloudfunctions2_function
  eventarc_trigger
  iap_web_cloud_run_service_iam_member
  kms_crypto_key_iam_member
  logging_log_view logging_log_view_iam_member logging_metric logging_project_sink
  monitoring_alert_policy monitoring_dashboard monitoring_notification_channel
  project_iam_custom_role project_iam_member project_service
  pubsub_schema
  pubsub_subscription pubsub_subscription_iam_member
  pubsub_topic pubsub_topic_iam_member
  secret_manager_secret_iam_member
  service_account service_account_iam_member
  storage_bucket storage_bucket_iam_binding storage_bucket_iam_member storage_bucket_object storage_notification
`.trim().split(/\s+/);
const dataSources = ['project', 'storage_project_service_account'];

const computedToo = new Set(['id', 'project', 'region']);

// What cdktf's documentation leaves out, read in the provider's own.
const values = {
  'google_storage_bucket.public_access_prevention': ['enforced', 'inherited'],
  'google_storage_bucket.storage_class': ['STANDARD', 'MULTI_REGIONAL', 'REGIONAL', 'NEARLINE', 'COLDLINE', 'ARCHIVE'],
  'google_storage_bucket.lifecycle_rule.action.type': ['Delete', 'SetStorageClass', 'AbortIncompleteMultipartUpload'],
  'google_storage_bucket.lifecycle_rule.condition.with_state': ['LIVE', 'ARCHIVED', 'ANY', ''],
  'google_storage_notification.payload_format': ['JSON_API_V1', 'NONE'],
  'google_storage_notification.event_types': ['OBJECT_FINALIZE', 'OBJECT_METADATA_UPDATE', 'OBJECT_DELETE', 'OBJECT_ARCHIVE'],
  'google_artifact_registry_repository.format': ['DOCKER', 'MAVEN', 'NPM', 'APT', 'YUM', 'PYTHON', 'KFP', 'GO', 'GENERIC'],
};

const camel = (s) => s.replace(/_([a-z0-9])/g, (_, c) => c.toUpperCase());
const snake = (s) => s.replace(/[A-Z]/g, (c) => '_' + c.toLowerCase());

// attributes reads what cdktf writes into HCL of a resource or a block.
function attributes(js, start) {
  const at = js.indexOf(start);
  if (at < 0) return {};
  const begin = js.indexOf('const attrs = {', at);
  const body = js.slice(begin, js.indexOf('// remove undefined', begin));
  if (/^const attrs = \{\};/.test(js.slice(begin, begin + 20))) return {};
  const found = {};
  const entry = /^\s+(\w+): \{\n\s+value: ([^\n]*),\n\s+isBlock: (true|false),\n\s+type: "(\w+)",\n\s+storageClassType: "([^"]+)",/gm;
  for (const [, name, value, isBlock, type, storage] of body.matchAll(entry)) {
    found[name] = { value, isBlock: isBlock === 'true', type, storage };
  }
  return found;
}

// declared reads an interface: whether each property is required, and which
// values its documentation names.
function declared(dts, name) {
  const m = new RegExp(`export interface ${name}(?: extends [^{]+)? \\{`).exec(dts);
  if (!m) return {};
  let depth = 1, i = m.index + m[0].length;
  const begin = i;
  while (depth && i < dts.length) {
    const c = dts[i++];
    if (c === '{') depth++;
    if (c === '}') depth--;
  }
  const found = {};
  const property = /(?:\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\s*)?readonly (\w+)(\??):/g;
  for (const [, doc, property_, optional] of dts.slice(begin, i - 1).matchAll(property)) {
    const listed = /Possible values: (\[[^\]]*\])/.exec(doc ?? '');
    found[property_] = { required: optional === '', values: listed ? JSON.parse(listed[1]) : undefined };
  }
  return found;
}

// outputs reads the getters of a class that have no setter: what is only computed.
function outputs(dts, name) {
  const at = dts.indexOf(`export declare class ${name} extends`);
  if (at < 0) return {};
  const body = dts.slice(at, dts.indexOf('\n}\n', at));
  const settable = new Set([...body.matchAll(/set (\w+)\(/g)].map((m) => m[1]));
  const found = {};
  for (const [, property, type] of body.matchAll(/get (\w+)\(\): ([^;]+);/g)) {
    if (!settable.has(property)) found[property] = type;
  }
  return found;
}

const primitive = { string: 'string', number: 'number', boolean: 'bool' };

function type({ type, storage }) {
  if (type === 'simple') return primitive[storage] ?? 'string';
  const of = primitive[/^(string|number|boolean)/.exec(storage)?.[1] ?? 'string'];
  if (!['list', 'set', 'map'].includes(type)) throw new Error(`type ${type} of ${storage}`);
  return [type, of];
}

function block(js, dts, path, attrs, config, output) {
  const properties = declared(dts, config);
  const b = { attributes: {}, blocks: {} };
  for (const [name, a] of Object.entries(attrs)) {
    const property = properties[camel(name)] ?? {};
    const here = `${path}.${name}`;
    if (!a.isBlock) {
      b.attributes[name] = {
        type: type(a),
        ...(property.required ? { required: true } : { optional: true }),
        ...(!property.required && computedToo.has(name) ? { computed: true } : {}),
        ...(values[here] ?? property.values ? { values: values[here] ?? property.values } : {}),
      };
      continue;
    }
    if (name === 'timeouts') continue; // a block of Terraform's own SDK, which nothing here sets
    const cls = a.storage.replace(/List$/, '');
    const inner = attributes(js, `function ${cls[0].toLowerCase()}${cls.slice(1)}ToHclTerraform(`);
    b.blocks[name] = {
      nesting: a.type === 'set' ? 'set' : 'list',
      ...(property.required ? { min: 1 } : {}),
      ...(/listMapperHcl/.test(a.value) ? {} : { max: 1 }),
      ...block(js, dts, here, inner, cls, `${cls}OutputReference`),
    };
  }
  for (const [property, t] of Object.entries(outputs(dts, output))) {
    const name = snake(property);
    if (name in b.attributes || name in b.blocks || /Input$/.test(property) || name === 'timeouts') continue;
    if (['internalValue', 'fqn', 'friendlyUniqueId', 'node'].includes(property)) continue;
    let of;
    if (/^(string|number)$/.test(t)) of = t;
    else if (/^string\[\]$/.test(t)) of = ['list', 'string'];
    else if (/StringMap$/.test(t)) of = ['map', 'string'];
    else if (/IResolvable$/.test(t)) of = 'bool';
    else continue; // objects that are only computed: nothing here reads them
    b.attributes[name] = { type: of, computed: true };
  }
  return b;
}

function resource(name, isData) {
  const dir = new URL(`lib/${isData ? 'data-google-' : ''}${name.replaceAll('_', '-')}/`, from);
  const js = fs.readFileSync(new URL('index.js', dir), 'utf8');
  const dts = fs.readFileSync(new URL('index.d.ts', dir), 'utf8');
  const cls = /export declare class (\w+) extends cdktf\.Terraform(?:Resource|DataSource)/.exec(dts)[1];
  if (!dts.includes(`providers/hashicorp/google/${version}/docs/`)) throw new Error(`${name} is not of google ${version}`);
  return block(js, dts, `google_${name}`, attributes(js, 'synthesizeHclAttributes() {'), `${cls}Config`, cls);
}

const all = (names, isData) => Object.fromEntries(names.toSorted().map((name) => [`google_${name}`, resource(name, isData)]));
const schema = { version, resources: all(resources, false), data: all(dataSources, true) };
// One line for each attribute keeps the file readable, and its changes, too.
const text = JSON.stringify(schema, null, 1).replace(/\{\n\s+"type": [^{}]*?\n\s+\}/g, (s) => s.replace(/\s*\n\s*/g, ' '));
fs.writeFileSync(new URL('schema.json', import.meta.url), text + '\n');
