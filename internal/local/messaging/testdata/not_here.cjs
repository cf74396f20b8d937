// Asks a Pub/Sub for what it does not have, and prints the answers: not_here.cjs NODE_MODULES.
const {PubSub} = require(process.argv[2] + '/@google-cloud/pubsub');

const client = new PubSub({projectId: 'p'});
const calls = {
  seek: () => client.subscription('reader').seek(new Date()),
  snapshot: () => client.subscription('reader').createSnapshot('s'),
  policy: () => client.topic('events').iam.getPolicy(),
  schema: () => client.createSchema('s', 'AVRO', '{}'),
};

(async () => {
  for (const [name, call] of Object.entries(calls)) {
    const answer = await call().then(() => 'done', (error) => `${error.code} ${error.message}`);
    console.log(name, answer);
  }
  await client.close();
})();
