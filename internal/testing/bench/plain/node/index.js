// What jobdrop is measured beside: a function that does what a drop asks for with Google's libraries, in the way of a
// tutorial. It keeps no records, so it has none of jobdrop's promises.
import path from 'node:path';
import {Readable} from 'node:stream';
import {pipeline} from 'node:stream/promises';
import {createGunzip} from 'node:zlib';

import functions from '@google-cloud/functions-framework';
import {PubSub} from '@google-cloud/pubsub';
import {Storage} from '@google-cloud/storage';
import {GoogleAuth} from 'google-auth-library';
import yaml from 'js-yaml';
import tar from 'tar-stream';

const project = process.env.JOBDROP_PROJECT;
const endpoint = process.env.JOBDROP_BACKEND_ENDPOINT;
const storage = new Storage({projectId: project});
const topic = new PubSub({projectId: project}).topic(process.env.JOBDROP_TOPIC);
const auth = new GoogleAuth({scopes: 'https://www.googleapis.com/auth/cloud-platform'});

functions.cloudEvent('Submit', async event => {
  const bucket = storage.bucket(event.data.bucket);
  const folder = event.data.name.slice(0, event.data.name.lastIndexOf('/') + 1);
  const [files] = await bucket.getFiles({prefix: folder, delimiter: '/', autoPaginate: false});
  const jobFile = files.find(f => /^job\.(yaml|yml|json)$/.test(path.basename(f.name)));
  const packages = files.filter(f => f.name.endsWith('.tar.gz'));
  if (!jobFile || packages.length !== 1) {
    return;
  }
  const [text] = await read(bucket, jobFile);
  const [content] = await read(bucket, packages[0]);
  let spec;
  try {
    await check(content);
    spec = parse(text);
  } catch (err) {
    console.error(`${folder}: ${err.message}`);
    return; // it does not get better
  }
  spec.jobId ||= folder.replace(/[^A-Za-z0-9_]+/g, '_').replace(/^_|_$/g, '') + '_' + jobFile.metadata.generation;
  spec.trainingInput.packageUris = [`gs://${event.data.bucket}/${packages[0].name}`];
  if (!await create(spec)) {
    return; // another event of the drop made it
  }
  await topic.publishMessage({
    json: {jobId: spec.jobId, folder, state: 'submitted'},
    attributes: {type: 'job.submitted'},
  });
});

// read returns the content of the generation that was listed.
function read(bucket, file) {
  return bucket.file(file.name, {generation: file.metadata.generation}).download();
}

// check throws if a package is not a gzip'd tar archive with files.
async function check(content) {
  let files = 0;
  const extract = tar.extract();
  extract.on('entry', (header, stream, next) => {
    files++;
    stream.on('end', next);
    stream.resume();
  });
  await pipeline(Readable.from([content]), createGunzip(), extract);
  if (files === 0) {
    throw new Error('the archive is empty');
  }
}

// parse returns the job of a job file.
function parse(text) {
  const spec = yaml.load(text.toString());
  if (!spec?.trainingInput?.region || !spec.trainingInput.pythonModule) {
    throw new Error('trainingInput, its region and its pythonModule are required');
  }
  return spec;
}

// create makes a job, and returns false if its ID is there already.
async function create(spec) {
  const headers = {'Content-Type': 'application/json'};
  if (!endpoint) {
    headers.Authorization = `Bearer ${await auth.getAccessToken()}`;
  }
  const base = endpoint || 'https://ml.googleapis.com';
  const response = await fetch(`${base}/v1/projects/${project}/jobs`, {
    method: 'POST', headers, body: JSON.stringify(spec),
  });
  const answer = await response.text();
  if (response.status === 409) {
    return false;
  }
  if (!response.ok) {
    throw new Error(`create job ${spec.jobId}: ${response.status} ${answer}`);
  }
  return true;
}
