// Uploads, uploads in a session and downloads by signed URLs: signed.cjs NODE_MODULES BUCKET KEY.
const {readFileSync} = require('fs');
const {Storage} = require(process.argv[2] + '/@google-cloud/storage');

const endpoint = process.env.STORAGE_EMULATOR_HOST;
const credentials = {client_email: 'signer@p.iam.gserviceaccount.com', private_key: readFileSync(process.argv[4], 'utf8')};
const bucket = new Storage({apiEndpoint: endpoint, projectId: 'p', credentials}).bucket(process.argv[3]);
const expires = Date.now() + 3600 * 1000;

(async () => {
  for (const version of ['v2', 'v4']) {
    const sign = async (name, action) => {
      const [signed] = await bucket.file(name).getSignedUrl({version, action, expires});
      const url = new URL(signed); // the library signs for Google's own host
      return endpoint + url.pathname + url.search;
    };
    const put = await fetch(await sign(`${version}-put`, 'write'), {method: 'PUT', body: 'ok'});
    const start = await fetch(await sign(`${version}-resumed`, 'resumable'),
      {method: 'POST', headers: {'x-goog-resumable': 'start'}});
    const sent = await fetch(start.headers.get('location'), {method: 'PUT', body: 'r'.repeat(1000)});
    const got = await fetch(await sign(`${version}-put`, 'read'));
    console.log(version, put.status, start.status, sent.status, await got.text());
  }
})();
