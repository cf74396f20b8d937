// Asks a Cloud Storage for what it does not have, and prints the answers: not_here.cjs NODE_MODULES BUCKET.
const {Storage, IdempotencyStrategy} = require(process.argv[2] + '/@google-cloud/storage');

const storage = new Storage({
  apiEndpoint: process.env.STORAGE_EMULATOR_HOST, projectId: 'p',
  retryOptions: {idempotencyStrategy: IdempotencyStrategy.RetryAlways},
});
const bucket = storage.bucket(process.argv[3]);
const calls = {
  versions: () => bucket.setMetadata({versioning: {enabled: true}}),
  notifications: () => bucket.createNotification('projects/p/topics/t'),
  policy: () => bucket.iam.setPolicy({bindings: []}),
  key: () => storage.createHmacKey('a@example.com'),
};

(async () => {
  for (const [name, call] of Object.entries(calls)) {
    const answer = await call().then(() => 'done', (error) => `${error.code} ${error.message}`);
    console.log(name, answer);
  }
})();
