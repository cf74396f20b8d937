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
const [subscription] = await topic.createSubscription('node-client', {
  enableMessageOrdering: true,
  filter: `attributes."ce-subject" = "${name}"`,
});
const ended = new Promise((resolve, reject) => {
  subscription.on('error', reject);
  subscription.on('message', message => {
    message.ack();
    const {sequence, state} = JSON.parse(message.data);
    console.log(message.attributes['ce-type'], sequence, state);
    if (terminal.has(state)) resolve();
  });
});

const storage = new Storage({projectId, apiEndpoint: process.env.STORAGE_EMULATOR_HOST});
for (const file of readdirSync(folder)) {
  await storage.bucket('jobdrop-inbox').upload(join(folder, file), {destination: `${name}/${file}`});
}

await ended;
await subscription.delete();
const [content] = await storage.bucket('jobdrop-output').file(output).download();
process.stdout.write(content);
