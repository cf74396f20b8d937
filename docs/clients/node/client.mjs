// Drops a folder into jobdrop's inbox with Google's Node libraries, follows its
// events in order, prints its output.
//
//   node client.mjs FOLDER OUTPUT, for example testdata/drops/hello hello/hello.txt
//
// STORAGE_EMULATOR_HOST and PUBSUB_EMULATOR_HOST say where the services are.
import {readdirSync} from 'node:fs';
import {basename, join, resolve} from 'node:path';
import {PubSub} from '@google-cloud/pubsub';
import {Storage} from '@google-cloud/storage';

const terminal = new Set(['rejected', 'withdrawn', 'expired',
  'succeeded', 'failed', 'cancelled', 'timed_out', 'lost']);
const projectId = 'local';
const [folder, output] = process.argv.slice(2);
const name = basename(resolve(folder));

const topic = new PubSub({projectId}).topic('jobdrop-lifecycle');
const [subscription] = await topic.createSubscription(`node-client-${process.pid}`, {
  enableMessageOrdering: true,
  filter: `attributes."ce-subject" = "${name}"`,
});
const storage = new Storage({projectId, apiEndpoint: process.env.STORAGE_EMULATOR_HOST});

try {
  let generation;
  for (const file of readdirSync(folder)) {
    const [made] = await storage.bucket('jobdrop-inbox').upload(join(folder, file), {destination: `${name}/${file}`});
    if (file.startsWith('job.')) generation = String(made.metadata.generation);
  }
  const verdict = await follow(generation);
  if (verdict.state !== 'succeeded') throw new Error(`${verdict.state}: ${verdict.reason}`);
} finally {
  await subscription.delete();
}
const [content] = await storage.bucket('jobdrop-output').file(output).download();
process.stdout.write(content);

// Prints the events of the attempt that a generation of the job file makes, and
// returns the last. The folder may have had other attempts, and delivery is at least
// once: what was seen is skipped.
function follow(generation) {
  let seen = 0;
  return new Promise((resolve, reject) => {
    subscription.on('error', reject);
    subscription.on('message', message => {
      message.ack();
      const body = JSON.parse(message.data);
      if (body.drop.jobFile.generation !== generation || body.sequence <= seen) return;
      seen = body.sequence;
      console.log(message.attributes['ce-type'], body.sequence, body.state, body.reason ?? '');
      if (terminal.has(body.state)) resolve(body);
    });
  });
}
